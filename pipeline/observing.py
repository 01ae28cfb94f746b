"""What a command leaves behind for whoever watches it: lines in the log, and a file of metrics."""

import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.logs import FORMS, log_event, start_log, stop_log
from pipeline.metrics import write_metrics
from schemas.errors import LeaktraceError, OutputError, UsageError


class Observed:
    """How a command ended, as far as it is known."""

    def __init__(self) -> None:
        """Until it has ended well, it has ended badly."""
        self.exit_code = 1
        self.counts: Mapping[str, Any] = {}


@contextmanager
def observed(arguments: Namespace) -> Iterator[Observed]:
    """Log a command's begin and end, and write its metrics, where the options or the environment say so."""
    log = arguments.log or os.environ.get("LEAKTRACE_LOG")
    form = arguments.log_format or os.environ.get("LEAKTRACE_LOG_FORMAT") or "text"
    folder = arguments.metrics or os.environ.get("LEAKTRACE_METRICS")
    if form not in FORMS:
        raise UsageError(f"LEAKTRACE_LOG_FORMAT is none of {', '.join(FORMS)}")
    if folder and not Path(folder).is_dir():
        raise OutputError(f"the folder {folder} for metrics does not exist; create it, or give another --metrics")
    if log:
        start_log(log, form)
    state, begun, problem = Observed(), time.monotonic(), None
    log_event("begin", command=arguments.command)
    try:
        yield state
    except LeaktraceError as error:
        state.exit_code, problem = error.exit_code, " ".join(str(error).split())
        raise
    except BaseException as error:
        problem = type(error).__name__
        raise
    finally:
        seconds = time.monotonic() - begun
        log_event(
            "end", command=arguments.command, exit_code=state.exit_code, seconds=round(seconds, 3), problem=problem,
            **state.counts,
        )  # fmt: skip
        stop_log()
        if folder:
            _write(Path(folder), arguments.command, state, seconds)


def _write(folder: Path, command: str, state: Observed, seconds: float) -> None:
    try:
        write_metrics(folder, command, state.exit_code, seconds, state.counts, time.time())
    except OSError as error:  # the work is done; a metric that could not be written undoes nothing
        sys.stderr.write(f"leaktrace: the metrics in {folder} cannot be written ({error.strerror})\n")
