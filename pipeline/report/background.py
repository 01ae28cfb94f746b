"""What a report knows of a case besides its verdict: where the sample came from, keys, receipts, and its rows."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.bundle import ENVELOPE, predicate_of


@dataclass(frozen=True)
class Background:
    """received: when the sample arrived (RFC 3339). head: of the registry's chain when the sample was traced.

    keys: key id by role. witnessed: which of the receipts stood under which head, noted or stamped before the sample
    arrived (Custody.proof). operator: who traced. receipts: those of the named exports. rows: the case's rows.parquet;
    None when it is not at hand, and then no picture is drawn of it. values: sample rows to print, only when somebody
    asked for them. envelope: SHA-256 of the signed envelope, for what is written outside the case after it was signed.
    """

    received: str = ""
    head: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    receipts: Sequence[Mapping[str, Any]] = ()
    rows: Path | None = None
    values: "Values | None" = None
    envelope: str = ""
    witnessed: Sequence[Mapping[str, Any]] = ()
    operator: str = ""

    def rows_of(self, export_id: str) -> int | None:
        """How many rows a named copy had, as its receipt says; None without one."""
        found = {receipt["export_id"]: receipt.get("rows_out") for receipt in self.receipts}
        return found.get(export_id)


@dataclass(frozen=True)
class Values:
    """Rows of the sample as received, with their classes: customers' values. `left_out`: rows that are not shown."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, int, str, tuple[str, ...]], ...]  # file, row, class, cells
    left_out: int


NOTHING = Background()


def background_of(case: Path) -> Background:
    """What the signed envelope of a case says; the case was verified before."""
    predicate = predicate_of(case)
    keys = predicate.get("keys", {})
    return Background(
        received=predicate.get("sample_received_at", ""),
        head=predicate.get("chain_head", {}),
        keys=keys_shown(keys.get("examiner", ""), keys.get("index", ())),
        receipts=predicate.get("inclusion", ()),
        rows=case / "rows.parquet",
        envelope=hashlib.sha256((case / ENVELOPE).read_bytes()).hexdigest(),
        witnessed=predicate.get("witnessed", ()),
        operator=predicate.get("operator", ""),
    )


def keys_shown(examiner: str, index: Sequence[str]) -> dict[str, str]:
    """Key ids by role, as a report prints them; index: one of each epoch."""
    return {"examiner": examiner} | ({"index": ", ".join(index)} if index else {})
