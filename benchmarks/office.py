"""What the benchmarks share: a registry in a folder, the command line, and what a command cost."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTRACT = Path(__file__).with_name("bank.odcs.yaml")
COLUMNS = 10  # of the generator's table: those the committed contract describes


@dataclass(frozen=True)
class Cost:
    """What a child process used; `peak` in MiB."""

    wall: float
    cpu: float
    peak: float
    output: str

    @property
    def numbers(self) -> dict[str, float]:
        """Without what was printed."""
        return {"wall": self.wall, "cpu": self.cpu, "peak": self.peak}


def measured(program: Sequence[str | Path], environment: dict[str, str] | None = None) -> Cost:
    """Run a program to its end; stops with its message when it fails.

    A process of its own waits for it, so that RUSAGE_CHILDREN is that program's alone, peak memory included.
    """
    started = time.monotonic()
    waiter = [sys.executable, "-c", _WAITER, *map(str, program)]
    done = subprocess.run(waiter, env=os.environ | (environment or {}), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr or done.stdout)
    used = json.loads(done.stderr.splitlines()[-1])
    return Cost(time.monotonic() - started, used["cpu"], used["peak"] / 1024, done.stdout)


_WAITER = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss}), file=sys.stderr)
sys.exit(done.returncode)
"""


class Office:
    """A registry with its keys under one folder, used through the command line."""

    def __init__(self, folder: Path, *, again: bool = False) -> None:
        """Creates both; again: unless an earlier run did."""
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._environment = {"LEAKTRACE_REGISTRY": str(folder / "registry"), "LEAKTRACE_KEYS": str(folder / "keys")}
        if not (again and (folder / "registry").exists()):
            self.leaktrace("init")

    def leaktrace(self, *arguments: str | Path, first: Sequence[str] = ()) -> Cost:
        """One command, in a process of its own; first: a program that starts it."""
        return measured([*first, sys.executable, "-m", "pipeline", *arguments], self._environment)

    def issue(
        self,
        source: Path,
        contract: Path,
        recipients: Sequence[str],
        output: str,
        *options: str,
        first: Sequence[str] = (),
    ) -> Cost:
        """Tag `source` for each recipient; `output` is a name in this folder; first: a program that starts it."""
        whom = [part for recipient in recipients for part in ("--recipient", recipient)]
        what = ["--contract", str(contract), *whom, "--purpose", "benchmark", *options]
        return self.leaktrace("tag", source, *what, "-o", self.folder / output, first=first)

    def trace(self, sample: Path, case: str) -> dict[str, Any]:
        """The verdict on a sample."""
        verdict: dict[str, Any] = json.loads(self.leaktrace("trace", sample, "-o", self.folder / case, "--json").output)
        return verdict


class OutOfTimeError(Exception):
    """The minutes are over; what is done is kept."""


class Steps:
    """Steps whose results are kept in a file, so that a later run does only what is left."""

    def __init__(self, path: Path, minutes: float) -> None:
        """path: where results are kept; minutes: after which no further step begins."""
        self.path, self._until = path, time.monotonic() + 60 * minutes
        self.done: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}

    def check_time(self) -> None:
        """OutOfTimeError when the minutes are over."""
        if time.monotonic() > self._until:
            raise OutOfTimeError

    def take(self, name: str, work: Callable[[], Any]) -> Any:
        """The result of a step, from the file when it was done before."""
        if name not in self.done:
            self.check_time()
            self.done[name] = work()
            self.path.write_text(json.dumps(self.done, indent=1))
        return self.done[name]


def conclusive(verdict: dict[str, Any]) -> set[str]:
    """The recipients whose copy is named `conclusive`."""
    candidates = verdict["attribution"]["candidates"]
    return {c["recipient"] for c in candidates if c["recipient"] and c["strength"] == "conclusive"}


def machine() -> str:
    """One line for the head of a result."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, {memory:.0f} GiB, load {load:.1f} at the start, "
        f"this script {own:.0f} MiB"
    )
