"""Jobs on disk: what a crash leaves, and how the next command finishes or undoes it.

A job's folder holds its parts and a lock that lives as long as its process. A folder whose lock can be taken
belongs to a job that died.

A prepared copy that may have had its name is never taken back: somebody may hold it, so it must stay traceable.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from pipeline.hashing import digest_of
from schemas.errors import RegistryError

_WAIT = 600.0  # seconds that a command waits for the others' commits
_JOB, _WITHDRAWN = "job.json", "withdrawn.json"


@dataclass(frozen=True)
class Job:
    """The exports of one command, where each is being written, and the name that each gets.

    withdrawn: it failed after it was entered, and whatever it wrote must go.
    """

    exports: tuple[str, ...]
    temporary: tuple[str, ...]
    outputs: tuple[str, ...]
    withdrawn: bool = False


@dataclass(frozen=True)
class PreparedCopy:
    """One prepared export and its file; no path for an export that was only registered."""

    export_id: str
    temporary: Path | None
    output: Path | None
    sha256: str

    def named(self) -> bool:
        """Whether it has, or may have had, its name."""
        if self.temporary is None or self.output is None or not self.temporary.exists():
            return True
        return self.output.exists() and self.output.samefile(self.temporary)

    def can_be_named(self) -> bool:
        """Whether its file is whole and the name is free."""
        if self.named():
            return True
        assert self.temporary is not None and self.output is not None  # noqa: S101, PT018 - else it is named
        return not self.output.exists() and digest_of(self.temporary) == self.sha256

    def give_name(self) -> bool:
        """Name it; where that cannot be, delete it. Whether it has its name."""
        if self.temporary is None or self.output is None or not self.temporary.exists():
            return True
        try:
            if not self.named():
                publish(self.temporary, self.output)
        except OSError:
            self.temporary.unlink(missing_ok=True)
            return False
        self.temporary.unlink(missing_ok=True)
        return True

    def delete(self) -> None:
        """Delete what the job wrote, under either name; never a file of somebody else."""
        if self.output is not None and self.output.is_file() and digest_of(self.output) == self.sha256:
            self.output.unlink()
        if self.temporary is not None:
            self.temporary.unlink(missing_ok=True)


def copies_of(job: Job, receipts: Mapping[str, Mapping[str, Any]]) -> list[PreparedCopy]:
    """The copies of a job, each with the digest that its receipt states."""
    nowhere: list[Path | None] = [None] * len(job.exports)  # a file that is only registered is not written
    temporary = [Path(path) for path in job.temporary] or nowhere
    outputs = [Path(path) for path in job.outputs] or nowhere
    digests = [str((receipts.get(export, {}).get("output") or {}).get("sha256", "")) for export in job.exports]
    return [PreparedCopy(*parts) for parts in zip(job.exports, temporary, outputs, digests, strict=True)]


def finish(copies: Sequence[PreparedCopy]) -> list[str]:
    """Give the copies of a dead job their names, or delete them all; returns the exports that are complete.

    All or none, unless one had its name already: then the others follow as far as their names are free.
    """
    if not can_finish(copies) and not any(copy.named() for copy in copies):
        for copy in copies:
            copy.delete()
        return []
    return [copy.export_id for copy in copies if copy.give_name()]


def can_finish(copies: Sequence[PreparedCopy]) -> bool:
    """Whether every copy can have its name."""
    return all(copy.can_be_named() for copy in copies)


@contextmanager
def open_job(staging: Path, job: Job) -> Iterator[Path]:
    """The folder of a running job, locked; readable by the owner only. RegistryError when it cannot be made."""
    folder = staging / job.exports[0]
    try:
        # While this lock is held nobody looks for dead jobs, so none can take a folder that is being made.
        with locked(staging / ".lock"):
            folder.mkdir(mode=0o700, parents=True)
            lock = (folder / "lock").open("w")
            fcntl.flock(lock, fcntl.LOCK_EX)
            _save(replace(job, withdrawn=True), folder / _WITHDRAWN)
            _save(job, folder / _JOB)
    except OSError as error:
        raise RegistryError(
            f"the job's folder in {staging} cannot be made ({error.strerror}); free some space or check its rights"
        ) from error
    with lock:
        yield folder


def _save(job: Job, path: Path) -> None:
    """Write down what a job is about, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(job)), "utf-8")
    temporary.replace(path)


def withdraw(folder: Path, job: Job) -> Job:
    """Write down that a job's files must go, before the first one does; a rename, for the disk may be full."""
    (folder / _WITHDRAWN).replace(folder / _JOB)
    return replace(job, withdrawn=True)


@contextmanager
def left_over(staging: Path) -> Iterator[list[tuple[Job, Path]]]:
    """Jobs whose process died, held locked while the block runs; a second command passes them by."""
    found: list[tuple[Job, Path]] = []
    held: list[IO[str]] = []
    try:
        if staging.is_dir():
            with locked(staging / ".lock"):
                for folder in sorted(path for path in staging.iterdir() if not path.name.startswith(".")):
                    lock = _dead(folder)
                    if lock is not None:
                        held.append(lock)
                        found.append((_read_job(folder), folder))
        yield found
    finally:
        for lock in held:
            lock.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file; RegistryError when it cannot be had in ten minutes, or cannot be made."""
    try:
        file = path.open("a")
    except OSError as error:
        raise RegistryError(
            f"the registry cannot be written ({path}: {error.strerror}); check the path, the rights and the space left"
        ) from error
    until = time.monotonic() + _WAIT
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise RegistryError(
                        f"another command has held {path} for ten minutes; see whether it hangs, then run this again"
                    ) from None
                time.sleep(0.01)
        yield


def publish(temporary: Path, output: Path) -> None:
    """Give a finished copy its name without ever replacing a file; FileExistsError when the name is taken.

    The copy is on disk, and not only in memory, before it has its name.
    """
    flush(temporary)
    try:
        os.link(temporary, output)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if output.exists():
            raise FileExistsError(output) from None
        temporary.rename(output)
    temporary.unlink(missing_ok=True)
    flush(output.parent)


def remove_spills(staging: Path) -> None:
    """Delete what dead processes left of DuckDB's temporary files (digests only)."""
    for folder in staging.glob(".spill-*"):
        try:
            os.kill(int(folder.name.split("-")[1]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (OSError, ValueError):
            continue


def _dead(folder: Path) -> IO[str] | None:
    """The lock of a job's folder, if it can be taken; an unlocked folder without one belongs to a dead job too."""
    try:
        lock = (folder / "lock").open("a")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _read_job(folder: Path) -> Job:
    try:
        body = json.loads((folder / _JOB).read_text("utf-8"))
        paths = {name: tuple(body[name]) for name in ("exports", "temporary", "outputs")}
        return Job(**paths, withdrawn=bool(body.get("withdrawn")))
    except (OSError, ValueError, KeyError, TypeError):
        return Job((), (), ())  # it died before it had written anything else


def flush(path: Path) -> None:
    """Have a file or folder on the disk, and not only in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
