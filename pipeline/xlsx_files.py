"""Excel workbooks for tagging: one sheet with a header in its first row, and columns of one kind each.

Text stays text (an id keeps its leading zeros), numbers stay numbers, dates stay dates with the number format of
their column. A formula becomes its result. A workbook is read and written whole: it has 1,048,576 rows at the most.
"""

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.errors import InputError, OutputError

_MOST_ROWS = 1_048_576
_GROUP = 65_536
_FORMATS = b"leaktrace.xlsx.formats"  # key of the schema's metadata: number format by column, and the sheet's title
_EXACT = 10**15
_GENERAL = "General"
_SHOWN = {"date32[day]": "yyyy-mm-dd", "timestamp[us]": "yyyy-mm-dd hh:mm:ss"}


def to_parquet(path: Path, target: Path) -> None:
    """Write the sheet as Parquet. InputError when the workbook is not one table."""
    title, rows = _sheet(path)
    if not rows:
        raise InputError(f"{path.name} is empty; export the table again")
    names = [str(cell).strip() for cell in rows[0]]
    if "" in names or len(set(names)) < len(names):
        raise InputError(f"{path.name} has a column without a name, or two of one name; name each column once")
    columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(names)
    arrays = [_column(path, number, cells) for number, cells in enumerate(columns, start=1)]
    formats = {"title": title, "formats": dict(zip(names, _formats(path, len(names)), strict=True))}
    table = pa.table(arrays, names=names).replace_schema_metadata({_FORMATS: json.dumps(formats).encode()})
    pq.write_table(table, target, row_group_size=_GROUP)


def _sheet(path: Path) -> tuple[str, list[list[Any]]]:
    """Title and rows of the one sheet that has any; empty rows at the end are left out."""
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(str(path))
        sheets = [(name, book.get_sheet_by_name(name).to_python()) for name in book.sheet_names]
    except (CalamineError, OSError, ValueError):
        # its text may hold what stands in the file
        raise InputError(
            f"{path.name} is no Excel workbook that can be read (truncated, or under a password?); save it again"
        ) from None
    filled = [(name, rows) for name, rows in sheets if rows]
    if len(filled) > 1:
        raise InputError(f"{path.name} has {len(filled)} sheets with rows; tag takes one table: save each by itself")
    title, rows = filled[0] if filled else ("Sheet1", [])
    while rows and all(cell == "" for cell in rows[-1]):
        rows.pop()
    return title, rows


def _column(path: Path, number: int, cells: Sequence[Any]) -> pa.Array:
    values = [None if cell == "" else cell for cell in cells]
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {float, int}:
        whole = all(value is None or value == int(value) for value in values)
        return pa.array(values, pa.float64()).cast(pa.int64()) if whole and kinds else pa.array(values, _numbers(kinds))
    if kinds == {date, datetime}:
        values = [None if v is None else datetime(v.year, v.month, v.day) if type(v) is date else v for v in values]
        kinds = {datetime}
    kind = {str: pa.string(), bool: pa.bool_(), date: pa.date32(), datetime: pa.timestamp("us")}.get(next(iter(kinds)))
    if len(kinds) > 1 or kind is None:
        raise InputError(
            f"{path.name}, column {number} holds values of several kinds (text and numbers?), or times of day; make "
            "them one kind, or save the sheet as CSV"
        )
    return pa.array(values, kind)


def _numbers(kinds: set[type]) -> pa.DataType:
    return pa.float64() if kinds else pa.string()  # an empty column is text


def _formats(path: Path, columns: int) -> list[str]:
    """The number format of each column, as its first row of values has it."""
    from openpyxl import load_workbook

    book = load_workbook(path, read_only=True)
    try:
        for sheet in book.worksheets:
            for row in sheet.iter_rows(min_row=2, max_row=2):
                found = [str(cell.number_format or _GENERAL) for cell in row]
                return (found + [_GENERAL] * columns)[:columns]
    finally:
        book.close()
    return [_GENERAL] * columns


class XlsxWriter:
    """Writes rows into a new workbook, which is on disk when it is closed."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """`schema`: of the table, with the metadata that `to_parquet` left."""
        from xlsxwriter import Workbook

        told = json.loads((schema.metadata or {}).get(_FORMATS, b"{}"))
        self._book = Workbook(str(path), {"constant_memory": True})
        self._sheet = self._book.add_worksheet(told.get("title"))
        self._rows, given = 1, told.get("formats", {})
        shown = [form if (form := given.get(f.name, _GENERAL)) != _GENERAL else _SHOWN.get(str(f.type)) for f in schema]
        self._writers = [self._writer(f.type, form) for f, form in zip(schema, shown, strict=True)]
        for number, name in enumerate(schema.names):
            self._sheet.write_string(0, number, name)

    def write(self, table: pa.Table) -> None:
        """Append rows. OutputError when a sheet cannot hold them."""
        if self._rows + table.num_rows > _MOST_ROWS:
            raise OutputError(f"a sheet holds {_MOST_ROWS:,} rows and the copy has more; give -o another suffix")
        for column in table.columns:
            _refuse_what_no_sheet_holds(column)
        columns = [column.to_pylist() for column in table.columns]
        for row, cells in enumerate(zip(*columns, strict=True), start=self._rows):  # a workbook is written by rows
            for number, (write, cell) in enumerate(zip(self._writers, cells, strict=True)):
                if cell is not None:
                    write(row, number, cell)
        self._rows += table.num_rows

    def close(self) -> None:
        """Write the workbook."""
        self._book.close()

    def _writer(self, kind: pa.DataType, form: str | None) -> Callable[[int, int, Any], Any]:
        """What writes a cell of a type. Text is always text, whatever it looks like."""
        style = self._book.add_format({"num_format": form}) if form else None
        if pa.types.is_boolean(kind):
            return lambda row, column, cell: self._sheet.write_boolean(row, column, cell, style)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return lambda row, column, cell: self._sheet.write_number(row, column, cell, style)
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            return lambda row, column, cell: self._sheet.write_datetime(row, column, cell, style)
        return lambda row, column, cell: self._sheet.write_string(row, column, str(cell), style)


def _refuse_what_no_sheet_holds(column: pa.ChunkedArray) -> None:
    kind, why = column.type, ""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        if pc.any(pc.match_substring_regex(column, r"[\x00-\x08\x0b\x0c\x0e-\x1f]")).as_py():
            why = "a cell holds control characters"
    elif pa.types.is_integer(kind):
        ends = [abs(end) for end in pc.min_max(column).as_py().values() if end is not None]
        if max(ends, default=0) >= _EXACT:
            why = "a number has more than 15 digits"
    elif pa.types.is_timestamp(kind) and kind.tz:
        why = "a column has times with a zone"
    if why:
        raise OutputError(f"{why}, which no workbook can keep; give -o another suffix")
