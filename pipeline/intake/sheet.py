"""One table of a sample, all of it text, laid out on disk in parts as it was read."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.extractors import MOST_CELL, MOST_COLUMNS
from pipeline.intake.labels import kind_of
from pipeline.parts import read_arrow, write_arrow
from schemas.wording import counted

PART_ROWS = 65_536
TABLE_ROWS = 131_072  # of a part that came as tables; the index is asked once a part
_CONTROL = dict.fromkeys((*range(9), *range(11, 32), 127, 65279)) | {9: " ", 10: " ", 13: " "}


@dataclass(frozen=True)
class Sheet:
    """Rows of one table as columns of text.

    parts: Arrow files of at most 131,072 rows, columns c0, c1, … (string), then `line` (of the file, from 1) and
    `byte` (from 0), both int64 and null where unknown. labels: a kind that each column's label suggests, or "";
    headers: what the column was called, never printed (without a header it could be a customer). encoding: None where
    it does not apply. inside: where in an archive or e-mail ("member 3"), or ""; number: which sheet or table of the
    file, from 1; 0 where it has but one. part_rows: rows of each part.
    """

    file: str
    parts: tuple[Path, ...]
    rows: int
    labels: tuple[str, ...]
    headers: tuple[str, ...]
    format: str
    encoding: str | None
    notes: tuple[str, ...] = ()
    inside: str = ""
    number: int = 0
    part_rows: tuple[int, ...] = ()

    @property
    def table(self) -> pa.Table:
        """All rows at once, without their places: only for tables that are known to be small."""
        return pa.concat_tables([read_arrow(part) for part in self.parts]).select(range(len(self.headers)))

    def selection(self, most: int) -> pa.Table:
        """At most `most` rows, evenly spread over all parts; what is looked at to tell the kinds of columns."""
        step = max(1, -(-self.rows // most))
        taken, at = [], 0
        for part in self.parts:
            table = read_arrow(part)
            rows = range(-at % step, table.num_rows, step)
            taken.append(table.take(pa.array(rows, pa.int64())) if step > 1 else table)
            at += table.num_rows
        return pa.concat_tables(taken).select(range(len(self.headers)))


def clean(cell: str | None) -> str | None:
    """A cell without outer white space, control characters and halves of characters; None when nothing is left."""
    if cell is None:
        return None
    if not cell.isprintable():
        cell = cell.translate(_CONTROL).encode("utf-8", "replace").decode("utf-8")
    return cell.strip() or None


class SheetWriter:
    """Takes rows and leaves a Sheet; memory stays that of one part."""

    def __init__(self, spool: Path, file: str, inside: str, number: int) -> None:
        """Parts go to `spool`."""
        self._spool, self._file, self._inside, self._number = spool, file, inside, number
        self._key = secrets.token_hex(6)
        self._rows: list[list[str | None]] = []
        self._lines: list[int | None] = []
        self._bytes: list[int | None] = []
        self._held: list[pa.Table] = []  # whole tables that wait until they fill a part
        self._parts: list[Path] = []
        self._part_rows: list[int] = []
        self._count = self._large = self._wide = self._width = 0
        self.notes: list[str] = []

    def add(self, row: Sequence[str | None], line: int | None = None, byte: int | None = None) -> None:
        """One row; an empty one is left out. Rows may differ in width: columns are added as they turn up."""
        if len(row) > MOST_COLUMNS:
            self._wide = max(self._wide, len(row))
            row = row[:MOST_COLUMNS]
        cells = [self._cell(cell) for cell in row]
        if not any(cells):
            return
        self._width = max(self._width, len(cells))
        self._rows.append(cells)
        self._lines.append(line)
        self._bytes.append(byte)
        if len(self._rows) >= PART_ROWS:
            self._flush_rows()

    def add_table(self, table: pa.Table, lines: pa.Array, offsets: pa.Array) -> None:
        """Many rows at once: string columns that are clean already, and their places; empty ones are left out."""
        self._flush_rows()
        self._width = max(self._width, table.num_columns)
        piece = table.rename_columns([f"c{n}" for n in range(table.num_columns)])
        piece = piece.append_column("line", lines).append_column("byte", offsets)
        if table.num_columns and all(column.null_count for column in table.columns):
            piece = piece.filter(reduce(pc.or_, map(pc.is_valid, table.columns)))
        if self._held and self._held[-1].num_columns != piece.num_columns:
            self._flush_tables()
        self._held.append(piece)
        if sum(held.num_rows for held in self._held) >= TABLE_ROWS:
            self._flush_tables(full=True)

    def finish(self, headers: Sequence[str], form: str, encoding: str | None, notes: Sequence[str] = ()) -> list[Sheet]:
        """The sheet; none when it has no row. headers: padded with "" to the width of the rows."""
        self._flush()
        if not self._count:
            return []
        named = tuple([clean(h) or "" for h in headers[: self._width]] + [""] * (self._width - len(headers)))
        said = [*notes, *self.notes]
        if self._large:
            said.append(
                f"{counted(self._large, 'cell', 'cells')} of more than {MOST_CELL:,} characters "
                f"{'was' if self._large == 1 else 'were'} left out"
            )
        if self._wide:
            said.append(f"of {self._wide:,} columns only the first {MOST_COLUMNS} were read")
        for part in self._parts:
            self._widen(part)
        return [
            Sheet(
                self._file, tuple(self._parts), self._count, tuple(map(kind_of, named)), named, form, encoding,
                tuple(said), self._inside, self._number, tuple(self._part_rows),
            )
        ]  # fmt: skip

    def _cell(self, cell: str | None) -> str | None:
        if cell is not None and len(cell) > MOST_CELL:
            self._large += 1
            return None
        return clean(cell)

    def _flush(self) -> None:
        self._flush_rows()
        self._flush_tables()

    def _flush_tables(self, *, full: bool = False) -> None:
        """Write what waits; full: only full parts, the rest goes on waiting."""
        if self._held:
            table = pa.concat_tables(self._held)
            end = table.num_rows - table.num_rows % TABLE_ROWS if full else table.num_rows
            for first in range(0, end, TABLE_ROWS):
                self._write(table.slice(first, min(TABLE_ROWS, end - first)))
            self._held = [table.slice(end)] if end < table.num_rows else []

    def _flush_rows(self) -> None:
        if not self._rows:
            return
        self._flush_tables()
        columns = {
            f"c{n}": pa.array([row[n] if n < len(row) else None for row in self._rows], pa.string())
            for n in range(self._width)
        }
        places = {"line": pa.array(self._lines, pa.int64()), "byte": pa.array(self._bytes, pa.int64())}
        self._rows, self._lines, self._bytes = [], [], []
        self._write(pa.table(columns | places))

    def _write(self, table: pa.Table) -> None:
        path = self._spool / f"sample-{self._key}-{len(self._parts):05d}.arrow"
        write_arrow(table.combine_chunks(), path)  # or each reader of a column puts its pieces together
        self._parts.append(path)
        self._part_rows.append(table.num_rows)
        self._count += table.num_rows

    def _widen(self, part: Path) -> None:
        """Give an early part the columns that turned up later."""
        table = read_arrow(part)
        have = table.num_columns - 2
        if have < self._width:
            empty = pa.nulls(table.num_rows, pa.string())
            for n in range(have, self._width):
                table = table.add_column(n, f"c{n}", empty)
            write_arrow(table, part)
