"""Sample rows in which all that can be read agrees with one record version: found by strong identifiers alone.

A search (resolve.py) asks for every token of a row, masked and paired ones too, which hundreds of versions may share.
Where a version agrees with every readable field, no other can agree in more, and one look-up of the identifiers that
few share has found it; resolving comes to the same. So it is for most rows of a leak that lacks only the key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from watermarking.agreement import Hits
from watermarking.attributes import ATTRIBUTE
from watermarking.keys import U64
from watermarking.readings import I64
from watermarking.resolve import CLASSES, MARGIN, BoolArray, Resolved, RowClass, hidden_rows, readable_fields
from watermarking.tokens import BITS, STRONG, Field, TokenColumn
from watermarking.whole_rows import FREE, unknown

FEW = 8  # versions that may share an identifier by which a row is looked up here


@dataclass(frozen=True)
class Candidates:
    """Versions that agree with a row in every strong identifier of it; one entry a pair.

    row, dataset: int64[n]; version, record: uint64[n]; agreed: int64[n], bit f is field f, so far the strong ones.
    """

    row: I64
    dataset: I64
    version: U64
    record: U64
    agreed: I64


def lookup_columns(sample: Sequence[Field], singles: Sequence[TokenColumn]) -> list[TokenColumn | None]:
    """The tokens by which rows are looked up: of strong identifiers; None for other fields."""
    if any(one.kind == ATTRIBUTE for one in sample):
        return [None for _ in sample]
    return [token if one.kind in STRONG and not one.cost else None for one, token in zip(sample, singles, strict=True)]


def candidates(sample: Sequence[Field], hits: Hits, rows: int, kinds: Sequence[frozenset[str]]) -> Candidates:
    """Pairs of a row and a version; hits: of `lookup_columns`, whose column n is field n; kinds: by dataset."""
    order = np.lexsort((hits.version, hits.dataset, hits.row))
    row, dataset, version = hits.row[order], hits.dataset[order], hits.version[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (row[1:] != row[:-1]) | (dataset[1:] != dataset[:-1]) | (version[1:] != version[:-1])
    first = np.flatnonzero(new)
    agreed = np.zeros(len(first), dtype=np.int64)
    np.bitwise_or.at(agreed, np.cumsum(new) - 1, np.int64(1) << hits.column[order])
    plain = np.array([ATTRIBUTE not in of for of in kinds] or [True])  # where attributes tell rows apart, others rules
    needed = readable_fields(sample, rows)[row[first]] & _mask(sample, STRONG)
    kept = np.flatnonzero((agreed & needed == needed) & plain[dataset[first]])
    at = first[kept]
    return Candidates(row[at], dataset[at], version[at], hits.record[order][at], agreed[kept])


def agreeing(
    sample: Sequence[Field],
    singles: Sequence[TokenColumn],
    pairs: Candidates,
    others: Sequence[BoolArray | None],
    versions: Sequence[int],
    kinds: Sequence[frozenset[str]],
    rows: int,
) -> Resolved:
    """The rows whose readable fields all agree with exactly one version; all others unknown, for `resolve`.

    others: by field, for each pair whether the version has the row's token; None for those looked up.
    """
    agreed = pairs.agreed.copy()
    for number, there in enumerate(others):
        if there is not None:
            agreed |= there.astype(np.int64) << number
    ours = frozenset[str]().union(*kinds) - FREE
    readable = readable_fields(sample, rows)
    needed = (readable & _mask(sample, ours))[pairs.row]
    said = np.zeros(rows)
    for one, token in zip(sample, singles, strict=True):
        if one.kind in STRONG and not one.cost:
            said += np.where(token.there, BITS[token.kind] - np.log2(FEW), 0.0)
    enough = np.log2(np.maximum(np.asarray(versions, dtype=float), 1.0)) + MARGIN
    telling = (said[pairs.row] >= enough[pairs.dataset]) & ~hidden_rows(sample, rows)[pairs.row]
    complete = np.flatnonzero((agreed & needed == needed) & telling)
    once = np.bincount(pairs.row[complete], minlength=rows)[pairs.row[complete]] == 1
    chosen = complete[once]
    out, at = unknown(sample, rows), pairs.row[complete][once]
    out.dataset[at], out.version[at], out.record[at] = (
        pairs.dataset[chosen],
        pairs.version[chosen],
        pairs.record[chosen],
    )
    out.agreed[at] = readable[at] & agreed[chosen]
    out.row_class[at] = CLASSES.index(RowClass.HELD)
    out.able[at] = True
    return out


def _mask(sample: Sequence[Field], kinds: frozenset[str]) -> np.int64:
    return np.int64(sum(1 << n for n, one in enumerate(sample) if one.kind in kinds and not one.cost))
