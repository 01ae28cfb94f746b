"""Amounts of any column type as whole numbers of minor units, and back."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.text import I64, Bool, Spans, as_text, buffers, find, is_text, like, rebuild, words_at

_LARGEST = 2**53  # beyond it a float64 does not hold every whole number


class Cells(Protocol):
    """The readable amounts of a column. rows: int64[n]; units: int64[n], magnitude in minor units.

    Text gives the last digits of long numbers only: enough for the low bits, and above every small case.
    """

    @property
    def rows(self) -> I64:
        """Which rows are readable."""

    @property
    def units(self) -> I64:
        """Their magnitudes."""

    def room(self, largest: I64) -> Bool:
        """Whether a cell can hold this magnitude without growing; bool[n]."""

    def rewrite(self, cells: pa.Array, change: Bool, units: I64) -> pa.Array:
        """The column with other magnitudes where `change`; bool[n], int64[n]."""


def cells_of(cells: pa.Array, decimals: int, digits: int) -> Cells:
    """The amounts of a column; decimals: of the minor unit; digits: how many low digits may change."""
    kind = cells.type
    if pa.types.is_integer(kind) and decimals == 0:
        return _read_integers(cells)
    if pa.types.is_decimal128(kind) and kind.scale >= decimals:
        return _read_decimals(cells, 10 ** (kind.scale - decimals))
    if pa.types.is_float64(kind):
        return _read_floats(cells, decimals)
    if is_text(kind) and len(cells):
        return _read_text(as_text(cells), decimals, digits)
    return _Integers(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), 0)


@dataclass(frozen=True)
class _Integers:
    rows: I64
    units: I64
    signs: I64
    most: int  # what the column's type holds

    def room(self, largest: I64) -> Bool:
        return np.asarray(largest <= self.most, dtype=np.bool_)  # the least negative number begins a block beyond it

    def rewrite(self, cells: pa.Array, change: Bool, units: I64) -> pa.Array:
        values = np.array(pc.fill_null(cells, 0).to_numpy(zero_copy_only=False))
        values[self.rows[change]] = (self.signs * units)[change]
        return pa.array(values, cells.type, mask=cells.is_null().to_numpy(zero_copy_only=False))


def _read_integers(cells: pa.Array) -> _Integers:
    values = np.asarray(pc.fill_null(cells, 0).to_numpy(zero_copy_only=False))
    small = (values < 2**62) if values.dtype.kind == "u" else (values < 2**62) & (values > -(2**62))
    rows = np.flatnonzero(small & cells.is_valid().to_numpy(zero_copy_only=False))
    chosen = values[rows].astype(np.int64)
    return _Integers(rows, np.abs(chosen), np.sign(chosen), int(np.iinfo(values.dtype).max))


@dataclass(frozen=True)
class _Decimals:
    rows: I64
    units: I64
    step: int

    def room(self, largest: I64) -> Bool:
        return np.ones(len(largest), dtype=np.bool_)  # no block crosses a power of ten

    def rewrite(self, cells: pa.Array, change: Bool, units: I64) -> pa.Array:
        words = _decimal_words(cells).copy()
        rows = self.rows[change]
        moved = (units - self.units)[change] * self.step
        # The magnitude stays above zero and within 62 bits, so the high word stays as it is.
        words[rows, 0] += np.where(words[rows, 0] < 0, -moved, moved)
        nulls = cells.is_valid().buffers()[1] if cells.null_count else None
        return pa.Array.from_buffers(cells.type, len(cells), [nulls, pa.py_buffer(words)])


def _decimal_words(cells: pa.Array) -> I64:
    """Two's complement of the unscaled values, int64[rows, 2], low word first."""
    words = np.frombuffer(cells.buffers()[1], dtype=np.int64).reshape(-1, 2)
    return words[cells.offset : cells.offset + len(cells)]


