"""CSV tables for tagging: read in chunks, written back so that every cell keeps its characters.

Delimiter, line ends, byte order mark, the header line, the end of the last line, and which columns stand in quotation
marks throughout are kept. An empty cell and an empty pair of quotation marks are different values (null and text) and
stay so. A quotation mark inside a cell that does not begin with one is refused where others quote, because programs
read it in different ways; in a file where no cell begins with one, they mean nothing and are kept.
"""

import mmap
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from pipeline.table_file import Chunk, Dialect, TableFile
from schemas.errors import InputError
from schemas.wording import counted

_HEAD_BYTES = 1 << 20
_CHUNK_BYTES = 16 << 20
_BOM = b"\xef\xbb\xbf"
_DELIMITERS = (",", ";", "\t", "|")
_QUOTE, _LF, _CR = ord('"'), ord("\n"), ord("\r")
Bytes = npt.NDArray[np.uint8]


def describe(path: Path) -> TableFile:
    """The columns of a CSV file and how it is written; InputError when it is no such table."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(-1, 2)
        last_end = file.read() == b"\n"
    bom = head.startswith(_BOM)
    body = head.removeprefix(_BOM)
    _refuse_nul(path.name, body)
    end = _end_of_line(body)
    if end == len(body) and path.stat().st_size > len(head):
        raise InputError(f"{path.name} has no line end in its first megabyte, so it is no CSV table")
    header = body[:end]
    try:
        header.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(_not_utf8(path.name, head)) from error
    delimiter = _delimiter(header)
    names = _header_names(path.name, header, delimiter)
    dialect = Dialect(
        delimiter=delimiter,
        line_end="\r\n" if header.endswith(b"\r\n") else "\n",
        bom=bom,
        quoting=_quotes(path, delimiter),
        header=header,
        last_end=last_end,
    )
    if dialect.quoting:
        lines = body[end:] if last_end or len(head) == _HEAD_BYTES else body[end:] + b"\n"
        dialect = replace(dialect, quoted=_quoted_columns(lines, delimiter, names))
    return TableFile(str(path), "csv", pa.schema([(name, pa.string()) for name in names]), dialect)


def _header_names(name: str, header: bytes, delimiter: str) -> list[str]:
    parse = pacsv.ParseOptions(delimiter=delimiter)
    try:
        names: list[str] = pacsv.read_csv(pa.BufferReader(header.strip() + b"\n"), parse_options=parse).column_names
    except pa.ArrowInvalid as error:
        raise InputError(f"{name} has no readable header in its first line; export the table with one") from error
    if len(set(names)) < len(names) or "" in names:
        raise InputError(f"{name} has a column without a name, or two of one name; name each column once")
    return names


def chunks(file: TableFile) -> Iterator[Chunk]:
    """Cut where a line ends outside quotes; a cell longer than a block makes a longer chunk."""
    first_byte = len(_BOM) * file.dialect.bom + len(file.dialect.header)
    scan = _Scan(Path(file.path).name, file.dialect)
    start, first, number, rows, last_end = first_byte, 0, 0, 0, first_byte
    with open(file.path, "rb") as source:
        source.seek(start)
        at = start
        while block := source.read(_CHUNK_BYTES):
            ends = scan.line_ends(block) + at
            rows += _lines(block, ends, at, last_end)
            last_end = int(ends[-1]) + 1 if len(ends) else last_end
            at += len(block)
            if last_end > start and last_end - start >= _CHUNK_BYTES // 2:
                yield Chunk(number, file, first, rows, start, last_end - start)
                start, first, number, rows = last_end, first + rows, number + 1, 0
        if scan.inside:
            raise InputError(f"{Path(file.path).name} ends inside a quoted cell; it is truncated: export it again")
        if at > last_end:
            rows += 1  # the last line has no line end
        if at > start and rows:
            yield Chunk(number, file, first, rows, start, at - start)


class _Scan:
    """Finds line ends in block after block; remembers whether a quoted cell is open."""

    def __init__(self, name: str, dialect: Dialect) -> None:
        self._name, self._quoting = name, dialect.quoting
        self._opens = np.frombuffer((dialect.delimiter + '\n"').encode(), dtype=np.uint8)
        self._closes = np.frombuffer((dialect.delimiter + '\r\n"').encode(), dtype=np.uint8)
        self._lines, self._last = 1, _LF  # the header's
        self.inside = False

    def line_ends(self, block: bytes) -> npt.NDArray[np.int64]:
        """Places in the block of the line ends that are not inside quotes."""
        _refuse_nul(self._name, block)
        data = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero(data == _LF)
        if self._quoting and b'"' in block:
            quotes = np.flatnonzero(data == _QUOTE)
            self._refuse_stray(data, quotes, ends)
            ends = ends[((np.searchsorted(quotes, ends) + self.inside) & 1) == 0]
            self.inside = bool((len(quotes) + self.inside) & 1)
        elif self.inside:
            ends = ends[:0]
        self._lines, self._last = self._lines + len(ends), block[-1]
        return ends

    def _refuse_stray(self, data: Bytes, quotes: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> None:
        """Every mark opens a cell, closes one, or is one of two; the first byte of the next block is not seen."""
        opening, closing = quotes[int(self.inside) :: 2], quotes[1 - int(self.inside) :: 2]
        before = np.where(opening > 0, data[opening - 1], self._last)
        closing = closing[closing + 1 < len(data)]
        stray = np.concatenate(
            [opening[~np.isin(before, self._opens)], closing[~np.isin(data[closing + 1], self._closes)]]
        )
        if len(stray):
            line = self._lines + 1 + int(np.searchsorted(ends, stray.min()))
            raise InputError(
                f"{self._name} has a quotation mark inside a cell, near line {line}; quote that cell and double the "
                "mark in it, or export the table again"
            )


def _lines(block: bytes, ends: np.ndarray, at: int, last_end: int) -> int:
    """How many of the lines that end in this block are not empty."""
    if not len(ends):
        return 0
    lengths = np.diff(ends, prepend=last_end - 1) - 1
    data = np.frombuffer(block, dtype=np.uint8)
    before = np.where(ends - at > 0, data[np.maximum(ends - at - 1, 0)], 0)
    empty = (lengths == 0) | ((lengths == 1) & (before == _CR))
    return int((~empty).sum())


def read(chunk: Chunk) -> pa.Table:
    """The rows of a chunk, string columns; an empty cell is null, an empty pair of quotation marks is not."""
    name, names = Path(chunk.file.path).name, chunk.file.schema.names
    with open(chunk.file.path, "rb") as source:
        source.seek(chunk.start)
        data = source.read(chunk.length)
    data = data if data.endswith(b"\n") else data + b"\n"  # or pyarrow takes an empty last cell for a quoted one
    bad: list[int] = []

    def ragged(row: pacsv.InvalidRow) -> str:
        bad.append(row.actual_columns)
        return "skip"

    try:
        table = pacsv.read_csv(
            pa.BufferReader(data),
            read_options=pacsv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
            parse_options=pacsv.ParseOptions(
                delimiter=chunk.file.dialect.delimiter,
                quote_char='"' if chunk.file.dialect.quoting else False,
                newlines_in_values=chunk.file.dialect.quoting,
                invalid_row_handler=ragged,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
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
            f"{name}: {counted(len(bad), 'row')} between {chunk.first_row + 1} and {chunk.first_row + chunk.rows} with "
            f"{bad[0]} cells where the header has {len(names)}; correct them, or export the table again"
        )
    return table.combine_chunks()


class CsvWriter:
    """Joins whole columns into lines; no cell is handled by itself."""

    def __init__(self, file: BinaryIO, dialect: Dialect, names: Sequence[str]) -> None:
        """Writes the header. `names`: what it says, for a table that comes from another format."""
        self._file, self._dialect, self._held = file, dialect, b""
        special = re.escape(dialect.delimiter) + "\\r\\n" + ('"' if dialect.quoting else "")
        self._special = f"[{special}]"
        if dialect.bom:
            file.write(_BOM)
        if dialect.header:
            file.write(dialect.header)
        else:
            self.write(pa.table({name: pa.array([name]) for name in names}))

    def write(self, table: pa.Table) -> None:
        """Append rows."""
        if not table.num_rows:
            return
        nothing, end = pa.scalar("", pa.large_string()), pa.scalar(self._dialect.line_end, pa.large_string())
        alone = table.num_columns == 1
        cells = [
            self._cells(_text_of(table[name].combine_chunks()), quoted=name in self._dialect.quoted, alone=alone)
            for name in table.column_names
        ]
        cells[-1] = pc.binary_join_element_wise(cells[-1], end, nothing)
        lines = pc.binary_join_element_wise(*cells, pa.scalar(self._dialect.delimiter, pa.large_string()))
        offsets = np.frombuffer(lines.buffers()[1], dtype=np.int64)[lines.offset :]
        last = int(offsets[len(lines)]) - len(self._dialect.line_end)
        self._file.write(self._held)
        self._file.write(memoryview(lines.buffers()[2])[int(offsets[0]) : last])
        self._held = self._dialect.line_end.encode()

    def close(self) -> None:
        """End the last line, if the source's has an end."""
        self._file.write(self._held if self._dialect.last_end else b"")

    def _cells(self, text: pa.Array, *, quoted: bool, alone: bool) -> pa.Array:
        """A column as it stands in the file: null is nothing, text that is empty a pair of quotation marks."""
        mark, nothing = pa.scalar('"', pa.large_string()), pa.scalar("", pa.large_string())
        there = text.is_valid()
        needs = there if quoted else pc.match_substring_regex(text, self._special).fill_null(False)
        if self._dialect.quoting:
            needs = pc.or_(needs, pc.equal(text, "").fill_null(False))
        if alone:
            needs = pc.or_(needs, pc.invert(there))  # a line with nothing on it is no row
        text = pc.fill_null(text, "")
        if not needs.true_count:
            return text
        doubled = pc.replace_substring(text, '"', '""')
        marked = pc.binary_join_element_wise(mark, doubled, mark, nothing)
        return marked if needs.true_count == len(text) else pc.if_else(needs, marked, text)


