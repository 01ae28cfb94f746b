"""Kill -9 at random moments over tag, compact and trace; after each, everything is counted. One harness for all.

A process is forked from a server that has imported the program, so that a kill falls into work and not into imports.
After each kill: the same command again succeeds, `registry check` finds nothing, no export is half registered, and
files and entries belong together.

    python -m benchmarks.kills [--kills 200] [--seed 1] [--minutes 600]
"""

import argparse
import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.office import COLUMNS, CONTRACT, machine
from examples import bank_table
from pipeline.audit import check
from pipeline.cli import main as program
from pipeline.keystore import KeyStore
from pipeline.registry import Registry

_ROWS = 2_000
COMMANDS = ("tag", "compact", "trace")


class Killer:
    """Runs functions in processes of their own and kills them at random moments."""

    def __init__(self, chance: random.Random, preload: Sequence[str]) -> None:
        """preload: modules that the server of the processes imports once."""
        self.chance = chance
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))

    def run(self, work: Callable[..., Any], *arguments: Any) -> float:
        """Let it end; how long it took. RuntimeError when it fails."""
        begun = time.monotonic()
        process = self._context.Process(target=work, args=arguments)
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError(f"{getattr(work, '__name__', work)} failed without being killed ({process.exitcode})")
        return time.monotonic() - begun

    def kill(self, longest: float, *works: tuple[Callable[..., Any], Sequence[Any]]) -> int:
        """Start works at once and kill each within `longest` seconds; how many were still running."""
        begun = time.monotonic()
        moments = sorted(((self.chance.uniform(0, longest), n) for n in range(len(works))), key=lambda pair: pair[0])
        processes = [self._context.Process(target=work, args=tuple(given)) for work, given in works]
        for process in processes:
            process.start()
        killed = 0
        for moment, number in moments:
            processes[number].join(max(0.0, begun + moment - time.monotonic()))
            if processes[number].is_alive():
                processes[number].kill()
                killed += 1
            processes[number].join()
        return killed


@dataclass
class Office:
    """A folder with a registry, its keys, a table and a sample; commands run in this process."""

    folder: Path
    issued: int = 0
    kills: Counter[str] = field(default_factory=Counter)

    def make(self) -> None:
        """Lay everything out, with one copy issued for the sample."""
        table = bank_table.generate(_ROWS, 1).select(range(COLUMNS))
        pq.write_table(table, self.folder / "bank.parquet")
        (self.folder / "out").mkdir()
        text = pa.table({name: table[name].cast(pa.string()) for name in table.column_names})
        pa_csv.write_csv(text.slice(50, 20), self.folder / "sample.csv")
        command(self.folder, "init")

    def words(self, name: str) -> list[str]:
        """The next command of a kind."""
        self.issued += 1
        if name == "tag":
            start = ["tag", "bank.parquet", "--contract", str(CONTRACT), "--purpose", "kills", "--no-quality"]
            return [*start, "--recipient", f"E{self.issued % 7}", "-o", f"out/{self.issued}.parquet"]
        if name == "trace":
            return ["trace", "sample.csv", "-o", f"case-{self.issued}"]
        return ["registry", "compact", "--keep-minutes", "0"]


def command(folder: Path, *words: str) -> None:
    """One command of the program in this process; SystemExit with its code, and what it said, when it fails."""
    os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        code = program(["--registry", "registry", "--keys", "keys", *words])
    if code:
        sys.stderr.write(f"{' '.join(words)}: {said.getvalue()}")
        raise SystemExit(code)


def kill_all(folder: Path, kills: int, seed: int, minutes: float = 600.0) -> list[str]:
    """Kill until `kills` processes were killed in their work, or time is up; every problem found, with its place."""
    until = time.monotonic() + 60 * minutes
    killer = Killer(random.Random(seed), ["benchmarks.kills", "pipeline.transforms", "pipeline.tagging"])  # noqa: S311
    office = Office(folder)
    killer.run(office.make)
    longest = {name: killer.run(command, folder, *office.words(name)) for name in COMMANDS}
    problems: list[str] = []
    while sum(office.kills.values()) < kills and not problems and time.monotonic() < until:
        chosen = [name for name in COMMANDS if killer.chance.random() < 0.5] or [killer.chance.choice(COMMANDS)]
        works = [(command, [folder, *office.words(name)]) for name in chosen]
        killed = killer.kill(max(longest[name] for name in chosen), *works)
        office.kills["+".join(chosen)] += killed
        try:
            longest[chosen[0]] = killer.run(command, folder, *office.words(chosen[0]))
        except RuntimeError as error:
            problems.append(str(error))
        problems += [f"after a kill of {'+'.join(chosen)}: {problem}" for problem in found_wrong(folder)]
    counted = ", ".join(f"{name} {count}" for name, count in sorted(office.kills.items()) if count)
    print(f"{sum(office.kills.values())} processes killed ({counted}), {len(problems)} problems")
    return problems


def found_wrong(folder: Path) -> list[str]:
    """What `registry check` finds, exports that are half registered, files without their entry and the reverse."""
    keys = KeyStore(folder / "keys")
    with Registry.open(str(folder / "registry"), issuer=keys.issuer()) as registry:
        registry.recover()
        problems = check(registry, keys.issuer_public(), keys.officer_private())
        exports = {line["export_id"]: line["state"] for line in registry.exports().to_pylist()}
        receipts = registry.receipts(list(exports))
    problems += [f"{export} is {state}" for export, state in exports.items() if state != "issued"]
    due = {Path(r["output"]["path"]).name: r["output"]["sha256"] for r in receipts.values()}
    there = {path.name: path for path in (folder / "out").iterdir()}
    problems += [f"{name} has no entry" for name in sorted(there.keys() - due.keys())]
    problems += [f"{name} has an entry and is not there" for name in sorted(due.keys() - there.keys())]
    for name in sorted(due.keys() & there.keys()):
        if hashlib.sha256(there[name].read_bytes()).hexdigest() != due[name]:
            problems.append(f"{name} is not the file of its receipt")
    for case in folder.glob("case-*"):
        try:
            json.loads((case / "verdict.json").read_bytes())
        except (OSError, ValueError):
            problems.append(f"{case.name} is half a case")
    return problems


def main() -> None:
    """Kill, and print what was found; exit code 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description="Kills at random moments.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after so many, with what was done by then")
    given = parser.parse_args()
    print(machine())
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="leaktrace-kills-") as folder:
        problems = kill_all(Path(folder).resolve(), given.kills, given.seed, given.minutes)
    print("\n".join(problems) or f"nothing lost, nothing half made; {time.monotonic() - begun:.0f} s")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
