"""Delimited text: commas, tabs, pipes, semicolons or anything else that splits most lines alike; header or none.

A line is a row unless a quotation mark is open at its end. A file of any size is read in blocks: a block in which
every line is regular goes through Arrow's parser, any other line by line, with the same result.
"""

import csv
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from pipeline.extractors import MOST_CELL, MOST_COLUMNS
from pipeline.intake.context import Intake
from pipeline.intake.grid import Row, above_header, header_row
from pipeline.intake.labels import VALUE
from pipeline.intake.sheet import Sheet, SheetWriter
from pipeline.intake.source import Source
from pipeline.intake.text import Block
from schemas.wording import counted

FORMAT = "csv"
# Before single characters: they would split these too.
_LONG = ("----", "|||", "||", "~~", "::", "##", "$$", "@@", "%%", "&&")
_STRONG = ("\t", ",", ";", "|", "\x01", "~", "^")
_WEAK = ("，", "、", "；", "｜", "--", "/", ":", "#", "$", "!", "&", "%", "¦", "§")
_BORDER = re.compile(r"^[\s+|=:\-─│┼┌┐└┘├┤┬┴]*$")
_GAP = re.compile(r"\S {2,}(?=\S)")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")
_QUOTED_LINES = 32  # a cell in quotation marks goes over no more lines than this
# What reading cell by cell takes out; line ends are no part of a cell.
_ODD_CELL = r"[\x00-\x1f\x7f\x{feff}\x{fffd}]"
_ODD_MARKS = (b"\xef\xbb\xbf", b"\xef\xbf\xbd")  # U+FEFF, U+FFFD
_PIECE = 1 << 18
_LEARNED = 200  # rows by which longer ones are brought into shape
_FAST = 1 << 20  # bytes of a file from which it is read by Arrow


@dataclass(frozen=True)
class Shape:
    """What splits a line, into how many cells, how often that is so, and whether quotation marks mean anything."""

    delimiter: str
    width: int
    share: float
    quoting: bool
    framed: bool  # lines begin and end with the delimiter, as a console prints tables

    def split(self, line: str) -> list[str]:
        """The cells of one line on its own."""
        if self.framed:
            line = line.strip().removeprefix("|").removesuffix("|")
        if self.quoting and '"' in line:
            try:
                return next(csv.reader([line], delimiter=self.delimiter), [])
            except csv.Error:
                pass
        return line.split(self.delimiter)

    def cells(self, line: str) -> int:
        """How many cells a line has."""
        if self.framed or (self.quoting and '"' in line):
            return len(self.split(line))
        return line.count(self.delimiter) + 1


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """A delimited text as a sheet; None when its lines do not split alike."""
    text = intake.text(source)
    if text is None:
        return None
    csv.field_size_limit(1 << 24)
    lines = text.first_lines(401)
    shape = shape_of(lines[:-1] or lines)
    if shape is None or shape.width > 1 << 15 or _is_aligned(lines, shape):
        return None
    first = list(_regular(_rows(((n, None, line) for n, line in enumerate(lines, 1)), shape), shape, Counter()))[:40]
    place = header_row([cells for _, _, cells in first])
    header, after = (first[place][2], first[place][0] or 0) if place is not None else ((), 0)
    writer, unlike = intake.sheet(), Counter[str]()
    if place:
        writer.notes.append(above_header(place))
    pending: list[tuple[int, int | None, str]] = []
    for block in text.blocks():
        large = block.line > 1 or len(block.data) >= _FAST
        if not pending and large and _fast(block, shape, after, header, writer):
            continue
        rest: list[tuple[int, int | None, str]] = []
        for line, byte, cells in _regular(_rows((*pending, *block.lines()), shape, rest), shape, unlike):
            if (line or 0) > after and cells != header:
                writer.add(cells, line, byte)
        pending = rest
    for line, byte, cells in _regular(_rows(pending, shape), shape, unlike):
        writer.add(cells, line, byte)
    return writer.finish([c or "" for c in header], FORMAT, text.encoding, unlike_lines(unlike) + text.notes) or None


def unlike_lines(unlike: Counter[str]) -> list[str]:
    """What is said of lines that had too few or too many cells, and of those that were skipped for it."""
    notes = []
    if skipped := unlike["skipped"]:
        notes.append(f"{counted(skipped, 'line of another shape was', 'lines of another shape were')} not read")
    if mended := unlike["mended"]:
        was = "was" if mended == 1 else "were"
        notes.append(f"{counted(mended, 'line')} with cells too many or too few {was} read as far as possible")
    return notes


