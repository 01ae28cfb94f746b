"""First letter of an e-mail's local part: zhang.wei@example.com or Zhang.wei@example.com."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.carriers.protocol import Symbols
from watermarking.email_cells import usual_emails
from watermarking.text import I64, Bool, as_text, buffers, is_text, kept, like, matching, rebuild, rows_of

_EMAIL = r"^[A-Za-z][!-?A-~]*@[^@\s]+\.[^@\s]+$"
_A, _Z, _AT, _CASE = np.frombuffer(b"AZ@ ", np.uint8)  # the bit of a space is that of the case of a letter


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
            email = _with_site(text)
            symbols[email, 0] = _capital(text, email)
        return symbols

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with the first letter as wanted; where it changes, the rest becomes lower case."""
        if not len(cells) or not is_text(cells.type):
            return cells
        text = as_text(cells)
        rows = _with_site(text)
        rows = rows[(symbols[rows, 0] >= 0) & (_capital(text, rows) != symbols[rows, 0])]
        if not len(rows):
            return cells
        offsets, data = buffers(text)
        data, offsets = data[offsets[0] : offsets[-1]].copy(), offsets - offsets[0]
        data[offsets[rows]] ^= _CASE
        data[_behind_the_first(text.take(pa.array(rows)), offsets[rows])] |= _CASE
        return like(rebuild(text, offsets, data), cells.type)

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


@kept
def _with_site(text: pa.StringArray) -> I64:
    """The cells that match `_EMAIL`, int64[n]."""
    offsets, data = buffers(text)
    sites = usual_emails(text).copy()
    rest = np.flatnonzero(~sites & (np.diff(offsets) > 0))
    sites[sites] = (data[offsets[:-1][sites]] | _CASE) - ord("a") < 26
    if len(rest):
        sites[rest] = matching(text.take(pa.array(rest)), _EMAIL)
    rows = np.flatnonzero(sites)
    rows.flags.writeable = False
    return rows


def _behind_the_first(emails: pa.StringArray, begins: I64) -> I64:
    """The places of capitals in the local parts of cells but for their first letters; begins: where the cells begin."""
    offsets, data = buffers(emails)
    ats, capitals = np.flatnonzero(data == _AT), np.flatnonzero(data - _A < 26)  # each cell has one @
    within = rows_of(capitals, offsets)
    inner = (capitals > offsets[within]) & (capitals < ats[within])
    return (capitals + (begins - offsets[:-1])[within])[inner]


def _capital(text: pa.StringArray, rows: I64) -> Bool:
    """Whether the first byte of some cells, none of them empty, is a capital; bool[rows]."""
    offsets, data = buffers(text)
    first = data[offsets[rows]]
    return (first >= _A) & (first <= _Z)
