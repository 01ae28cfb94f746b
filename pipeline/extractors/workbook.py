"""The cells of a workbook as text, read by calamine; macros and formulas are never run."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import python_calamine as calamine

from pipeline.extractors import MOST_CELL, MOST_COLUMNS
from schemas.errors import InputError

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BATCH = 500


def extract(path: Path) -> Iterator[list[Any]]:
    """Batches of rows: sheet, number of the first row, cells as text. Runs in a process of its own."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
        file.seek(0)
        if head.startswith(_OLE) and "EncryptedPackage".encode("utf-16-le") in head + file.read():
            raise InputError("is protected by a password; save it without one")
    try:
        book = calamine.CalamineWorkbook.from_path(str(path))
    except calamine.PasswordError as error:
        raise InputError("is protected by a password; save it without one") from error
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise InputError("is no whole workbook (truncated, or of another kind); save it as CSV") from error
    for number in range(len(book.sheet_names)):
        try:
            sheet = book.get_sheet_by_index(number)
            first = (sheet.start or (0, 0))[0] + 1
            rows = sheet.to_python(skip_empty_area=True)
        except (calamine.CalamineError, OSError, ValueError, IndexError):
            continue
        for at in range(0, len(rows), _BATCH):
            yield [
                number + 1,
                first + at,
                [[_spelled(c) for c in row[:MOST_COLUMNS]] for row in rows[at : at + _BATCH]],
            ]


def _spelled(cell: Any) -> str | None:
    """A cell as a spreadsheet's CSV has it: whole numbers without a point, dates without a time of midnight."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e21 else repr(cell)
    if isinstance(cell, datetime.datetime):
        midnight = cell.time() == datetime.time()
        return cell.date().isoformat() if midnight else cell.isoformat(" ", "seconds")
    if isinstance(cell, (datetime.date, datetime.time)):
        return cell.isoformat()
    text = str(cell)
    return text[: MOST_CELL + 1] or None
