"""What a table's file shows about its columns: an even selection of rows, kinds, empty cells, and the key.

Statistics come from at most 100,000 rows spread over the file; that a key is unique is checked on all rows,
column by column.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.files import TableFile, chunks, read_chunks
from watermarking.detect import Detected, detect_kind, hint_of
from watermarking.normalise import normalise

MOST_ROWS = 100_000
_MOST_CHUNKS = 16
_TRIES = 12  # sets of columns that are tried on all rows
# Kinds that can identify a record, the likeliest first; others (amounts, times, free text) change or repeat.
_KEY_KINDS = ("id", "account", "national_id", "card", "phone", "email", "number", "category", "date", "birth_date")
_PART_KINDS = (*_KEY_KINDS, "person_name", "surname", "given_name", "postcode", "timestamp")


@dataclass(frozen=True)
class Fact:
    """One column of the selection.

    cells: one array; empty, distinct: counts over the selection, of its normalised cells.
    """

    name: str
    cells: pa.Array
    seen: Detected
    empty: int
    distinct: int


@dataclass(frozen=True)
class Facts:
    """A file's columns; rows: of the whole file; selected: of the selection."""

    file: TableFile
    rows: int
    selected: int
    columns: tuple[Fact, ...]

    def column(self, name: str) -> Fact:
        """One column by name; KeyError is never meant to happen."""
        return {column.name: column for column in self.columns}[name]


def gather(file: TableFile, kinds: Mapping[str, str] | None = None) -> Facts:
    """The facts of a file; kinds: known kinds by column, for columns that need no detecting.

    InputError when the file cannot be read.
    """
    parts = chunks(file)
    table = pa.concat_tables(_selected(parts)).combine_chunks()
    columns = []
    for name in file.schema.names:
        cells = _one_array(table[name])
        seen = detect_kind(cells, name)
        whole = normalise((kinds or {}).get(name, seen.kind), cells)
        columns.append(Fact(name, cells, seen, whole.null_count, pc.count_distinct(whole).as_py()))
    return Facts(file, sum(part.rows for part in parts), table.num_rows, tuple(columns))


def find_key(facts: Facts) -> tuple[str, ...]:
    """The columns that identify a row: the likeliest one that is unique and never empty, else two, else three.

    Empty when there are none.
    """
    alone = [f for f in facts.columns if not f.empty and f.distinct == facts.selected and f.seen.kind in _KEY_KINDS]
    for fact in islice(sorted(alone, key=_likelihood), _TRIES):
        if is_unique(facts.file, {fact.name: fact.seen.kind}):
            return (fact.name,)
    for names in islice(_sets_of(facts), _TRIES):
        if is_unique(facts.file, {name: facts.column(name).seen.kind for name in names}):
            return names
    return ()


def is_unique(file: TableFile, kinds: Mapping[str, str]) -> bool:
    """Whether these columns together, normalised, are never empty and never the same in two rows of the file.

    kinds: by column.
    """
    columns = _normalised(file, kinds)
    if columns is None:
        return False
    table = pa.table(columns)
    return bool(table.group_by(table.column_names).aggregate([]).num_rows == table.num_rows)


def empty_cells(file: TableFile, kinds: Mapping[str, str]) -> int:
    """How many cells of these columns are empty or unreadable, over all rows."""
    count = 0
    for _, table in read_chunks(chunks(file), list(kinds)):
        count += sum(normalise(kind, _one_array(table[name])).null_count for name, kind in kinds.items())
    return count


def _normalised(file: TableFile, kinds: Mapping[str, str]) -> dict[str, pa.ChunkedArray] | None:
    kept: dict[str, list[pa.Array]] = {name: [] for name in kinds}
    for _, table in read_chunks(chunks(file), list(kinds)):
        for name, kind in kinds.items():
            cells = normalise(kind, _one_array(table[name]))
            if cells.null_count or (len(kinds) == 1 and pc.count_distinct(cells).as_py() < len(cells)):
                return None
            kept[name].append(cells)
    return {name: pa.chunked_array(cells) for name, cells in kept.items()}


def _likelihood(fact: Fact) -> tuple[int, int]:
    """Sort order of key columns: those whose header says id first, then by kind."""
    return (0 if hint_of(fact.name) == "id" else 1, _KEY_KINDS.index(fact.seen.kind))


def _sets_of(facts: Facts) -> Iterator[tuple[str, ...]]:
    """Two or three columns that are unique together in the selection, the ones that differ most first."""
    usable = [f for f in facts.columns if not f.empty and f.seen.kind in _PART_KINDS and f.distinct > 1]
    usable = sorted(usable, key=lambda fact: fact.distinct, reverse=True)[:8]
    words = {f.name: normalise(f.seen.kind, f.cells) for f in usable}
    for size in (2, 3):
        for some in combinations(usable, size):
            if np.prod([float(fact.distinct) for fact in some]) < facts.selected:
                continue
            table = pa.table({fact.name: words[fact.name] for fact in some})
            if table.group_by(table.column_names).aggregate([]).num_rows == table.num_rows:
                yield tuple(fact.name for fact in some)


def _selected(parts: Sequence) -> Iterator[pa.Table]:  # type: ignore[type-arg]
    """Rows spread evenly over at most 16 parts of the file."""
    places = np.unique(np.linspace(0, len(parts) - 1, min(len(parts), _MOST_CHUNKS)).astype(np.int64))
    share = min(1.0, MOST_ROWS / sum(parts[place].rows for place in places))
    for _, table in read_chunks([parts[place] for place in places]):
        count = max(1, int(table.num_rows * share))
        rows = np.linspace(0, table.num_rows - 1, count).astype(np.int64)
        yield table if count == table.num_rows else table.take(pa.array(rows))


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
