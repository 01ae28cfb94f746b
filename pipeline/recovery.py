"""Jobs on disk: what a crash leaves, and how the next command finishes or undoes it.

A job's folder holds its parts and a lock that lives as long as its process. A folder whose lock can be taken
belongs to a job that died.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """The exports of one command, where each is being written, and the name that each gets."""

    exports: tuple[str, ...]
    temporary: tuple[str, ...]
    outputs: tuple[str, ...]


@contextmanager
def open_job(staging: Path, job: Job) -> Iterator[Path]:
    """The folder of a running job, locked; readable by the owner only."""
    folder = staging / job.exports[0]
    folder.mkdir(mode=0o700, parents=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "job.json").write_text(json.dumps(asdict(job)), "utf-8")
        yield folder


def left_over(staging: Path) -> Iterator[tuple[Job, Path]]:
    """Jobs whose process died, each held locked while it is handled."""
    for folder in sorted(staging.glob("*")) if staging.is_dir() else []:
        try:
            lock = (folder / "lock").open("r+")
        except OSError:
            if not (folder / "lock").exists():
                yield Job((), (), ()), folder  # died before it had a lock, so before it wrote anything
            continue
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            try:
                body = json.loads((folder / "job.json").read_text("utf-8"))
                job = Job(tuple(body["exports"]), tuple(body["temporary"]), tuple(body["outputs"]))
            except (OSError, ValueError):
                job = Job((), (), ())
            yield job, folder


def finish(job: Job, states: Mapping[str, str]) -> list[str]:
    """Give prepared copies their names, delete the files of exports that were never entered.

    Returns the exports that are complete now. A prepared export whose file is nowhere is not among them.
    """
    done = []
    for number, export in enumerate(job.exports):
        temporary = Path(job.temporary[number]) if number < len(job.temporary) else None
        output = Path(job.outputs[number]) if number < len(job.outputs) else None
        if states.get(export) == "prepared":
            if temporary is None or output is None or _publish(temporary, output):
                done.append(export)
        elif temporary is not None and export not in states:
            temporary.unlink(missing_ok=True)
    return done


def publish(temporary: Path, output: Path) -> None:
    """Give a finished copy its name without ever replacing a file; FileExistsError when the name is taken."""
    try:
        os.link(temporary, output)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if output.exists():
            raise FileExistsError(output) from None
        temporary.rename(output)
        return
    temporary.unlink()


def _publish(temporary: Path, output: Path) -> bool:
    """Whether a prepared copy has its name now, or had it already when the job died."""
    if not temporary.exists():
        return output.exists()
    if output.exists() and os.path.samefile(temporary, output):
        temporary.unlink()
        return True
    try:
        publish(temporary, output)
    except OSError:
        temporary.unlink(missing_ok=True)
        return False
    return True
