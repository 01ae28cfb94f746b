"""Tables in files, for tagging: read in chunks, written back so that every cell keeps its characters.

A CSV file is text: no cell is ever turned into a number and back. Its delimiter, line ends, byte order mark and
whether it quotes every cell are kept; otherwise a cell is quoted where it must be. A Parquet file keeps its
schema, with its metadata, and its compression.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from schemas.errors import InputError, OutputError

_CHUNK_BYTES = 16 << 20
_CHUNK_ROWS = 131_072
_BOM = b"\xef\xbb\xbf"
_DELIMITERS = (",", ";", "\t", "|")
_FORMATS = {".parquet": "parquet", ".csv": "csv"}


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written."""

    delimiter: str = ","
    line_end: str = "\n"
    bom: bool = False
    quote_all: bool = False


@dataclass(frozen=True)
class TableFile:
    """A table in a file: its schema, and how it is written. `compression` is that of a Parquet file."""

    path: str
    format: str
    schema: pa.Schema
    dialect: Dialect = Dialect()
    compression: str = "snappy"
    header_bytes: int = 0


@dataclass(frozen=True)
class Chunk:
    """A part of a file that one worker reads: `rows` rows from source row `first_row` on.

    Parquet: rows [start, start + rows) of a row group. CSV: `length` bytes from `start` on.
    """

    number: int
    file: TableFile
    first_row: int
    rows: int
    start: int
    length: int = 0
    group: int = 0


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
    return _describe_parquet(path) if kind == "parquet" else _describe_csv(path)


def format_of(path: Path) -> str:
    """The format that a suffix means; InputError for another one."""
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path.name} has no suffix that is known; use {' or '.join(sorted(_FORMATS))}")
    return kind


def chunks(file: TableFile) -> list[Chunk]:
    """The parts of a file, in order. A CSV file is scanned once for line ends outside quotes."""
    found = list(_parquet_chunks(file) if file.format == "parquet" else _csv_chunks(file))
    if not sum(chunk.rows for chunk in found):
        raise InputError(f"{Path(file.path).name} has a header and no rows; export the table again")
    return found


