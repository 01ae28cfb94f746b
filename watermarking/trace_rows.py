"""One chunk of a sample: its tokens, what they resolve to, and the counts that the verdict needs.

Counts merge by addition, so the chunks of a sample can be worked in any order and on any machine.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Column, Contract
from watermarking.attribute_columns import attribute_fields
from watermarking.attributes import ATTRIBUTE
from watermarking.calendar_dates import NEWEST_BIRTH, iso_dates
from watermarking.damage import Notation, repaired
from watermarking.embed import one_array
from watermarking.extract import read_column
from watermarking.keys import IndexKey
from watermarking.membership import Pattern
from watermarking.name_readings import other_readings
from watermarking.normalise import masked, masked_words, normalise, read_masked, spelled
from watermarking.number_readings import LIKE_DAYS, births, with_zeros
from watermarking.readings import I64, Readings, merge
from watermarking.resolve import CLASSES, BoolArray, Resolved, RowClass
from watermarking.row_order import read_order
from watermarking.sample_column import SampleColumn
from watermarking.selection import MarkedColumn, Plan
from watermarking.tokens import MASKED, SINGLE, Field
from watermarking.validators import wrong_cn_id, wrong_luhn

NOWHERE = -1
_WRONG = {"national_id": wrong_cn_id, "card": wrong_luhn}
_MOST_FIELDS = 48
_NUMBERS = ("readable", "people", "matched", "exclusive", "repeated", "errors", "able")
_COUNTERS = ("rows", "datasets", "field_sets", "exclusive_kinds", "outdated", "too_little")


@dataclass(frozen=True)
class Counts:
    """Everything a verdict needs from sample rows; `+` adds two of them.

    rows: by class; people, matched: distinct readable rows, and those of them that are records of ours;
    exclusive: rows that agree in a column only we hold, exclusive_kinds by its kind; repeated: rows that an earlier row
    says already; errors: rows that share a number of ours that fails its own check digit; outdated: rows by the span in
    which their version was issued ("from|until"); datasets: rows by dataset; field_sets: rows by the identifiers that
    can be read whole in them ("phone+email"); patterns: rows by the set of exports that held them; readings: by
    dataset; able: distinct readable rows that would have been found if they were ours; too_little: of the other rows,
    how many show each kind.
    """

    rows: Counter[str] = field(default_factory=Counter)
    readable: int = 0
    people: int = 0
    matched: int = 0
    exclusive: int = 0
    datasets: Counter[str] = field(default_factory=Counter)
    field_sets: Counter[str] = field(default_factory=Counter)
    patterns: Counter[Pattern] = field(default_factory=Counter)
    readings: Mapping[str, Readings] = field(default_factory=dict)
    repeated: int = 0
    errors: int = 0
    exclusive_kinds: Counter[str] = field(default_factory=Counter)
    outdated: Counter[str] = field(default_factory=Counter)
    able: int = 0
    too_little: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "Counts") -> "Counts":
        """The counts of both; associative and commutative."""
        names = self.readings.keys() | other.readings.keys()
        return Counts(
            self.rows + other.rows,
            self.readable + other.readable,
            self.people + other.people,
            self.matched + other.matched,
            self.exclusive + other.exclusive,
            self.datasets + other.datasets,
            self.field_sets + other.field_sets,
            self.patterns + other.patterns,
            {n: merge([c.readings[n] for c in (self, other) if n in c.readings]) for n in names},
            self.repeated + other.repeated,
            self.errors + other.errors,
            self.exclusive_kinds + other.exclusive_kinds,
            self.outdated + other.outdated,
            self.able + other.able,
            self.too_little + other.too_little,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and words, for `from_json`."""
        plain = {name: getattr(self, name) for name in _NUMBERS + _COUNTERS}
        patterns = [[list(pattern), count] for pattern, count in self.patterns.items()]
        readings = {
            name: {part: getattr(r, part).tolist() for part in ("site", "position", "zeros", "ones")}
            for name, r in self.readings.items()
        }
        return {**plain, "patterns": patterns, "readings": readings}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Counts":
        """The counts that `to_json` wrote."""
        readings = {
            name: Readings(**{part: np.asarray(values, dtype=np.int64) for part, values in parts.items()})
            for name, parts in body["readings"].items()
        }
        plain: dict[str, Any] = {name: body[name] for name in _NUMBERS}
        plain |= {name: Counter(body[name]) for name in _COUNTERS}
        return cls(
            **plain,
            patterns=Counter({tuple(pattern): count for pattern, count in body["patterns"]}),
            readings=readings,
        )


