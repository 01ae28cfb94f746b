"""HTML: a sheet for each innermost table; a page without tables is read as the text that it shows."""

import re
from collections.abc import Iterator
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from pipeline.extractors import MOST_COLUMNS
from pipeline.intake.context import Intake
from pipeline.intake.grid import Row, sheet_of
from pipeline.intake.sheet import Sheet
from pipeline.intake.source import Source

FORMAT = "html"
_BEGINS = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|table|div|meta)\b", re.I | re.S
)
_HOLDS = re.compile(r"<table\b.{0,4000}?<t[dh]\b", re.I | re.S)
_LINE = re.compile(r"<br\s*/?>|</(?:p|div|li|tr|h\d|dd|dt|ul|pre|blockquote)\s*>", re.I)
_MOST = 1 << 25
_DEEPEST = 500


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """The tables of a page, or what its text holds; None when it is no HTML."""
    text = intake.text(source)
    if text is None or not (_BEGINS.match(text.head) or _HOLDS.search(text.head)):
        return None
    whole, notes = text.whole(_MOST)
    if _too_deep(whole):
        intake.set_aside("its elements are nested too deep, so it was not read; save the page as text")
        return []
    page = LexborHTMLParser(whole)
    tables = [table for table in page.css("table") if len(table.css("table")) <= 1]
    sheets: list[Sheet] = []
    for number, table in enumerate(tables, 1):
        sheets += sheet_of(_rows(table), intake, FORMAT, text.encoding, number, [*notes, *text.notes])
    if sheets:
        return sheets
    for tag in page.css("script, style, head"):
        tag.decompose()
    shown = LexborHTMLParser(_LINE.sub(lambda m: m.group() + "\n", page.html or ""))
    body = shown.body.text() if shown.body else ""
    return intake.inner("its text", body.encode("utf-8", "replace"), is_text=True) if body.strip() else []


def _too_deep(html: str) -> bool:
    depth = 0
    for match in re.finditer(r"<(/?)(div|table|tr|td|span|ul|li|b|i|font|a|p|section|article)\b", html, re.I):
        depth = max(0, depth + (-1 if match.group(1) else 1))
        if depth > _DEEPEST and match.group(2).lower() not in ("p", "li", "tr", "td"):
            return True
    return False


def _rows(table: Any) -> Iterator[Row]:
    for number, row in enumerate(table.css("tr"), 1):
        cells: list[str | None] = []
        for cell in row.css("td, th")[:MOST_COLUMNS]:
            cells.append(" ".join(cell.text(separator=" ").split()))
            span = cell.attributes.get("colspan") or "1"
            cells += [None] * (min(int(span), 50) - 1 if span.isdecimal() and span.isascii() else 0)
        yield number, None, cells
