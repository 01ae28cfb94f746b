"""`registry check` of what a look-up skips by: statistics in data files, and what the catalogue repeats of them.

A signed digest goes over values as a full reading gives them. A look-up reads less: it skips tables, files and row
groups by their smallest and largest value, their count of nulls, a Bloom filter, a partition. Whoever alters one of
these hides rows from every trace and changes no value. So each is compared with the values themselves, which are read
without any of them, a column of a row group at a time: memory does not grow with the file.

First of all a file's bytes are those whose digest was recorded (pipeline/file_digests.py).

A bound that is too wide hides nothing and is no problem: deleted rows leave such bounds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.bloom import lost_values
from pipeline.file_digests import recorded
from pipeline.file_store import FileStore
from pipeline.hashing import digest_of
from pipeline.storage import Connection
from schemas.tables import NOT_INLINED, TABLES

Advance = Callable[[int], None]
_BATCH = 65_536
_CATALOGUE = "__ducklake_metadata_lake"
# What leaktrace never makes, and what could keep a look-up from rows.
_NOBODYS = ("partition_info", "partition_column", "file_partition_value", "file_variant_stats", "view", "macro")


@dataclass
class Range:
    """The smallest and largest of a column's values, and how many nulls are among its rows."""

    least: Any = None
    most: Any = None
    rows: int = 0
    nulls: int = 0

    def take(self, values: pa.ChunkedArray | pa.Array) -> None:
        """Add values."""
        found = pc.min_max(values)
        self.add(Range(found["min"].as_py(), found["max"].as_py(), len(values), values.null_count))

    def add(self, other: "Range") -> None:
        """Add the values of another."""
        self.rows, self.nulls = self.rows + other.rows, self.nulls + other.nulls
        if other.least is not None:
            self.least = other.least if self.least is None else min(self.least, other.least)
            self.most = other.most if self.most is None else max(self.most, other.most)

    def outside(self, least: Any, most: Any) -> bool:
        """Whether bounds leave a value out; None is no bound."""
        if self.least is None:
            return False
        return (least is not None and least > self.least) or (most is not None and most < self.most)


@dataclass(frozen=True)
class DataFile:
    """A live data file as the catalogue tells of it, with its table, and each column's statistics by name."""

    name: str
    table: str
    rows: int
    footer: int
    partition: int | None
    statistics: dict[str, dict[str, Any]] = field(default_factory=dict)


def problems_of(con: Connection, advance: Advance | None = None) -> Iterator[str]:
    """What would hide rows from a look-up, in plain words with its place. advance: called with bytes that were read."""
    for name in _NOBODYS:
        (row,) = con.execute(f"SELECT count(*) FROM {_CATALOGUE}.ducklake_{name}").fetchall()
        if row[0]:
            yield f"catalogue, ducklake_{name}: it has {row[0]} lines, where this program writes none"
    store, ranges = FileStore(con), {name: {c: Range() for c in schema.names} for name, schema in TABLES.items()}
    for file in live_files(con):
        if file.name not in store.paths or file.table not in TABLES:
            continue  # a missing file is named by another part of the check
        path = Path(store.paths[file.name])
        if (digest := recorded(path)) is not None and digest != digest_of(path):
            # pyarrow may end the process over a damaged footer, so what is known to be damaged is not read.
            yield f"data file {file.name}: its bytes are not those whose digest was recorded"
        else:
            yield from _read_through(file, store, ranges[file.table])
        if advance is not None:
            advance(store.sizes[file.name])
    for name in sorted(set(TABLES) - set(NOT_INLINED)):
        ranges[name] = _ranges_of(con, name)
    for line in _statistics(con, "table", "contains_null"):
        found = ranges.get(line["table_name"], {}).get(line["column_name"], Range())
        if found.outside(*_bounds(line, found)) or (found.nulls and line["contains_null"] in (False, 0)):
            yield f"catalogue, {line['table_name']}: its statistics of {line['column_name']} leave out what is there"


def _read_through(file: DataFile, store: FileStore, ranges: dict[str, Range]) -> Iterator[str]:
    try:
        with store.opened(file.name) as opened:
            yield from _file_problems(file, opened, ranges)
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        yield f"data file {file.name}: it is damaged, and cannot be read to its end"