def sample_fields(
    table: pa.Table, columns: Sequence[SampleColumn], contracts: Sequence[Contract] = ()
) -> tuple[tuple[Field, ...], tuple[int, ...]]:
    """The columns of a sample that can have tokens, and their places in the table.

    A masked value is read in the form that exports store for their whole values. A category only helps to tell records
    apart: it is no field of a person, so its place is NOWHERE; so is that of a name read in another way.
    """
    fields, places = [], []
    for column in columns:
        if column.kind not in SINGLE:
            continue
        cells = repaired(column.kind, one_array(table.column(column.index)), column.notation)
        whole, part = normalise(column.kind, cells), None
        if column.kind in MASKED:
            shown = read_masked(column.kind, cells)
            if shown.null_count < len(shown):
                whole = pc.if_else(shown.is_valid(), pa.scalar(None, whole.type), whole)
            part = pc.coalesce(shown, masked(column.kind, whole))
        elif column.kind in ("person_name", "email", "address"):
            part = masked_words(cells)
        also = _other_order(column, table, whole) if column.kind == "birth_date" else ()
        fields.append(Field(column.kind, column.header, whole, part, also=also))
        places.append(column.index if column.kind != "category" else NOWHERE)
    for contract in contracts:
        for one, place in attribute_fields(table, columns, contract):
            fields.append(one)
            places.append(place)
    chosen = _most_telling(fields)
    fields, places = [fields[n] for n in chosen], [places[n] for n in chosen]
    more = other_readings(fields)
    for one, place in zip(fields, places, strict=True):
        more += with_zeros(one.whole, one_array(table.column(place))) if one.kind == "id" else []
    if not any(column.kind == "birth_date" for column in columns):
        digits = [c.index for c in columns if c.kind in LIKE_DAYS and c.guessed is None]
        more += births([one_array(table.column(index)) for index in digits])
    return (*fields, *more), (*places, *[NOWHERE] * len(more))


def _other_order(column: SampleColumn, table: pa.Table, whole: pa.Array) -> tuple[pa.Array, ...]:
    """Dates in the order in which a table may have them: cell by cell, where the column tells another; string[n] each.

    Where nothing tells the order, months first.
    """
    cells = spelled(one_array(table.column(column.index)))
    if column.notation is Notation.DAY_FIRST or cells.equals(whole):
        return ()
    month_first = column.notation is not Notation.MONTH_FIRST
    other = iso_dates(cells, month_first=month_first, newest=NEWEST_BIRTH)
    return (pc.if_else(pc.not_equal(other, whole), other, pa.scalar(None, pa.string())),)


def _most_telling(fields: Sequence[Field]) -> list[int]:
    """At most 48 fields, in their order: strong identifiers before weak ones (a bit of a word stands for each)."""
    ranked = sorted(range(len(fields)), key=lambda n: -SINGLE[fields[n].kind][1])
    return sorted(ranked[:_MOST_FIELDS])


def read_marks(
    table: pa.Table,
    columns: Sequence[SampleColumn],
    fields: Sequence[Field],
    places: Sequence[int],
    resolved: Resolved,
    dataset: int,
    plan: Plan,
    key: IndexKey,
) -> Readings:
    """Symbols of the rows that resolved to one dataset.

    A marked identity column is read only where it agrees with the row's version: a cell of somebody else
    carries somebody else's marks. Other columns, and the order of rows, are read only in rows that are not recombined.
    """
    mine = resolved.found() & (resolved.dataset == dataset)
    mixed = resolved.row_class == CLASSES.index(RowClass.RECOMBINED)
    written = {column.index: column.notation for column in columns}
    parts = []
    for marked in plan.columns:
        place = _as_attribute(marked, fields, places)
        place = _place_of(marked, plan, columns) if place is None else place
        if place is None:
            continue
        there = [resolved.agrees(number) for number, its in enumerate(places) if its == place]
        rows = mine & (np.logical_or.reduce(there) if there else ~mixed)
        chosen = np.flatnonzero(rows)
        cells = one_array(table.column(place)).take(pa.array(chosen))
        if written[place] is Notation.DECIMAL_COMMA:
            cells = repaired(marked.column.kind, cells, Notation.DECIMAL_COMMA)
        parts.append(read_column(marked, cells, resolved.record[chosen], plan, key))
    parts.append(read_order(plan, key, resolved.record, mine & ~mixed))
    return merge(parts)


