"""JSON: one document, an array, a document a line, objects one after another, nested however deep.

Numbers keep their digits. A record is an object of the largest list of objects; what is nested in it becomes columns
named by the last word of their path. What cannot be parsed is skipped up to the next line.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from pipeline.extractors import MOST_COLUMNS
from pipeline.intake.context import Intake
from pipeline.intake.grid import sheet_of
from pipeline.intake.sheet import Sheet
from pipeline.intake.source import Source
from schemas.wording import counted

FORMAT = "json"
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str, strict=False)
_SPACE = re.compile(r"[\s,;]*")
_NEXT = re.compile(r"[\n,]\s*(?=[{\[])")
_DEEPEST = 12
_LISTED = 5  # of a list inside a record, so many entries become columns
_LARGE = 1 << 24


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """JSON records as a sheet; None when the text does not begin like JSON."""
    text = intake.text(source)
    if text is None or not re.match(r"\s*(?:\[\s*(?:[{\[\"]|\d[\d.]*\s*,|$)|\{\s*[\"}])", text.head):
        return None
    notes: list[str] = []
    if source.size > _LARGE and re.match(r"\s*\{[^\n]*\}\s*(?:\n|$)", text.head):
        values = _by_line(text.lines(), notes)
    else:
        whole, notes = text.whole()
        values = _values(whole, notes)
    first = next(values, None)
    if first is None:
        return None
    values = chain([first], values)
    if isinstance(first[1], list):  # rows, perhaps below a header
        cells = ((line, None, [_plain(x) for x in row]) for line, row in values if isinstance(row, list))
        return [replace(s, notes=(*s.notes, *notes)) for s in sheet_of(cells, intake, FORMAT, text.encoding)] or None
    writer, order = intake.sheet(), dict[str, int]()
    for line, record in values:
        row: list[str | None] = [None] * len(order)
        for name, cell in _named(record):
            if name not in order:
                if len(order) >= MOST_COLUMNS:
                    continue
                order[name] = len(order)
                row.append(None)
            row[order[name]] = cell
        writer.add(row, line)
    return writer.finish([name.rsplit(".", 1)[-1] for name in order], FORMAT, text.encoding, notes + text.notes) or None


def _by_line(lines: Iterator[tuple[int, int | None, str]], notes: list[str]) -> Iterator[tuple[int, Any]]:
    bad = 0
    for number, _, line in lines:
        if not line.strip():
            continue
        try:
            yield number, _DECODER.decode(line.strip().rstrip(","))
        except (ValueError, RecursionError):
            bad += 1
    if bad:
        notes.append(f"{counted(bad, 'line that is no whole JSON was', 'lines that are no whole JSON were')} not read")


def _values(text: str, notes: list[str]) -> Iterator[tuple[int, Any]]:
    """Records with their lines: of each document, and of an array that is cut off as far as it is whole."""
    at, line, where, bad, opened = 0, 1, 0, 0, False
    while True:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr] # it matches the empty text too
        if at >= len(text):
            break
        if text[at] in "]}":
            at += 1
            continue
        line, where = line + text.count("\n", where, at), at
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            # A list, or an object around one, that is damaged somewhere: its parts may be whole.
            inner = re.compile(r"\[\s*(?=[{\[])").search(text, at, at + 4096) if not opened else None
            if inner is not None:
                opened, at = True, inner.end()
                continue
            bad += 1
            following = _NEXT.search(text, at + 1)
            if following is None:
                break
            at = following.end()
            continue
        if not opened or isinstance(value, (dict, list)):
            yield from ((line, record) for record in _records(value))
        at = end
    if bad:
        notes.append(
            f"{counted(bad, 'place that is no whole JSON was', 'places that are no whole JSON were')} not read"
        )


def _records(value: Any) -> Iterator[Any]:
    """The records of a document: the entries of its largest list of objects or lists, else the document itself."""
    best: list[Any] = []
    stack: list[tuple[Any, int]] = [(value, 0)]
    while stack:
        one, depth = stack.pop()
        if isinstance(one, list) and len(one) > max(len(best), 2 * sum(not isinstance(x, (dict, list)) for x in one)):
            best = one
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) and len(one) <= 3 else ()
        if depth < _DEEPEST:
            stack += [(x, depth + 1) for x in inner if isinstance(x, (dict, list))]
    is_record = isinstance(value, dict) and sum(not isinstance(x, (dict, list)) for x in value.values()) >= 2
    if isinstance(value, list) and not best:
        yield from ({"value": x} for x in value)
    elif best and not (is_record and len(best) <= _LISTED):
        yield from best
    else:
        yield value


def _named(record: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, str | None]]:
    """Columns of a record: path and text; a list of plain values is one cell."""
    if isinstance(record, Mapping) and depth < _DEEPEST:
        for key, inner in record.items():
            yield from _named(inner, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(record, list) and depth < _DEEPEST:
        if name and not any(isinstance(x, (dict, list)) for x in record):
            yield name, "; ".join(str(x) for x in record if x is not None)
            return
        for n, inner in enumerate(record[: _LISTED if name else None]):
            yield from _named(inner, f"{n}.{name}" if name else f"{n}.", depth + 1)
    else:
        yield name or "value", _plain(record)


def _plain(value: Any) -> str | None:
    if isinstance(value, list):
        return "; ".join(str(x) for x in value if x is not None and not isinstance(x, (dict, list)))
    if value is None or isinstance(value, dict):
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
