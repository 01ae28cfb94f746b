"""`verify --reproduce`: a case's own sample is traced again, and the verdict compared field by field.

The trace counts as the attempt that the case records, not as a new one: the same sample, options and registry give
the same answer, so nobody learns anything new and nothing has to be paid for again. Exports that were issued since
may change how many copies are searched; the comparison then says so.
"""

import json
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.intake import Said
from pipeline.progress import Say
from pipeline.tracing import TraceRequest, trace

_OF_THE_RUN = ("case_id", "created_at")


def differences(case: Path, registry: str, keys: Path, say: Say) -> list[str]:
    """The fields in which a new trace's verdict differs from that of a case that was verified; empty when in none.

    Custody is left out: a head that a witness noted is given to a trace, and may be given to one only.
    """
    before = json.loads((case / "verdict.json").read_bytes())
    received = datetime.fromisoformat(before["created_at"])
    with tempfile.TemporaryDirectory(prefix="leaktrace-") as folder:
        request = TraceRequest(
            (case / "sample",), Path(folder) / "again", registry, keys, attempt=before["attempt"], received=received,
            said=Said.from_json(before["sample"].get("said")),
        )  # fmt: skip
        again = trace(request, say)
    ours, theirs = dict(_leaves(before)), dict(_leaves(again))
    names = [name for name in (ours | theirs) if ours.get(name) != theirs.get(name)]
    return [f"verdict.json: {name} is not what tracing the sample again gives" for name in names]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a document with its path."""
    if name in _OF_THE_RUN or name.endswith(".custody") or name == "limits":
        return
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if pairs is None:
        yield name, value
        return
    for key, inner in pairs:
        yield from _leaves(inner, f"{name}.{key}".lstrip("."))
