"""Which record version a sample row is, by weighing what agrees.

The idea is that of Fellegi and Sunter ("A theory for record linkage", 1969) on keyed tokens: an agreement says
log2(1 / how probable it is for a stranger), rarer values say more, and fields add up. Only mark-free parts
take part, so a row is never resolved because its marks agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from watermarking.keys import U64
from watermarking.readings import I64
from watermarking.tokens import BITS, CONFIRMING, STRONG, Field, TokenColumn, TokenKind

BoolArray = npt.NDArray[np.bool_]
MARGIN = 8.0  # bits beyond log2(versions): a stranger's row resolves with probability under 2^-8
PARTIAL_MARGIN = 3.0
_NEVER_CONTRADICTS = frozenset(("id", "category"))  # a running number in the sample is no contradiction
# Kinds whose values people share: an agreement says no more than how rare the value is in the registry itself.
_SHARED = frozenset(("person_name", "given_name", "surname", "birth_date", "postcode", "category"))
# Bits that a field takes away which can be read and differs, where no strong identifier agrees.
_DISAGREES = {"surname": 6.0, "given_name": 2.0, "birth_date": 3.0, "postcode": 1.5}


class RowClass(StrEnum):
    """What a sample row is."""

    HELD = "held"
    PARTIAL = "partial"
    ALTERED = "altered"
    RECOMBINED = "recombined"
    CANARY = "canary"
    UNKNOWN = "unknown"


CLASSES = tuple(RowClass)


@dataclass(frozen=True)
class Hits:
    """Tokens of the sample that the registry knows: one line for each (row, token, version).

    row, column (number of the TokenColumn), dataset (a code), frequency (versions of the dataset with this
    token): int64[n]; version, record: uint64[n].
    """

    row: I64
    column: I64
    dataset: I64
    frequency: I64
    version: U64
    record: U64


@dataclass(frozen=True)
class Resolved:
    """One entry a sample row.

    row_class: int64[rows], index into CLASSES; dataset: int64[rows], -1 unresolved; version, record:
    uint64[rows]; agreed, readable: int64[rows], bit f is field f; bits: float64[rows].
    """

    row_class: I64
    dataset: I64
    version: U64
    record: U64
    agreed: I64
    readable: I64
    bits: npt.NDArray[np.float64]

    def found(self) -> BoolArray:
        """Rows that are a record of ours, whole or altered; bool[rows]."""
        ours = [CLASSES.index(c) for c in (RowClass.HELD, RowClass.PARTIAL, RowClass.ALTERED, RowClass.RECOMBINED)]
        return np.isin(self.row_class, ours)

    def agrees(self, field: int) -> BoolArray:
        """Rows whose field agrees with the version they resolved to; bool[rows]."""
        return (self.agreed >> field) & 1 == 1


def readable_fields(fields: Sequence[Field], rows: int) -> I64:
    """Bit f is set where field f of a row can be read, whole or masked; int64[rows]."""
    out = np.zeros(rows, dtype=np.int64)
    for number, field in enumerate(fields):
        if field.kind == "category":
            continue
        there = field.whole.is_valid().to_numpy(zero_copy_only=False)
        if field.part is not None:
            there = there | field.part.is_valid().to_numpy(zero_copy_only=False)
        out |= there.astype(np.int64) << number
    return out


def resolve(
    fields: Sequence[Field],
    columns: Sequence[TokenColumn],
    hits: Hits,
    rows: int,
    versions: Sequence[int],
    kinds: Sequence[frozenset[str]],
) -> Resolved:
    """The best record version of each row, and what the row is.

    fields, columns: of the sample; rows: how many; versions, kinds: by dataset code, how many versions it
    has and the kinds of its fields.
    """
    readable = readable_fields(fields, rows)
    line = _single_agreements(fields, columns, hits, versions)
    row, dataset, version, record, agreed, bits = _by_version(line, hits, fields, readable, kinds)
    best = _best(row, bits)
    best = best[_is_strong(agreed[best], fields) | _alone(row, record, bits, best)]
    out = Resolved(
        np.full(rows, CLASSES.index(RowClass.UNKNOWN), dtype=np.int64),
        np.full(rows, -1, dtype=np.int64),
        np.zeros(rows, dtype=np.uint64),
        np.zeros(rows, dtype=np.uint64),
        np.zeros(rows, dtype=np.int64),
        readable,
        np.zeros(rows),
    )
    if not len(best):
        return out
    at = row[best]
    out.dataset[at], out.version[at], out.record[at] = dataset[best], version[best], record[best]
    out.agreed[at], out.bits[at] = agreed[best] & readable[at], bits[best]
    _classify(out, fields, hits, line, versions, kinds)
    return out


@dataclass(frozen=True)
class _Agreements:
    """The hits that are the agreement of one field: index into the hits, field, bits that it says.

    exact: bool[n], false where only the sound agrees.
    """

    index: I64
    field: I64
    exact: BoolArray
    bits: npt.NDArray[np.float64]


def _whole_masks(fields: Sequence[Field]) -> list[BoolArray]:
    return [field.whole.is_valid().to_numpy(zero_copy_only=False) for field in fields]


def _single_agreements(
    fields: Sequence[Field], columns: Sequence[TokenColumn], hits: Hits, versions: Sequence[int]
) -> _Agreements:
    """Agreements of single fields; a masked form counts only where the whole value cannot be read."""
    readable_whole = _whole_masks(fields)
    size = np.log2(np.maximum(np.asarray(versions, dtype=float), 1.0))[hits.dataset]
    chosen = np.zeros(len(hits.row), dtype=bool)
    exact = np.ones(len(hits.row), dtype=bool)
    field = np.zeros(len(hits.row), dtype=np.int64)
    bits = np.zeros(len(hits.row))
    for number, column in enumerate(columns):
        if len(column.fields) > 1:
            continue
        mine = hits.column == number
        if column.kind == TokenKind.SURNAME_SOUND:
            exact[mine] = False
        elif not column.whole:
            mine &= ~readable_whole[column.fields[0]][hits.row]
        chosen |= mine
        field[mine] = column.fields[0]
        most = BITS[column.kind]
        bound = np.minimum(most, size[mine]) if fields[column.fields[0]].kind in _SHARED else most
        bits[mine] = np.maximum(bound - np.log2(np.maximum(hits.frequency[mine], 1)), 0.0)
    index = np.flatnonzero(chosen)
    return _Agreements(index, field[index], exact[index], bits[index])


def _by_version(
    line: _Agreements, hits: Hits, fields: Sequence[Field], readable: I64, kinds: Sequence[frozenset[str]]
) -> tuple[I64, I64, U64, U64, I64, npt.NDArray[np.float64]]:
    """Sum of what each (row, dataset, version) says: row, dataset, version, record, fields that agree, bits."""
    row, dataset = hits.row[line.index], hits.dataset[line.index]
    version, record = hits.version[line.index], hits.record[line.index]
    order = np.lexsort((-line.bits, line.field, version, dataset, row))
    row, dataset, version, record = row[order], dataset[order], version[order], record[order]
    field, bits, exact = line.field[order], line.bits[order], line.exact[order]
    new_pair = np.ones(len(row), dtype=bool)
    new_pair[1:] = (row[1:] != row[:-1]) | (dataset[1:] != dataset[:-1]) | (version[1:] != version[:-1])
    new_field = new_pair.copy()
    new_field[1:] |= field[1:] != field[:-1]  # two columns of a dataset may hold one value: count it once
    group = np.cumsum(new_pair) - 1
    first = np.flatnonzero(new_pair)
    said = np.where(new_field, bits, 0.0)
    total = np.bincount(group, said, len(first)).astype(np.float64)
    total -= _said_twice(said, group, field, fields, len(first))
    agreed, alike = np.zeros(len(first), dtype=np.int64), np.zeros(len(first), dtype=np.int64)
    np.bitwise_or.at(agreed, group, np.where(exact, np.int64(1) << field, 0))
    np.bitwise_or.at(alike, group, np.int64(1) << field)
    total -= _against(readable[row[first]] & ~alike, agreed, dataset[first], fields, kinds)
    return row[first], dataset[first], version[first], record[first], agreed, total


def _said_twice(
    said: npt.NDArray[np.float64], group: I64, field: I64, fields: Sequence[Field], pairs: int
) -> npt.NDArray[np.float64]:
    """Bits that a full name and its parts say together: the less of the two; float64[pairs]."""
    kind = np.array([{"person_name": 1, "given_name": 2, "surname": 2}.get(f.kind, 0) for f in fields])[field]
    full, parts = (np.bincount(group, np.where(kind == which, said, 0.0), pairs) for which in (1, 2))
    return np.minimum(full, parts)


def _against(
    differs: I64, agreed: I64, dataset: I64, fields: Sequence[Field], kinds: Sequence[frozenset[str]]
) -> npt.NDArray[np.float64]:
    """Bits that speak against a pair; none where a strong identifier agrees, or for a part of an agreeing name."""
    out = np.zeros(len(agreed))
    named = _agrees_in(agreed, fields, frozenset(("person_name",)))
    for number, field in enumerate(fields):
        if field.kind not in _DISAGREES:
            continue
        has = np.array([field.kind in of for of in kinds], dtype=bool)[dataset]
        speaks = has & ((differs >> number) & 1 == 1) & ~(named & (field.kind in ("surname", "given_name")))
        out += np.where(speaks, _DISAGREES[field.kind], 0.0)
    return np.where(_is_strong(agreed, fields), 0.0, out)


def _is_strong(agreed: I64, fields: Sequence[Field]) -> BoolArray:
    return _agrees_in(agreed, fields, STRONG | {"id"})


def _agrees_in(agreed: I64, fields: Sequence[Field], kinds: frozenset[str]) -> BoolArray:
    mask = sum(1 << number for number, field in enumerate(fields) if field.kind in kinds)
    return (agreed & mask) != 0


def _alone(row: I64, record: U64, bits: npt.NDArray[np.float64], best: I64) -> BoolArray:
    """Whether each row's best is ahead of every other record by MARGIN; bool[best]."""
    top, its = np.full(int(row.max(initial=-1)) + 1, -np.inf), np.zeros(int(row.max(initial=-1)) + 1, dtype=np.uint64)
    top[row[best]], its[row[best]] = bits[best], record[best]
    close = (record != its[row]) & (bits > top[row] - MARGIN)
    beaten = np.zeros(len(top), dtype=bool)
    beaten[row[close]] = True
    return ~beaten[row[best]]