def live_files(con: Connection) -> list[DataFile]:
    """The data files that a look-up reads now."""
    query = (
        "SELECT data_file_id, f.path, table_name, f.record_count, f.footer_size, f.partition_id "
        f"FROM {_CATALOGUE}.ducklake_data_file f JOIN {_CATALOGUE}.ducklake_table t USING (table_id) "
        "WHERE f.end_snapshot IS NULL AND t.end_snapshot IS NULL ORDER BY data_file_id"
    )
    found = {row[0]: DataFile(str(row[1]).rsplit("/", 1)[-1], *row[2:]) for row in con.execute(query).fetchall()}
    for line in _statistics(con, "file", "data_file_id, value_count, null_count"):
        if line["data_file_id"] in found:
            found[line["data_file_id"]].statistics[line["column_name"]] = line
    return list(found.values())


def _statistics(con: Connection, of: str, more: str) -> list[dict[str, Any]]:
    """The catalogue's statistics of columns, of files or of whole tables."""
    query = (
        f"SELECT table_name, column_name, s.min_value, s.max_value, {more} "
        f"FROM {_CATALOGUE}.ducklake_{of}_column_stats s JOIN {_CATALOGUE}.ducklake_table t USING (table_id) "
        f"JOIN {_CATALOGUE}.ducklake_column c USING (table_id, column_id) "
        "WHERE c.end_snapshot IS NULL AND t.end_snapshot IS NULL"
    )
    return [dict(line) for line in con.execute(query).to_arrow_table().to_pylist()]


def _file_problems(file: DataFile, opened: Any, whole: Mapping[str, Range]) -> Iterator[str]:
    """One file: its footer and filters against its values, then the catalogue against the same values."""
    where, parquet = f"data file {file.name}", pq.ParquetFile(opened)
    meta, names = parquet.metadata, parquet.schema_arrow.names
    ranges = {name: Range() for name in whole if name in names}
    for group in range(meta.num_row_groups):
        for name, range_ in ranges.items():
            chunk = meta.row_group(group).column(names.index(name))
            values = parquet.read_row_group(group, columns=[name], use_threads=False).column(0)
            found = Range()
            found.take(values)
            range_.add(found)
            if _left_out(chunk.statistics, found):
                yield f"{where}: its own statistics of {name} leave out what is there"
            if denied := _denied(chunk, opened, values):
                yield f"{where}: its Bloom filter of {name} denies {denied:,} values that are there"
    for name, range_ in ranges.items():
        whole[name].add(range_)
        if name in file.statistics and _contradicts(file.statistics[name], range_):
            yield f"{where}: the catalogue's statistics of {name} leave out what is there"
    if {meta.num_rows, *(range_.rows for range_ in ranges.values())} != {file.rows}:
        yield f"{where}: it has {meta.num_rows:,} rows, the catalogue says {file.rows:,}"
    if meta.serialized_size != file.footer or file.partition is not None:
        yield f"{where}: the catalogue says something else of its footer or its partition than is true"


def _left_out(said: Any, found: Range) -> bool:
    """Whether a row group's own statistics deny a value or a null that it has."""
    if said is None:
        return False
    bounds = (said.min, said.max) if said.has_min_max else (None, None)
    return found.outside(*bounds) or (said.has_null_count and said.null_count != found.nulls)


def _denied(chunk: Any, opened: Any, values: pa.ChunkedArray) -> int:
    """How many distinct values of a column of a row group its Bloom filter denies."""
    if chunk.bloom_filter_offset is None:
        return 0
    opened.seek(chunk.bloom_filter_offset)
    return lost_values(opened.read(chunk.bloom_filter_length), values.unique().drop_null())


def _contradicts(said: Mapping[str, Any], found: Range) -> bool:
    """Whether the catalogue denies values of a file, or counts them or the nulls among them otherwise."""
    values = (found.rows, found.rows - found.nulls)  # of an adopted file, and of one that DuckLake wrote
    counted = said["value_count"] in values and said["null_count"] == found.nulls
    return found.outside(*_bounds(said, found)) or not counted


def _bounds(said: Mapping[str, Any], found: Range) -> tuple[Any, Any]:
    """Bounds of the catalogue, which are text, as values like those found; one that cannot be one leaves all out."""
    kind = type(found.least)
    if kind in (type(None), bytes):  # no look-up asks for bytes
        return None, None
    try:
        least, most = (None if said[name] is None else kind(said[name]) for name in ("min_value", "max_value"))
    except ValueError:
        return (found.most + 1, None)
    return least, most


def _ranges_of(con: Connection, table: str) -> dict[str, Range]:
    """The ranges of a whole table, read without a condition, so that statistics leave nothing out."""
    ranges = {name: Range() for name in TABLES[table].names}
    for batch in con.execute(f"SELECT * FROM lake.{table}").to_arrow_reader(_BATCH):
        for name, range_ in ranges.items():
            range_.take(batch.column(name))
    return ranges
