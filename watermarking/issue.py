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

_PIECE = 1 << 15  # tokens


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


def _token_table(token_columns: Sequence[TokenColumn], versions: U64) -> pa.Table:
    """All tokens of a chunk, sorted, so that a look-up can skip what it does not ask for.

    A sort is five times as fast as an argsort: so each token is sorted with its place in its low bits, the number of
    its column and below it that of its row. Columns come by kind and rows by version, so tokens that are equal but for
    those bits are mostly in their order by then; where not, all of these are put right afterwards.
    """
    by_kind, rows = sorted(token_columns, key=lambda column: column.kind), np.argsort(versions)
    versions, kinds = versions.take(rows), np.array([int(column.kind) for column in by_kind], dtype=np.uint8)
    bits = max(len(rows) - 1, 1).bit_length()
    low = np.uint64(2 ** (bits + len(by_kind).bit_length()) - 1)
    tokens = np.empty((len(by_kind), 2**bits), dtype=np.uint64)
    there = [column.there.take(rows) for column in by_kind]
    ends = np.cumsum([0, *(np.count_nonzero(one) for one in there)])
    placed, number = np.empty(ends[-1], dtype=np.uint64), np.arange(len(rows), dtype=np.uint64)
    for n, column in enumerate(by_kind):
        ordered, piece = tokens[n, : len(rows)], placed[ends[n] : ends[n + 1]]
        column.values.take(rows, out=ordered, mode="clip")
        np.bitwise_and(_where(there[n], ordered), ~low, out=piece)
        piece |= _where(there[n], number)
        number += np.uint64(2**bits)
    placed.sort()
    place = (placed & low).view(np.int64)
    placed &= ~low

    def at(places: npt.NDArray[np.int64]) -> tuple[U64, npt.NDArray[np.uint8], U64]:
        return (
            tokens.reshape(-1).take(places, mode="clip"),
            kinds.take(places >> bits, mode="clip"),
            versions.take(places & (2**bits - 1), mode="clip"),
        )

    same = placed[1:] == placed[:-1]
    first = np.flatnonzero(same)
    if not _follow(at(place[first]), at(place[first + 1])):
        tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
        among = place[tied]
        place[tied] = among[np.lexsort(at(among)[::-1])]
    token, kind, version = placed, np.empty(len(place), dtype=np.uint8), np.empty(len(place), dtype=np.uint64)
    for start in range(0, len(place), _PIECE):  # what is made on the way stays in the processor's cache
        some = slice(start, start + _PIECE)
        token[some], kind[some], version[some] = at(place[some])
    return pa.table([pa.array(column) for column in (token, kind, version)], schema=_TOKENS)


def _where(there: npt.NDArray[np.bool_], values: U64) -> U64:
    return values if there.all() else values[there]


def _follow(ones: Sequence[npt.NDArray[Any]], others: Sequence[npt.NDArray[Any]]) -> bool:
    """Whether of each pair of rows the first is not behind the other, by all columns in turn."""
    before, same = np.zeros(len(ones[0]), dtype=bool), np.ones(len(ones[0]), dtype=bool)
    for one, other in zip(ones, others, strict=True):
        before |= same & (one < other)
        same &= one == other
    return bool((before | same).all())