def _best(row: I64, bits: npt.NDArray[np.float64]) -> I64:
    """Index of the entry with most bits, for each row that has one."""
    order = np.lexsort((-bits, row))
    if not len(order):
        return order
    first = np.ones(len(order), dtype=bool)
    first[1:] = row[order][1:] != row[order][:-1]
    return order[first]


def _classify(
    out: Resolved,
    fields: Sequence[Field],
    hits: Hits,
    line: _Agreements,
    versions: Sequence[int],
    kinds: Sequence[frozenset[str]],
) -> None:
    """Fill in the class of every row (the rules are those of DESIGN: held, partial, altered, recombined)."""
    known = out.dataset >= 0
    need = np.log2(np.maximum(np.asarray(versions, dtype=float), 1.0))[np.maximum(out.dataset, 0)]
    expected = out.readable & _expected_mask(out, fields, kinds)
    agreed = out.agreed & expected
    contradicts = (expected & ~agreed) != 0
    masked_only = _masked_only(fields, out.agreed)
    sure = known & (out.bits >= need + MARGIN)
    likely = known & (out.bits >= need + PARTIAL_MARGIN)
    recombined = sure & contradicts & _another_record(out, fields, hits, line, expected)
    for chosen, name in (
        (likely & ~contradicts, RowClass.PARTIAL),
        (sure & ~contradicts & ~masked_only, RowClass.HELD),
        (sure & contradicts, RowClass.ALTERED),
        (recombined, RowClass.RECOMBINED),
    ):
        out.row_class[chosen] = CLASSES.index(name)
    out.dataset[~out.found()] = -1


