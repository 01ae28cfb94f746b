"""A case as an OCSF Detection Finding (class 2004, schema 1.5.0), for the SIEM of whoever holds the registry.

It names the recipient of a copy at lead or better, as the verdict does: it is for inside. Sample files appear by
their digests, because a file's name may be a customer's.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipeline.report import Background, summary

OCSF = "1.5.0"
_CLASS, _CREATE = 2004, 1
# Severity (id, caption) by outcome, where the sample is ours.
_SEVERITY = {"identified": (5, "Critical"), "lead": (4, "High"), "narrowed": (4, "High"), "insufficient": (4, "High")}
_LOW = (1, "Informational")
_CONFIDENCE = {"conclusive": (3, "High"), "strong": (2, "Medium"), "lead": (1, "Low")}
_TITLE = {
    "identified": "Leaked rows lead to a copy",
    "lead": "Leaked rows point to a copy, not strongly enough to accuse",
    "narrowed": "Leaked rows are ours; several copies held them",
    "insufficient": "Leaked rows are ours; copies cannot be told apart",
    "not_applicable": "A sample was traced and is not ours",
}


def finding(verdict: Mapping[str, Any], background: Background) -> dict[str, Any]:
    """The finding as a JSON document."""
    attribution, created = verdict["attribution"], _milliseconds(verdict["created_at"])
    named = [c for c in attribution["candidates"] if c["strength"] != "none"]
    severity = _SEVERITY.get(attribution["verdict"], _LOW) if verdict["exposed"]["people"] else _LOW
    received = _milliseconds(background.received) if background.received else created
    document: dict[str, Any] = {
        "category_uid": 2, "category_name": "Findings",
        "class_uid": _CLASS, "class_name": "Detection Finding",
        "activity_id": _CREATE, "activity_name": "Create",
        "type_uid": 100 * _CLASS + _CREATE, "type_name": "Detection Finding: Create",
        "time": created, "start_time": min(received, created), "end_time": created,
        "severity_id": severity[0], "severity": severity[1],
        "status_id": 1, "status": "New",
        "message": summary(verdict)[0],
        "metadata": {
            "version": OCSF,
            "product": {"name": "leaktrace", "vendor_name": "leaktrace", "version": verdict["version"]},
            "uid": verdict["case_id"],
        },
        "finding_info": {
            "uid": verdict["case_id"], "title": _TITLE[attribution["verdict"]], "desc": " ".join(verdict["limits"]),
            "created_time": created, "first_seen_time": received, "types": ["Data leak"],
            "analytic": {"name": "leaktrace trace", "type_id": 1, "type": "Rule", "version": verdict["version"]},
        },
        "evidences": [_evidence(file) for file in verdict["sample"]["files"]],
        "resources": [_resource(candidate) for candidate in named],
        "unmapped": _unmapped(verdict, background),
    }  # fmt: skip
    if named:
        document["confidence_id"], document["confidence"] = _CONFIDENCE[named[0]["strength"]]
    return {name: value for name, value in document.items() if value != []}


def _evidence(file: Mapping[str, Any]) -> dict[str, Any]:
    """A file of the sample, by its digest (fingerprint algorithm 3 is SHA-256)."""
    fingerprint = {"algorithm_id": 3, "algorithm": "SHA-256", "value": file["sha256"]}
    name = f"sample-{file['sha256'][:12]}"
    return {
        "file": {"name": name, "type_id": 1, "type": "Regular File", "size": file["bytes"], "hashes": [fingerprint]}
    }


def _resource(candidate: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "uid": candidate["export_id"],
        "name": candidate["dataset"],
        "type": "issued copy of a dataset",
        "labels": [f"strength: {candidate['strength']}"],
        "owner": {"name": candidate["recipient"], "uid": candidate["recipient"]},
    }


def _unmapped(verdict: Mapping[str, Any], background: Background) -> dict[str, Any]:
    """What OCSF has no field for; the envelope's digest ties a finding outside the case to it."""
    attribution = verdict["attribution"]
    return {
        "authenticity": verdict["authenticity"]["verdict"],
        "attribution": attribution["verdict"],
        "rows": verdict["sample"]["rows"],
        "people": verdict["exposed"]["people"],
        "kinds": dict(verdict["exposed"]["kinds"]),
        "copies_searched": attribution["exports_considered"],
        "alpha": attribution["alpha"],
        "candidates": [
            {"export_id": c["export_id"], "strength": c["strength"], "log10_p_adjusted": c["log10_p_adjusted"]}
            for c in attribution["candidates"]
            if c["strength"] != "none"
        ],
        "envelope_sha256": background.envelope,
    }


def _milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)
