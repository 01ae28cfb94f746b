"""Attacks on tables, as a leaker would do them: whole columns and rows, Arrow in and Arrow out."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.attacks.strategies import U8, answer
from watermarking.embed import one_array
from watermarking.selection import MarkedColumn


def sample_rows(table: pa.Table, count: int, rng: np.random.Generator) -> pa.Table:
    """`count` rows drawn without replacement."""
    return table.take(pa.array(rng.choice(table.num_rows, min(count, table.num_rows), replace=False)))


def head_rows(table: pa.Table, count: int) -> pa.Table:
    """The first rows, as somebody shows who opens a file and copies what is on the screen."""
    return table.slice(0, count)


def block_rows(table: pa.Table, count: int, rng: np.random.Generator) -> pa.Table:
    """`count` neighbouring rows from somewhere."""
    return table.slice(int(rng.integers(0, max(table.num_rows - count, 0) + 1)), count)


def drop_columns(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The table without some columns (the key among them, if it is named)."""
    return table.drop_columns(list(names))


def renumber_key(table: pa.Table, name: str) -> pa.Table:
    """The key column counted anew from 1, in its type."""
    fresh = pa.array(np.arange(1, table.num_rows + 1)).cast(pa.string()).cast(table.schema.field(name).type)
    return _with(table, name, fresh)


def rewrite(table: pa.Table, marked: MarkedColumn, symbol: int) -> pa.Table:
    """Every value of one carrier brought to one form: all of its sites hold `symbol`."""
    cells = one_array(table[marked.column.name])
    symbols = np.full((len(cells), len(marked.carrier.labels())), symbol, dtype=np.int8)
    return _with(table, marked.column.name, marked.carrier.write(cells, symbols))


def change_cells(table: pa.Table, share: float, rng: np.random.Generator, names: Sequence[str] = ()) -> pa.Table:
    """A share of the cells (of some columns, or of all) takes the value that another row has in that column."""
    for name in names or table.column_names:
        rows = np.arange(table.num_rows)
        hit = rng.random(table.num_rows) < share
        rows[hit] = rng.integers(0, table.num_rows, int(hit.sum()))
        table = _with(table, name, one_array(table[name]).take(pa.array(rows)))
    return table


def flip_symbols(table: pa.Table, marked: Sequence[MarkedColumn], share: float, rng: np.random.Generator) -> pa.Table:
    """A share of the symbols of marked columns is the other one: cells changed at random, within what marks allow."""
    for one in marked:
        cells = one_array(table[one.column.name])
        symbols = one.carrier.read(cells)
        flipped = (symbols >= 0) & (rng.random(symbols.shape) < share)
        table = _with(table, one.column.name, one.carrier.write(cells, np.where(flipped, 1 - symbols, symbols)))
    return table


def mix_rows(copies: Sequence[pa.Table], key: str, rng: np.random.Generator) -> pa.Table:
    """Rows that all copies hold, each taken from one of them; the key column tells which rows are the same.

    One person who mixes their own copies of a series does the same.
    """
    aligned = _aligned(copies, key)
    source = rng.integers(0, len(aligned), aligned[0].num_rows)
    rows = pa.array(source * aligned[0].num_rows + np.arange(len(source)))
    return pa.concat_tables(aligned).combine_chunks().take(rows)


def mix_cells(
    copies: Sequence[pa.Table], key: str, marked: Sequence[MarkedColumn], strategy: str, rng: np.random.Generator
) -> pa.Table:
    """Rows that all copies hold, with every marked cell's symbols chosen among the copies by a strategy.

    marked: the columns that carry marks; a coalition sees where copies differ, and nowhere else can it choose.
    """
    aligned = _aligned(copies, key)
    mixed = aligned[0]
    for one in marked:
        name = one.column.name
        read = np.stack([one.carrier.read(one_array(copy[name])) for copy in aligned])
        there = (read >= 0).all(axis=0)
        bits: U8 = np.maximum(read, 0).reshape(len(aligned), -1).astype(np.uint8)
        shown = answer(bits, np.full(bits.shape[1], 0.5), strategy, rng).reshape(there.shape).astype(np.int8)
        mixed = _with(mixed, name, one.carrier.write(one_array(mixed[name]), np.where(there, shown, np.int8(-1))))
    return mixed


def remove_canaries(copies: Sequence[pa.Table], key: str) -> list[pa.Table]:
    """Each copy without the rows that not all copies hold: what comparing them shows to be planted."""
    common = _common(copies, key)
    return [copy.filter(pc.is_in(copy[key], value_set=common)) for copy in copies]


def add_strangers(table: pa.Table, strangers: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Rows from elsewhere put between those of the table; columns it lacks are dropped, missing ones empty."""
    columns = [
        one_array(strangers[field.name]).cast(field.type)
        if field.name in strangers.column_names
        else pa.nulls(strangers.num_rows, field.type)
        for field in table.schema
    ]
    both = pa.concat_tables([table, pa.Table.from_arrays(columns, schema=table.schema)])
    return both.take(pa.array(rng.permutation(both.num_rows)))


def _aligned(copies: Sequence[pa.Table], key: str) -> list[pa.Table]:
    """The copies' common rows, in the order of the first."""
    common = _common(copies, key)
    first = copies[0].filter(pc.is_in(copies[0][key], value_set=common))
    order = one_array(first[key])
    return [first, *(copy.take(pc.index_in(order, value_set=one_array(copy[key]))) for copy in copies[1:])]


def _common(copies: Sequence[pa.Table], key: str) -> pa.Array:
    keys = one_array(copies[0][key])
    for copy in copies[1:]:
        keys = keys.filter(pc.is_in(keys, value_set=one_array(copy[key])))
    return keys


def _with(table: pa.Table, name: str, cells: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), cells)
