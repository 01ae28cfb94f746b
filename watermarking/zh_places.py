"""Where the words of a Chinese address stand, found by their bytes: a pattern over all cells costs ten times as much.

Only in ordinary cells, which hold nothing but ASCII digits, hyphens and unified Han; others go through the patterns.
Han are three bytes each, so no word is found across two characters. The tests hold what is found to the patterns of
schemas/spellings.py.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.spellings import BEFORE_ROOM, BUILDINGS_ZH, MUNICIPALITIES, NUMERALS_ZH, PROVINCES
from watermarking.text import I64, PIECE, U64, Bool, Bytes, Spans, buffers, eight_after, eight_before, kept, rows_of

_HYPHEN, _ZERO = np.frombuffer(b"-0", dtype=np.uint8)
_NUMERALS, _LONG = (
    np.array([int.from_bytes(one.encode()) for one in some], dtype=np.int32) for some in (NUMERALS_ZH, "省市自壮回维")
)


def _words(texts: Iterable[bytes]) -> U64:
    """Texts of at most 24 bytes as three words each, with zeros behind them; uint64[3, texts]."""
    return np.frombuffer(b"".join(text.ljust(24, b"\0") for text in texts), "<u8").reshape(-1, 3).T


# The long names of provinces, by their first eight bytes, which differ: their words, the bits of those that count, and
# how many bytes are the short name, and the rest.
_PROVINCES = [(long.encode(), len(short.encode())) for long, short in (*PROVINCES, *MUNICIPALITIES)]
_PROVINCES.sort(key=lambda pair: pair[0][7::-1])
_NAMES, _COUNT = _words(long for long, _ in _PROVINCES), _words(b"\xff" * len(long) for long, _ in _PROVINCES)
_SHORT = np.array([short for _, short in _PROVINCES])
_REST = np.array([len(long) - short for long, short in _PROVINCES])


class Places:
    """The places in a column of addresses, each kind found when it is first asked for, and kept."""

    def __init__(self, text: pa.StringArray) -> None:
        """Looks at nothing yet."""
        self.text = text
        self._offsets, self._data = buffers(text)
        self._buildings: dict[str, Spans] = {}

    @cached_property
    def rows(self) -> Bool:
        """The cells, not null, of ASCII digits and unified Han, and of hyphens but for the first place; bool[rows]."""
        rows = _ordinary(self._offsets, self._data)
        return rows & self.text.is_valid().to_numpy(zero_copy_only=False) if self.text.null_count else rows

    @cached_property
    def ends(self) -> tuple[Spans, Spans]:
        """What ends a cell as 2单元302室 or 号楼2-302: 单元 or a hyphen between unit and room; 室 or nothing behind it.

        The second, too, where a room follows a house, a storey or a building without a unit.
        """
        return _ends_of(self._offsets, self._data, np.flatnonzero(self.rows))

    @cached_property
    def provinces(self) -> Spans:
        """What a cell that begins with the long name of a province has of it behind the short one (省, 市, 自治区)."""
        rows = np.flatnonzero(self.rows)
        first, ends = self._offsets[rows], self._offsets[rows + 1]
        word = eight_after(self._data, first, ends)
        name = np.searchsorted(_NAMES[0], word) % len(_PROVINCES)
        same = word == _NAMES[0].take(name)
        same &= eight_after(self._data, first + 8, ends) & _COUNT[1].take(name) == _NAMES[1].take(name)
        more = np.flatnonzero(same & (_COUNT[2] > 0).take(name))
        word = eight_after(self._data, first[more] + 16, ends[more]) & _COUNT[2].take(name[more])
        same[more] = word == _NAMES[2].take(name[more])
        name = name[same]
        return Spans(rows[same], first[same] + _SHORT.take(name), _REST.take(name))

    @property
    def long_again(self) -> I64:
        """The cells in which what might make a long name stands behind one (浙江省省); int64[n]."""
        found = self.provinces
        ends = np.minimum(found.starts + found.lengths + 3, self._offsets[found.rows + 1])
        return found.rows[np.isin(_han_before(self._data, ends), _LONG)]

    def building(self, word: str) -> Spans:
        """A word for a building, as often as it stands behind a numeral."""
        if word not in self._buildings:
            at, starts = _behind_numeral(self._offsets, self._data, word.encode())
            lengths = np.full(len(at), len(word.encode()), dtype=np.int64)
            self._buildings[word] = Spans(at, starts, lengths).keep(self.rows[at])
        return self._buildings[word]


@kept
def places_in(text: pa.StringArray) -> Places:
    """The places in a column."""
    return Places(text)


def first_building(places: Places, words: Sequence[str]) -> Spans:
    """The first of some words in each cell."""
    found = [places.building(word) for word in words]
    starts = np.concatenate([spans.starts for spans in found])
    order = np.argsort(starts, kind="stable")  # sorted runs, which are merged
    rows, lengths = (np.concatenate([vars(spans)[name] for spans in found])[order] for name in ("rows", "lengths"))
    return Spans(rows, starts[order], lengths).keep(np.diff(rows, prepend=-1) != 0)


def finished(folded: pa.StringArray, places: Places) -> Bool:
    """The ordinary cells that are in their form once folded; folded: their text, string[rows]; bool[rows].

    They begin or end with a Han, each of their hyphens stands between digits, and no long name follows a province's.
    """
    offsets, data = buffers(folded)
    out, at = np.zeros(len(folded), dtype=bool), np.flatnonzero(places.rows)
    out[at] = (data[offsets[at]] >= 0x80) | (data[offsets[at + 1] - 1] >= 0x80)
    hyphens = np.flatnonzero(data[offsets[0] : offsets[-1]] == _HYPHEN) + offsets[0]
    within = rows_of(hyphens, offsets)
    between = (hyphens > offsets[within]) & (hyphens + 1 < offsets[within + 1])
    for beside in (hyphens - 1, hyphens + 1):
        between &= data[np.minimum(beside, len(data) - 1)] - _ZERO < 10
    out[within[~between]] = False
    out[places.long_again] = False
    return out


def _ordinary(offsets: I64, data: Bytes) -> Bool:
    data = data[offsets[0] : offsets[-1]]
    out = np.diff(offsets) > 0
    for start in range(0, len(data), PIECE):
        piece = data[start : start + PIECE + 1]
        good = (piece - _ZERO < 10) | ((piece >= 0x80) & (piece < 0xC0)) | (piece - np.uint8(0xE4) < 6)
        good |= piece == _HYPHEN
        good[:-1] &= (piece[:-1] != 0xE4) | (piece[1:] >= 0xB8)  # U+4000 to U+4DFF are Han too, but not unified
        out[rows_of(np.flatnonzero(~good) + (start + offsets[0]), offsets)] = False
    filled = np.flatnonzero(out)
    out[filled[data[offsets[filled] - offsets[0]] == _HYPHEN]] = False
    return out


def _ends_of(offsets: I64, data: Bytes, at: I64) -> tuple[Spans, Spans]:
    first, end = offsets[at], offsets[at + 1]
    sign = 3 * _ends(eight_before(data, first, end), "室").astype(np.int64)
    digits = _digits(eight_before(data, first, end - sign))
    three = (digits == 3) | (digits == 4)
    at, first, sign, room, end = at[three], first[three], sign[three], (end - sign - digits)[three], (end - sign)[three]
    before = eight_before(data, first, room)
    house, yuan = _any(before, BEFORE_ROOM), _ends(before, "单元")
    between = np.where(yuan, 6, _ends(before, "-").astype(np.int64))
    digits = _digits(eight_before(data, first, room - between))
    number = (between > 0) & (digits > 0) & (digits < 3)
    units = number & _any(eight_before(data, first, room - between - digits), BUILDINGS_ZH)
    rooms = house | yuan | units
    return Spans(at, room - between, between).keep(units), Spans(at, end, sign).keep(rooms)


def _behind_numeral(offsets: I64, data: Bytes, word: bytes) -> tuple[I64, I64]:
    """The cells and the places of a word that stands in one cell with a numeral before it."""
    last = np.flatnonzero(data[offsets[0] : offsets[-1]] == word[-1]) + offsets[0]
    last = last[last - offsets[0] >= len(word)]
    for back, byte in enumerate(reversed(word[:-1]), 1):
        last = last[data[last - back] == byte]
    starts = last - (len(word) - 1)
    at = rows_of(starts, offsets)
    inside = (starts > offsets[at]) & (last < offsets[at + 1])
    at, starts = at[inside], starts[inside]
    numeral = data[starts - 1] - _ZERO < 10
    rest = np.flatnonzero(~numeral)
    numeral[rest] = np.isin(_han_before(data, starts[rest]), _NUMERALS)
    return at[numeral], starts[numeral]


def _ends(before: U64, word: str) -> Bool:
    """Whether the bytes before a place end with a word of at most eight."""
    letters = word.encode()
    return before >> np.uint64(64 - 8 * len(letters)) == int.from_bytes(letters, "little")


def _any(before: U64, words: Sequence[str]) -> Bool:
    return np.asarray(np.logical_or.reduce([_ends(before, word) for word in words]), dtype=np.bool_)


def _digits(before: U64) -> I64:
    """How many digits, at most five, stand before a place."""
    count, still = np.zeros(len(before), dtype=np.int64), np.ones(len(before), dtype=bool)
    for back in range(1, 6):
        still &= (before >> np.uint64(64 - 8 * back)).astype(np.uint8) - _ZERO < 10
        count += still
    return count


def _han_before(data: Bytes, places: I64) -> npt.NDArray[np.int32]:
    """The three bytes before each place, as one number."""
    three = [data[np.maximum(places - back, 0)].astype(np.int32) << (8 * (back - 1)) for back in (1, 2, 3)]
    return three[0] | three[1] | three[2]
