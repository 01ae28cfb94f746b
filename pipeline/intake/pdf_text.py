"""PDF: the text of its pages, laid out as on the page, read as any other text. A scanned page has none."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.intake.context import Intake
from pipeline.intake.isolated import extract as isolated
from pipeline.intake.sheet import Sheet
from pipeline.intake.source import Source
from schemas.errors import InputError

FORMAT = "pdf"
_PAGES = 2_000


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """The tables or prose of a PDF's text; None when it is none."""
    if b"%PDF-" not in source.head(1024):
        return None
    path = source.content
    if isinstance(path, bytes):
        path = intake.spool / f"pdf-{id(source):x}"
        path.write_bytes(source.whole())
    pages = list(isolated("pdf_text", path, intake.place))
    for way in (0, 1):  # as laid out; else as the text stands in the file
        text = "\n".join(page[way] for page in pages)
        if text.strip():
            before = len(intake.notes)
            sheets = intake.inner("its text", text.encode("utf-8", "replace"), is_text=True)
            if sheets:
                return [replace(sheet, format=FORMAT, encoding=None) for sheet in sheets]
            if way == 0:
                del intake.notes[before:]
    if not any(page[0].strip() for page in pages):
        intake.set_aside("its pages hold no text (a scan?); read them with a text recogniser first")
    return []


def extract(path: Path) -> Iterator[list[Any]]:
    """Text of each page, laid out and plain. Runs in a process of its own."""
    import logging

    import pypdf
    from pypdf.errors import PyPdfError

    logging.disable()
    try:
        pdf = pypdf.PdfReader(path)
        if pdf.is_encrypted and not pdf.decrypt(""):
            raise InputError("is protected by a password; save it without one")
        for page in pdf.pages[:_PAGES]:
            yield [_text(page, "layout"), _text(page, "plain")]
    except InputError:
        raise
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError, IndexError) as error:
        raise InputError("is no whole PDF; print it anew, or copy its text") from error


def _text(page: Any, mode: str) -> str:
    try:
        return str(page.extract_text(extraction_mode=mode))
    except Exception:
        return ""
