"""A log of what commands did: lines for people, or JSON on request. No customer's value ever reaches it.

Where it lies is said by --log or LEAKTRACE_LOG (a file that is appended to, or - for standard error); its form by
--log-format or LEAKTRACE_LOG_FORMAT. Rotation is the system's (logrotate): each line opens no file anew, so use
copytruncate.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from schemas.errors import OutputError

_LOG = logging.getLogger("leaktrace")
FORMS = ("text", "json")


def start_log(where: str, form: str) -> None:
    """Send what is logged to a file or to standard error; OutputError when the file cannot be written."""
    try:
        handler: logging.Handler = (
            logging.StreamHandler(sys.stderr) if where == "-" else logging.FileHandler(where, encoding="utf-8")
        )
    except OSError as error:
        raise OutputError(f"the log {where} cannot be written ({error.strerror}); give another --log") from error
    handler.setFormatter(_Json() if form == "json" else _Text())
    stop_log()
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False


def stop_log() -> None:
    """Close the log."""
    for handler in list(_LOG.handlers):
        _LOG.removeHandler(handler)
        handler.close()


def log_event(event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log one event: a word and its facts (ids, counts, times)."""
    if _LOG.handlers:
        _LOG.log(level, event, extra={"facts": {name: value for name, value in fields.items() if value is not None}})


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Json(logging.Formatter):
    """One JSON object a line: time, level, event, pid, then the facts."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        head = {"time": _moment(record), "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps(
            head | {"pid": record.process} | getattr(record, "facts", {}), ensure_ascii=False, default=str
        )


class _Text(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        facts = " ".join(f"{name}={value}" for name, value in getattr(record, "facts", {}).items())
        return f"{_moment(record)} {record.levelname:<7} {record.getMessage()} {facts}".rstrip()
