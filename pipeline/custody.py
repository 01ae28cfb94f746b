"""Custody of a copy that a trace is about to name: what ties the copy to the person, each link checked, never assumed.

acknowledged    somebody with a key that the tracer trusts signed that the copy arrived, before the sample did
witnessed       a head noted outside before the sample arrived covers the copy's receipt
before_sample   the receipt is signed by a known issuer, and from before the sample arrived
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from pipeline import acknowledge, epochs, merkle, receipts, timestamps
from pipeline.keystore import KeyStore
from pipeline.registry import Registry
from pipeline.storage import Connection
from pipeline.witness import Head, contradicted, leaves_of, parse_time
from schemas.errors import IntegrityError

NONE = {"acknowledged": False, "witnessed": False, "before_sample": False}


class Custody:
    """The links of copies to persons, as this registry, these keys and these heads show them."""

    def __init__(self, registry: Registry, keys: KeyStore, heads: Sequence[Head], received: datetime) -> None:
        """received: when the sample arrived. Raises IntegrityError when the chain is not the one witnessed."""
        self._registry, self._keys, self._received = registry, keys, received
        _, self._issuers, _ = keys.known()
        stamps = timestamps.heads_of(registry.notes(timestamps.KIND), keys.stamp_roots())
        self._tokens = dict(stamps)
        every = [*heads, *self._tokens]
        self._early = [head for head in every if head.at is not None and head.at <= received]
        self._covered = max((head.number for head in self._early), default=0)
        self._digests: dict[int, str] = {}
        if every:
            self._digests = registry.at_one_moment(lambda con: _compare(con, every))

    def of(self, export_id: str, recipient: str) -> dict[str, bool]:
        """The links of one copy; IntegrityError when the table says other things of it than its receipt."""
        receipt = self._registry.receipts([export_id]).get(export_id, {})
        sealed = self._registry.sealed([export_id]).to_pylist()
        said = {row["commitment"] for row in sealed}
        if receipt.get("recipient") != recipient or (said and said != {receipt.get("commitment")}):
            raise IntegrityError(
                f"recipient or secret of {export_id} is not what its receipt says; run leaktrace registry check"
            )
        if not self._issuers:
            return dict(NONE)
        if not receipts.holds(receipt, *self._issuers):
            raise IntegrityError(
                f"the receipt of {export_id} is not signed by a known issuer; run leaktrace registry check"
            )
        retired = self._retired.get(receipts.signer(receipt, self._issuers), receipt["number"])
        if retired < receipt["number"]:
            raise IntegrityError(
                f"the receipt of {export_id} is signed with a key that chain entry {retired} retired; run leaktrace "
                "registry check"
            )
        return {
            "acknowledged": any(self._believed(note, receipt) for note in self._notes),
            "witnessed": 0 < receipt["number"] <= self._covered,
            "before_sample": parse_time(receipt["issued_at"]) <= self._received,
        }

    def proof(self, receipt: Mapping[str, Any]) -> dict[str, Any] | None:
        """What shows offline that a receipt stood before the sample arrived; None when no witness covers it.

        The path leads from the receipt to the root that the witness noted; `token` is the time stamp over that head.
        """
        number = receipt["number"]
        covering = [head for head in self._early if head.root and head.number >= number]
        # A stamp shows when by itself; and the earlier a head, the sooner the receipt was there.
        head = min(covering, key=lambda head: (head not in self._tokens, head.number), default=None)
        if head is None or head.at is None:
            return None
        beside = merkle.path(leaves_of(self._digests, head.number), number - 1)
        said = {"export_id": receipt["export_id"], "head": head.text, "at": head.at.isoformat(), "path": beside}
        return said | ({"token": self._tokens[head]} if head in self._tokens else {})

    @cached_property
    def _retired(self) -> dict[str, int]:
        """Issuers' keys that were retired, and by which entry of the chain."""
        notes = self._registry.notes(epochs.KIND)
        return {note["issuer_retired"]: note["number"] for note in notes if "issuer_retired" in note}

    @cached_property
    def _notes(self) -> list[dict[str, Any]]:
        return self._registry.notes(acknowledge.KIND)

    def _believed(self, note: Mapping[str, Any], receipt: Mapping[str, Any]) -> bool:
        """Whether an entry of the chain acknowledges this receipt, by somebody trusted, before the sample arrived."""
        if note.get("export") != receipt["export_id"] or not receipts.holds(note, *self._issuers):
            return False
        key = acknowledge.trusted_key(note, self._keys)
        if key is None or not acknowledge.holds(note, receipt, key):
            return False
        return max(parse_time(note["recorded_at"]), parse_time(note["acknowledged_at"])) <= self._received


def chain_digests(con: Connection) -> dict[int, str]:
    """The digest of each entry of the chain by its number; IntegrityError where an entry does not follow the last."""
    found: dict[int, str] = {}
    previous = receipts.GENESIS
    cursor = con.execute("SELECT number, receipt FROM lake.receipts ORDER BY number")
    while lines := cursor.fetchmany(10_000):
        for number, text in lines:
            entry = json.loads(text)
            if entry.get("previous") != previous or entry.get("number") != number or number != len(found) + 1:
                raise IntegrityError(
                    f"chain entry {number} does not follow the one before; run leaktrace registry check"
                )
            previous = found[number] = receipts.digest(entry)
    return found


def _compare(con: Connection, heads: Sequence[Head]) -> dict[int, str]:
    """The chain's digests, when no witnessed head contradicts them; IntegrityError otherwise."""
    digests = chain_digests(con)
    problems = list(contradicted(heads, digests))
    if problems:
        raise IntegrityError("; ".join(problems))
    return digests
