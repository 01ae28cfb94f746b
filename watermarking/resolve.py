"""Which record version a sample row is, by weighing what agrees.

What agrees and how much that says is in agreement.py. Only mark-free parts take part, so a row is never resolved
because its marks agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watermarking.agreement import (
    NAMES,
    Agreements,
    Hits,
    Pairs,
    agreements,
    agrees_in,
    is_strong,
    named_by_parts,
    tied,
    together,
    weigh,
)
from watermarking.attributes import ATTRIBUTE
from watermarking.keys import U64
from watermarking.pinyin import in_pinyin
from watermarking.readings import I64
from watermarking.resolvable import resolvable
from watermarking.tokens import MASKED, PAIRED, SHARED, STRONG, Field, TokenColumn, TokenKind

BoolArray = npt.NDArray[np.bool_]
WEAK = frozenset(("given_name", "surname", "birth_date", "postcode"))  # what a family shares, moves or misspells
_NOBODYS = 8.0  # bits that an identifier takes away which nobody of ours has, where another agrees
MARGIN = 8.0  # bits beyond log2(versions): a stranger's row resolves with probability under 2^-8
PARTIAL_MARGIN = 3.0
# Versions that may have a token by which rows are found: people who share a postcode; who share a name's sound and a
# year; versions of one person, and what stands for "unknown" in bad data.
_FEW, _SOME, MANY = 40, 400, 20_000
# Names in pinyin, and the version that each row was resolved to: 1 where the version has that name, -1 where it has
# another, 0 where they cannot be compared; int64[n].
Comparing = Callable[[pa.Array, U64], I64]
_CLASSIFIED = ("row_class", "dataset", "differs", "hidden", "able")  # what classifying fills in
_NEVER_CONTRADICTS = frozenset(("id", "category"))  # a running number in the sample is no contradiction


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
class Resolved:
    """One entry a sample row.

    row_class: int64[rows], index into CLASSES; dataset: int64[rows], -1 unresolved; version, record:
    uint64[rows]; agreed, readable, differs, elsewhere: int64[rows], bit f is field f, which agrees with the record, can
    be read, ought to agree and does not, is an identifier of another record; hidden: bool[rows], where some value is
    masked; bits: float64[rows]; able: bool[rows], where a record of ours would have been found (resolvable.py);
    second: uint64[rows], of recombined rows the other record with most in the row, else 0. tied_row, tied_dataset:
    int64[n] and tied_version, tied_record: uint64[n], other versions of a row's record, or the person's record in
    another dataset, that agree with the row in the same fields: what sets them apart is not in the sample. second_row,
    second_dataset: int64[n] and second_record: uint64[n], the same as `second` in datasets other than the row's.
    """

    row_class: I64
    dataset: I64
    version: U64
    record: U64
    agreed: I64
    readable: I64
    differs: I64
    elsewhere: I64
    hidden: BoolArray
    bits: npt.NDArray[np.float64]
    able: BoolArray
    second: U64
    tied_row: I64
    tied_version: U64
    tied_dataset: I64
    tied_record: U64
    second_row: I64
    second_dataset: I64
    second_record: U64

    def found(self) -> BoolArray:
        """Rows that are a record of ours, whole or altered; bool[rows]."""
        ours = [CLASSES.index(c) for c in (RowClass.HELD, RowClass.PARTIAL, RowClass.ALTERED, RowClass.RECOMBINED)]
        return np.isin(self.row_class, ours)

    def in_dataset(self, code: int) -> "Resolved":
        """The same with the person's record in this dataset, where the row is one of several datasets alike."""
        other = (self.tied_dataset == code) & (self.dataset[self.tied_row] != code) & self.found()[self.tied_row]
        dataset, record, at = self.dataset.copy(), self.record.copy(), self.tied_row[other]
        dataset[at], record[at] = code, self.tied_record[other]
        return replace(self, dataset=dataset, record=record)

    def agrees(self, field: int) -> BoolArray:
        """Rows whose field agrees with the version they resolved to; bool[rows]."""
        return (self.agreed >> field) & 1 == 1