def exclusive_rows(
    resolved: Resolved,
    columns: Sequence[SampleColumn],
    places: Sequence[int],
    exclusive: Sequence[frozenset[str]],
) -> tuple[int, Counter[str]]:
    """Rows that agree in a column only we hold, in all and by its kind; exclusive: kinds by dataset code."""
    out, by_kind = np.zeros(len(resolved.dataset), dtype=bool), Counter[str]()
    kind_at = {column.index: column.kind for column in columns}
    for number, place in enumerate(places):
        for dataset, kinds in enumerate(exclusive):
            if kind_at.get(place) in kinds:
                ours = resolved.agrees(number) | ((resolved.elsewhere >> number) & 1 == 1)
                mine = resolved.found() & (resolved.dataset == dataset) & ours
                by_kind[kind_at[place]] += int(mine.sum())
                out |= mine
    return int(out.sum()), +by_kind


def shared_errors(fields: Sequence[Field], resolved: Resolved) -> int:
    """Rows that agree in an id or card number whose check digit is wrong: nobody else made that very mistake."""
    out = np.zeros(len(resolved.dataset), dtype=bool)
    for number, one in enumerate(fields):
        if one.kind in _WRONG:
            out |= _WRONG[one.kind](one.whole) & resolved.found() & resolved.agrees(number)
    return int(out.sum())


def shown_of_ours(fields_shown: I64, columns: Sequence[SampleColumn], places: Sequence[int]) -> npt.NDArray[np.int32]:
    """Which kinds some fields of a row (their bits, int64[rows]) are: bit k is the kind k-th in SINGLE; int32[rows]."""
    kind_at, kinds = {column.index: column.kind for column in columns}, list(SINGLE)
    out = np.zeros(len(fields_shown), dtype=np.int32)
    for number, place in enumerate(places):
        if place != NOWHERE and kind_at[place] in SINGLE:
            out |= ((fields_shown >> number) & 1).astype(np.int32) << kinds.index(kind_at[place])
    return out


def shown_kinds(resolved: Resolved, fields: Sequence[Field], places: Sequence[int], rows: BoolArray) -> Counter[str]:
    """How many of some rows (bool[rows]) can be read in a column of each kind."""
    out = Counter[str]()
    for number, (one, place) in enumerate(zip(fields, places, strict=True)):
        if place != NOWHERE:
            out[one.kind] = max(out[one.kind], int((rows & ((resolved.readable >> number) & 1 == 1)).sum()))
    return +out


def _as_attribute(marked: MarkedColumn, fields: Sequence[Field], places: Sequence[int]) -> int | None:
    """The sample column that was read as this attribute; None when there is none."""
    both = zip(fields, places, strict=True)
    return next((place for f, place in both if f.kind == ATTRIBUTE and f.name == marked.column.name), None)


def _place_of(marked: MarkedColumn, plan: Plan, columns: Sequence[SampleColumn]) -> int | None:
    """The sample column that a marked column is: by header, else by kind and order among equals."""
    by_header = [c.index for c in columns if c.header and _same(c.header, marked.column)]
    if by_header:
        return by_header[0]
    alike = [c.index for c in columns if c.kind == marked.column.kind]
    siblings = [m.column.name for m in plan.columns if m.column.kind == marked.column.kind]
    if len(alike) != len(siblings):
        return alike[0] if len(alike) == 1 == len(siblings) else None
    return alike[siblings.index(marked.column.name)]


def _same(header: str, column: Column) -> bool:
    return header.strip().casefold() == column.name.casefold()
