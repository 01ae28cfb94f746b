"""Workbooks: xls, xlsx, xlsb and ODS, a sheet of ours for each of theirs. Formulas count as the values they showed."""

import zipfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pipeline.intake.context import Intake
from pipeline.intake.grid import Row, sheet_of
from pipeline.intake.isolated import extract as isolated
from pipeline.intake.sheet import Sheet
from pipeline.intake.source import Source
from schemas.errors import InputError

FORMAT = "excel"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_VBA = "_VBA_PROJECT".encode("utf-16-le")
_LOOKED_AT = 1 << 26
_UNPACKED = 1 << 30


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """The sheets of a workbook; None when it is none."""
    found = _form(source)
    if found is None:
        return None
    form, has_macros = found
    if has_macros:
        intake.set_aside("its macros were not run; the values are those that it was saved with")
    path = source.content
    if isinstance(path, bytes):
        path = intake.spool / f"workbook-{id(source):x}"
        path.write_bytes(source.whole())
    sheets: list[Sheet] = []
    events = isolated("workbook", path, intake.place)
    event = next(events, None)
    while event is not None:
        number = event[0]
        rows = _Rows(events, event)
        sheets += sheet_of(rows, intake, form, None, number)
        event = rows.following
    if not sheets:
        intake.set_aside("the workbook has no rows")
    return sheets


class _Rows:
    """The rows of one sheet out of a stream of batches; `following` is the first batch of the next sheet."""

    def __init__(self, events: Iterator[list[Any]], first: list[Any]) -> None:
        self._events, self._first = events, first
        self.following: list[Any] | None = None

    def __iter__(self) -> Iterator[Row]:
        event: list[Any] | None = self._first
        while event is not None:
            if event[0] != self._first[0]:
                self.following = event
                return
            for n, row in enumerate(event[2]):
                yield event[1] + n, None, row
            event = next(self._events, None)


def _form(source: Source) -> tuple[str, bool] | None:
    """The kind of workbook and whether it has macros; None when it is none."""
    head = source.head(8)
    if head == _OLE:
        return "xls", _VBA in source.head(_LOOKED_AT)
    if not head.startswith(b"PK"):
        return None
    with (
        suppress(zipfile.BadZipFile, OSError, NotImplementedError),
        source.open() as file,
        zipfile.ZipFile(file) as zipped,
    ):
        names = set(zipped.namelist())
        form = "xlsx" if "xl/workbook.xml" in names else "xlsb" if "xl/workbook.bin" in names else None
        if form is None and "content.xml" in names and "mimetype" in names:
            form = "ods" if b"spreadsheet" in zipped.open("mimetype").read(200) else None
        if form and sum(info.file_size for info in zipped.infolist()) > _UNPACKED:
            raise InputError(f"{source.name} is a workbook that unpacks to more than 1 GiB; save it as CSV")
        macros = any(name.endswith("vbaProject.bin") or name.startswith("Basic/") for name in names)
        return (form, macros) if form else None
    return None
