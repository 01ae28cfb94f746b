"""Text in columns without a delimiter: fixed width, cells two blanks apart, or one blank when every line splits alike.

Also lists: one identifier a line, or the values of a record one under the other.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from pipeline.intake.context import Intake
from pipeline.intake.delimited import unlike_lines
from pipeline.intake.grid import Row, sheet_of
from pipeline.intake.labels import VALUE
from pipeline.intake.sheet import Sheet
from pipeline.intake.source import Source

FORMAT = "fixed"
_BORDER = re.compile(r"^[\s\-=+_.]*$")
_NUMBERED = re.compile(r"^\s*(?:第?\d{1,6}[.)、:：条]|[（(【\[#]\d{1,6}[)）】\]])\s*")
_MAIL = re.compile(r"""^[\s"']*([^<>@]*?)[\s"']*<([^<>@\s]+@[^<>@\s]+)>[\s,;]*$""")
_GAP = re.compile(r"[^\s\0]\0? {2,}(?=\S)")
_NUMBER = re.compile(r"^[\d\s+()*xX.\-]+$")
_MOST_PERIOD = 8
Split = Callable[[str], list[str]]


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """Aligned text as a sheet; None when no way of splitting fits most lines."""
    text = intake.text(source)
    if text is None:
        return None
    head = [line for line in text.first_lines(400) if _is_row(line)]
    if not head or not any(VALUE.search(line) for line in head):
        return None
    period = _period(head)
    ways = (
        _line if period else None,
        _by_mail(head),
        _by_gutter(head),
        _by_gaps(head),
        _by_blanks(head),
        _as_list(head),
    )
    split = next((way for way in ways if way is not None), None)
    if split is None:
        return None
    seen = Counter[str]()
    rows = _rows(text.lines(), split, seen)
    sheets = sheet_of(_over_lines(rows, period) if period else rows, intake, FORMAT, text.encoding)
    notes = unlike_lines(seen)
    return [_noted(sheet, (*notes, *text.notes)) for sheet in sheets] or None


def _period(head: Sequence[str]) -> int:
    """Over how many lines a record goes, each line one value whose form comes again; 0 where it is not so."""
    forms = [_form(line) for line in head]
    for period in range(2, _MOST_PERIOD + 1):
        usual = forms[:period]
        again = sum(form == usual[n % period] for n, form in enumerate(forms))
        if len(set(usual)) > 1 and len(forms) >= 3 * period and again >= 0.95 * len(forms):
            return period
    return 0


def _form(line: str) -> str:
    """Which kind of value a line is, roughly."""
    if "@" in line:
        return "mail"
    return f"number of {sum(map(str.isdigit, line)) // 4}" if _NUMBER.match(line) else "words"


def _line(line: str) -> list[str]:
    return [line.strip()]


def _over_lines(rows: Iterator[Row], period: int) -> Iterator[Row]:
    """Records of one cell a line each as rows; the first line tells where a row stands."""
    while record := list(islice(rows, period)):
        line, byte, _ = record[0]
        yield line, byte, [cells[0] if cells else None for _, _, cells in record]


def _noted(sheet: Sheet, notes: Sequence[str]) -> Sheet:
    from dataclasses import replace

    return replace(sheet, notes=(*sheet.notes, *notes))


def _is_row(line: str) -> bool:
    return bool(line.strip()) and not _BORDER.match(line)


def _rows(lines: Iterator[tuple[int, int | None, str]], split: Split, seen: Counter[str]) -> Iterator[Row]:
    for number, byte, line in lines:
        if not _is_row(line):
            continue
        cells = split(line)
        if any(cells):
            yield number, byte, cells
        else:
            seen["skipped"] += 1


def _wide(line: str) -> str:
    """The line with a blank after each character that is two columns wide."""
    if line.isascii():
        return line
    return "".join(c + "\0" if unicodedata.east_asian_width(c) in "WF" else c for c in line)


def _by_gutter(head: Sequence[str]) -> Split | None:
    """Columns of blanks that go through nearly all lines, counted in characters or in columns of a terminal."""
    best: list[int] = []
    found = None
    for spread in (str, _wide):
        lines = [spread(line) for line in head]
        # Talk around the table is seldom as wide as its rows.
        rows = [line for line in lines if len(_GAP.findall(line)) >= 2]
        if len(rows) < max(4, len(lines) / 2):
            continue
        longest = sorted(map(len, rows))[len(rows) * 9 // 10]
        blank = [sum(n >= len(line) or line[n] == " " for line in rows) for n in range(longest)]
        clear = [count >= 0.98 * len(rows) for count in blank]
        # Two blanks: one may stand inside every cell of a column, as in (555) 123-4567.
        starts = [n for n in range(longest) if not clear[n] and all(clear[max(0, n - 2) : n])]
        if len(starts) >= 2 and len(starts) > len(best) and _even(rows, starts):
            best, found = starts, _cutter(spread, starts)
    return found


def _even(lines: Sequence[str], starts: Sequence[int]) -> bool:
    """Whether the columns hold something in most lines (and are not chance gaps between words)."""
    cuts = [slice(a, b) for a, b in zip(starts, [*starts[1:], None], strict=True)]
    filled = [sum(bool(line[cut].strip("\0 ")) for line in lines) for cut in cuts]
    return sorted(filled)[len(filled) // 2] >= 0.6 * len(lines)


def _cutter(spread: Callable[[str], str], starts: Sequence[int]) -> Split:
    cuts = [slice(a, b) for a, b in zip([0, *starts[1:]], [*starts[1:], None], strict=True)]

    def split(line: str) -> list[str]:
        whole = spread(line)
        cells = [whole[cut].replace("\0", "").strip() for cut in cuts]
        return cells if sum(map(bool, cells)) >= 2 else []

    return split


def _by_mail(head: Sequence[str]) -> Split | None:
    """Names with an address of mail in angle brackets behind each, as mail programs list them."""
    if sum(bool(_MAIL.match(line)) for line in head) < 0.7 * len(head):
        return None
    return lambda line: [*found.groups()] if (found := _MAIL.match(line)) else []


def _by_gaps(head: Sequence[str]) -> Split | None:
    return _by(head, re.compile(r"(?: {2,}|\t|\u3000)+"), 0.7)


def _by_blanks(head: Sequence[str]) -> Split | None:
    return _by(head, re.compile(r"\s+"), 0.7)


def _by(head: Sequence[str], gap: re.Pattern[str], least: float) -> Split | None:
    """Lines split at a gap, when most have the same number of cells and hold a value; the others are no rows."""

    def cells(line: str) -> list[str]:
        return gap.split(_NUMBERED.sub("", line).strip())

    widths = Counter(len(cells(line)) for line in head if VALUE.search(line))
    width, count = max(widths.items(), key=lambda item: item[1], default=(0, 0))
    if width < 2 or count < least * len(head):
        return None

    def split(line: str) -> list[str]:
        found = cells(line)
        return found if len(found) == width else []

    return split


def _as_list(head: Sequence[str]) -> Split | None:
    """One value a line."""
    values = [line for line in head if VALUE.search(line) and len(line) <= 80 and len(line.split()) <= 3]
    if len(values) < 0.6 * len(head):
        return None
    return lambda line: [_NUMBERED.sub("", line).strip()] if len(line) <= 200 else []