def _expected_mask(out: Resolved, fields: Sequence[Field], kinds: Sequence[frozenset[str]]) -> I64:
    """Fields that ought to agree: kinds that the row's dataset has, in columns that agree anywhere at all.

    A column that agrees in no row is no column of ours (a remark, somebody else's number).
    """
    somewhere = int(np.bitwise_or.reduce(out.agreed)) if len(out.agreed) else 0
    resolved = int((out.dataset >= 0).sum())
    masks = []
    for has in kinds:
        mask = 0
        for number, field in enumerate(fields):
            seen = resolved < 5 or somewhere >> number & 1
            if field.kind in has and field.kind not in _NEVER_CONTRADICTS and seen:
                mask |= 1 << number
        masks.append(mask)
    return np.asarray([*masks, 0], dtype=np.int64)[out.dataset]


def _masked_only(fields: Sequence[Field], agreed: I64) -> BoolArray:
    """Rows in which some agreeing field was read in its masked form only; bool[rows]."""
    out = np.zeros(len(agreed), dtype=bool)
    for number, field in enumerate(fields):
        if field.part is not None:
            whole = field.whole.is_valid().to_numpy(zero_copy_only=False)
            out |= ((agreed >> number) & 1 == 1) & ~whole
    return out


def _another_record(out: Resolved, fields: Sequence[Field], hits: Hits, line: _Agreements, expected: I64) -> BoolArray:
    """Rows whose contradicting field is, by itself, a strong identifier of another record; bool[rows]."""
    strong = np.array([_strong(field) for field in fields], dtype=bool)
    row = hits.row[line.index]
    missing = ((expected[row] & ~out.agreed[row]) >> line.field) & 1 == 1
    other = missing & strong[line.field] & (hits.record[line.index] != out.record[row])
    flags = np.zeros(len(out.row_class), dtype=bool)
    flags[row[other]] = True
    return flags


def _strong(field: Field) -> bool:
    return field.kind in STRONG


def is_blocking(kind: TokenKind) -> bool:
    """Whether rows are looked up by this token (others only confirm what these find)."""
    return kind not in CONFIRMING
