"""Forum posts: records as labelled text, `姓名:… 身份证:… 手机:…` or `Name: … / Phone: …`.

A label is a word before a colon: a known one anywhere, an unknown one at the beginning of a line, after a separator, or
after a blank when it comes again. A record begins where its first label, or a label that it has already, comes again;
and after a number or an empty line, where records are set apart so.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.extractors import MOST_COLUMNS
from pipeline.intake.context import Intake
from pipeline.intake.delimited import shape_of
from pipeline.intake.grid import header_row
from pipeline.intake.labels import LABELS, kind_of
from pipeline.intake.sheet import Sheet
from pipeline.intake.source import Source
from watermarking.simplified import simplified_text

FORMAT = "prose"
_WORDS = "|".join(re.escape(word) for word in sorted(LABELS, key=len, reverse=True))
_ANY_COLON = re.compile("[:：=]")
_COLON = rf"\s{{0,4}}{_ANY_COLON.pattern}\s{{0,4}}(?!//)"
_KNOWN = re.compile(rf"({_WORDS})['\"]?{_COLON}", re.IGNORECASE)
_WORD = r"[^\W\d_][^\W_]{0,19}"
_UNKNOWN = re.compile(
    rf"(?:(?P<strong>^|[\n,，;；。|/、&\t）)】\]>]|  )[ \t]*(?:[-*•]\s?)?(?P<long>{_WORD}(?:[ _\-]{_WORD}){{0,2}})"
    rf"|(?<=[ \u3000])(?P<short>{_WORD})){_COLON}"
)
_NUMBER = r"(?:第?\d{1,6}[.)、:：条]|[（(【\[#]?\d{1,6}[)）】\]]|#\d{1,6})"
_NUMBERING = re.compile(rf"(?:^|[\n;；。])\s*{_NUMBER}\s*$")
_TAIL = re.compile(r"[\s,，;；。|/、&\-—'\"{}\[\]]+$")
_HEAD = re.compile(r"^[\s=\-—'\"]+")
_EMPTY_LINE = re.compile(r"\n[ \t]*\n|\n\s*[-=*_]{3,}\s*\n")
_LAST = frozenset(word[-1].casefold() for word in LABELS)
_MOST_APART = 6  # characters: blanks, a quotation mark, and the last one of a label
_FEWEST = 2
_MOST = 1 << 25


@dataclass(frozen=True)
class _Label:
    """A label in the text: its word in one spelling, where it begins, and where its value begins."""

    word: str
    start: int
    value: int


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """Labelled prose as a sheet; None when there are too few labels, or when lines are a table with a header."""
    text = intake.text(source)
    if text is None or not _looks_labelled(text.head):
        return None
    whole, notes = text.whole(_MOST)
    labels = _labels(whole)
    if len({label.word for label in labels}) < _FEWEST:
        return None
    writer, order = intake.sheet(), dict[str, int]()
    record: dict[str, str] = {}
    line, where = 1, 0
    began = 1
    apart = _set_apart(whole, labels)
    for number, label in enumerate(labels):
        line, where = line + whole.count("\n", where, label.start), label.start
        if label.word == labels[0].word or label.word in record or (number and apart[number]):
            if record:
                writer.add(_row(record, order), began)
            record, began = {}, line
        end = labels[number + 1].start if number + 1 < len(labels) else len(whole)
        if label.word in order or len(order) < MOST_COLUMNS:
            order.setdefault(label.word, len(order))
            record[label.word] = _value(whole[label.value : end])
    writer.add(_row(record, order), began)
    outside = len([x for x in whole[: labels[0].start].splitlines() if x.strip()])
    if outside > 1:
        notes.append(f"{outside} lines before the first record were not read")
    return writer.finish(list(order), FORMAT, text.encoding, notes + text.notes) or None


def _looks_labelled(head: str) -> bool:
    """Whether known labels are frequent enough, and the lines are no table whose first row names its columns."""
    known = _known(head)
    if len(known) < _FEWEST or len({kind_of(label.word) for label in known}) < _FEWEST:
        return False
    lines = [line for line in head.split("\n")[:200] if line.strip()]
    shape = shape_of(lines)
    if shape is None or shape.share < 0.9:
        return True
    first = shape.split(lines[0])
    return header_row([first]) is None or any(not _known(cell + ":") or ":" in cell for cell in first)


def _labels(text: str) -> list[_Label]:
    """All labels, in order, none inside another."""
    found = {label.value: label for label in _known(text)}
    unknown = [m for m in _UNKNOWN.finditer(text) if m.end() not in found or m.group("long")]
    times = Counter(_spelled(m.group("long") or m.group("short")) for m in unknown)
    for match in unknown:
        name = "long" if match.group("long") else "short"
        word = _spelled(match.group(name))
        known = found.get(match.end())
        if known is not None and (kind_of(known.word) and not kind_of(word)) and times[word] < _FEWEST:
            continue
        if known is not None and not kind_of(word) and _ends_known(word, known.word):
            continue
        if name == "long" or times[word] >= _FEWEST:
            found[match.end()] = _Label(word, match.start(name), match.end())
    labels = sorted(found.values(), key=lambda label: label.start)
    return [label for n, label in enumerate(labels) if n == 0 or label.start >= labels[n - 1].value]


def _known(text: str) -> list[_Label]:
    """The known labels, in traditional characters or simplified ones."""
    plain = simplified_text(text)
    plain = plain if len(plain) == len(text) else text  # a character for a character, so that places are the same
    if not any(_ends_label(plain, colon.start()) for colon in _ANY_COLON.finditer(plain)):
        return []  # looking for each label at each place of a table costs as much as all else that is read of it
    return [
        _Label(_spelled(text[m.start(1) : m.end(1)]), m.start(1), m.end())
        for m in _KNOWN.finditer(plain)
        if _starts_a_word(plain, m.start(1), m.group(1))
    ]


def _ends_label(text: str, colon: int) -> bool:
    """Whether a colon may stand after a known label: what is before it is what such a label ends with."""
    before = text[max(0, colon - _MOST_APART) : colon].rstrip()
    return before[-1:].casefold() in _LAST or (before[-1:] in "'\"" and before[-2:-1].casefold() in _LAST)


def _ends_known(word: str, known: str) -> bool:
    """Whether an unknown label only wraps a known one with words of a value before it ("Smith Phone")."""
    return word != known and word.endswith(" " + known)


def _spelled(word: str) -> str:
    return " ".join(word.casefold().split())


def _starts_a_word(text: str, start: int, word: str) -> bool:
    """A latin label is a word of its own: `mail:` inside `e-mail:` or `hotmail:` is none."""
    before = text[start - 1 : start]
    return not (word[0].isascii() and (before.isalnum() or (before != "" and before in "-_@.")))


def _set_apart(text: str, labels: Sequence[_Label]) -> list[bool]:
    """By label: whether a number or an empty line before it begins a record, when records are set apart like that.

    Sets of labels that all begin alike are records; a record that has an empty line after every field is none.
    """
    gaps = [text[a.value : b.start] for a, b in zip(labels, labels[1:], strict=False)]
    numbered = [False] + [bool(_NUMBERING.search(gap)) for gap in gaps]
    empty = [False] + [bool(_EMPTY_LINE.search(gap)) for gap in gaps]
    starts: dict[bool, set[str]] = defaultdict(set)
    for label, is_start in zip(labels, empty, strict=True):
        starts[is_start].add(label.word)
    every_field = sum(empty) > 0.6 * len(gaps)
    return [n or (e and not every_field) for n, e in zip(numbered, empty, strict=True)]


def _row(record: dict[str, str], order: dict[str, int]) -> list[str | None]:
    row: list[str | None] = [None] * len(order)
    for word, value in record.items():
        row[order[word]] = value
    return row


def _value(text: str) -> str:
    """The text after a label, as far as its line goes; the next line when the label stands alone."""
    lines = [line for line in _NUMBERING.sub("", text).split("\n") if line.strip()]
    return _HEAD.sub("", _TAIL.sub("", lines[0].strip())) if lines else ""
