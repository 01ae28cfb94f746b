"""What the registry writes down of an export: its table rows, and the bodies of the chain's signed entries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.sealing import canonical
from schemas.tables import TABLES


@dataclass(frozen=True)
class NewExport:
    """An export as it is entered. `output` is None for a file that was only registered, and so is `sealed`."""

    export_id: str
    dataset: str
    recipient: str
    purpose: str
    series_id: str
    epoch: int
    idempotency_key: str | None
    rows_in: int
    rows_out: int
    canaries: int
    marked_sites: int
    output: dict[str, Any] | None
    contract_sha256: str
    quality: str
    commitment: str
    sealed: bytes | None
    temp_path: str | None
    parent: str | None


@dataclass(frozen=True)
class Place:
    """A place in the chain: its number, the digest of the entry before it, and when it was taken."""

    number: int
    previous: str
    at: str


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def export_body(export: NewExport, place: Place, members: str, index: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt of an export before it is signed.

    members: digest of the sorted versions it holds. index: what it added to the index, `versions`, `tokens` and
    their `digest`; neither depends on how files are laid out.
    """
    return {
        "kind": "export",
        "number": place.number,
        "export_id": export.export_id,
        "dataset": export.dataset,
        "recipient": export.recipient,
        "purpose": export.purpose,
        "series": export.series_id,
        "epoch": export.epoch,
        "issued_at": place.at,
        "idempotency_key": export.idempotency_key,
        "rows_in": export.rows_in,
        "rows_out": export.rows_out,
        "canaries": export.canaries,
        "marked_sites": export.marked_sites,
        "output": export.output,
        "contract_sha256": export.contract_sha256,
        "quality": export.quality,
        "members": members,
        "index": dict(index),
        "commitment": export.commitment,
        "parent": export.parent,
        "previous": place.previous,
    }


def void_body(export_id: str, place: Place) -> dict[str, Any]:
    """The entry that says that a prepared export never got its file, before it is signed."""
    return {
        "kind": "void",
        "number": place.number,
        "export_id": export_id,
        "recorded_at": place.at,
        "reason": "the copy was withdrawn before it was issued",
        "previous": place.previous,
    }


def note_body(kind: str, export_id: str, place: Place, facts: Mapping[str, Any]) -> dict[str, Any]:
    """An entry that says something about an export, or with an empty id about the registry, before it is signed."""
    named = {"kind": kind, "number": place.number, "export_id": export_id, "recorded_at": place.at}
    return {**facts, **named, "previous": place.previous}


def export_row(receipt: Mapping[str, Any], state: str) -> dict[str, Any]:
    """The line of `exports` that belongs to a receipt; the integrity check compares the two by this."""
    names = [name for name in TABLES["exports"].names if name not in ("series_id", "state")]
    return {name: receipt.get(name) for name in names} | {"series_id": receipt.get("series"), "state": state}


def sealed_row(export: NewExport) -> dict[str, Any]:
    """The line of `sealed`."""
    return {name: getattr(export, name) for name in TABLES["sealed"].names}


def receipt_row(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The line of `receipts`; the text is the canonical one, so that every byte of it counts."""
    line = {name: receipt[name] for name in ("number", "kind", "export_id")}
    return line | {"receipt": canonical(receipt).decode()}
