"""Digits of an address in half or full width: 128号 or １２８号."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.carriers.protocol import Symbols
from watermarking.text import I64, as_text, buffers, is_text, like, matching, rebuild

_LEAD, _SECOND, _ZERO = 0xEF, 0xBC, 0x90  # UTF-8 of the full-width zero


class AddressWidth:
    """One site a cell that has digits, all of one width; cells that mix both have none."""

    name = "address_width"

    def labels(self) -> tuple[str, ...]:
        """One site."""
        return ("width",)

    def read(self, cells: pa.Array) -> Symbols:
        """int8[rows, 1]: 0 half width, 1 full width."""
        symbols = np.full((len(cells), 1), -1, dtype=np.int8)
        if is_text(cells.type):
            text = as_text(cells)
            half, full = matching(text, "[0-9]"), matching(text, "[０-９]")
            symbols[half & ~full, 0] = 0
            symbols[full & ~half, 0] = 1
        return symbols

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with all digits of the wanted width; int8[rows, 1]."""
        present = self.read(cells)[:, 0]
        text = written = as_text(cells) if is_text(cells.type) else cells
        for symbol, convert in ((0, narrowed), (1, widened)):
            change = (symbols[:, 0] == symbol) & (present == 1 - symbol)
            if change.any():
                flags = pa.array(change)
                written = pc.replace_with_mask(written, flags, convert(text.filter(flags)))
        return cells if written is text else like(written, cells.type)

    def mark_free(self, cells: pa.Array) -> pa.Array:
        """Half-width digits, where a cell does not mix both."""
        return as_text(self.write(cells, np.zeros((len(cells), 1), dtype=np.int8)))

    def distortion(self) -> str:
        """What a data owner should know."""
        return "Digits of an address in half or full width; the digits stay the same."


def widened(text: pa.StringArray) -> pa.StringArray:
    """Every ASCII digit in full width."""
    offsets, data = _own_bytes(text)
    digits = np.flatnonzero((data >= ord("0")) & (data <= ord("9")))
    last = digits + 2 * np.arange(1, len(digits) + 1)  # where the third byte of each comes to lie
    wide = np.empty(len(data) + 2 * len(digits), dtype=np.uint8)
    kept = np.ones(len(wide), dtype=np.bool_)
    kept[last - 2] = kept[last - 1] = False
    wide[kept] = data
    wide[last - 2], wide[last - 1] = _LEAD, _SECOND
    wide[last] += _ZERO - ord("0")
    return rebuild(text, offsets + 2 * np.searchsorted(digits, offsets), wide)


def narrowed(text: pa.StringArray) -> pa.StringArray:
    """Every full-width digit in half width."""
    offsets, data = _own_bytes(text)
    # The lead byte starts a character of three bytes wherever it stands: text is valid UTF-8.
    lead = np.flatnonzero(data == _LEAD)
    third = data[lead + 2]
    lead = lead[(data[lead + 1] == _SECOND) & (third >= _ZERO) & (third <= _ZERO + 9)]
    narrow = data.copy()
    narrow[lead + 2] -= _ZERO - ord("0")
    kept = np.ones(len(data), dtype=np.bool_)
    kept[lead] = kept[lead + 1] = False
    return rebuild(text, offsets - 2 * np.searchsorted(lead, offsets), narrow[kept])


def _own_bytes(text: pa.StringArray) -> tuple[I64, npt.NDArray[np.uint8]]:
    offsets, data = buffers(text)
    return offsets - offsets[0], data[offsets[0] : offsets[-1]]
