"""E-mail addresses that look like a column's, belong to the person's name, and reach nobody.

A real local part is read as a pattern (surname and given name, a dot, four digits); a canary takes the pattern, its own
name and fresh digits. Domains are reserved ones (RFC 2606, RFC 6761), or those of the contract.
"""

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from anyascii import anyascii

from watermarking.canaries.draws import Draws

RESERVED = re.compile(r"(?i)(?:^|\.)(?:example|invalid|test|localhost)$|^example\.(?:com|net|org)$")
FALLBACK = ("example.com", "example.net", "example.org")
_RUNS = re.compile(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9]+")
# Nobody's mailbox has these parts of a written name.
_TITLE = re.compile(r"(?i)^(?:(?:mr|mrs|ms|miss|mx|dr|prof|sir|rev)\b\.?\s*)+")
_SUFFIX = re.compile(r"(?i)[\s,]+(?:jr|sr|i{2,3}|iv|md|dds|dvm|phd|esq)\.?$")
_DIGITS = 3  # with fewer, an address tells little; patterns below it are left out where they are rare
_RARE = 0.05
_PARTS = 1 << 53


@dataclass(frozen=True)
class Part:
    """A piece of a local part: a form of the name, drawn digits, or text that stays."""

    form: str
    text: str


def forms_of(surname: str, given: str) -> dict[str, str]:
    """How names are written in addresses: letters a to z, by the name of the form; titles and the like left out."""
    last, (first, initials) = _last(surname), _first(given)
    return {
        "sg": last + first, "gs": first + last, "si": last + initials, "is": initials + last,
        "s": last, "g": first, "fs": first[:1] + last, "sf": last + first[:1],
    }  # fmt: skip


@lru_cache(maxsize=4096)
def _last(surname: str) -> str:
    return _letters(_SUFFIX.sub("", surname))


@lru_cache(maxsize=4096)
def _first(given: str) -> tuple[str, str]:
    """The letters of a given name, and its initials."""
    given = _TITLE.sub("", given)
    return _letters(given), "".join(_letters(word)[:1] for word in _words(given))


@lru_cache(maxsize=4096)
def _letters(name: str) -> str:
    return re.sub("[^a-z]", "", anyascii(name).lower())


def pattern_of(local: str, forms: dict[str, str]) -> tuple[Part, ...]:
    """A local part as parts."""
    parts = []
    for run in _RUNS.findall(local):
        if run.isdecimal():
            parts.append(Part("digits", run))
        else:
            form = next((name for name, word in forms.items() if word and word == run.lower()), "text")
            parts.append(Part(form, run))
    return tuple(parts)


class Mailboxes:
    """Addresses for canaries, after the pattern of a column."""

    def __init__(self, cells: Sequence[str | None], names: Sequence[tuple[str, str]], domains: Sequence[str]) -> None:
        """cells: the column; names: (surname, given) of each row; domains: the contract's, or none."""
        split = [(cell or "").rpartition("@") for cell in cells]
        patterns = [pattern_of(local, forms_of(*name)) for (local, _, _), name in zip(split, names, strict=True)]
        self._domains = [domain for _, _, domain in split]
        shown = Counter(domain for domain in self._domains if domain)
        allowed = domains or [domain for domain in shown if RESERVED.search(domain)] or FALLBACK
        weights = np.array([max(shown.get(domain, 0), 1) for domain in allowed], dtype=float)
        self._allowed = tuple(allowed)
        self._shares = (np.cumsum(weights)[:-1] / weights.sum()).tolist()  # where each ends, but for the last
        words = Counter(part.text for pattern in patterns for part in pattern if part.form == "text")
        self._patterns = [self._without_words(pattern, words) for pattern in patterns]
        there = np.array([bool(cell and "@" in cell) for cell in cells])
        telling = np.array([self._drawn(pattern) >= _DIGITS for pattern in self._patterns])
        enough = there.any() and telling[there].mean() >= 1 - _RARE
        self.rows = np.flatnonzero(there & telling) if enough else np.flatnonzero(there)

    def make(self, row: int, surname: str, given: str, draws: Draws) -> str:
        """An address after the pattern of a row."""
        forms = forms_of(surname, given)
        made = [_written(part, forms, draws) for part in self._patterns[row]]
        domain = self._domains[row]
        if domain not in self._allowed:
            domain = self._allowed[bisect_right(self._shares, draws.below(_PARTS) / _PARTS)]
        return f"{''.join(made) or forms['sg']}@{domain}"

    def bound(self) -> float:
        """The largest probability of one address given the name: rows of a pattern draw one number of digits."""
        drawn = Counter(self._layout(row) for row in self.rows.tolist())
        return max((count / len(self.rows) / self._numbers(layout) for layout, count in drawn.items()), default=1.0)

    def _layout(self, row: int) -> tuple[tuple[int, bool], ...]:
        """Length of each run of digits and whether it begins with 0: an address shows both, so layouts never mix."""
        return tuple((len(p.text), p.text[0] == "0") for p in self._patterns[row] if p.form == "digits")

    @staticmethod
    def _numbers(layout: tuple[tuple[int, bool], ...]) -> float:
        return math.prod(10.0 ** (length - 1) * (1 if zero else 9) for length, zero in layout)

    @staticmethod
    def _drawn(pattern: tuple[Part, ...]) -> int:
        return sum(len(part.text) for part in pattern if part.form == "digits")

    @staticmethod
    def _without_words(pattern: tuple[Part, ...], words: Counter[str]) -> tuple[Part, ...]:
        """A word that only one person has gives way to the name; separators and common words stay."""
        return tuple(
            Part("sg", part.text) if part.form == "text" and part.text.isalpha() and words[part.text] < 3 else part
            for part in pattern
        )


def _written(part: Part, forms: dict[str, str], draws: Draws) -> str:
    if part.form == "digits":
        return (str(1 + draws.below(9)) if part.text[0] != "0" else "0") + draws.digits(len(part.text) - 1)
    if part.form == "text":
        return part.text
    word = forms[part.form] or "x"  # a name without letters must not join two runs of digits
    if part.text.isupper() and len(part.text) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if part.text[:1].isupper() else word


def _words(given: str) -> list[str]:
    return list(given) if re.match("[\u4e00-\u9fff]", given) else given.split()
