"""Canaries in the exact shape of a dataset.

Everything about a person follows from one skeleton (birth year, sex, region of a real row, moved), names and numbers
are put together from many rows, and every other column takes a value that goes with what is there already (`deck`).
No two values of a canary come from the same real row, but for the skeleton's three, of which the year is moved.

Bounds. Drawn independently, given the skeleton: surname and given name; day of the year; the id's sequence number;
the phone's, card's, account's and e-mail's digits. Each bound is the largest probability of one value of the field
over all that was drawn for it and is not drawn for another field, so the bound of a row is the product. An id holds
its birth date, so only one of the two counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Column, Contract
from schemas.errors import InputError
from watermarking.canaries.keys import Taken, fresh_values
from watermarking.canaries.people import PERSONAL, People
from watermarking.canaries.plain import after
from watermarking.canaries.profile import Profile, years_of
from watermarking.normalise import normalise

__all__ = ["Canaries", "Draft", "Taken", "draft", "generate"]
MUST_BE_NEW = ("national_id", "phone", "email", "card", "account")
_TOGETHER = ("person_name", "surname", "address")
_ROUNDS = 20


@dataclass(frozen=True)
class Canaries:
    """Canaries: a table of the data's schema, and for each the bounds of its fields (kind -> probability)."""

    table: pa.Table
    bounds: tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class Draft:
    """People that may become canaries: all their columns but those whose values are all different.

    drawn: how many there were; table: those who are old enough and nobody of the profile.
    """

    drawn: int
    table: pa.Table
    bounds: Mapping[str, float]


def draft(real: Profile, count: int, rng: np.random.Generator) -> Draft:
    """Draw some more than `count` people: what can be done before it is known which values the data holds."""
    drawn = count + count // 25 + 4  # a few are in the data, or too young: one draft is nearly always enough
    people = People(real, drawn, rng)
    table, bounds = _filled(real, people, drawn, rng)
    good = _nobodys(real.contract, table, real.table) & _of_age(real, people, table)
    return Draft(drawn, table.filter(pa.array(good)), bounds)


def generate(
    real: Profile, count: int, rng: np.random.Generator, taken: Taken, drafted: Draft | None = None
) -> Canaries:
    """`count` canaries that look like the rows of a profile and are not in the data.

    real: some thousand rows; what follows from them is found once for all that is made after them. taken(kind,
    normalised values) says which values the data holds. drafted: where people were drawn already. The bounds are
    divided by the share of people that were accepted (those rejected were in the data, or too young for it). Raises
    InputError when no new values can be found.
    """
    if count == 0:
        return Canaries(real.table.schema.empty_table(), ())
    contract, profile = real.contract, real.table
    kept: list[pa.Table] = []
    drawn, bounds = 0, dict[str, float]()
    for _ in range(_ROUNDS):
        made, drafted = drafted or draft(real, count, rng), None
        drawn, bounds = drawn + made.drawn, dict(made.bounds)
        kept.append(made.table.filter(pa.array(_fresh(contract, made.table, taken))))
        if sum(part.num_rows for part in kept) >= count:
            break
    accepted = pa.concat_tables(kept).combine_chunks()
    if accepted.num_rows < count:
        raise InputError("no canary could be made that is not in the data already; lower leaktraceCanaryDensity")
    rate = accepted.num_rows / drawn
    shown = {kind: min(1.0, q / rate) for kind, q in bounds.items()}
    return Canaries(_with_fresh_keys(contract, accepted.slice(0, count), profile, rng, taken), (shown,) * count)


def _filled(real: Profile, people: People, count: int, rng: np.random.Generator) -> tuple[pa.Table, dict[str, float]]:
    """Every column of `count` canaries but those whose values are all different, which are null."""
    columns = []
    for name in real.table.column_names:
        column, cells = real.contract.column(name), real.table[name].combine_chunks()
        if _is_fresh(column):
            columns.append(pa.nulls(count, cells.type))
        elif column.kind in PERSONAL or name == real.sexes[1]:
            columns.append(_with_nulls(people.column(column), cells, column, rng))
        else:
            donors, _ = people.deck.draw(name, np.arange(len(cells)))
            columns.append(after(column, cells, donors, rng))
    return pa.Table.from_arrays(columns, schema=real.table.schema), people.bounds


def _is_fresh(column: Column) -> bool:
    """Whether a column's values are all different, and it says nothing about a person."""
    return column.key or (column.unique and column.kind not in PERSONAL and not column.references)


def _fresh(contract: Contract, table: pa.Table, taken: Taken) -> np.ndarray:
    """Which canaries have only identifiers that the data does not hold, nor another of them; bool[canaries]."""
    fresh = np.ones(table.num_rows, dtype=bool)
    for column in contract.columns:
        if column.kind not in MUST_BE_NEW or column.name not in table.column_names or column.key or column.references:
            continue
        forms = normalise(column.kind, table[column.name].combine_chunks())
        fresh &= ~(taken(column.kind, forms) & forms.is_valid().to_numpy(zero_copy_only=False))
        if column.unique:
            first = np.zeros(len(forms), dtype=bool)
            first[np.unique(pc.fill_null(forms, "").to_numpy(zero_copy_only=False), return_index=True)[1]] = True
            fresh &= first
    return fresh


def _nobodys(contract: Contract, table: pa.Table, real: pa.Table) -> np.ndarray:
    """Which canaries have no name and address together that a row of the profile has; bool[canaries]."""
    names = [c.name for c in contract.columns if c.kind in _TOGETHER and c.name in table.column_names]
    if len(names) < 2:
        return np.ones(table.num_rows, dtype=bool)
    made, there = (_joined(contract, part, names) for part in (table, real))
    return ~pc.is_in(made, value_set=there).to_numpy(zero_copy_only=False)


def _of_age(real: Profile, people: People, table: pa.Table) -> np.ndarray:
    """Which canaries are, at each of their dates, as old as the youngest of the profile at theirs; bool[canaries]."""
    old, born = np.ones(table.num_rows, dtype=bool), years_of(pa.array(people.births, pa.string()))
    for name, least in real.least_ages.items():
        old &= ~(years_of(normalise(real.contract.column(name).kind, table[name].combine_chunks())) - born < least)
    return old


def _joined(contract: Contract, table: pa.Table, names: Sequence[str]) -> pa.Array:
    """The forms of a row's cells as one text; string[rows]."""
    forms = [normalise(contract.column(name).kind, table[name].combine_chunks()) for name in names]
    return pc.binary_join_element_wise(*(pc.fill_null(form, "") for form in forms), "\x1f")


def _with_nulls(made: pa.Array, real: pa.Array, column: Column, rng: np.random.Generator) -> pa.Array:
    """As many empty cells as the column has."""
    nulls = (rng.random(len(made)) < real.null_count / max(len(real), 1)) & (not column.required)
    return pc.if_else(pa.array(nulls), pa.scalar(None, pa.string()), made).cast(real.type)


def _with_fresh_keys(
    contract: Contract, table: pa.Table, profile: pa.Table, rng: np.random.Generator, taken: Taken
) -> pa.Table:
    for number, name in enumerate(table.column_names):
        column = contract.column(name)
        if _is_fresh(column):
            cells = fresh_values(column, profile[name].combine_chunks(), table.num_rows, rng, taken)
            table = table.set_column(number, table.schema.field(name), cells)
    return table
