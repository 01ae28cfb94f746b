"""Texts that look like a column's and are none of them: pieces of several cells, with numbers drawn anew.

A cell is cut at its numbers: 建设路|12|号翠湖花园|5|幢. Cells with as many numbers have one *shape*, and each piece of
a new text is that of another cell of the shape. An address has besides a *locality* (the district; for English
ones the town after the last comma), which stays whole, so that it agrees with the rest of the person.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from watermarking.canaries.deck import I64
from watermarking.canaries.draws import Draws

_NUMBER = re.compile(r"([0-9]+|[０-９]+)")
_LOCALITY_ZH = re.compile(
    r"^(?:.{2,8}?(?:省|自治区))?(?:[^区县路街号]{2,8}?(?:市|自治州|地区|盟))?(?:[^路街号]{1,6}?(?:区|县|市|旗))?"
)
_PROVINCE_ZH = re.compile(r"^(?:内蒙古|黑龙江|[\u4e00-\u9fff]{2})")
_LOCALITY_EN = re.compile(r"(?:,\s*|\n)[A-Za-z][A-Za-z .'\-]*(?:,\s*[A-Za-z .'\-]+)?(?:,?\s+[A-Za-z0-9 \-]{4,10})?$")


def split_address(text: str) -> tuple[str, str, bool]:
    """(locality, the rest, whether the locality stands in front); the locality is empty where none is seen."""
    if re.match(r"[\u4e00-\u9fff]", text):
        end = _LOCALITY_ZH.match(text)
        cut = end.end() if end else 0
        return text[:cut], text[cut:], True
    found = _LOCALITY_EN.search(text)
    return (found.group(), text[: found.start()], False) if found else ("", text, False)


def region_of(locality: str) -> str:
    """A locality without its finest part: the province, or the last words."""
    found = _PROVINCE_ZH.match(locality)
    return found.group() if found else locality.rsplit(",", 1)[-1].strip()


def shape_of(text: str) -> tuple[int, bool]:
    """How many numbers a text has, and whether in full-width digits."""
    numbers = _NUMBER.findall(text)
    return len(numbers), bool(numbers) and numbers[0][0] > "9"


_Like = tuple[str, tuple[int, bool]]  # a group, and a shape


class Recombiner:
    """New texts from the pieces of others."""

    def __init__(self, texts: Sequence[str], groups: Sequence[str]) -> None:
        """texts: the column; groups: for each, what it shares with its like (a region), or ''."""
        self._pieces = [_NUMBER.split(text) for text in texts]
        self._like = list(zip(groups, map(shape_of, texts), strict=True))
        alike: dict[_Like, list[int]] = defaultdict(list)
        for row, (group, shape) in enumerate(self._like):
            alike["", shape].append(row)
            if group:
                alike[group, shape].append(row)
        self._alike = {like: np.array(rows) for like, rows in alike.items()}

    def texts(self, rows: I64, rng: np.random.Generator) -> list[str]:
        """For each row a text of its shape: words of its like in its group, numbers of any of its shape."""
        together: dict[_Like, list[int]] = defaultdict(list)
        for at, row in enumerate(rows.tolist()):
            together[self._like[row]].append(at)
        made, draws = [""] * len(rows), Draws(rng)
        for like, places in together.items():
            for at, text in zip(places, self._recombined(like, rows[places], rng, draws), strict=True):
                made[at] = text
        return made

    def _recombined(self, like: _Like, rows: I64, rng: np.random.Generator, draws: Draws) -> Iterator[str]:
        """Rows that have the same like."""
        far = self._alike["", like[1]]
        near = self._alike[like] if len(self._alike[like]) > 2 else far
        columns = []
        for place in range(len(self._pieces[rows[0]])):
            among = far if place % 2 else near
            pieces = [self._pieces[donor][place] for donor in _others(among, rows, rng)]
            columns.append([_number(one, draws) for one in pieces] if len(among) <= 2 and place % 2 else pieces)
        return map("".join, zip(*columns, strict=True))


def _others(among: I64, rows: I64, rng: np.random.Generator) -> I64:
    """One of `among` for each row, another row than itself if four draws find one; int64[rows]."""
    donors = rng.choice(among, len(rows))
    for _ in range(3):
        same = np.flatnonzero(donors == rows)
        if not len(same):
            break
        donors[same] = rng.choice(among, len(same))
    return donors


def _number(like: str, draws: Draws) -> str:
    """Another number of as many digits."""
    base = ord("0") if like[0] <= "9" else ord("０")
    return chr(base + 1 + draws.below(9)) + "".join(chr(base + int(digit)) for digit in draws.digits(len(like) - 1))
