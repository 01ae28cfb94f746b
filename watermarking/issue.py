"""One chunk of an export: what the registry learns of it, and the chunk as one recipient gets it.

`analyse` is done once for all recipients of a tag command; `marked` once for each, and `with_canaries` when its file
is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.contract import Contract
from watermarking.embed import Embeddable, embed, find_sites
from watermarking.held_values import HeldValues, held_values
from watermarking.keys import U64, IndexKey
from watermarking.row_order import Pairs, find_pairs, reorder
from watermarking.selection import Plan
from watermarking.tokens import TokenColumn, fields_of, normal_forms, records_of, tokens_of, versions_of

# No cell of them is null, and saying so saves writing which are.
_TOKENS = pa.schema(
    [pa.field(n, kind, False) for n, kind in (("token", pa.uint64()), ("kind", pa.uint8()), ("version", pa.uint64()))]
)


@dataclass(frozen=True)
class Analysed:
    """What a chunk holds, whoever gets it.

    versions: Arrow table (version uint64, record uint64), one line a row; tokens: Arrow table (token uint64,
    kind uint8, version uint64), sorted by all three; sites: where marks can go (none when the export is only
    registered); pairs: neighbouring rows whose order is a mark; held: what no canary may share.
    """

    versions: pa.Table
    tokens: pa.Table
    sites: Embeddable
    pairs: Pairs
    held: tuple[HeldValues, ...]

    def count(self) -> int:
        """How many symbols the chunk can carry."""
        return self.sites.count() + len(self.pairs.first)


def analyse(table: pa.Table, contract: Contract, plan: Plan, key: IndexKey) -> Analysed:
    """Records, versions, tokens and sites of the rows of a chunk."""
    forms = normal_forms(table, contract)
    fields = fields_of(forms, contract)
    tokens = tokens_of(fields, key)
    records, versions = records_of(forms, contract, key), versions_of(forms, contract, key, fields, tokens)
    return Analysed(
        pa.table({"version": pa.array(versions), "record": pa.array(records)}),
        _token_table(tokens, versions),
        find_sites(table, plan, key, records),
        find_pairs(plan, key, records),
        held_values(table, contract, fields, tokens, key),
    )


def marked(table: pa.Table, found: Analysed, word: npt.NDArray[np.uint8]) -> pa.Table:
    """The rows of a chunk with the marks of a code word, uint8[positions]."""
    return reorder(embed(table, found.sites, word), found.pairs, word)


@dataclass(frozen=True)
class Planted:
    """The canaries of a copy, a table of the export's schema; slots: int64[canaries], sorted, the rows they precede."""

    canaries: pa.Table
    slots: npt.NDArray[np.int64]


def with_canaries(rows: pa.Table, first: int, planted: Planted, *, last: bool) -> pa.Table:
    """The rows of a chunk, of which the first is source row `first`, with the canaries that stand among them.

    last: whether the table ends with it: canaries behind the last row go there.
    """
    end, slots = first + rows.num_rows, planted.slots
    pieces, at = [], 0
    for canary in np.flatnonzero((slots >= first) & ((slots < end) | last)):
        slot = min(int(slots[canary]), end) - first
        pieces += [rows.slice(at, slot - at), planted.canaries.slice(int(canary), 1)]
        at = slot
    return pa.concat_tables([*pieces, rows.slice(at)]).combine_chunks()


def _token_table(columns: Sequence[TokenColumn], versions: U64) -> pa.Table:
    """All tokens of a chunk, sorted, so that a look-up can skip what it does not ask for."""
    by_kind, rows = sorted(columns, key=lambda column: column.kind), np.argsort(versions)
    there = [column.there.take(rows) for column in by_kind]
    nothing, versions = versions[:0], versions.take(rows)
    values = np.concatenate([nothing, *(_where(t, c.values.take(rows)) for t, c in zip(there, by_kind, strict=True))])
    owners = np.concatenate([nothing, *(_where(t, versions) for t in there)])
    kinds = np.repeat(
        np.array([int(c.kind) for c in by_kind], dtype=np.uint8),
        np.array([np.count_nonzero(t) for t in there], dtype=np.int64),
    )
    # Arrays of this size are fresh pages each time, which cost more than what is done with them: one is used again.
    spare = np.empty_like(values)
    order = _sorted_order(values, kinds, owners, spare)
    token = values.take(order, out=spare, mode="clip")
    version = owners.take(order, out=values, mode="clip")
    return pa.table([pa.array(column) for column in (token, kinds.take(order), version)], schema=_TOKENS)


def _where(there: npt.NDArray[np.bool_], values: U64) -> U64:
    return values if there.all() else values[there]


def _sorted_order(values: U64, kinds: npt.NDArray[np.uint8], owners: U64, spare: U64) -> npt.NDArray[np.int64]:
    """The order by (value, kind, owner), int64[n]; they come sorted by kind, and mostly by owner within a kind.

    A sort is five times as fast as an argsort: so each value is sorted with its place in its low bits. Values that are
    equal but for those stay as they came, and where that is not their order, all of these are put right afterwards.
    spare: uint64[n], which is written over.
    """
    bits = np.uint64(max(len(values) - 1, 1).bit_length())
    low = (np.uint64(1) << bits) - np.uint64(1)
    keyed = np.bitwise_and(values, ~low, out=spare)
    keyed |= np.arange(len(values), dtype=np.uint64)
    keyed.sort()
    order = (keyed & low).view(np.int64)
    keyed >>= bits
    same = keyed[1:] == keyed[:-1]
    first = np.flatnonzero(same)
    if not _follow((values, kinds, owners), order[first], order[first + 1]):
        tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
        among = order[tied]
        order[tied] = among[np.lexsort((owners[among], kinds[among], values[among]))]
    return order


def _follow(columns: Sequence[npt.NDArray[Any]], ones: npt.NDArray[np.int64], others: npt.NDArray[np.int64]) -> bool:
    """Whether of each pair of rows the first is not behind the other, by all columns in turn."""
    before, same = np.zeros(len(ones), dtype=bool), np.ones(len(ones), dtype=bool)
    for column in columns:
        one, other = column.take(ones), column.take(others)
        before |= same & (one < other)
        same &= one == other
    return bool((before | same).all())
