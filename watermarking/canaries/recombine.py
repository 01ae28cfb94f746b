"""Texts that look like a column's and are none of them: pieces of several cells, with numbers drawn anew.

A cell is cut at its numbers: 建设路|12|号翠湖花园|5|幢. Cells with as many numbers have one *shape*, and each piece of
a new text is that of another cell of the shape. An address has besides a *locality* (the district; for English
ones the town after the last comma), which stays whole, so that it agrees with the rest of the person.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

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


class Recombiner:
    """New texts from the pieces of others."""

    def __init__(self, texts: Sequence[str], groups: Sequence[str]) -> None:
        """texts: the column; groups: for each, what it shares with its like (a region), or ''."""
        self._pieces = [_NUMBER.split(text) for text in texts]
        self._shapes = [shape_of(text) for text in texts]
        self._alike: dict[tuple[str, tuple[int, bool]], list[int]] = defaultdict(list)
        for row, (group, shape) in enumerate(zip(groups, self._shapes, strict=True)):
            self._alike[group, shape].append(row)
            if group:
                self._alike["", shape].append(row)
        self._groups = list(groups)

    def like(self, row: int, draws: Draws) -> str:
        """A text of the shape of `row`: words of its like in its group, numbers of any of its shape."""
        pieces = list(self._pieces[row])
        near = self._alike[self._groups[row], self._shapes[row]]
        far = self._alike["", self._shapes[row]]
        near = near if len(near) > 2 else far
        for place in range(len(pieces)):
            among = far if place % 2 else near
            for _ in range(4):  # of another row, if there is one
                donor = among[draws.below(len(among))]
                if donor != row:
                    break
            pieces[place] = self._pieces[donor][place]
            if len(among) <= 2 and place % 2:
                pieces[place] = _number(pieces[place], draws)
        return "".join(pieces)


def _number(like: str, draws: Draws) -> str:
    """Another number of as many digits."""
    base = ord("0") if like[0] <= "9" else ord("０")
    return chr(base + 1 + draws.below(9)) + "".join(chr(base + int(digit)) for digit in draws.digits(len(like) - 1))
