"""E-mail addresses as most people have them, seen by their bytes, a third of what a pattern costs.

What is said here of a cell is what the pattern says of it; the tests hold both to the same answer.
"""

import numpy as np
import pyarrow as pa

from watermarking.text import I64, PIECE, Bool, Bytes, buffers, eight_before, kept, rows_of

# With at most eight letters behind the last point, as many as are looked at.
USUAL = r"^[A-Za-z0-9._%+\-]+@[A-Za-z0-9.\-]+\.[A-Za-z]{1,8}$"
_SIGNS = np.frombuffer(b".-@", np.uint8)
_LOCAL = np.frombuffer(b"_%+", np.uint8)
_DOT, _, _AT = _SIGNS
_A, _ZERO, _CASE = np.frombuffer(b"a0 ", np.uint8)


@kept
def usual_emails(text: pa.StringArray) -> Bool:
    """The cells, not null, that match `USUAL`; bool[rows], which cannot be written to."""
    offsets, data = buffers(text)
    data, offsets = data[offsets[0] : offsets[-1]], offsets - offsets[0]
    usual = text.is_valid().to_numpy(zero_copy_only=False) if text.null_count else np.ones(len(text), dtype=bool)
    ats, signs = np.full((2, len(text)), -1)  # where the @ of each cell is, and the last of what only stands before it
    for start in range(0, len(data), PIECE):  # memory is that of a piece, whatever the cells hold
        piece = data[start : start + PIECE]
        known = _letters(piece) | (piece - _ZERO < 10)
        for sign in _SIGNS:
            known |= piece == sign
        odd = np.flatnonzero(~known) + start
        whose, local = rows_of(odd, offsets), np.isin(data[odd], _LOCAL)
        usual[whose[~local]] = False
        signs[whose[local]] = odd[local]
        at = np.flatnonzero(piece == _AT) + start
        whose = rows_of(at, offsets)
        usual[whose[(ats[whose] >= 0) | (np.diff(whose, prepend=-1) == 0)]] = False  # more than one
        ats[whose] = at
    last = offsets[1:] - _last_letters(data, offsets) - 1
    usual &= (ats > offsets[:-1]) & (signs < ats) & (last > ats + 1) & (last < offsets[1:] - 1)
    usual[usual] = data[last[usual]] == _DOT
    usual.flags.writeable = False
    return usual


def _letters(data: Bytes) -> Bool:
    return np.asarray((data | _CASE) - _A < 26, dtype=np.bool_)


def _last_letters(data: Bytes, offsets: I64) -> I64:
    """How many letters each cell ends with, at most eight."""
    others = ~_letters(eight_before(data, offsets[:-1], offsets[1:]).view(np.uint8))
    # The highest byte that is 1 tells: no number of so few bits is rounded up to the next.
    return np.asarray(8 - (np.frexp(others.view("<u8").astype(np.float64))[1] + 7) // 8, dtype=np.int64)
