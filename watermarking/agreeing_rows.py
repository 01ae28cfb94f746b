"""Sample rows in which all that can be read agrees with one record version: found by an identifier or two.

A search (resolve.py) asks for every token of a row, masked and paired ones too, which hundreds of versions may share.
Where a version agrees with every readable field, no other can agree in more, and one look-up of an identifier that
few share has found it and all that agree in as much; resolving comes to the same. So it is for most rows of a leak
that lacks only the key. A row is looked up by as few identifiers as say enough, the strongest first: what is found
then has the others or has not, which is a smaller question to the index.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

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
    """Versions that agree with a row in all by which it is looked up; one entry a pair.

    row, dataset: int64[n]; version, record: uint64[n]; agreed: int64[n], bit f is field f, so far those looked up.
    """

    row: I64
    dataset: I64
    version: U64
    record: U64
    agreed: I64

    def at(self, chosen: BoolArray) -> "Candidates":
        """Some of the pairs."""
        return Candidates(*(getattr(self, part.name)[chosen] for part in fields(self)))


def lookup_columns(
    sample: Sequence[Field], singles: Sequence[TokenColumn], versions: Sequence[int]
) -> list[TokenColumn | None]:
    """The tokens by which rows are looked up, of some strong identifiers of each row; None for fields of no row.

    versions: by dataset, how many it has. Rows whose strong identifiers do not say enough are not looked up.
    """
    out: list[TokenColumn | None] = [None for _ in sample]
    strong = [n for n, one in enumerate(sample) if one.kind in STRONG and not one.cost]
    if any(one.kind == ATTRIBUTE for one in sample) or not strong:
        return out
    enough, said = _enough(versions), np.zeros(len(singles[0].there))
    for number in sorted(strong, key=lambda n: -BITS[singles[n].kind]):
        there = singles[number].there & (said < enough.max())
        said += np.where(there, _bits(singles[number]), 0.0)
        out[number] = replace(singles[number], there=there)
    telling = said >= enough.min()
    return [None if one is None else replace(one, there=one.there & telling) for one in out]


def _enough(versions: Sequence[int]) -> npt.NDArray[np.float64]:
    """Bits that tell a version of each dataset from a stranger's."""
    return np.log2(np.maximum(np.asarray(versions or [1], dtype=float), 1.0)) + MARGIN


def _bits(token: TokenColumn) -> float:
    """Bits that an identifier says which FEW versions share at most."""
    return BITS[token.kind] - float(np.log2(FEW))


def candidates(
    looked_up: Sequence[TokenColumn | None], hits: Hits, rows: int, kinds: Sequence[frozenset[str]]
) -> Candidates:
    """Pairs of a row and a version; hits: of `lookup_columns`, whose column n is field n; kinds: by dataset."""
    order = np.lexsort((hits.version, hits.dataset, hits.row))
    row, dataset, version = hits.row[order], hits.dataset[order], hits.version[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (row[1:] != row[:-1]) | (dataset[1:] != dataset[:-1]) | (version[1:] != version[:-1])
    first = np.flatnonzero(new)
    agreed = np.zeros(len(first), dtype=np.int64)
    np.bitwise_or.at(agreed, np.cumsum(new) - 1, np.int64(1) << hits.column[order])
    plain = np.array([ATTRIBUTE not in of for of in kinds] or [True])  # where attributes tell rows apart, others rules
    needed = np.zeros(rows, dtype=np.int64)
    for number, token in enumerate(looked_up):
        needed |= np.int64(0) if token is None else token.there.astype(np.int64) << number
    needed = needed[row[first]]
    kept = np.flatnonzero((agreed & needed == needed) & plain[dataset[first]])
    at = first[kept]
    return Candidates(row[at], dataset[at], version[at], hits.record[order][at], agreed[kept])


def agreeing(
    sample: Sequence[Field],
    looked_up: Sequence[TokenColumn | None],
    pairs: Candidates,
    others: Sequence[BoolArray],
    versions: Sequence[int],
    kinds: Sequence[frozenset[str]],
    rows: int,
) -> Resolved:
    """The rows whose readable fields all agree with exactly one version; all others unknown, for `resolve`.

    looked_up: of `lookup_columns`; others: by field, for each pair whether the version has the row's token, where the
    row was not looked up by it.
    """
    agreed = pairs.agreed.copy()
    for number, there in enumerate(others):
        agreed |= there.astype(np.int64) << number
    ours = frozenset[str]().union(*kinds) - FREE
    readable = readable_fields(sample, rows)
    needed = (readable & _mask(sample, ours))[pairs.row]
    said = np.zeros(rows)
    for token in looked_up:
        if token is not None:
            said += np.where(token.there, _bits(token), 0.0)
    telling = (said[pairs.row] >= _enough(versions)[pairs.dataset]) & ~hidden_rows(sample, rows)[pairs.row]
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