def readable_fields(fields: Sequence[Field], rows: int) -> I64:
    """Bit f is set where field f of a row can be read, whole or masked; int64[rows]."""
    out = np.zeros(rows, dtype=np.int64)
    for number, field in enumerate(fields):
        if field.kind == "category" or field.cost:
            continue
        there = field.whole.is_valid().to_numpy(zero_copy_only=False)
        if field.part is not None and field.kind in MASKED:
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
    others: tuple[int, int] = (0, 0),
    compare: Comparing | None = None,
    described: Pairs | None = None,
) -> Resolved:
    """The best record version of each row, and what the row is.

    fields, columns: of the sample; rows: how many; versions, kinds: by dataset code, how many versions it
    has and the kinds of its fields; others: fields (bits) in which other rows of the sample agree, and how many rows;
    compare: tells whether names in pinyin are those of versions; described: pairs with versions of tables without
    identifiers (described.py), of which there are no hits.
    """
    readable = readable_fields(fields, rows)
    attributive = np.array([ATTRIBUTE in of for of in kinds] or [False])
    line = agreements(fields, columns, hits, versions, attributive)
    pairs = weigh(line, hits, fields, readable, kinds)
    pairs = pairs if described is None else together(pairs, described)
    best = _best(pairs.row, pairs.bits)
    strong = is_strong(pairs.agreed[best], fields) & ~attributive[pairs.dataset[best]]
    best = best[strong | _alone(pairs.row, pairs.record, pairs.bits, best)]
    out = Resolved(
        np.full(rows, CLASSES.index(RowClass.UNKNOWN), dtype=np.int64),
        np.full(rows, -1, dtype=np.int64),
        np.zeros(rows, dtype=np.uint64),
        np.zeros(rows, dtype=np.uint64),
        np.zeros(rows, dtype=np.int64),
        readable,
        np.zeros(rows, dtype=np.int64),
        _elsewhere(hits, line, fields, rows),
        hidden_rows(fields, rows),
        np.zeros(rows),
        resolvable(fields, line, hits, versions, kinds, PARTIAL_MARGIN, rows),
        np.zeros(rows, dtype=np.uint64),
        *tied(pairs, best, is_strong(pairs.agreed, fields) & ~attributive[pairs.dataset]),
        np.zeros(0, dtype=np.int64),
        np.zeros(0, dtype=np.int64),
        np.zeros(0, dtype=np.uint64),
    )
    if not len(best):
        return out
    at = pairs.row[best]
    out.dataset[at], out.version[at], out.record[at] = pairs.dataset[best], pairs.version[best], pairs.record[best]
    out.agreed[at], out.bits[at] = named_by_parts(fields, at, pairs.agreed[best]) & readable[at], pairs.bits[best]
    out.elsewhere[at] = _elsewhere(hits, line, fields, rows, out.record)[at]
    _classify(out, fields, versions, kinds, others, np.zeros(rows, dtype=np.int64))
    if compare is not None:
        _compare_pinyin(out, fields, versions, kinds, others, compare)
    return _with_second(out, hits, line, fields)


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
    versions: Sequence[int],
    kinds: Sequence[frozenset[str]],
    others: tuple[int, int],
    other_names: I64,
) -> None:
    """Fill in the class of every row (the rules are those of DESIGN: held, partial, altered, recombined).

    other_names: int64[rows], bit f is set where field f is a name in pinyin that is known to be another.
    """
    known = out.dataset >= 0
    need = np.log2(np.maximum(np.asarray(versions, dtype=float), 1.0))[np.maximum(out.dataset, 0)]
    out.differs[:] = np.where(known, out.readable & _expected_mask(out, fields, kinds, others) & ~out.agreed, 0)
    _forgive_pinyin(out, fields, other_names)
    # Parts that were read from a name in another order than the name's are no other parts where the name agrees.
    read_from_it = np.int64(sum(1 << n for n, field in enumerate(fields) if field.kind in NAMES and not field.name))
    out.differs[agrees_in(out.agreed, fields, frozenset(("person_name",)))] &= ~read_from_it
    # Nobody's values speak for somebody else: a number is given anew, and the person who has it now is no customer.
    nobodys = np.bitwise_count(out.differs & ~out.elsewhere & ~_mask_of(fields, WEAK))
    attributive = np.array([*(ATTRIBUTE in of for of in kinds), False])
    strong = is_strong(out.agreed, fields) & ~attributive[out.dataset]
    bits = out.bits - np.where(strong, _NOBODYS * nobodys, 0.0)
    sure = known & (bits >= need + MARGIN)
    likely = known & (bits >= need + PARTIAL_MARGIN)
    weak = ~strong & ~attributive[out.dataset]
    contradicts = out.differs != 0
    for chosen, name in (
        (likely & ~contradicts, RowClass.PARTIAL),
        (sure & ~contradicts & ~out.hidden, RowClass.HELD),
        ((sure | likely & weak) & contradicts, RowClass.ALTERED),
        (sure & (out.differs & out.elsewhere != 0), RowClass.RECOMBINED),
    ):
        out.row_class[chosen] = CLASSES.index(name)
    out.dataset[~out.found()] = -1
    out.able[out.found()] = True


def _with_second(out: Resolved, hits: Hits, line: Agreements, fields: Sequence[Field]) -> Resolved:
    """The same with whose the other identifiers of recombined rows are, in each dataset; the row's own counts first."""
    row, record, dataset = hits.row[line.index], hits.record[line.index], hits.dataset[line.index]
    strong = np.array([field.kind in STRONG for field in fields] or [False])[line.field]
    theirs = strong & (record != out.record[row]) & ((out.differs[row] >> line.field) & 1 == 1)
    theirs &= out.row_class[row] == CLASSES.index(RowClass.RECOMBINED)
    row, record, dataset, bits = row[theirs], record[theirs], dataset[theirs], line.bits[theirs]
    if not len(row):
        return out
    order = np.lexsort((record, dataset, row))
    row, record, dataset, bits = row[order], record[order], dataset[order], bits[order]
    first = np.flatnonzero(np.concatenate([[True], (row[1:] != row[:-1]) | (record[1:] != record[:-1])]))
    row, record, dataset, bits = row[first], record[first], dataset[first], np.add.reduceat(bits, first)
    best = _best(row << 16 | dataset, bits)
    own = dataset == out.dataset[row]
    for chosen in (best[_best(row[best], bits[best])], best[own[best]]):
        out.second[row[chosen]] = record[chosen]
    elsewhere = best[~own[best]]
    return replace(out, second_row=row[elsewhere], second_dataset=dataset[elsewhere], second_record=record[elsewhere])


