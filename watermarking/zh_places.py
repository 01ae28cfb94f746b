"""Where the words of a Chinese address stand, found by their bytes: a pattern over all cells costs ten times as much.

Only in ordinary cells, which hold nothing but ASCII digits, hyphens and unified Han; others go through the patterns.
Han are three bytes each, so no word is found across two characters. The tests hold what is found to the patterns of
schemas/spellings.py.
"""

import threading
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.spellings import BEFORE_ROOM, BUILDINGS_ZH, NUMERALS_ZH, PROVINCE_LONG, PROVINCE_REACH, ZH_FOLDS
from watermarking.text import I64, Bool, Spans, buffers, find_in_head, same_memory

Bytes = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
_HYPHEN, _ZERO = np.frombuffer(b"-0", dtype=np.uint8)
_PIECE = 1 << 18
_NUMERALS = np.array([int.from_bytes(one.encode()) for one in NUMERALS_ZH], dtype=np.int32)


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
        found = find_in_head(self.text, PROVINCE_LONG, PROVINCE_REACH, ZH_FOLDS[0][0])
        return found.keep(self.rows[found.rows])

    def building(self, word: str) -> Spans:
        """A word for a building, as often as it stands behind a numeral."""
        if word not in self._buildings:
            at, starts = _behind_numeral(self._offsets, self._data, word.encode())
            lengths = np.full(len(at), len(word.encode()), dtype=np.int64)
            self._buildings[word] = Spans(at, starts, lengths).keep(self.rows[at])
        return self._buildings[word]


class _Last(threading.local):
    places: Places | None = None


_LAST = _Last()


def places_in(text: pa.StringArray) -> Places:
    """The places in a column; a thread keeps those of its last: tagging asks for its forms, and then for its sites."""
    last = _LAST.places
    if last is None or not same_memory(last.text, text):
        last = _LAST.places = Places(text)
    return last


def first_building(places: Places, words: Sequence[str]) -> Spans:
    """The first of some words in each cell."""
    found = [places.building(word) for word in words]
    starts = np.concatenate([spans.starts for spans in found])
    order = np.argsort(starts)
    rows, lengths = (np.concatenate([vars(spans)[name] for spans in found])[order] for name in ("rows", "lengths"))
    return Spans(rows, starts[order], lengths).keep(np.diff(rows, prepend=-1) != 0)


def finished(text: pa.StringArray, plain: Bool) -> Bool:
    """Those of the ordinary cells that hold no hyphen, and begin or end with a Han; bool[rows]."""
    offsets, data = buffers(text)
    out, at = np.zeros(len(text), dtype=bool), np.flatnonzero(plain)
    out[at] = (data[offsets[at]] >= 0x80) | (data[offsets[at + 1] - 1] >= 0x80)
    hyphens = np.flatnonzero(data[offsets[0] : offsets[-1]] == _HYPHEN) + offsets[0]
    out[_row_of(hyphens, offsets)] = False
    return out


def _ordinary(offsets: I64, data: Bytes) -> Bool:
    data = data[offsets[0] : offsets[-1]]
    out = np.diff(offsets) > 0
    for start in range(0, len(data), _PIECE):  # what is compared stays in the processor's cache
        piece = data[start : start + _PIECE + 1]
        good = (piece - _ZERO < 10) | ((piece >= 0x80) & (piece < 0xC0)) | (piece - np.uint8(0xE4) < 6)
        good |= piece == _HYPHEN
        good[:-1] &= (piece[:-1] != 0xE4) | (piece[1:] >= 0xB8)  # U+4000 to U+4DFF are Han too, but not unified
        out[_row_of(np.flatnonzero(~good) + (start + offsets[0]), offsets)] = False
    filled = np.flatnonzero(out)
    out[filled[data[offsets[filled] - offsets[0]] == _HYPHEN]] = False
    return out


def _ends_of(offsets: I64, data: Bytes, at: I64) -> tuple[Spans, Spans]:
    first, end = offsets[at], offsets[at + 1]
    sign = 3 * _ends(_before(data, first, end), "室").astype(np.int64)
    digits = _digits(_before(data, first, end - sign))
    three = (digits == 3) | (digits == 4)
    at, first, sign, room, end = at[three], first[three], sign[three], (end - sign - digits)[three], (end - sign)[three]
    before = _before(data, first, room)
    house, yuan = _any(before, BEFORE_ROOM), _ends(before, "单元")
    between = np.where(yuan, 6, _ends(before, "-").astype(np.int64))
    digits = _digits(_before(data, first, room - between))
    number = (between > 0) & (digits > 0) & (digits < 3)
    units = number & _any(_before(data, first, room - between - digits), BUILDINGS_ZH)
    rooms = house | yuan | units
    return Spans(at, room - between, between).keep(units), Spans(at, end, sign).keep(rooms)


def _behind_numeral(offsets: I64, data: Bytes, word: bytes) -> tuple[I64, I64]:
    """The cells and the places of a word that stands in one cell with a numeral before it."""
    last = np.flatnonzero(data[offsets[0] : offsets[-1]] == word[-1]) + offsets[0]
    last = last[last - offsets[0] >= len(word)]
    for back, byte in enumerate(reversed(word[:-1]), 1):
        last = last[data[last - back] == byte]
    starts = last - (len(word) - 1)
    at = _row_of(starts, offsets)
    inside = (starts > offsets[at]) & (last < offsets[at + 1])
    at, starts = at[inside], starts[inside]
    numeral = (data[starts - 1] - _ZERO < 10) | np.isin(_han_before(data, starts), _NUMERALS)
    return at[numeral], starts[numeral]


def _before(data: Bytes, first: I64, places: I64) -> U64:
    """The eight bytes before each place as one word, the nearest in its highest byte; zeros before `first`."""
    if len(data) < 8:
        data = np.concatenate([data, np.zeros(8, dtype=np.uint8)])
    words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    lacks, foreign = (8 * np.maximum(8 - there, 0).astype(np.uint64) for there in (places, places - first))
    return words[np.maximum(places - 8, 0)] << lacks >> foreign << foreign


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


def _row_of(places: I64, offsets: I64) -> I64:
    """The cell that each byte belongs to."""
    return np.searchsorted(offsets, places, side="right") - 1
