"""Tracing every new file of a folder, once: by content, whatever it is called and whoever sweeps at the same time.

    claim the content → traced before? → trace → its case, or a note why not → tell whoever must know

A case is called after its content's SHA-256 and appears whole (pipeline/case.py), so the folder of cases is the
list of what was done. Claims are lock files: they vanish with their process. The inbox is only read.
"""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.alerts import Alarm, level_of, reaches
from pipeline.case import case_folder
from pipeline.hashing import digest_of
from pipeline.tracing import TraceRequest, trace
from schemas.errors import InputError, LeaktraceError, OutputError

_UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart")
_DIGITS = 20  # of the SHA-256 in a name; that two samples share them has probability 2^-80 times pairs
ASIDE = "set-aside"
OUTCOMES = ("traced", "known", "set aside", "busy", "waiting", "failed")


@dataclass(frozen=True)
class SweepRequest:
    """One sweep of `inbox`; `alarm` says whom to tell."""

    inbox: Path
    cases: Path
    registry: str
    keys: Path
    alarm: Alarm | None = None
    settle: float = 0.0
    beam_args: tuple[str, ...] = ()


@dataclass(frozen=True)
class Swept:
    """What became of one file of the inbox.

    outcome: traced, known (its case, or the note about it, is there), set aside, busy (another process has it),
    waiting (it is still being written) or failed.
    """

    file: str
    outcome: str
    case: str | None
    verdict: str
    message: str = ""
    exit_code: int = 0


def sweep_inbox(request: SweepRequest, say: Callable[[str], None], now: float) -> list[Swept]:
    """Trace what is new in the inbox; what is wrong with one file stops no other.

    now: seconds since the epoch; a file changed less than `settle` seconds before is left for the next sweep.
    Raises InputError when the inbox cannot be read, OutputError when the cases cannot be written.
    """
    try:
        files = sorted(path for path in request.inbox.iterdir() if _is_sample(path))
    except OSError as error:
        raise InputError(f"the inbox {request.inbox} cannot be read ({error.strerror}); give a folder") from error
    try:
        (request.cases / ".claims").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{request.cases} cannot be written ({error.strerror}); choose another -o") from error
    return [_sweep_one(request, path, say, now) for path in files]


def _is_sample(path: Path) -> bool:
    hidden = path.name.startswith((".", "~$"))
    return path.is_file() and not hidden and path.suffix.lower() not in _UNFINISHED


def _sweep_one(request: SweepRequest, path: Path, say: Callable[[str], None], now: float) -> Swept:
    """One file, whatever happens to it."""
    try:
        before = path.stat()
        if now - before.st_mtime < request.settle:
            return Swept(path.name, "waiting", None, "")
        name = digest_of(path)[:_DIGITS]
        after = path.stat()
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            return Swept(path.name, "waiting", None, "")
    except OSError as error:
        return Swept(path.name, "failed", None, "", f"it cannot be read ({error.strerror}); check its rights", 1)
    with _claim(request.cases / ".claims" / name) as mine:
        if not mine:
            return Swept(path.name, "busy", name, "")
        try:
            done = _traced(request, path, name, say)
            return _told(request, done, name)
        except LeaktraceError as error:
            return Swept(path.name, "failed", None, "", _one_line(error), error.exit_code)
        except Exception as error:  # the next file goes on; the text could hold a customer's value
            return Swept(path.name, "failed", None, "", f"a fault of this program ({type(error).__name__})", 1)


def _traced(request: SweepRequest, path: Path, name: str, say: Callable[[str], None]) -> Swept:
    """The case of a file, made now or before. Runs under its claim."""
    case, aside = request.cases / name, request.cases / ASIDE / name
    if (case / "verdict.json").exists():
        return Swept(path.name, "known", name, _verdict_of(case))
    if aside.exists():
        return Swept(path.name, "known", None, "")
    for left in request.cases.glob(f".{name}.*"):  # of a process that died: the claim is ours
        shutil.rmtree(left, ignore_errors=True)
    say(f"tracing {path.name}")
    try:
        trace(TraceRequest((path,), case, request.registry, request.keys, request.beam_args), say)
    except InputError as error:
        _set_aside(aside, path, _one_line(error))
        return Swept(path.name, "set aside", None, "", _one_line(error), 1)
    return Swept(path.name, "traced", name, _verdict_of(case))


def _set_aside(folder: Path, path: Path, reason: str) -> None:
    """Keep a file that cannot be traced, with the reason; removing the folder makes the next sweep try again."""
    folder.parent.mkdir(exist_ok=True)
    with case_folder(folder) as working:
        shutil.copyfile(path, working / "sample")
        body = {"file": path.name, "reason": reason}
        (working / "reason.json").write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _told(request: SweepRequest, done: Swept, name: str) -> Swept:
    """The same, after those who must know of the case have been told, once."""
    told = request.cases / ".claims" / f"{name}.told"
    if request.alarm is None or done.case is None or told.exists():
        return done
    verdict = json.loads((request.cases / name / "verdict.json").read_bytes())
    if not reaches(level_of(verdict), request.alarm.level):
        return done
    problem = request.alarm.raise_for(verdict, name)
    if problem:
        return Swept(done.file, done.outcome, done.case, done.verdict, problem, 1)
    told.touch()
    return done


def _verdict_of(case: Path) -> str:
    document: dict[str, Any] = json.loads((case / "verdict.json").read_bytes())
    return f"{document['authenticity']['verdict']}, {document['attribution']['verdict']}"


@contextmanager
def _claim(path: Path) -> Iterator[bool]:
    """Whether this process alone has the content; a claim dies with its process."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
