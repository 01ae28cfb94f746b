"""Low bits of an amount in minor units: with two bits 125.40 to 125.43 hold two symbols."""

import numpy as np
import pyarrow as pa

from schemas.errors import ContractError
from watermarking.carriers.amounts import Cells, cells_of
from watermarking.carriers.bits import checked_bits, from_symbols, to_symbols
from watermarking.carriers.protocol import Symbols
from watermarking.text import Bool, as_text

_DIGITS = 15


class AmountLowDigits:
    """One site a bit, in units of 10^-decimals, the same unit whatever the type of the cell.

    A cell written with fewer decimals has no site (its style would change). Nor has a cell in the block of
    zero (nothing must not become something), nor one whose block crosses a power of ten (digits would come or
    go). With `every` only each so-manieth block has sites, so that fewer cells change.
    """

    name = "amount_low_digits"

    def __init__(self, bits: int = 2, decimals: int = 2, every: int = 1) -> None:
        """bits: 1 to 6; decimals: 0 to 6, of the minor unit; every: 1 to 64; raises ContractError otherwise."""
        self._bits = checked_bits(self.name, bits, 6)
        if not isinstance(decimals, int) or isinstance(decimals, bool) or not 0 <= decimals <= 6:
            raise ContractError(
                "contract: carrier amount_low_digits, option 'decimals' is not a whole number from 0 to 6; "
                "expected the decimals of the smallest unit; change leaktraceMark"
            )
        if not isinstance(every, int) or isinstance(every, bool) or not 1 <= every <= 64:
            raise ContractError(
                "contract: carrier amount_low_digits, option 'every' is not a whole number from 1 to 64; "
                "expected which share of the blocks of values is marked; change leaktraceMark"
            )
        self._decimals, self._every = decimals, every

    def labels(self) -> tuple[str, ...]:
        """bit0 (the lowest) and up."""
        return tuple(f"bit{number}" for number in range(self._bits))

    def read(self, cells: pa.Array) -> Symbols:
        """int8[rows, bits]; cells: integers, decimals, float64 or text."""
        found = self._cells(cells)
        there = self._eligible(found)
        symbols = np.full((len(cells), self._bits), -1, dtype=np.int8)
        symbols[found.rows[there]] = to_symbols(found.units[there], self._bits)
        return symbols

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with low bits replaced; text keeps its sign, zeros, separators and number of decimals."""
        found = self._cells(cells)
        wanted = from_symbols(found.units, symbols[found.rows], self._bits)
        change = self._eligible(found) & (wanted != found.units)
        return found.rewrite(cells, change, wanted) if change.any() else cells

    def mark_free(self, cells: pa.Array) -> pa.Array:
        """Text, each amount at the start of its block."""
        return as_text(self.write(cells, np.zeros((len(cells), self._bits), dtype=np.int8)))

    def distortion(self) -> str:
        """What a data owner should know."""
        most = ((1 << self._bits) - 1) / 10**self._decimals
        return f"An amount changes by at most {most:.{self._decimals}f}; its sign and number of digits stay."

    def _eligible(self, found: Cells) -> Bool:
        first = found.units >> self._bits << self._bits
        last = first + (1 << self._bits) - 1
        whole = np.ones(len(first), dtype=np.bool_)
        for power in range(1, self._bits):  # 2^bits divides every higher power of ten: no block crosses it
            whole &= (first < 10**power) == (last < 10**power)
        if self._every > 1:
            whole &= (first >> self._bits) % self._every == 0
            whole &= last < 10**_DIGITS
        return (first > 0) & whole & found.room(last)

    def _cells(self, cells: pa.Array) -> Cells:
        """Of text the low digits are enough, unless the whole number says whether it is marked."""
        return cells_of(cells, self._decimals, self._bits if self._every == 1 else _DIGITS)
