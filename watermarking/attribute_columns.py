"""Which columns of a sample are which attributes of a table without identifiers: by header, by order, by content.

By content: what a column holds is as likely under an attribute as the registry's values of it are common, so the right
attribute is the one under which the column is likeliest (Gibbs' inequality, given enough rows). The registry knows how
common a value is by its token, which no mark changes. Nothing here looks at a mark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Column, Contract
from watermarking.attributes import ATTRIBUTE, attribute_cells, attributes, replaceable
from watermarking.damage import repaired
from watermarking.keys import U64, IndexKey
from watermarking.readings import I64
from watermarking.sample_column import SampleColumn
from watermarking.tokens import Field, TokenColumn, mark_free, single_tokens

_FEWEST = 4  # attributes that a sample must show; fewer tell hardly anybody apart
_MOST_COLUMNS = 100  # of a sample that are compared by content: each costs some 15 ms
_MOSTLY = 0.5  # of the cells must be values that the attribute has
_IN_ORDER = 1.0  # bits a cell that a column's place in the table is worth


def attribute_fields(table: pa.Table, columns: Sequence[SampleColumn], contract: Contract) -> list[tuple[Field, int]]:
    """The sample's columns as attributes of a dataset whose rows only these tell apart, with their places.

    None, where the sample shows too few.
    """
    described = attributes(contract)
    places = _places(columns, contract)
    if not enough(len(places), contract):
        return []
    others = {c.name for c in described} - {replaceable(contract)}
    together = contract.dataset if others <= places.keys() else ""
    found = []
    by_place = {column.index: column for column in columns}
    for column in (c for c in described if c.name in places):
        place = places[column.name]
        whole = _forms(table.column(place).combine_chunks(), by_place[place], contract, column)
        field = Field(ATTRIBUTE, column.name, whole, None, together=together if column.name in others else "")
        found.append((field, place))
    return found


def _forms(cells: pa.Array, column: SampleColumn, contract: Contract, attribute: Column) -> pa.Array:
    """The cells of a sample's column as those of an attribute, string[n]; a value looks the same in every cell."""
    coded = cells.dictionary_encode()
    values = mark_free(repaired(attribute.kind, coded.dictionary, column.notation), attribute)
    return attribute_cells(contract, attribute, values).take(coded.indices)


def enough(shown: int, contract: Contract) -> bool:
    """Whether so many attributes of a table can tell its rows apart."""
    return shown >= min(_FEWEST, -(-len(attributes(contract)) // 2)) and shown > 0


def named_columns(columns: Sequence[SampleColumn], contract: Contract) -> dict[str, int]:
    """The place of each attribute that a header names."""
    named = {column.header.strip().casefold(): column.index for column in reversed(columns) if column.header}
    return {c.name: named[c.name.casefold()] for c in attributes(contract) if c.name.casefold() in named}


def _places(columns: Sequence[SampleColumn], contract: Contract) -> dict[str, int]:
    """The place of each attribute: by header, else by content, else by order where nothing is missing or named."""
    named = named_columns(columns, contract)
    if enough(len(named), contract):
        return named
    alike = {name: column.index for column in columns for dataset, name in column.alike if dataset == contract.dataset}
    if alike or any(column.header for column in columns) or len(columns) != len(contract.columns):
        return alike
    in_order = {c.name: column.index for c, column in zip(contract.columns, columns, strict=True)}
    return {c.name: in_order[c.name] for c in attributes(contract)}


@dataclass(frozen=True)
class Likeness:
    """The values of a sample column as those of one attribute: distinct tokens, and how many cells have each."""

    column: int
    attribute: str
    token: U64
    cells: I64
    in_order: bool


def likenesses(table: pa.Table, columns: Sequence[SampleColumn], contract: Contract, key: IndexKey) -> list[Likeness]:
    """Every column of a sample, of the first hundred, as every attribute of a table; table: some of its rows."""
    found = []
    whole = len(columns) == len(contract.columns)
    for column in columns[:_MOST_COLUMNS]:
        counted = pc.value_counts(table.column(column.index).combine_chunks().drop_null())
        for attribute in attributes(contract):
            forms = _forms(counted.field("values"), column, contract, attribute)
            token = single_tokens([Field(ATTRIBUTE, attribute.name, forms, None)], key)[0]
            if not token.there.any():
                continue
            in_order = whole and contract.columns[column.index].name == attribute.name
            cells = counted.field("counts").to_numpy()
            found.append(Likeness(column.index, attribute.name, *_summed(token, cells), in_order))
    return found


def _summed(token: TokenColumn, cells: I64) -> tuple[U64, I64]:
    """Distinct tokens with their cells; cells that cannot be read have the token 0, which nobody has."""
    values, place = np.unique(np.where(token.there, token.values, np.uint64(0)), return_inverse=True)
    return values, np.bincount(place, cells, len(values)).astype(np.int64)


def alike_columns(
    likely: Sequence[Likeness], token: U64, frequency: I64, versions: int, contract: Contract
) -> dict[str, int]:
    """The place of each attribute that a column is by its content; none, where these are too few.

    token, frequency: what the registry knows, sorted by token; versions: of the dataset. Of all columns that are not
    placed yet the one goes first whose best attribute is furthest ahead of its second best.
    """
    fits = {}
    for one in likely:
        often = np.zeros(len(one.token), dtype=np.int64)
        if len(token):
            place = np.minimum(np.searchsorted(token, one.token), len(token) - 1)
            often = np.where(token[place] == one.token, frequency[place], 0)
        cells = one.cells / max(one.cells.sum(), 1)
        if cells[often > 0].sum() >= _MOSTLY:
            likelihood = float((cells * np.log2((often + 0.5) / (versions + 1))).sum())
            fits[one.column, one.attribute] = likelihood + (_IN_ORDER if one.in_order else 0.0)
    found: dict[str, int] = {}
    while fits:
        ranked: dict[int, list[tuple[float, str]]] = {}
        for (column, attribute), bits in sorted(fits.items(), key=lambda fit: -fit[1]):
            ranked.setdefault(column, []).append((bits, attribute))
        ahead = {c: its[0][0] - its[1][0] if len(its) > 1 else np.inf for c, its in ranked.items()}
        first = max(ahead, key=lambda c: (ahead[c], -c))
        found[ranked[first][0][1]] = first
        fits = {(c, a): bits for (c, a), bits in fits.items() if c != first and a not in found}
    return found if enough(len(found), contract) else {}