def read_chunk(chunk: Chunk, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a chunk, of the file's schema; `columns` reads only those."""
    table = _read_parquet(chunk, columns) if chunk.file.format == "parquet" else _read_csv(chunk)
    return table if columns is None else table.select(list(columns))


@contextmanager
def open_writer(path: Path, like: TableFile) -> Iterator[Writer]:
    """Writes a table part by part into a new file, in the format of the path's suffix, as `like` is written.

    OutputError when it cannot be written.
    """
    kind = format_of(path)
    try:
        if kind == "parquet":
            codec = like.compression if like.format == "parquet" else "snappy"
            with pq.ParquetWriter(path, like.schema, compression=codec) as writer:
                yield _ParquetWriter(writer)
        else:
            with path.open("xb") as file:
                yield _CsvWriter(file, like.dialect, like.schema.names)
    except OSError as error:
        raise OutputError(
            f"{path.name} cannot be written in {path.parent} ({error.strerror or 'input/output error'}); free some "
            "space or choose another -o, then run the command again"
        ) from error


# -- Parquet -----------------------------------------------------------------------------------------------------


def _describe_parquet(path: Path) -> TableFile:
    try:
        with pq.ParquetFile(path) as file:
            groups = file.metadata.num_row_groups
            codec = file.metadata.row_group(0).column(0).compression.lower() if groups else "snappy"
            return TableFile(str(path), "parquet", file.schema_arrow, compression=_codec(codec))
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        raise InputError(f"{path.name} is no whole Parquet file (truncated?); export the table again") from error


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


# -- CSV ---------------------------------------------------------------------------------------------------------


def _describe_csv(path: Path) -> TableFile:
    with path.open("rb") as file:
        head = file.read(1 << 20)
    bom = head.startswith(_BOM)
    body = head[len(_BOM) :] if bom else head
    if b"\0" in body:
        raise InputError(f"{path.name} holds NUL bytes, so it is no CSV text; export the table again as CSV")
    end = _end_of_line(body)
    if end == len(body) and path.stat().st_size > len(head):
        raise InputError(f"{path.name} has no line end in its first megabyte, so it is no CSV table")
    header = body[:end]
    try:
        header.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(_not_utf8(path.name, head)) from error
    delimiter = _delimiter(header)
    line_end = "\r\n" if header.endswith(b"\r\n") else "\n"
    dialect = Dialect(delimiter, line_end, bom, _quotes_all(header, delimiter))
    names = _header_names(path.name, header, delimiter)
    schema = pa.schema([(name, pa.string()) for name in names])
    return TableFile(str(path), "csv", schema, dialect, header_bytes=(len(_BOM) if bom else 0) + end)


def _header_names(name: str, header: bytes, delimiter: str) -> list[str]:
    parse = pacsv.ParseOptions(delimiter=delimiter)
    try:
        names: list[str] = pacsv.read_csv(pa.BufferReader(header.strip() + b"\n"), parse_options=parse).column_names
    except pa.ArrowInvalid as error:
        raise InputError(f"{name} has no readable header in its first line; export the table with one") from error
    if len(set(names)) < len(names) or "" in names:
        raise InputError(f"{name} has a column without a name, or two of one name; name each column once")
    return names


def _csv_chunks(file: TableFile) -> Iterator[Chunk]:
    """Cut where a line ends outside quotes; a cell longer than a block makes a longer chunk."""
    start, first, number, rows, quoted, last_end = file.header_bytes, 0, 0, 0, 0, file.header_bytes
    with open(file.path, "rb") as source:
        source.seek(start)
        at = start
        while block := source.read(_CHUNK_BYTES):
            data = np.frombuffer(block, dtype=np.uint8)
            ends, quoted = _ends_outside_quotes(block, data, quoted)
            ends += at
            rows += _lines(block, ends, at, last_end)
            last_end = int(ends[-1]) + 1 if len(ends) else last_end
            at += len(block)
            if last_end > start and last_end - start >= _CHUNK_BYTES // 2:
                yield Chunk(number, file, first, rows, start, last_end - start)
                start, first, number, rows = last_end, first + rows, number + 1, 0
        if quoted:
            raise InputError(f"{Path(file.path).name} ends inside a quoted cell; it is truncated: export it again")
        if at > last_end:
            rows += 1  # the last line has no line end
        if at > start and rows:
            yield Chunk(number, file, first, rows, start, at - start)


def _ends_outside_quotes(block: bytes, data: np.ndarray, quoted: int) -> tuple[np.ndarray, int]:
    """Places of the line ends that are not inside quotes, and whether the block ends inside them."""
    ends = np.flatnonzero(data == ord("\n"))
    if b'"' not in block:
        return (ends[:0] if quoted else ends), quoted
    quotes = np.flatnonzero(data == ord('"'))
    parity = (np.searchsorted(quotes, ends) + quoted) & 1
    return ends[parity == 0], (len(quotes) + quoted) & 1


def _lines(block: bytes, ends: np.ndarray, at: int, last_end: int) -> int:
    """How many of the lines that end in this block are not empty."""
    if not len(ends):
        return 0
    lengths = np.diff(ends, prepend=last_end - 1) - 1
    data = np.frombuffer(block, dtype=np.uint8)
    before = np.where(ends - at > 0, data[np.maximum(ends - at - 1, 0)], 0)
    empty = (lengths == 0) | ((lengths == 1) & (before == ord("\r")))
    return int((~empty).sum())


def _read_csv(chunk: Chunk) -> pa.Table:
    name, names = Path(chunk.file.path).name, chunk.file.schema.names
    with open(chunk.file.path, "rb") as source:
        source.seek(chunk.start)
        data = source.read(chunk.length)
    bad: list[int] = []

    def ragged(row: pacsv.InvalidRow) -> str:
        bad.append(row.actual_columns)
        return "skip"

    try:
        table = pacsv.read_csv(
            pa.BufferReader(data),
            read_options=pacsv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
            parse_options=pacsv.ParseOptions(
                delimiter=chunk.file.dialect.delimiter, newlines_in_values=True, invalid_row_handler=ragged
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, null_values=[]
            ),
        )
    except pa.ArrowInvalid as error:
        if "utf8" in str(error).lower() or "utf-8" in str(error).lower():
            raise InputError(_not_utf8(name, data)) from None
        raise InputError(
            f"{name} cannot be read as CSV between rows {chunk.first_row + 1} and {chunk.first_row + chunk.rows}; "
            "export the table again"
        ) from None
    if bad:
        raise InputError(
            f"{name}: {len(bad)} rows between {chunk.first_row + 1} and {chunk.first_row + chunk.rows} have "
            f"{bad[0]} cells where the header has {len(names)}; correct them, or export the table again"
        )
    return table.combine_chunks()


class _CsvWriter:
    """Joins whole columns into lines; no cell is handled by itself."""

    def __init__(self, file: BinaryIO, dialect: Dialect, names: Sequence[str]) -> None:
        self._file, self._dialect = file, dialect
        if dialect.bom:
            self._put(_BOM)
        self.write(pa.table({name: pa.array([name]) for name in names}))

    def write(self, table: pa.Table) -> None:
        if not table.num_rows:
            return
        cells = [self._cell(column.combine_chunks(), alone=table.num_columns == 1) for column in table.columns]
        end = pa.scalar(self._dialect.line_end, pa.large_string())
        cells[-1] = pc.binary_join_element_wise(cells[-1], end, pa.scalar("", pa.large_string()))
        lines = pc.binary_join_element_wise(*cells, pa.scalar(self._dialect.delimiter, pa.large_string()))
        offsets = np.frombuffer(lines.buffers()[1], dtype=np.int64)[lines.offset :]
        self._put(memoryview(lines.buffers()[2])[offsets[0] : offsets[len(lines)]])

    def _cell(self, column: pa.Array, *, alone: bool) -> pa.Array:
        text = pc.fill_null(_text_of(column), "")
        mark = pa.scalar('"', pa.large_string())
        nothing = pa.scalar("", pa.large_string())
        quoted = pc.binary_join_element_wise(mark, pc.replace_substring(text, '"', '""'), mark, nothing)
        if self._dialect.quote_all:
            return quoted
        needs = pc.match_substring_regex(text, f'[{_escaped(self._dialect.delimiter)}"\\r\\n]')
        if alone:
            needs = pc.or_(needs, pc.equal(text, ""))
        return pc.if_else(needs, quoted, text) if pc.any(needs).as_py() else text

    def _put(self, data: bytes | memoryview) -> None:
        self._file.write(data)


def _text_of(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.large_string())


def _escaped(delimiter: str) -> str:
    return {"\t": "\\t", "|": "\\|"}.get(delimiter, delimiter)


def _end_of_line(body: bytes) -> int:
    """Just behind the first line, line ends inside quotes not counted."""
    quoted = False
    for place, byte in enumerate(body):
        if byte == ord('"'):
            quoted = not quoted
        elif byte == ord("\n") and not quoted:
            return place + 1
    return len(body)


def _delimiter(header: bytes) -> str:
    text = header.decode("utf-8")
    return max(_DELIMITERS, key=text.count) if any(mark in text for mark in _DELIMITERS) else ","


def _quotes_all(header: bytes, delimiter: str) -> bool:
    cells = header.strip().split(delimiter.encode())
    return all(cell.startswith(b'"') and cell.endswith(b'"') and len(cell) > 1 for cell in cells)


def _not_utf8(name: str, data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data[: 1 << 16]).best()
    guess = f" (it looks like {best.encoding})" if best else ""
    return f"{name} is not UTF-8{guess}; convert it to UTF-8, then run the command again"
