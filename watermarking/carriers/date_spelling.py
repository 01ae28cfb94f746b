"""Separators of a date in a column that is mixed already: 2024-05-01 or 2024/05/01."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.carriers.protocol import Symbols
from watermarking.text import as_text, is_text, like, matching

_DAY = r"[12][0-9]{3}%s(?:0?[1-9]|1[0-2])%s(?:0?[1-9]|[12][0-9]|3[01])"
_SEPARATORS = ("-", "/")


class DateSpelling:
    """One site a cell that is a date, year first, with two equal separators; a cell with a time has none."""

    name = "date_spelling"

    def labels(self) -> tuple[str, ...]:
        """One site."""
        return ("separator",)

    def read(self, cells: pa.Array) -> Symbols:
        """int8[rows, 1]: 0 hyphens, 1 slashes."""
        symbols = np.full((len(cells), 1), -1, dtype=np.int8)
        if is_text(cells.type):
            text = as_text(cells)
            for symbol, sign in enumerate(_SEPARATORS):
                symbols[matching(text, f"^{_DAY % (sign, sign)}$"), 0] = symbol
        return symbols

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with the wanted separators; int8[rows, 1]."""
        present = self.read(cells)[:, 0]
        written = text = as_text(cells) if is_text(cells.type) else cells
        for symbol, sign in enumerate(_SEPARATORS):
            change = (symbols[:, 0] == symbol) & (present == 1 - symbol)
            if change.any():
                flags = pa.array(change)
                spelled = pc.replace_substring(text.filter(flags), _SEPARATORS[1 - symbol], sign)
                written = pc.replace_with_mask(written, flags, spelled)
        return cells if written is text else like(written, cells.type)

    def mark_free(self, cells: pa.Array) -> pa.Array:
        """Hyphens, where the cell is a date."""
        return as_text(self.write(cells, np.zeros((len(cells), 1), dtype=np.int8)))

    def distortion(self) -> str:
        """What a data owner should know."""
        return "Separators of a date, 2024-05-01 or 2024/05/01, where the column has both; the day stays the same."