def _text_of(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.large_string())


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
    text = re.sub('"[^"]*"', "", header.decode("utf-8"))
    return max(_DELIMITERS, key=text.count) if any(mark in text for mark in _DELIMITERS) else ","


def _quotes(path: Path, delimiter: str) -> bool:
    """Whether any cell begins with a quotation mark."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data.find(b'"') < 0:
            return True  # none there, so quoting can be used where it is needed
        begins = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\n" + re.escape(delimiter.encode()) + rb'])"')
        return begins.search(data) is not None


def _quoted_columns(body: bytes, delimiter: str, names: Sequence[str]) -> frozenset[str]:
    """The columns whose cells all stand in quotation marks, but for empty ones, as far as the head of a file shows."""
    data, width = np.frombuffer(body, dtype=np.uint8), len(names)
    outside = (np.cumsum(data == _QUOTE) & 1) == 0
    cuts = np.flatnonzero(((data == ord(delimiter)) | (data == _LF)) & outside)
    cuts = cuts[: len(cuts) // width * width]
    if not len(cuts) or not (data[cuts[width - 1 :: width]] == _LF).all():
        return frozenset()
    starts = np.concatenate([[0], cuts[:-1] + 1])
    first = data[np.minimum(starts, len(data) - 1)].reshape(-1, width)
    quoted = (first == _QUOTE).any(axis=0)
    quoted &= ((first == _QUOTE) | np.isin(first, (ord(delimiter), _LF, _CR))).all(axis=0)
    return frozenset(name for name, always in zip(names, quoted, strict=True) if always)


def _refuse_nul(name: str, data: bytes) -> None:
    if b"\0" in data:
        raise InputError(f"{name} holds NUL bytes, so it is no CSV text; export the table again as CSV")


def _not_utf8(name: str, data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data[: 1 << 16]).best()
    guess = f" (it looks like {best.encoding})" if best else ""
    return f"{name} is not UTF-8{guess}; convert it to UTF-8, then run the command again"
