"""What rows of a sample are looked for in, and their tokens as the index is asked for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.index import IndexFiles
from schemas.contract import Contract
from watermarking.attributes import ATTRIBUTE, attributes
from watermarking.keys import IndexKey
from watermarking.resolve import most_versions
from watermarking.tokens import TokenColumn, TokenKind

SEARCHED = 20_000  # rows searched for at once: what common names find must fit into memory


@dataclass(frozen=True)
class Ours:
    """What rows are looked for in. versions, kinds: by dataset, as `resolve` has them."""

    contracts: Sequence[Contract]
    key: IndexKey
    index: IndexFiles
    versions: Sequence[int]
    kinds: Sequence[frozenset[str]]

    @classmethod
    def of(cls, contracts: Sequence[Contract], key: IndexKey, index: IndexFiles) -> "Ours":
        """All datasets of a registry."""
        versions = [index.version_count(contract.dataset) for contract in contracts]
        return cls(contracts, key, index, versions, [_kinds_of(contract) for contract in contracts])

    def alone(self) -> list[bool]:
        """By dataset, whether attributes tell its rows apart."""
        return [ATTRIBUTE in of for of in self.kinds]

    def parts(self, rows: np.ndarray) -> list[np.ndarray]:
        """The rows as they are searched for together; pairs with versions of attributes are bounded by themselves."""
        return np.array_split(rows, 1 if all(self.alone()) else -(-len(rows) // SEARCHED) or 1)


def token_table(tokens: Sequence[TokenColumn | None]) -> pa.Table:
    """Distinct (token, kind) pairs of a sample, by token, with how many versions may have each that is looked up."""
    asked = [t for t in tokens if t is not None]
    values = [pc.unique(pa.array(t.values[t.there])).to_numpy() for t in asked]
    kinds = [np.full(len(v), int(t.kind), dtype=np.uint8) for t, v in zip(asked, values, strict=True)]
    token = np.concatenate(values) if values else np.zeros(0, dtype=np.uint64)
    kind = np.concatenate(kinds) if kinds else np.zeros(0, dtype=np.uint8)
    token, first = np.unique(token, return_index=True)
    kind = kind[first]
    limits = np.array([most_versions(k) for k in TokenKind])
    most = limits[np.searchsorted(np.array([int(k) for k in TokenKind]), kind)]
    return pa.table({"token": pa.array(token, pa.uint64()), "kind": pa.array(kind, pa.uint8()), "most": most})


def codes(contracts: Sequence[Contract]) -> dict[str, int]:
    """The code of each dataset, by its name."""
    return {contract.dataset: code for code, contract in enumerate(contracts)}


def mixed(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """One word for a pair of words; uint64[n]. Two pairs have the same with probability 2^-64."""
    mixed = (left ^ (right * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xFF51AFD7ED558CCD)
    return mixed ^ (mixed >> np.uint64(32))


def hits_of(tokens: Sequence[TokenColumn | None], found: pa.Table, codes: dict[str, int]) -> tuple[np.ndarray, ...]:
    """Join what the index returned back to sample rows; one line a (row, token column, version)."""
    order = np.argsort(found["token"].to_numpy(), kind="stable")
    found = found.take(pa.array(order))
    token, kind = found["token"].to_numpy(), found["kind"].to_numpy()
    version, record = found["version"].to_numpy(), found["record"].to_numpy()
    frequency = found["frequency"].to_numpy()
    names = found["dataset"].combine_chunks().dictionary_encode()
    of_name = np.array([codes[name] for name in names.dictionary.to_pylist()], dtype=np.int64)
    dataset = of_name[names.indices.to_numpy()]
    distinct, first, counts = np.unique(token, return_index=True, return_counts=True)
    parts = []
    for number, column in enumerate(tokens):
        if column is None:
            continue
        row = np.flatnonzero(column.there)
        place = np.minimum(np.searchsorted(distinct, column.values[row]), max(len(distinct) - 1, 0))
        known = distinct[place] == column.values[row] if len(distinct) else np.zeros(len(row), dtype=bool)
        row, place = row[known], place[known]
        start, stop = first[place], first[place] + counts[place]
        lines = np.repeat(row, stop - start)
        ends = np.cumsum(stop - start)
        at = np.arange(len(lines)) - np.repeat(ends - (stop - start), stop - start) + np.repeat(start, stop - start)
        mine = kind[at] == int(column.kind)
        parts.append(
            (
                lines[mine],
                np.full(int(mine.sum()), number, dtype=np.int64),
                dataset[at][mine],
                frequency[at][mine],
                version[at][mine],
                record[at][mine],
            )
        )
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return none, none, none, none, none.astype(np.uint64), none.astype(np.uint64)
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def _kinds_of(contract: Contract) -> frozenset[str]:
    """The kinds of a dataset's fields."""
    more = (ATTRIBUTE,) if attributes(contract) else ()
    return frozenset((*(column.kind for column in contract.columns), *more))