def _read_decimals(cells: pa.Array, step: int) -> _Decimals:
    if not len(cells):
        return _Decimals(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), step)
    low, high = _decimal_words(cells).T
    small = (high == low >> 63) & (low < 2**62) & (low > -(2**62))
    rows = np.flatnonzero(small & cells.is_valid().to_numpy(zero_copy_only=False))
    return _Decimals(rows, np.abs(low[rows]) // step, step)


@dataclass(frozen=True)
class _Floats:
    rows: I64
    units: I64
    signs: npt.NDArray[np.float64]
    scale: int

    def room(self, largest: I64) -> Bool:
        return np.ones(len(largest), dtype=np.bool_)

    def rewrite(self, cells: pa.Array, change: Bool, units: I64) -> pa.Array:
        values = np.array(cells.to_numpy(zero_copy_only=False), dtype=np.float64)
        values[self.rows[change]] = (self.signs * (units / self.scale))[change]
        return pa.array(values, cells.type, mask=cells.is_null().to_numpy(zero_copy_only=False))


def _read_floats(cells: pa.Array, decimals: int) -> _Floats:
    """Only numbers that are the closest float to a whole number of minor units."""
    scale = 10**decimals
    values = pc.fill_null(cells, 0.0).to_numpy(zero_copy_only=False)
    small = np.abs(values) < _LARGEST / scale / 2
    units = np.rint(np.abs(np.where(small, values, 0.0)) * scale)
    rows = np.flatnonzero(small & (units / scale == np.abs(values)))
    return _Floats(rows, units[rows].astype(np.int64), np.sign(values[rows]), scale)


@dataclass(frozen=True)
class _Text:
    rows: I64
    units: I64
    places: I64  # absolute byte of each of the last digits, last digit first; -1 where there are fewer

    def room(self, largest: I64) -> Bool:
        count = (self.places >= 0).sum(axis=1)
        fits: Bool = largest < 10**count
        return fits | np.asarray(self.units >= 10 ** self.places.shape[1], dtype=np.bool_)

    def rewrite(self, cells: pa.Array, change: Bool, units: I64) -> pa.Array:
        text = as_text(cells)
        offsets, data = buffers(text)
        places, values = self.places[change], units[change]
        spelled = values[:, None] // 10 ** np.arange(places.shape[1]) % 10 + ord("0")
        changed = data.copy()
        changed[places[places >= 0]] = spelled[places >= 0]
        return like(rebuild(text, offsets, changed), cells.type)


def _read_text(text: pa.StringArray, decimals: int, digits: int) -> _Text:
    fraction = rf"\.[0-9]{{{decimals}}}" if decimals else ""
    more = "[0-9]*" if decimals else r"(?:\.[0-9]*)?"
    spans = find(text, rf"^[^0-9.,]*(?P<s>(?:[0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]+){fraction}){more}[^0-9.,]*$")
    places = _last_digits(text, spans, digits)
    _, data = buffers(text)
    values = np.where(places >= 0, data[places].astype(np.int64) - ord("0"), 0)
    low = (values * 10 ** np.arange(digits)).sum(axis=1)
    return _Text(spans.rows, low + _high_part(text, spans, digits), places)


def _last_digits(text: pa.StringArray, spans: Spans, digits: int) -> I64:
    """Where the last digits of each span stand, int64[n, digits]; separators are passed over."""
    _, data = buffers(text)
    window = 2 * digits + 2
    at = (spans.starts + spans.lengths)[:, None] - 1 - np.arange(window)
    inside = at >= spans.starts[:, None]
    byte = data[np.where(inside, at, spans.starts[:, None])]
    digit = inside & (byte >= ord("0")) & (byte <= ord("9"))
    rank = np.cumsum(digit, axis=1) - 1
    places = np.full((len(at), digits), -1, dtype=np.int64)
    row, column = np.nonzero(digit & (rank < digits))
    places[row, rank[row, column]] = at[row, column]
    return places


def _high_part(text: pa.StringArray, spans: Spans, digits: int) -> I64:
    """10^digits where a number has a digit other than zero before its last `digits`, else 0."""
    plain = pc.replace_substring_regex(words_at(text, spans), "[^0-9]", "")
    significant = pc.utf8_length(pc.utf8_ltrim(plain, "0")).to_numpy(zero_copy_only=False)
    return np.where(significant > digits, 10**digits, 0).astype(np.int64)
