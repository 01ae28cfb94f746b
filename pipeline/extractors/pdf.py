"""The text of a PDF's pages, read by pypdf."""

import bisect
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdf
from pypdf.errors import PyPdfError

from schemas.errors import InputError

_PAGES = 2_000


def extract(path: Path) -> Iterator[list[Any]]:
    """Text of each page: its pieces with tabs between, laid out, and plain. Runs in a process of its own."""
    logging.disable()
    try:
        pdf = pypdf.PdfReader(path)
        if pdf.is_encrypted and not pdf.decrypt(""):
            raise InputError("is protected by a password; save it without one")
        for page in pdf.pages[:_PAGES]:
            yield [_pieces(page), _text(page, "layout"), _text(page, "plain")]
    except InputError:
        raise
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError, IndexError) as error:
        raise InputError("is no whole PDF; print it anew, or copy its text") from error


def _pieces(page: Any) -> str:
    """The pieces of text that the page draws, those of one height a line; nothing where it draws letter by letter."""
    drawn: dict[int, list[tuple[float, str]]] = {}

    def visit(text: str, _: Any, matrix: Any, font: Any, size: Any) -> None:
        if text.strip():
            drawn.setdefault(round(matrix[5]), []).append((matrix[4], text.strip()))

    try:
        page.extract_text(visitor_text=visit)
    except Exception:
        return ""
    pieces = [text for line in drawn.values() for _, text in line]
    if not pieces or sum(map(len, pieces)) < 3 * len(pieces) or any("\n" in text for text in pieces):
        return ""
    heights = sorted(drawn, reverse=True)
    columns = _columns([x for line in drawn.values() for x, _ in line], len(heights))
    return "\n".join("\t".join(_placed(drawn[y], columns)) for y in heights)


def _columns(places: list[float], lines: int) -> list[float]:
    """Where columns begin: places at which many lines begin a piece."""
    counted = Counter(round(x) for x in places)
    return sorted(x for x, count in counted.items() if count >= max(2, lines / 3))


def _placed(line: list[tuple[float, str]], columns: list[float]) -> list[str]:
    """The pieces of a line in their columns; as they come, where no columns are."""
    if not columns:
        return [text for _, text in sorted(line)]
    cells = [""] * len(columns)
    for x, text in sorted(line):
        n = max(0, bisect.bisect_right(columns, x + 1) - 1)
        cells[n] = f"{cells[n]} {text}".strip()
    return cells


def _text(page: Any, mode: str) -> str:
    try:
        return str(page.extract_text(extraction_mode=mode))
    except Exception:
        return ""
