"""Rows of cells to a sheet: which row names the columns, and what stands above it.

Shared by every reader that finds a table: lines of delimited text, a worksheet, an HTML table.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from math import ceil

from pipeline.intake.context import Intake
from pipeline.intake.labels import VALUE, is_label
from pipeline.intake.sheet import Sheet
from schemas.wording import counted

Row = tuple[int | None, int | None, Sequence[str | None]]  # line, byte, cells
_LOOKED_AT = 40
_TITLES = 12


def sheet_of(
    rows: Iterable[Row], intake: Intake, form: str, encoding: str | None, number: int = 0, notes: Sequence[str] = ()
) -> list[Sheet]:
    """A sheet of rows, none when nothing is below the header; memory does not grow with the rows."""
    stream: Iterator[Row] = iter(rows)
    first = list(islice(stream, _LOOKED_AT))
    place = header_row([cells for _, _, cells in first])
    headers = [cell or "" for cell in first[place][2]] if place is not None else []
    writer = intake.sheet(number)
    if place:
        writer.notes.append(above_header(place))
    for line, byte, cells in chain(first if place is None else first[place + 1 :], stream):
        if [cell or "" for cell in cells] != headers:  # again, where tables were put together
            writer.add(cells, line, byte)
    return writer.finish(headers, form, encoding, notes)


def above_header(lines: int) -> str:
    """What is said of lines above a header."""
    return f"{counted(lines, 'line above the header was', 'lines above the header were')} not read as rows"


def header_row(rows: Sequence[Sequence[str | None]]) -> int | None:
    """The place of the row that names the columns, None when there is none.

    It holds no value, and either its cells are words by which columns are called, or what stands below them are values,
    or they are letters above longer cells.
    """
    full = [[cell.strip() if cell else "" for cell in row] for row in rows]
    widest = max((sum(map(bool, row)) for row in full), default=0)
    for place, row in enumerate(full[:_TITLES]):
        cells = [cell for cell in row if cell]
        if not cells or (widest > 1 and len(cells) < max(2, ceil(widest / 2))):
            continue
        if any(VALUE.search(cell) for cell in cells) or len(set(cells)) < len(cells):
            return None
        known = sum(map(is_label, cells))
        if known >= ceil(len(cells) / 3) or _values_below(full[place + 1 :], row):
            return place
        return place if _letters(cells) and not any(map(_letters, full[place + 1 :])) else None
    return None


def _letters(cells: Sequence[str]) -> bool:
    return all(len(cell) == 1 and cell.isascii() and cell.isalpha() for cell in cells)


def _values_below(rows: Sequence[Sequence[str]], header: Sequence[str]) -> bool:
    """Whether some column holds values in most rows, though its first cell is none."""
    for n in range(len(header)):
        column = [row[n] for row in rows if n < len(row) and row[n]]
        if column and sum(bool(VALUE.search(cell)) for cell in column) >= 0.6 * len(column):
            return True
    return False