def shape_of(lines: Sequence[str]) -> Shape | None:
    """The delimiter that splits most lines into the same number of cells, at least two."""
    lines = [line for line in lines if line.strip() and not _BORDER.match(line)]
    if len(lines) < 2 and not any(map(VALUE.search, lines)):
        return None  # a sentence, not a table
    framed = bool(lines) and sum(s.startswith("|") and s.endswith("|") for s in map(str.strip, lines)) > len(lines) / 2
    decimal = all(len(_DECIMAL_COMMA.findall(line)) == line.count(",") for line in lines)
    text = "\n".join(lines)
    best: tuple[tuple[int, int, int, bool], Shape] | None = None
    for tier, delimiters in ((2, _LONG), (1, _STRONG), (0, _WEAK)):
        for delimiter in filter(text.__contains__, delimiters):
            quoting = len(delimiter) == 1 and any(
                re.search(rf'(?:^|{re.escape(delimiter)})\s*"', line) for line in lines
            )
            shape = Shape(delimiter, 0, 0, quoting, framed and delimiter == "|")
            widths = Counter(map(shape.cells, lines))
            width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
            share = count / max(1, len(lines))
            least = 0.9 if tier == 2 else 0.5 if tier == 1 else 0.7
            if width < 2 or share < least or (tier == 0 and not any(VALUE.search(line) for line in lines)):
                continue
            rank = (tier, round(share * 10), width, not (decimal and delimiter == ","))
            if best is None or rank > best[0]:
                best = rank, Shape(delimiter, width, share, quoting, shape.framed)
    return best[1] if best else None


