"""Tables in files, for tagging: read in chunks, written back so that every cell keeps its characters.

A CSV file (csv_files.py) is text: no cell is ever turned into a number and back. A Parquet file keeps its schema, with
its metadata, and its compression. Others (`.csv.gz`, `.jsonl`, `.xlsx`) are unpacked first (unpacking.py).
"""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import groupby
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

_CHUNK_ROWS = 65_536
_FEW_GROUPS = 4  # with fewer, workers would have nothing to do: unpacking the first half twice costs less
_BUFFER = 1 << 20  # of a column that is unpacked; without one, pyarrow holds the whole row group as it is packed
_DICTIONARY_BYTES = 4  # a value, in a column that has words rather than numbers of its own
_FORMATS = ("parquet", "csv", "csv.gz", "jsonl", "xlsx")


__all__ = [
    "Chunk",
    "TableFile",
    "Writer",
    "chunks",
    "describe",
    "format_of",
    "open_writer",
    "read_chunk",
    "read_chunks",
    "runs",
]


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
    return next(read_chunks([chunk], columns))[1]


def read_chunks(parts: Sequence[Chunk], columns: Sequence[str] | None = None) -> Iterator[tuple[Chunk, pa.Table]]:
    """Each of some chunks, in the order of the file, with its rows.

    A row group can only be unpacked from its beginning, so chunks of one that are read together cost least.
    """
    for _, run in groupby(parts, key=lambda chunk: (chunk.file.path, chunk.group)):
        together = list(run)
        if together[0].file.format == "parquet":
            tables = _read_parquet(together, columns)
        else:
            tables = ((chunk, csv_files.read(chunk)) for chunk in together)
        for chunk, table in tables:
            yield chunk, table if columns is None else table.select(list(columns))


def runs(parts: Sequence[Chunk]) -> list[tuple[Chunk, ...]]:
    """The chunks of a file as workers read them: those of one row group together, in halves where groups are few."""
    groups = [
        tuple(run)
        for _, run in groupby(parts, key=lambda chunk: chunk.group if chunk.file.format == "parquet" else chunk.number)
    ]
    if len(groups) >= _FEW_GROUPS:
        return groups
    halves = [(len(group) + 1) // 2 for group in groups]
    split = [(group[:half], group[half:]) for group, half in zip(groups, halves, strict=True)]
    return [part for pair in split for part in pair if part]


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


def _read_parquet(run: Sequence[Chunk], columns: Sequence[str] | None) -> Iterator[tuple[Chunk, pa.Table]]:
    """Chunks of one row group."""
    path, group = run[0].file.path, run[0].group
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER) as source:
            if len(run) == 1 and run[0].start == 0 and run[0].rows == source.metadata.row_group(group).num_rows:
                yield run[0], source.read_row_group(group, columns=columns, use_threads=False).combine_chunks()
                return
            most = max(chunk.rows for chunk in run)
            yield from _slices_of(
                source.iter_batches(most, row_groups=[group], columns=columns, use_threads=False), run
            )
    except (pa.ArrowInvalid, OSError, StopIteration) as error:
        raise InputError(f"{Path(path).name} cannot be read at row group {group}; export the table again") from error


def _slices_of(batches: Iterator[pa.RecordBatch], run: Sequence[Chunk]) -> Iterator[tuple[Chunk, pa.Table]]:
    """Rows [start, start + rows) of a row group for each chunk, without holding what comes between them."""
    first, batch = 0, _further(batches)
    for chunk in run:
        at, end, kept = chunk.start, chunk.start + chunk.rows, []
        while at < end:
            if first + batch.num_rows <= at:
                first, batch = first + batch.num_rows, _further(batches)
            else:
                kept.append(batch.slice(at - first, end - at))
                at += kept[-1].num_rows
        yield chunk, pa.Table.from_batches(kept).combine_chunks()


def _further(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch:
    batch = next(batches, None)
    if batch is None:
        raise pa.ArrowInvalid("fewer rows than the footer says")
    return batch


@dataclass(frozen=True)
class _ParquetWriter:
    writer: pq.ParquetWriter

    def write(self, table: pa.Table) -> None:
        self.writer.write_table(table.cast(self.writer.schema) if table.schema != self.writer.schema else table)
