"""`registry check`: every signature, link, digest and commitment, each problem with its place."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pipeline import receipts
from pipeline.registry import Registry, members_digest
from pipeline.sealing import open_secret
from schemas.errors import LeaktraceError

_SAME = ("export_id", "dataset", "recipient", "purpose", "epoch", "issued_at", "rows_in", "rows_out", "contract_sha256")


def check(registry: Registry, issuer: Ed25519PublicKey, officer: X25519PrivateKey | None) -> list[str]:
    """Every problem of a registry, in plain words; empty when there is none.

    1. Each receipt is signed by the issuer, and the row says what the receipt says.
    2. The receipts form one chain without gaps, and the head is its end.
    3. Each export's members have the digest of its receipt.
    4. With the officer's key: each sealed secret is the one its receipt commits to.
    """
    rows = registry.connection.execute("SELECT * FROM lake.exports ORDER BY number").to_arrow_table().to_pylist()
    read = [(row, _receipt(row)) for row in rows]
    problems = [*_signatures(read, issuer), *_chain(read, registry.head()), *_members(registry, read)]
    if officer is not None:
        problems += _secrets(registry, read, officer)
    return problems


Read = list[tuple[dict[str, Any], dict[str, Any]]]


def _receipt(row: dict[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(row["receipt"])
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _signatures(read: Read, issuer: Ed25519PublicKey) -> Iterator[str]:
    for row, receipt in read:
        where = f"export {row['export_id']}, number {row['number']}"
        if not receipts.holds(receipt, issuer):
            yield f"{where}: the receipt is not signed by this issuer, or was altered"
        differing = [name for name in _SAME if row[name] != receipt.get(name)]
        differing += ["series_id"] if row["series_id"] != receipt.get("series") else []
        differing += ["number"] if row["number"] != receipt.get("number") else []
        if differing:
            yield f"{where}: {', '.join(differing)} in the table is not what the receipt says"


def _chain(read: Read, head: dict[str, Any]) -> Iterator[str]:
    previous, number = receipts.GENESIS, 0
    for row, receipt in read:
        number += 1
        if row["number"] != number:
            yield f"export {row['export_id']}: number {row['number']} where {number} is due; a row was removed or added"
            number = row["number"]
        if receipt.get("previous") != previous:
            yield f"export {row['export_id']}, number {row['number']}: it does not follow the receipt before it"
        previous = receipts.digest(receipt)
    if head != {"number": number, "digest": previous}:
        yield f"the head of the chain (number {head['number']}) is not its last receipt (number {number})"


def _members(registry: Registry, read: Read) -> Iterator[str]:
    """Digest of each export's members, each set read once."""
    con, digests = registry.connection, {}
    for (set_id,) in con.execute("SELECT DISTINCT set_id FROM lake.memberships").fetchall():
        found = con.execute("SELECT version FROM lake.members WHERE set_id = ?", [set_id]).fetchnumpy()["version"]
        versions = np.asarray(found, dtype=np.uint64)
        digests[set_id] = members_digest(np.sort(versions))
        known = con.execute(
            "SELECT count(DISTINCT m.version) FROM lake.members m JOIN lake.versions v USING (version) WHERE set_id = ?",
            [set_id],
        ).fetchone()
        if known is None or known[0] != len(np.unique(versions)):
            yield f"member set {set_id}: some of its versions are missing from the table of versions"
    sets: dict[str, list[str]] = {}
    for export, set_id in con.execute("SELECT export_id, set_id FROM lake.memberships").fetchall():
        sets.setdefault(export, []).append(digests[set_id])
    for row, receipt in read:
        if sets.get(row["export_id"]) != [receipt.get("members")]:
            yield f"export {row['export_id']}, number {row['number']}: its members are not those of its receipt"


def _secrets(registry: Registry, read: Read, officer: X25519PrivateKey) -> Iterator[str]:
    sealed = {row["export_id"]: row for row in registry.sealed([row["export_id"] for row, _ in read]).to_pylist()}
    for row, receipt in read:
        if not receipt.get("commitment"):
            continue
        found = sealed.get(row["export_id"])
        if found is None:
            yield f"export {row['export_id']}, number {row['number']}: its sealed secret is missing"
            continue
        try:
            open_secret(officer, {**found, "commitment": receipt["commitment"]})
        except LeaktraceError as error:
            yield f"export {row['export_id']}, number {row['number']}: {error}"