def _is_aligned(lines: Sequence[str], shape: Shape) -> bool:
    """Whether blanks set the columns apart, and the delimiter only stands inside cells, as a comma in addresses."""
    if shape.framed or shape.delimiter == "\t":
        return False
    gaps = sorted(len(_GAP.findall(line)) for line in lines if line.strip())
    return bool(gaps) and gaps[len(gaps) // 2] >= shape.width and not _padded(lines, shape)


def _padded(lines: Sequence[str], shape: Shape) -> bool:
    """Whether the blanks stand around the delimiters."""
    around = re.compile(rf" {{2,}}{re.escape(shape.delimiter)}|{re.escape(shape.delimiter)} {{2,}}")
    return sum(len(around.findall(line)) for line in lines) > sum(len(_GAP.findall(line)) for line in lines) / 2


def _rows(
    lines: Iterable[tuple[int, int | None, str]], shape: Shape, rest: list[tuple[int, int | None, str]] | None = None
) -> Iterator[Row]:
    """Cells of each line; lines that may go on in the next block are put into `rest`, when it is given."""
    ahead: deque[tuple[int, int | None, str]] = deque()
    stream = iter(lines)
    while True:
        if not ahead:
            following = next(stream, None)
            if following is None:
                return
            ahead.append(following)
        number, byte, line = ahead.popleft()
        if not line.strip() or _BORDER.match(line):
            continue
        if shape.quoting and line.count('"') % 2:
            joined, used, ended = _joined(line, ahead, stream, shape)
            if ended and rest is not None:
                rest += [(number, byte, line), *ahead]
                return
            if used:
                for _ in range(used):
                    ahead.popleft()
                yield number, byte, joined
                continue
            yield number, byte, line.replace('"', "").split(shape.delimiter)
            continue
        yield number, byte, shape.split(line)


def _joined(
    line: str, ahead: deque[tuple[int, int | None, str]], stream: Iterator[tuple[int, int | None, str]], shape: Shape
) -> tuple[list[str], int, bool]:
    """The row of a line whose quotation mark is closed in a later one: cells, lines used, whether lines ran out."""
    parts, quotes = [line], line.count('"')
    for used in range(1, _QUOTED_LINES):
        while len(ahead) < used:
            following = next(stream, None)
            if following is None:
                return [], 0, True
            ahead.append(following)
        parts.append(ahead[used - 1][2])
        quotes += parts[-1].count('"')
        if quotes % 2 == 0:
            try:
                cells = next(csv.reader(["\n".join(parts)], delimiter=shape.delimiter), [])
            except csv.Error:
                return [], 0, False
            return (cells, used, False) if len(cells) == shape.width else ([], 0, False)
    return [], 0, False


def _regular(rows: Iterable[Row], shape: Shape, unlike: Counter[str]) -> Iterator[Row]:
    """Rows of the common width; longer and shorter ones are brought to it where that is possible."""
    forms: list[Counter[str]] = [Counter() for _ in range(min(shape.width, MOST_COLUMNS))]
    seen, fresh = 0, list[Sequence[str | None]]()  # forms are looked at when a row first needs them
    for line, byte, cells in rows:
        if len(cells) == shape.width:
            if seen < _LEARNED:
                seen += 1
                fresh.append(cells)
            yield line, byte, cells
            continue
        for row in fresh:
            for form, cell in zip(forms, row, strict=False):
                form[_form(cell)] += 1
        fresh.clear()
        fitted = _fitted(list(cells), shape, forms)
        unlike["skipped" if fitted is None else "mended"] += 1
        if fitted is not None:
            yield line, byte, fitted


def _fitted(cells: list[str | None], shape: Shape, forms: Sequence[Counter[str]]) -> list[str | None] | None:
    """A row of another width, or None when it is none: too few cells are padded, too many joined where they fit."""
    while len(cells) > shape.width and not (cells[-1] or "").strip():
        cells.pop()
    extra = len(cells) - shape.width
    if extra <= 0:
        filled = [cell for cell in cells if cell and cell.strip()]
        is_row = len(filled) >= max(2, shape.width / 2) or any(VALUE.search(cell) for cell in filled)
        return cells + [None] * -extra if is_row and len(cells) > 1 else None
    if extra > 5 or shape.width > len(forms):
        return None
    tries = [
        [*cells[:n], shape.delimiter.join(c or "" for c in cells[n : n + extra + 1]), *cells[n + extra + 1 :]]
        for n in range(shape.width)
    ]
    return max(tries, key=lambda row: sum(form[_form(cell)] for form, cell in zip(forms, row, strict=True)))


def _form(cell: str | None) -> str:
    """What a cell is made of, roughly: digits, an e-mail, Han or Latin letters, a mixture, and its length's class."""
    text = (cell or "").strip()
    if not text:
        return "empty"
    kinds = ("@" in text, any(c >= "\u4e00" for c in text), text.isascii() and any(map(str.isalpha, text)))
    return f"{kinds}{any(map(str.isdigit, text))}{min(len(text), 24) // 4}"


def _fast(block: Block, shape: Shape, after: int, header: Sequence[str | None], writer: SheetWriter) -> bool:
    """Read a block with Arrow; False when it is not wholly regular, and then nothing was taken from it."""
    data, lines = block.data, block.data.count(b"\n")
    usable = len(shape.delimiter) == 1 and shape.delimiter.isascii() and not shape.framed and data.endswith(b"\n")
    if not usable or shape.width > MOST_COLUMNS or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")):
        return False
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    if b'"' in data:
        quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == 34)
        if not shape.quoting or (np.searchsorted(quotes, ends) % 2).any():
            return False
    table = _parsed(data, shape)
    if table is None or table.num_rows != lines:
        return False
    number = np.arange(block.line, block.line + lines)
    starts = np.concatenate([[0], ends[:-1] + 1]) + (block.byte or 0)
    where = pa.array(starts) if block.byte is not None else pa.nulls(lines, pa.int64())
    skip = int((number <= after).sum())
    if header and pc.any(pc.equal(table.column(0).slice(skip), (header[0] or "").strip())).as_py():
        return False  # the header again, perhaps: files that were put together
    writer.add_table(table.slice(skip), pa.array(number).slice(skip), where.slice(skip))
    return True


def _plain(data: bytes) -> bool:
    """Whether no cell can have what `_ODD_CELL` finds; a pattern over bytes costs more than reading them."""
    letters = np.frombuffer(data, np.uint8)
    for start in range(0, len(letters), _PIECE):  # what is compared stays in the processor's cache
        piece = letters[start : start + _PIECE]
        if ((piece < 32) & (piece != 10) & (piece != 13) | (piece == 127)).any():
            return False
    return not any(mark in data for mark in _ODD_MARKS)


def _parsed(data: bytes, shape: Shape) -> pa.Table | None:
    names = [f"c{n}" for n in range(shape.width)]
    quote = '"' if shape.quoting else False
    try:
        table = pacsv.read_csv(
            pa.BufferReader(data),
            pacsv.ReadOptions(column_names=names, block_size=len(data) + 1, use_threads=False),
            pacsv.ParseOptions(delimiter=shape.delimiter, quote_char=quote, ignore_empty_lines=False),
            pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid:
        return None
    columns, plain = [], _plain(data)
    for name in names:
        cells = pc.utf8_trim_whitespace(table[name].combine_chunks())
        lengths = pc.min_max(pc.binary_length(cells))
        if lengths["min"].as_py() == 0 or (lengths["max"].as_py() or 0) > MOST_CELL:
            return None
        if not plain and pc.any(pc.match_substring_regex(cells, _ODD_CELL)).as_py():
            return None
        columns.append(cells)
    return pa.table(columns, names=names)