def _expected_mask(
    out: Resolved, fields: Sequence[Field], kinds: Sequence[frozenset[str]], others: tuple[int, int]
) -> I64:
    """Fields that ought to agree: kinds that the row's dataset has, in columns that agree anywhere at all.

    A column that agrees in no row, and is no identifier of another record, is no column of ours (a remark, somebody
    else's number).
    """
    somewhere = others[0] | (int(np.bitwise_or.reduce(out.agreed | out.elsewhere)) if len(out.agreed) else 0)
    resolved = others[1] + int((np.bitwise_count(out.agreed) >= 2).sum())  # one field alone may agree by chance
    masks = []
    for has in kinds:
        mask = 0
        for number, field in enumerate(fields):
            seen = resolved < 5 or somewhere >> number & 1
            if field.kind in has and field.kind not in _NEVER_CONTRADICTS and seen:
                mask |= 1 << number
        masks.append(mask)
    return np.asarray([*masks, 0], dtype=np.int64)[out.dataset]


def _forgive_pinyin(out: Resolved, fields: Sequence[Field], other_names: I64) -> None:
    """A name in pinyin is no other name than one in characters: it counts as hidden where none of its like agrees."""
    own = [in_pinyin(one.whole).to_numpy(zero_copy_only=False) if one.kind == "person_name" else None for one in fields]
    rows = np.logical_or.reduce([np.zeros(len(out.agreed), bool), *(one for one in own if one is not None)])
    for number, field in enumerate(fields):
        pinyin = own[number] if field.kind not in NAMES else rows  # its parts are in pinyin too
        if pinyin is not None and not (pinyin & out.agrees(number)).any():
            mine = pinyin & ((out.differs & ~other_names) >> number & 1 == 1)
            out.differs[mine] &= ~(np.int64(1) << number)
            out.hidden[mine] = True


def _compare_pinyin(
    out: Resolved,
    fields: Sequence[Field],
    versions: Sequence[int],
    kinds: Sequence[frozenset[str]],
    others: tuple[int, int],
    compare: Comparing,
) -> None:
    """Compare names in pinyin that were passed over: the same one agrees and changes no class, another one differs."""
    same, other = np.zeros_like(out.agreed), np.zeros_like(out.agreed)
    for number, field in enumerate(fields):
        if field.kind != "person_name":
            continue
        pinyin = in_pinyin(field.whole).to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(pinyin & out.found() & ~out.agrees(number) & ((out.differs >> number) & 1 == 0))
        answer = compare(field.whole.take(pa.array(rows)), out.version[rows])
        same[rows[answer > 0]] |= np.int64(1) << number
        other[rows[answer < 0]] |= np.int64(1) << number
    again = replace(out, **{name: getattr(out, name).copy() for name in _CLASSIFIED})
    again.row_class[:] = CLASSES.index(RowClass.UNKNOWN)
    _classify(again, fields, versions, kinds, (others[0] | int(np.bitwise_or.reduce(same)), others[1]), other)
    out.agreed[:] |= same
    for name in _CLASSIFIED:
        getattr(out, name)[other != 0] = getattr(again, name)[other != 0]


def _mask_of(fields: Sequence[Field], kinds: frozenset[str]) -> np.int64:
    return np.int64(sum(1 << number for number, field in enumerate(fields) if field.kind in kinds))


def hidden_rows(fields: Sequence[Field], rows: int) -> BoolArray:
    """Rows that show a value in its masked form only; bool[rows]."""
    out = np.zeros(rows, dtype=bool)
    for field in fields:
        if field.part is not None:
            whole, part = (cells.is_valid().to_numpy(zero_copy_only=False) for cells in (field.whole, field.part))
            out |= part & ~whole
    return out


def _elsewhere(hits: Hits, line: Agreements, fields: Sequence[Field], rows: int, record: U64 | None = None) -> I64:
    """Bit f is set where strong field f is one of ours, or of another record than `record`; int64[rows]."""
    strong = np.array([field.kind in STRONG for field in fields] or [False])[line.field]
    row = hits.row[line.index]
    chosen = strong if record is None else strong & (hits.record[line.index] != record[row])
    out = np.zeros(rows, dtype=np.int64)
    np.bitwise_or.at(out, row[chosen], np.int64(1) << line.field[chosen])
    return out


def most_versions(kind: TokenKind) -> int:
    """How many versions may have a token by which rows are looked up; one that more have only confirms."""
    return _FEW if kind in SHARED else _SOME if kind in PAIRED else MANY
