"""Looking after cases: listing who traced what, and deleting cases by decision or by age, on record.

A case holds the sample as received: customers' data. Deleting it leaves the log's entry, which names nobody.
"""

import json
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.bundle import ENVELOPE
from pipeline.ledger import Log
from pipeline.registry import Registry
from pipeline.trace_log import DELETE, TRACE
from schemas.errors import InputError, OutputError


def listed(registry: Registry) -> list[dict[str, Any]]:
    """Every trace that the log tells of, oldest first; `deleted`: when its case was, or None."""
    entries = registry.log()
    deleted = {entry["case_id"]: entry["at"] for entry in entries if entry["kind"] == DELETE}
    names = ("case_id", "created_at", "operator", "sample_digest", "attempt")
    return [
        {name: entry[name] for name in names} | {"deleted": deleted.get(entry["case_id"])}
        for entry in entries
        if entry["kind"] == TRACE
    ]


def delete_case(case: Path, reason: str, registry: Registry, log: Log) -> str:
    """Delete a case and say so in the log, first; the id of the case.

    Raises InputError when the folder is no case, OutputError when it cannot be deleted: then the log says that it was
    to be, and the command can be run again.
    """
    case_id = case_id_of(case)
    registry.enter_log(DELETE, case_id, {"reason": reason}, log)
    registry.forget_sightings(case_id)
    going = case.with_name(f".{case.name}.{secrets.token_hex(4)}")
    try:
        case.rename(going)  # so that half a case never lies under its name
        shutil.rmtree(going)
    except OSError as error:
        raise OutputError(f"{case} cannot be deleted ({error.strerror}); delete it by hand: the log has it") from error
    return case_id


def older_than(folder: Path, days: float, now: datetime) -> list[Path]:
    """The cases in a folder that were made more than `days` days ago, oldest first."""
    found = [(created, path) for path, created in _cases(folder) if created < now - timedelta(days=days)]
    return [path for _, path in sorted(found)]


def case_id_of(case: Path) -> str:
    """The id of a case; InputError when the folder is none, or one of another version."""
    verdict = _verdict(case)
    if verdict is None or not (case / ENVELOPE).exists():
        raise InputError(f"{case} is no case of this version; give the folder that leaktrace trace wrote")
    return str(verdict["case_id"])


def _cases(folder: Path) -> Iterator[tuple[Path, datetime]]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the one that holds the cases")
    for path in sorted(folder.iterdir()):
        verdict = _verdict(path) if path.is_dir() and not path.is_symlink() else None
        if verdict is not None and (path / ENVELOPE).exists():
            yield path, datetime.fromisoformat(verdict["created_at"])


def _verdict(case: Path) -> dict[str, Any] | None:
    try:
        verdict = json.loads((case / "verdict.json").read_bytes())
        ours = str(verdict["schema"]).startswith("leaktrace.verdict/") and verdict["case_id"] and verdict["created_at"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return verdict if ours else None
