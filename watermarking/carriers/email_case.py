"""First letter of an e-mail's local part: zhang.wei@example.com or Zhang.wei@example.com."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.carriers.protocol import Symbols
from watermarking.text import I64, Bool, as_text, buffers, is_text, like, matching

_EMAIL = r"^[A-Za-z][!-?A-~]*@[^@\s]+\.[^@\s]+$"
_A, _Z = b"AZ"


class EmailCase:
    """One site a cell whose local part begins with a letter; the domain is never touched."""

    name = "email_case"

    def labels(self) -> tuple[str, ...]:
        """One site."""
        return ("first_letter",)

    def read(self, cells: pa.Array) -> Symbols:
        """int8[rows, 1]: 1 where the first letter is upper case."""
        symbols = np.full((len(cells), 1), -1, dtype=np.int8)
        if is_text(cells.type):
            text = as_text(cells)
            email = np.flatnonzero(matching(text, _EMAIL))
            symbols[email, 0] = _capital(text, email)
        return symbols

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with the first letter as wanted; where it changes, the rest becomes lower case."""
        if not len(cells) or not is_text(cells.type):
            return cells
        text = as_text(cells)
        rows = np.flatnonzero((symbols[:, 0] >= 0) & (np.diff(buffers(text)[0]) > 0))
        rows = rows[_capital(text, rows) != symbols[rows, 0]]  # few are left to be asked whether they are addresses
        rows = rows[matching(text.take(pa.array(rows)), _EMAIL)]
        if not len(rows):
            return cells
        change = np.zeros(len(text), dtype=bool)
        change[rows] = True
        flags = pa.array(change)
        parts = pc.split_pattern(text.filter(flags), "@", max_splits=1)
        local = pc.list_element(parts, 0)
        upper = pa.array(symbols[change, 0] == 1)
        local = pc.if_else(upper, pc.ascii_capitalize(local), pc.ascii_lower(local))
        spelled = pc.binary_join_element_wise(local, pc.list_element(parts, 1), "@")
        return like(pc.replace_with_mask(text, flags, spelled), cells.type)

    def mark_free(self, cells: pa.Array) -> pa.Array:
        """Text; e-mail addresses with a local part in lower case."""
        text = as_text(cells)
        email = pa.array((self.read(cells)[:, 0] >= 0), pa.bool_())
        parts = pc.split_pattern(text.filter(email), "@", max_splits=1)
        local = pc.ascii_lower(pc.list_element(parts, 0))
        return pc.replace_with_mask(text, email, pc.binary_join_element_wise(local, pc.list_element(parts, 1), "@"))

    def distortion(self) -> str:
        """What a data owner should know."""
        return (
            "Case of an e-mail's local part: its first letter, the rest lower where that changes; "
            "mail arrives all the same with every common provider."
        )


def _capital(text: pa.StringArray, rows: I64) -> Bool:
    """Whether the first byte of some cells, none of them empty, is a capital; bool[rows]."""
    offsets, data = buffers(text)
    first = data[offsets[rows]]
    return (first >= _A) & (first <= _Z)
