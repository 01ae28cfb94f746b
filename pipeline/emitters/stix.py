"""STIX 2.1, one writer for the watchlist's indicators and for a case.

A bundle may leave the house, so it names nobody: copies appear by their ids, samples by their digests. Ids follow
from what an object says, so the same case and the same canary have the same id whoever writes them again.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.report import Background, summary
from pipeline.report.summary import bound

_NAMESPACE = uuid.UUID("5f4b4a52-4f3e-5f0b-9c39-1b2f7a1f6c11")  # of our ids; any fixed one would do
_OBSERVABLES = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")  # of cyber-observable ids: STIX 2.1, section 2.9
_FIRST = "2026-01-01T00:00:00.000Z"  # when the identity below was made
# Kinds of identifiers that a pattern can hold.
PATTERNS = {
    "phone": "x-phone-number:value = '{}'",
    "email": "email-addr:value = '{}'",
    "national_id": "x-national-id:value = '{}'",
    "card": "x-payment-card:value = '{}'",
    "account": "x-account:value = '{}'",
}
# Published by OASIS in STIX 2.1, section 7.2.1.4: every producer uses this very object.
AMBER = {
    "type": "marking-definition",
    "spec_version": "2.1",
    "id": "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
    "created": "2017-01-20T00:00:00.000Z",
    "definition_type": "tlp",
    "name": "TLP:AMBER",
    "definition": {"tlp": "amber"},
}
_CONFIDENCE = {"conclusive": 95, "strong": 70, "lead": 30}


def moment(time: datetime) -> str:
    """A time as STIX writes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"


def domain_object(kind: str, said: str, created: str, **fields: Any) -> dict[str, Any]:
    """An object of a kind whose id follows from `said`; created: as `moment` writes it."""
    made = f"{kind}--{uuid.uuid5(_NAMESPACE, said)}"
    return {"type": kind, "spec_version": "2.1", "id": made, "created": created, "modified": created, **fields}


def indicator(kind: str, value: str, dataset: str, now: str) -> dict[str, Any]:
    """An indicator for one identifier of a canary; its kind is one of PATTERNS."""
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return domain_object(
        "indicator", f"{kind} {value}", now,
        valid_from=now, name=f"canary of {dataset}: {kind}", indicator_types=["compromised"],
        pattern=f"[{PATTERNS[kind].format(quoted)}]", pattern_type="stix",
    )  # fmt: skip


def case_bundle(verdict: Mapping[str, Any], background: Background) -> dict[str, Any]:
    """A case as a bundle: the sample's files as observed, the incident, and a report that holds them together."""
    created = moment(datetime.fromisoformat(verdict["created_at"]))
    received = moment(datetime.fromisoformat(background.received)) if background.received else created
    case = verdict["case_id"]
    maker = domain_object("identity", "leaktrace", _FIRST, name="leaktrace", identity_class="system")
    files = [_file(file) for file in verdict["sample"]["files"]]
    common: dict[str, Any] = {"created_by_ref": maker["id"], "object_marking_refs": [AMBER["id"]]}
    seen = domain_object(
        "observed-data", f"{case} observed", created, **common,
        first_observed=received, last_observed=received, number_observed=1, object_refs=[file["id"] for file in files],
    )  # fmt: skip
    incident = domain_object(
        "incident", f"{case} incident", created, **common,
        name=f"Leak of customer rows, case {case}", description=_described(verdict, background),
        labels=[verdict["authenticity"]["verdict"], verdict["attribution"]["verdict"]],
        external_references=[{"source_name": "leaktrace", "external_id": case}],
    )  # fmt: skip
    strongest = [c["strength"] for c in verdict["attribution"]["candidates"] if c["strength"] != "none"][:1]
    report = domain_object(
        "report", f"{case} report", created, **common,
        name=f"leaktrace case {case}", description=" ".join(verdict["limits"]), report_types=["observed-data"],
        published=created, object_refs=[incident["id"], seen["id"], *(file["id"] for file in files)],
        **({"confidence": _CONFIDENCE[strongest[0]]} if strongest else {}),
    )  # fmt: skip
    return bundle([AMBER, maker, *files, seen, incident, report], case)


def bundle(objects: Sequence[Mapping[str, Any]], said: str) -> dict[str, Any]:
    """A bundle whose id follows from `said`; an object that is there twice is kept once."""
    once = {one["id"]: one for one in objects}
    return {"type": "bundle", "id": f"bundle--{uuid.uuid5(_NAMESPACE, said)}", "objects": list(once.values())}


def _file(file: Mapping[str, Any]) -> dict[str, Any]:
    """A file of the sample by its digest; its name may be a customer's, so it is left out."""
    hashes = {"SHA-256": file["sha256"]}
    said = json.dumps({"hashes": hashes}, separators=(",", ":"))  # canonical JSON of what makes the id
    made = f"file--{uuid.uuid5(_OBSERVABLES, said)}"
    return {"type": "file", "spec_version": "2.1", "id": made, "hashes": hashes, "size": file["bytes"]}


def _described(verdict: Mapping[str, Any], background: Background) -> str:
    """The finding in a paragraph that names copies and nobody."""
    named = [c for c in verdict["attribution"]["candidates"] if c["strength"] != "none"]
    copies = [
        f"Copy {c['export_id']} ({c['strength']}): {bound(c['log10_p_adjusted'])} for any innocent copy." for c in named
    ]
    kinds = ", ".join(f"{kind.replace('_', ' ')} ({count})" for kind, count in verdict["exposed"]["kinds"].items())
    parts = [
        summary(verdict)[1],
        f"Is it ours: {verdict['authenticity']['verdict'].replace('_', ' ')}.",
        *(copies or ["No copy is named."]),
        f"Kinds of data: {kinds}." if kinds else "",
        f"SHA-256 of the case's signed envelope: {background.envelope}." if background.envelope else "",
    ]
    return " ".join(part for part in parts if part)
