"""Who traced what and when: a chain of its own, signed by the examiner, in the registry's table `log`.

Traces need no issuer's key, so they stand beside the chain of receipts and not in it. Each entry names the digest of
the one before: one that was removed, changed or moved shows. An end that was cut off shows by the traces counted in
`cases` and `meta`; whoever cuts all three off needs no more than write access. What a trace spends of the year's budget
of alphas is an entry of its own, before a secret is opened.
"""

import base64
import getpass
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.receipts import GENESIS, digest
from pipeline.sealing import canonical

TRACE, SPEND, DELETE = "trace", "spend", "delete"
_DOMAIN = b"leaktrace/1/log\0"
Sign = Callable[[Mapping[str, Any]], dict[str, Any]]


def operator() -> str:
    """Who runs the command: LEAKTRACE_OPERATOR (set by a service for the person behind it), else the system's user."""
    given = os.environ.get("LEAKTRACE_OPERATOR", "").strip()
    try:
        return (given or getpass.getuser())[:128]
    except (KeyError, OSError):  # a container without an entry for its user
        return f"uid {os.getuid()}"


def signer(examiner: Ed25519PrivateKey) -> Sign:
    """Signs entries of the log."""

    def sign(body: Mapping[str, Any]) -> dict[str, Any]:
        return {**body, "signature": base64.b64encode(examiner.sign(_DOMAIN + canonical(body))).decode()}

    return sign


def problems_of(
    lines: Sequence[Mapping[str, Any]], cases: Sequence[Mapping[str, Any]], examiners: Sequence[Ed25519PublicKey]
) -> Iterator[str]:
    """What is wrong with the log; lines: of the table, with `document`, in order; cases: lines of the table `cases`."""
    previous = GENESIS
    for due, line in enumerate(lines, 1):
        document, where = line["document"], f"log, entry {line['number']}"
        if line["number"] != due or document.get("number") != due or document.get("previous") != previous:
            yield f"{where}: it does not follow the entry before it; one was removed, added, moved or altered"
        if any(line[name] != document.get(name) for name in ("kind", "case_id")):
            yield f"{where}: kind or case is not what the entry says"
        if examiners and not _holds(document, examiners):
            yield f"{where}: it is not signed by a known examiner, or was altered"
        previous = digest(document)
    if lines:
        yield from _uncounted(lines, cases)
        yield from _unspent(lines, cases)


def _uncounted(lines: Sequence[Mapping[str, Any]], cases: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Traces that only one of the two tables knows; `earlier`: how many there were before the log began."""
    names = ("case_id", "sample_digest", "attempt", "created_at")
    logged = {tuple(line["document"].get(name) for name in names) for line in lines if line["kind"] == TRACE}
    counted = {tuple(line[name] for name in names) for line in cases}
    for case in sorted(str(one[0]) for one in logged - counted):
        yield f"cases, {case}: the log tells of this trace otherwise, or it is missing"
    earlier = lines[0]["document"].get("earlier", 0)
    if len(counted - logged) != earlier:
        yield f"log: {len(counted - logged)} traces are not in it, {earlier} were made before it began"


def _unspent(lines: Sequence[Mapping[str, Any]], cases: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What traces spent, where the tables differ; `unsigned`: how many had spent what, before the log told of it."""
    entries = [line["document"] for line in lines if line["kind"] == SPEND]
    if not entries:
        return
    said = {entry.get("case_id"): entry.get("alpha") for entry in entries}
    stands = {line["case_id"]: line["alpha"] for line in cases if line["alpha"] is not None}
    for case in sorted(case for case in said if stands.get(case) != said[case]):
        yield f"cases, {case}: what it spent of the budget is not what the log says"
    before = [alpha for case, alpha in stands.items() if case not in said]
    count, spent = entries[0].get("unsigned", (0, 0.0))
    if len(before) != count or not math.isclose(math.fsum(before), spent, rel_tol=1e-9):
        yield f"cases: {len(before)} that spent of the budget are not in the log as they stand"


def _holds(document: Mapping[str, Any], examiners: Sequence[Ed25519PublicKey]) -> bool:
    body = {name: value for name, value in document.items() if name != "signature"}
    for key in examiners:
        try:
            key.verify(base64.b64decode(str(document.get("signature", ""))), _DOMAIN + canonical(body))
        except (InvalidSignature, ValueError):
            continue
        return True
    return False
