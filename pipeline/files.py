"""Tables in files, for tagging: read in chunks, written back so that every cell keeps its characters.

A CSV file (csv_files.py) is text: no cell is ever turned into a number and back. A Parquet file keeps its schema, with
its metadata, and its compression. Others (`.csv.gz`, `.jsonl`, `.xlsx`) are unpacked first (unpacking.py).
"""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import csv_files
from pipeline.jsonl_files import JsonlWriter
from pipeline.table_file import Chunk, TableFile
from pipeline.unpacking import unpacked
from pipeline.xlsx_files import XlsxWriter
from schemas.errors import InputError, OutputError

_CHUNK_ROWS = 131_072
_DICTIONARY_BYTES = 4  # a value, in a column that has words rather than numbers of its own
_FORMATS = ("parquet", "csv", "csv.gz", "jsonl", "xlsx")


__all__ = ["Chunk", "TableFile", "Writer", "chunks", "describe", "first_rows", "format_of", "open_writer", "read_chunk"]


class Writer(Protocol):
    """Takes a table's parts in order."""

    def write(self, table: pa.Table) -> None:
        """Append rows."""


def describe(path: Path) -> TableFile:
    """What a file holds; InputError when it cannot be used as a table."""
    kind = format_of(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path") from error
    if path.is_dir():
        raise InputError(f"{path} is a folder; give one file")
    if size == 0:
        raise InputError(f"{path.name} is empty; export the table again")
    path, kind = unpacked(path, kind)
    return _describe_parquet(path) if kind == "parquet" else csv_files.describe(path)


def format_of(path: Path) -> str:
    """The format that a suffix means; InputError for another one."""
    for kind in _FORMATS:
        if path.name.lower().endswith("." + kind):
            return kind
    raise InputError(f"{path.name} has no suffix that is known; use {', '.join('.' + kind for kind in _FORMATS)}")


def chunks(file: TableFile) -> list[Chunk]:
    """The parts of a file, in order. A CSV file is scanned once for line ends outside quotes."""
    found = list(_parquet_chunks(file) if file.format == "parquet" else csv_files.chunks(file))
    if not sum(chunk.rows for chunk in found):
        raise InputError(f"{Path(file.path).name} has a header and no rows; export the table again")
    return found


def read_chunk(chunk: Chunk, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a chunk, of the file's schema; `columns` reads only those."""
    table = _read_parquet(chunk, columns) if chunk.file.format == "parquet" else csv_files.read(chunk)
    return table if columns is None else table.select(list(columns))


def first_rows(chunk: Chunk, count: int) -> Chunk:
    """The first rows of a chunk, where reading them costs less than reading it: else the chunk."""
    return replace(chunk, rows=min(count, chunk.rows)) if chunk.file.format == "parquet" else chunk


@contextmanager
def open_writer(path: Path, like: TableFile) -> Iterator[Writer]:
    """Writes a table part by part into a new file, in the format of the path's suffix, as `like` is written.

    OutputError when it cannot be written.
    """
    kind = format_of(path)
    try:
        if kind == "parquet":
            codec = like.compression if like.format == "parquet" else "snappy"
            words = like.dictionary if isinstance(like.dictionary, bool) else list(like.dictionary)
            with pq.ParquetWriter(path, like.schema, compression=codec, use_dictionary=words) as writer:
                yield _ParquetWriter(writer)
        elif kind == "xlsx":
            book = XlsxWriter(path, like.schema)
            yield book
            book.close()
        else:
            with path.open("xb") as plain, _packed(plain, kind) as file:
                if kind == "jsonl":
                    yield JsonlWriter(file, like.schema)
                else:
                    text = csv_files.CsvWriter(file, like.dialect, like.schema.names)
                    yield text
                    text.close()
    except OSError as error:
        raise OutputError(
            f"the copy cannot be written in {path.parent} ({error.strerror or 'input/output error'}); free some "
            "space or choose another -o, then run the command again"
        ) from error


def _packed(file: BinaryIO, kind: str) -> AbstractContextManager[BinaryIO]:
    """The file, or a stream that packs what is written to it; without a time, so that equal copies are equal."""
    if not kind.endswith(".gz"):
        return nullcontext(file)
    return cast(AbstractContextManager[BinaryIO], gzip.GzipFile("", "wb", 6, file, mtime=0))


# -- Parquet -----------------------------------------------------------------------------------------------------


def _describe_parquet(path: Path) -> TableFile:
    try:
        with pq.ParquetFile(path) as file:
            groups = file.metadata.num_row_groups
            codec = file.metadata.row_group(0).column(0).compression.lower() if groups else "snappy"
            words = _worth_a_dictionary(file.metadata.row_group(0)) if groups else True
            return TableFile(str(path), "parquet", file.schema_arrow, compression=_codec(codec), dictionary=words)
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise InputError(f"{path.name} is no whole Parquet file (truncated?); export the table again") from error


def _worth_a_dictionary(group: pq.RowGroupMetaData) -> tuple[str, ...]:
    """The columns whose values take little: trying a dictionary on the others costs a third of writing them."""
    columns = [group.column(number) for number in range(group.num_columns)]
    return tuple(
        c.path_in_schema for c in columns if c.total_uncompressed_size < _DICTIONARY_BYTES * max(1, c.num_values)
    )


def _codec(name: str) -> str:
    return "none" if name == "uncompressed" else name


def _parquet_chunks(file: TableFile) -> Iterator[Chunk]:
    with pq.ParquetFile(file.path) as source:
        rows = [source.metadata.row_group(g).num_rows for g in range(source.metadata.num_row_groups)]
    number, first = 0, 0
    for group, count in enumerate(rows):
        for start in range(0, count, _CHUNK_ROWS):
            size = min(_CHUNK_ROWS, count - start)
            yield Chunk(number, file, first + start, size, start, group=group)
            number += 1
        first += count


def _read_parquet(chunk: Chunk, columns: Sequence[str] | None) -> pa.Table:
    try:
        with pq.ParquetFile(chunk.file.path) as source:
            if chunk.start == 0 and chunk.rows == source.metadata.row_group(chunk.group).num_rows:
                return source.read_row_group(chunk.group, columns=columns, use_threads=False).combine_chunks()
            batches = source.iter_batches(chunk.rows, row_groups=[chunk.group], columns=columns, use_threads=False)
            return _slice_of(batches, chunk)
    except (pa.ArrowInvalid, OSError) as error:
        name = Path(chunk.file.path).name
        raise InputError(f"{name} cannot be read at row group {chunk.group}; export the table again") from error


def _slice_of(batches: Iterator[pa.RecordBatch], chunk: Chunk) -> pa.Table:
    """Rows [start, start + rows) of a row group, without holding what comes before them."""
    seen, kept = 0, []
    for batch in batches:
        low, high = max(chunk.start - seen, 0), min(chunk.start + chunk.rows - seen, batch.num_rows)
        if low < high:
            kept.append(batch.slice(low, high - low))
        seen += batch.num_rows
        if seen >= chunk.start + chunk.rows:
            break
    return pa.Table.from_batches(kept).combine_chunks()


@dataclass(frozen=True)
class _ParquetWriter:
    writer: pq.ParquetWriter

    def write(self, table: pa.Table) -> None:
        self.writer.write_table(table.cast(self.writer.schema) if table.schema != self.writer.schema else table)
