"""Low bits of the second of a time: 10:30:04 to 10:30:07 hold two symbols."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.carriers.bits import checked_bits, from_symbols, to_symbols
from watermarking.carriers.protocol import Symbols
from watermarking.text import I64, Bool, Spans, as_text, buffers, find, is_text, like, matching, rebuild

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_DAY = 86_400
# 2024-05-01 10:30:05, 2024-05-01T10:30:05.250Z, 20240501103005, 10时30分05秒
_SECOND = (
    r"(?:(?:^|[^0-9:])[0-9]{1,2}:[0-5][0-9]:|^(?:19|20)[0-9]{6}[T ]?[0-2][0-9][0-5][0-9]"
    r"|[0-9]{1,2}[时点][0-5][0-9]分)(?P<s>[0-5][0-9])(?:[^0-9:]|$)"
)
# Midnight to the fraction, without a zone, is a date written as a time.
_MIDNIGHT = r"(?:[^0-9]0?0:00:[0-5][0-9]|^[0-9]{8}[T ]?0000[0-5][0-9]|[^0-9]0?0[时点]00分[0-5][0-9]秒)(?:[.,]0*)?$"


class TimestampSecond:
    """One site a bit.

    No site where a block of 2^bits seconds does not lie within the minute, nor in the first block of a day
    without a zone (a date written as a time).
    """

    name = "timestamp_second"

    def __init__(self, bits: int = 2) -> None:
        """bits: 1 to 5; raises ContractError otherwise."""
        self._bits = checked_bits(self.name, bits, 5)
        self._block = 1 << self._bits

    def labels(self) -> tuple[str, ...]:
        """bit0 (the lowest) and up."""
        return tuple(f"bit{number}" for number in range(self._bits))

    def read(self, cells: pa.Array) -> Symbols:
        """int8[rows, bits]; cells: timestamps, or text that holds a time with seconds."""
        rows, seconds = self._seconds(cells)
        symbols = np.full((len(cells), self._bits), -1, dtype=np.int8)
        symbols[rows] = to_symbols(seconds, self._bits)
        return symbols

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with the second replaced inside its block; text keeps its format."""
        rows, seconds = self._seconds(cells)
        wanted = from_symbols(seconds, symbols[rows], self._bits)
        change = wanted != seconds
        if not change.any():
            return cells
        rows, step = rows[change], (wanted - seconds)[change]
        if pa.types.is_timestamp(cells.type):
            ticks = _ticks(cells)
            ticks[rows] += step * _PER_SECOND[cells.type.unit]
            missing = cells.is_null().to_numpy(zero_copy_only=False)
            return pa.array(ticks, pa.int64(), mask=missing).cast(cells.type)
        return like(_respell(as_text(cells), wanted[change], rows), cells.type)

    def mark_free(self, cells: pa.Array) -> pa.Array:
        """Text, with the second at the start of its block; times with a zone in UTC."""
        plain = self.write(cells, np.zeros((len(cells), self._bits), dtype=np.int8))
        if pa.types.is_timestamp(plain.type):
            plain = plain.cast(pa.timestamp(plain.type.unit))  # a zone's rules are not needed, nor always there
        return as_text(plain)

    def distortion(self) -> str:
        """What a data owner should know."""
        return f"A time moves by at most {self._block - 1} seconds, within its minute."

    def _seconds(self, cells: pa.Array) -> tuple[I64, I64]:
        """Rows that hold sites and the second of each, int64[n] both."""
        none = np.zeros(0, dtype=np.int64)
        if pa.types.is_timestamp(cells.type):
            seconds = _ticks(cells) // _PER_SECOND[cells.type.unit]
            fraction = _ticks(cells) % _PER_SECOND[cells.type.unit]
            midnight = (seconds % _DAY < self._block) & (fraction == 0) & (cells.type.tz is None)
            there = cells.is_valid().to_numpy(zero_copy_only=False) & ~midnight
            second = seconds % 60
        elif is_text(cells.type) and len(cells):
            text = as_text(cells)
            spans, second = _read_text(text)
            midnight = matching(text, _MIDNIGHT)[spans.rows] & (second < self._block)
            return self._within(spans.rows, second, ~midnight)
        else:
            return none, none
        return self._within(np.arange(len(cells)), second, there)

    def _within(self, rows: I64, second: I64, there: Bool) -> tuple[I64, I64]:
        there = there & (second // self._block * self._block + self._block <= 60)
        return rows[there], second[there]


def _ticks(cells: pa.Array) -> I64:
    filled = pc.fill_null(cells.cast(pa.timestamp(cells.type.unit)).cast(pa.int64()), 0)
    return np.array(filled.to_numpy(zero_copy_only=False), dtype=np.int64)


def _read_text(text: pa.StringArray) -> tuple[Spans, I64]:
    spans = find(text, _SECOND)
    _, data = buffers(text)
    tens, ones = data[spans.starts].astype(np.int64), data[spans.starts + 1].astype(np.int64)
    return spans, (tens - ord("0")) * 10 + (ones - ord("0"))


def _respell(text: pa.StringArray, second: I64, rows: I64) -> pa.StringArray:
    spans = find(text, _SECOND)
    starts = spans.starts[np.isin(spans.rows, rows)]
    offsets, data = buffers(text)
    changed = data.copy()
    changed[starts] = second // 10 + ord("0")
    changed[starts + 1] = second % 10 + ord("0")
    return rebuild(text, offsets, changed)
