"""What changes when workers run elsewhere: which faults come back, and as what.

A cluster keeps and shows what a worker raises, so nothing leaves a worker but our own errors, which hold no customer's
value, and the type and place of any other. What comes back is text; our own errors are recognised in it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas import errors
from schemas.errors import LeaktraceError, RunnerError

_OURS = re.compile(r"schemas\.errors\.(\w+): ([^\n]+?)(?: \[while running|\n|$)")
_PLACE = re.compile(r"WorkerError: ([\w.]+ in [\w./]+, line \d+)")


class WorkerError(Exception):
    """Stands for a fault on a worker: its type and place, never its text."""


@contextmanager
def told_without_values() -> Iterator[None]:
    """Let our own errors pass; any other becomes a WorkerError."""
    try:
        yield
    except LeaktraceError:
        raise
    except Exception as error:
        raise WorkerError(_named(error)) from None


def fault_of(text: str, runner: str) -> LeaktraceError:
    """The error that a cluster's report means: our own as raised on the worker, else one about the cluster."""
    found = _OURS.search(text)
    kind = getattr(errors, found[1], None) if found else None
    if found and isinstance(kind, type) and issubclass(kind, LeaktraceError):
        return kind(found[2])
    place = _PLACE.search(text)
    what = f"a worker failed ({place[1]})" if place else "the job failed or the cluster was not reached"
    return RunnerError(
        f"{runner}: {what}; nothing was issued: see the cluster's own log, then run the command again (the options "
        "after -- say where the cluster is)"
    )


def _named(error: Exception) -> str:
    place, trace = "", error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        name = "/".join(Path(code.co_filename).parts[-2:])
        if name.split("/")[0] in ("pipeline", "watermarking", "schemas"):
            place = f" in {name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return type(error).__name__ + (place or " in a library, line 0")
