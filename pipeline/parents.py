"""Copies made from copies: a table that is itself a tagged export, or holds rows of one, has a parent.

By its digest it is found without any secret; by its canaries with the officer's key. A canary that was fed back into
a source is a record of the copies tagged from it, so a trace finds it as a row that they held, and counts it as a
canary for none (DESIGN 4); what the trace adds is the name of the chain.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.keystore import KeyStore
from pipeline.registry import Registry
from pipeline.sealing import open_secret
from schemas.contract import Contract
from watermarking.canaries.generate import MUST_BE_NEW, Taken
from watermarking.normalise import normalise

_BATCH = 500  # secrets that are open at once
VIEWS = "access "  # how the idempotency keys of an access log's days begin
_LONGEST = 20  # links of a chain that are named


def find_parent(digest: str, taken: Taken, contract: Contract, registry: Registry, keys: KeyStore) -> str | None:
    """The export that a source is a copy of or has canaries of (the most, of several); None when there is none.

    digest: the source's SHA-256, in hex; taken: says which values the source holds.
    """
    same = registry.by_output_digest(digest)
    if same is not None:
        return same
    officers = keys.officers()
    if not officers:
        return None
    series = {e["series_id"]: e["export_id"] for e in registry.exports(dataset=contract.dataset).to_pylist()}
    ids, best = list(series.values()), (0, "")
    for at in range(0, len(ids), _BATCH):
        opened = {
            row["export_id"]: open_secret(officers, row) for row in registry.sealed(ids[at : at + _BATCH]).to_pylist()
        }
        found = _canaries_there({name: one.canaries for name, one in opened.items()}, taken, contract)
        best = max([best, *((count, name) for name, count in found.items())])
    return best[1] or None


def _canaries_there(canaries: dict[str, Sequence[Any]], taken: Taken, contract: Contract) -> dict[str, int]:
    """How many canaries of each export are in a source: those of which two identifiers are (one, if it has one)."""
    owners = [name for name, listed in canaries.items() for _ in listed]
    every = [canary for listed in canaries.values() for canary in listed]
    columns = {column.kind: column.name for column in contract.columns if column.kind in MUST_BE_NEW}
    if not every or not columns:
        return {}
    hits = np.zeros(len(every), dtype=np.int64)
    for kind, name in columns.items():
        hits += taken(kind, normalise(kind, pa.array([c["values"].get(name) for c in every], pa.string())))
    counts: dict[str, int] = {}
    for number in np.flatnonzero(hits >= min(2, len(columns))):
        counts[owners[number]] = counts.get(owners[number], 0) + 1
    return counts


def name_chains(registry: Registry, verdict: dict[str, Any]) -> None:
    """Add to each candidate at lead or better which copies it was made from and whether it was superseded.

    And say, where candidates are days of an access log, what a view can show.
    """
    attribution = verdict["attribution"]
    shown = [c for c in attribution["candidates"] if c["strength"] != "none"]
    exports = registry.exports().to_pylist() if attribution["candidates"] else []
    parents = {e["export_id"]: e["parent"] for e in exports if e["parent"]}
    superseded = {note["export_id"] for note in registry.notes("supersede")} if shown else set()
    for candidate in shown:
        candidate["parents"] = chain_of(candidate["export_id"], parents)
        candidate["superseded"] = not superseded.isdisjoint(candidate["exports"])
        attribution["reasons"] += _sentences(candidate)
    days = {e["export_id"] for e in exports if (e["idempotency_key"] or "").startswith(VIEWS)}
    if any(candidate["export_id"] in days for candidate in attribution["candidates"]):
        attribution["reasons"].append(
            "Some of these are days of an access log: a view carries membership only, so it can narrow and never name."
        )


def chain_of(export: str, parents: dict[str, str]) -> list[str]:
    """The parents of an export, nearest first; a circle, which nothing honest makes, ends it."""
    chain: list[str] = []
    while (parent := parents.get(export)) and parent not in chain and len(chain) < _LONGEST:
        chain.append(parent)
        export = parent
    return chain


def made_from(exports: Iterable[str], registry: Registry) -> list[str]:
    """The copies tagged from any of `exports`, from copies of them, and so on: they hold the same canaries."""
    children: dict[str, list[str]] = {}
    for one in registry.exports().to_pylist():
        children.setdefault(one["parent"] or "", []).append(one["export_id"])
    found, ahead = dict.fromkeys(exports), list(exports)
    given = len(found)
    while ahead:
        new = [child for child in children.get(ahead.pop(), []) if child not in found]
        found.update(dict.fromkeys(new))
        ahead += new
    return list(found)[given:]


def _sentences(candidate: dict[str, Any]) -> Iterable[str]:
    name = candidate["export_id"]
    if candidate["parents"]:
        yield (
            f"Copy {name} was made from copy {', itself from '.join(candidate['parents'])}: rows may have "
            "left through either; canaries of the earlier copy are counted for none."
        )
    if candidate["superseded"]:
        yield f"Copy {name} was superseded: it should not have been in use when the sample left."
