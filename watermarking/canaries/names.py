"""Names of nobody: the surname of one real row with the given name of another of the same sex."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from watermarking.canaries.deck import I64

_HAN = re.compile("^[\u4e00-\u9fff]{2,4}$")
_COMPOUND = frozenset("欧阳 司马 上官 诸葛 东方 皇甫 尉迟 公孙 慕容 令狐 司徒 端木 夏侯 长孙 宇文 轩辕".split())


def split_name(name: str) -> tuple[str, str, str]:
    """(surname, given name, form) of a whole name; form: Han, comma, or plain (given name first)."""
    name = name.strip()
    if _HAN.match(name):
        cut = 2 if name[:2] in _COMPOUND and len(name) > 2 else 1
        return name[:cut], name[cut:], "han"
    if "," in name:
        last, _, first = name.partition(",")
        return last.strip(), first.strip(), "comma"
    first, _, last = name.rpartition(" ")
    return last, first.strip(), "plain"


def join_name(surname: str, given: str, form: str) -> str:
    """A whole name in its form."""
    if form == "han":
        return surname + given
    return f"{surname}, {given}" if form == "comma" else f"{given} {surname}".strip()


def names_of(cells: Mapping[str, Sequence[str | None]]) -> list[tuple[str, str, str]]:
    """(surname, given name, form) of each row; cells: the columns person_name, surname, given_name, those there are."""
    if "person_name" in cells:
        return [split_name(name or "") for name in cells["person_name"]]
    some = next(iter(cells.values()))
    lasts, firsts = cells.get("surname", [""] * len(some)), cells.get("given_name", [""] * len(some))
    return [(last or "", first or "", "plain") for last, first in zip(lasts, firsts, strict=True)]


def bound_of(names: Sequence[tuple[str, str, str]], rows: I64, female: npt.NDArray[np.bool_]) -> float:
    """The largest probability of one whole name, whatever the sex.

    Surname and given name are uniform draws among `rows`, the given name among those of one sex. A name may be cut in
    two ways (欧阳|明, 欧|阳明), so twice the product of the largest shares.
    """
    last = _largest([names[row][0] for row in rows])
    first = max((_largest([names[row][1] for row in rows[female[rows] == sex]]) for sex in (False, True)), default=1.0)
    return min(1.0, 2 * last * first)


def _largest(words: Sequence[str]) -> float:
    counts: Counter[str] = Counter()
    for word, times in Counter(words).items():  # few are different
        counts[re.sub(r"\s+", " ", word).strip().casefold()] += times
    return max(counts.values()) / len(words) if words else 0.0
