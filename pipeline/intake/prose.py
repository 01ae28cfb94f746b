"""Forum posts: records as labelled text, `姓名:… 身份证:… 手机:…` or `Name: … / Phone: …`.

A label is a word that is known, followed by a colon. A record begins where its first label comes again.
"""

import re

import pyarrow as pa

from pipeline.intake.labels import LABELS, kind_of
from pipeline.intake.sheet import Sheet
from pipeline.intake.text import decode

_WORDS = "|".join(re.escape(word) for word in sorted(LABELS, key=len, reverse=True))
_LABEL = re.compile(rf"({_WORDS})\s*[:：=]\s*", re.IGNORECASE)
_TAIL = re.compile(r"[\s,，;；。|/、]+$")
_NUMBERING = re.compile(r"(?:^|\n)\s*(?:第?\d{1,4}[.)、:：条]|[（(【\[#]?\d{1,4}[)）】\]])\s*$")
_FEWEST = 2


def read(name: str, data: bytes) -> list[Sheet] | None:
    """Labelled prose as a sheet; None when there are too few labels, or when lines look like a table."""
    text, encoding = decode(name, data)
    found = [match for match in _LABEL.finditer(text) if _starts_a_word(text, match)]
    if len(found) < _FEWEST or len({kind_of(m.group(1)) for m in found}) < _FEWEST:
        return None
    records: list[dict[str, str | None]] = []
    first = found[0].group(1).casefold()
    order: list[str] = []
    for number, match in enumerate(found):
        label = match.group(1).casefold()
        end = found[number + 1].start() if number + 1 < len(found) else _line_end(text, match.end())
        if label == first or not records or label in records[-1]:
            records.append({})
        records[-1][label] = _clean(text[match.end() : end])
        if label not in order:
            order.append(label)
    columns = {
        f"c{n}": pa.array([record.get(label) for record in records], pa.string()) for n, label in enumerate(order)
    }
    outside = len([line for line in text[: found[0].start()].splitlines() if line.strip()])
    notes = (f"{outside} lines before the first record were not read",) if outside > 1 else ()
    kinds = tuple(kind_of(label) for label in order)
    return [Sheet(name, pa.table(columns), kinds, tuple(order), "prose", encoding, notes)]


def _starts_a_word(text: str, match: re.Match[str]) -> bool:
    """A latin label is a word of its own: `mail:` inside `e-mail:` or `hotmail:` is none."""
    before = text[match.start() - 1 : match.start()]
    return not (match.group(1)[0].isascii() and (before.isalnum() or before in "-_@."))


def _clean(value: str) -> str | None:
    value = _NUMBERING.sub("", value)
    value = _TAIL.sub("", value.strip())
    return value or None


def _line_end(text: str, start: int) -> int:
    at = text.find("\n", start)
    return len(text) if at < 0 else at
