"""Delimited text: commas, tabs, pipes, semicolons; with or without a header."""

import csv
import io
import re

import pyarrow as pa

from pipeline.intake.labels import kind_of
from pipeline.intake.sheet import Sheet
from pipeline.intake.text import decode

_DELIMITERS = (",", "\t", "|", ";")
_VALUE = re.compile(r"\d{5,}|@|\d{4}-\d{2}-\d{2}|\*{3,}")


def read(name: str, data: bytes) -> list[Sheet] | None:
    """A delimited text as a sheet; None when its lines do not split alike."""
    text, encoding = decode(name, data)
    lines = [line for line in text.splitlines()[:200] if line.strip()]
    delimiter, width = _shape(lines)
    if delimiter is None:
        return None
    csv.field_size_limit(1 << 22)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error:
        return None
    good = [row for row in rows if len(row) == width]
    if not good:
        return None
    headers = tuple(cell.strip() for cell in good[0]) if _is_header(good[0]) else ("",) * width
    body = good[1:] if headers[0] or any(headers) else good
    if not body:
        return None
    skipped = len(rows) - len(good)
    notes = (f"{skipped} lines of another shape were not read",) if skipped else ()
    columns = {f"c{n}": pa.array([row[n].strip() for row in body], pa.string()) for n in range(width)}
    return [Sheet(name, pa.table(columns), tuple(map(kind_of, headers)), headers, "csv", encoding, notes)]


def _shape(lines: list[str]) -> tuple[str | None, int]:
    """The delimiter that splits most lines into the same number of cells, at least two."""
    best: tuple[float, int, str | None] = (0.0, 0, None)
    for delimiter in _DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            continue
        common = max(set(widths), key=widths.count, default=0)
        share = widths.count(common) / max(len(widths), 1)
        if common > 1 and share >= 0.5 and (share, common) > best[:2]:
            best = (share, common, delimiter)
    return best[2], best[1]


def _is_header(cells: list[str]) -> bool:
    """A first line without a single value: labels only."""
    known = sum(bool(kind_of(cell)) for cell in cells)
    return known > 0 or not any(_VALUE.search(cell) or not cell.strip() for cell in cells)
