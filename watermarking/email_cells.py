"""E-mail addresses as most people have them, seen by their bytes, a third of what a pattern costs.

What is said here of a cell is what the pattern says of it; the tests hold both to the same answer.
"""

import numpy as np
import pyarrow as pa

from watermarking.text import I64, Bool, buffers, eight_before, kept, rows_of

# With at most eight letters behind the last point, as many as are looked at.
USUAL = r"^[A-Za-z0-9._%+\-]+@[A-Za-z0-9.\-]+\.[A-Za-z]{1,8}$"
_SIGNS = np.frombuffer(b".-@", np.uint8)
_LOCAL = np.frombuffer(b"_%+", np.uint8)
_DOT, _, _AT = _SIGNS
_A, _ZERO, _LOWER = np.frombuffer(b"a0 ", np.uint8)
_ONES = np.uint64(0x0101010101010101)


@kept
def usual_emails(text: pa.StringArray) -> Bool:
    """The cells, not null, that match `USUAL`; bool[rows]."""
    offsets, data = buffers(text)
    data, offsets = data[offsets[0] : offsets[-1]], offsets - offsets[0]
    letters = (data | _LOWER) - _A < 26
    known = letters | (data - _ZERO < 10)
    for sign in _SIGNS:
        known |= data == sign
    at = np.flatnonzero(data == _AT)
    within = rows_of(at, offsets)
    usual = np.bincount(within, minlength=len(text)) == 1
    if text.null_count:
        usual &= text.is_valid().to_numpy(zero_copy_only=False)
    places = np.zeros(len(text), dtype=np.int64)
    places[within] = at
    odd = np.flatnonzero(~known)
    whose = rows_of(odd, offsets)
    usual[whose[~np.isin(data[odd], _LOCAL) | (odd > places[whose])]] = False
    last = offsets[1:] - _last_letters(letters, offsets) - 1
    usual &= (places > offsets[:-1]) & (last > places + 1) & (last < offsets[1:] - 1)
    usual[usual] = data[last[usual]] == _DOT
    return usual


def _last_letters(letters: Bool, offsets: I64) -> I64:
    """How many letters each cell ends with, at most eight."""
    others = eight_before(letters.view(np.uint8), offsets[:-1], offsets[1:]) ^ _ONES
    return 8 - (np.frexp(others.astype(np.float64))[1] + 7) // 8
