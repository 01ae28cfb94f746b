"""The order of neighbouring rows carries a symbol: no cell is touched (decision 0124).

A keyed word of the two records of neighbours decides whether they are a pair (one in eight are) and which position of
the code they carry; the symbol is which of them stands first. Nothing but the two records enters, so a pair is read
wherever both stand side by side, whatever else the sample holds. Neighbours that only met because others changed places
may look like a pair: they are read as noise, about one reading in eight.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watermarking.keys import U64, IndexKey
from watermarking.readings import I64, Readings, merge
from watermarking.selection import Plan, Site

_ONE_IN = np.uint64(8)
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """Neighbours that carry a symbol: rows first[k] and first[k] + 1; no row is in two of them.

    first: int64[n]; position: int64[n], of the code; symbol: int8[n], what their order says now.
    """

    first: I64
    position: I64
    symbol: npt.NDArray[np.int8]

    @classmethod
    def none(cls) -> "Pairs":
        """No pair."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, nothing.astype(np.int8))


def find_pairs(plan: Plan, key: IndexKey, records: U64) -> Pairs:
    """The pairs of a table; records: uint64[rows], one for each row. None where the contract does not want them."""
    if plan.order is None or len(records) < 2:
        return Pairs.none()
    is_pair, words, symbols = _neighbours(plan.dataset, key, records)
    at = np.arange(len(is_pair))
    begins = is_pair & ~np.concatenate([[False], is_pair[:-1]])
    chosen = np.flatnonzero(is_pair & ((at - np.maximum.accumulate(np.where(begins, at, 0))) % 2 == 0))
    return Pairs(chosen, _positions(plan.order, words[chosen]), symbols[chosen])


def reorder(table: pa.Table, pairs: Pairs, word: npt.NDArray[np.uint8]) -> pa.Table:
    """The table with those pairs turned round whose order does not say their bit; word: uint8[positions]."""
    turned = pairs.first[word[pairs.position] != pairs.symbol]
    if not len(turned):
        return table
    order = np.arange(table.num_rows)
    order[turned], order[turned + 1] = turned + 1, turned
    return table.take(pa.array(order)).combine_chunks()


def read_order(plan: Plan, key: IndexKey, records: U64, usable: Bools) -> Readings:
    """Symbols of neighbouring rows of a sample; records: uint64[rows]; usable: bool[rows], which rows resolved.

    A pair that stands there twice counts once.
    """
    if plan.order is None or len(records) < 2:
        return Readings.empty()
    is_pair, words, symbols = _neighbours(plan.dataset, key, records)
    found = np.flatnonzero(is_pair & usable[:-1] & usable[1:])
    _, first = np.unique(words[found], return_index=True)
    found = found[np.sort(first)]
    ones = symbols[found].astype(np.int64)
    site = np.full(len(found), plan.order.number, dtype=np.int64)
    return merge([Readings(site, _positions(plan.order, words[found]), 1 - ones, ones)])


def _neighbours(dataset: str, key: IndexKey, records: U64) -> tuple[Bools, U64, npt.NDArray[np.int8]]:
    """Of each row and the next: whether they are a pair, their keyed word, and 1 where the larger record is first."""
    before, after = records[:-1], records[1:]
    words = key.combine(f"order/{dataset}", [np.minimum(before, after), np.maximum(before, after)])
    return (words % _ONE_IN == 0) & (before != after), words, (before > after).astype(np.int8)


def _positions(site: Site, words: U64) -> I64:
    return ((words // _ONE_IN) % np.uint64(site.size)).astype(np.int64) + site.offset
