"""Columns of which every cell is in its normal form already, seen by their bytes, a tenth of what a pattern costs.

Each rule says yes only where the pattern of normalise.py matches every cell; where it says no, the pattern is asked.
The tests hold the rules to the patterns.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from watermarking.text import I64, PIECE, Bytes, buffers

_WIDE = "＊".encode()  # its first two bytes are those of the wide forms of ASCII
_SOME = "某".encode()  # hides the rest of a name


def all_normal(kind: str, text: pa.StringArray) -> bool:
    """Whether all cells that are not null are in the normal form of a kind that has a rule."""
    rule = _RULES.get(kind)
    if rule is None:
        return False
    offsets, data = buffers(text)
    lengths = np.diff(offsets)
    if text.null_count:
        valid = text.is_valid().to_numpy(zero_copy_only=False)
        if lengths[~valid].any():
            return False
        lengths = lengths[valid]
    return len(lengths) > 0 and rule(data[offsets[0] : offsets[-1]], lengths)


def all_ascii(text: pa.StringArray) -> bool:
    """Whether the column holds nothing but ASCII."""
    offsets, data = buffers(text)
    return bool((data[offsets[0] : offsets[-1]] < 0x80).all())


def nothing_hidden(text: pa.StringArray) -> bool:
    """Whether no cell can hide a character: all hold ASCII and its wide forms but the asterisks, and Han but 某."""
    offsets, data = buffers(text)
    data = data[offsets[0] : offsets[-1]]
    for start in range(0, len(data), PIECE):
        piece = data[start : start + PIECE + len(_SOME) - 1]
        if ((piece == ord("*")) | (piece >= 0xC0) & (piece - np.uint8(0xE4) >= 6) & (piece != _WIDE[0])).any():
            return False
        first, second, third = piece[:-2], piece[1:-1], piece[2:]
        if ((first == _SOME[0]) & (second == _SOME[1]) & (third == _SOME[2])).any():
            return False
        wide = np.flatnonzero(first == _WIDE[0])
        if ((second[wide] != _WIDE[1]) | (third[wide] == _WIDE[2])).any():
            return False
    return True


def none_scientific(text: pa.StringArray) -> bool:
    """Whether no cell can be a number written as 1.38E+10: the second character of each is no point and no E."""
    offsets, data = buffers(text)
    second = offsets[:-1][np.diff(offsets) > 1] + 1
    return not np.isin(data[second], np.frombuffer(b".eE", np.uint8)).any()


def _phone(data: Bytes, lengths: I64) -> bool:
    if not (lengths == 11).all() or not _are_digits(data):
        return False
    cells = data.reshape(-1, 11)
    return bool((cells[:, 0] == ord("1")).all() and (cells[:, 1] >= ord("3")).all())


def _national_id(data: Bytes, lengths: I64) -> bool:
    if not _between(lengths, 15, 18):
        return False
    last = np.cumsum(lengths) - 1
    ends = data[last]
    body = data.copy()
    body[last[ends == ord("X")]] = ord("0")
    return _are_digits(body)


def _card(data: Bytes, lengths: I64) -> bool:
    return _between(lengths, 12, 19) and _are_digits(data)


def _han_name(data: Bytes, lengths: I64) -> bool:
    if not _between(lengths, 6, 12) or (lengths % 3).any():
        return False
    letters = data.reshape(-1, 3)
    first, second = letters[:, 0], letters[:, 1]
    han = (first - np.uint8(0xE4) < 6) & ((first != 0xE4) | (second >= 0xB8))
    return bool(han.all()) and not (letters[letters[:, 2] == _SOME[2]] == np.frombuffer(_SOME, np.uint8)).all(1).any()


def _visible(data: Bytes, lengths: I64) -> bool:
    """Nothing but ASCII that can be seen."""
    return bool((lengths > 0).all() and (data - np.uint8(0x21) < 0x5E).all())


def _are_digits(data: Bytes) -> bool:
    return bool((data - np.uint8(ord("0")) < 10).all())


def _between(lengths: I64, least: int, most: int) -> bool:
    return bool((lengths >= least).all() and (lengths <= most).all())


_RULES: Mapping[str, Callable[[Bytes, I64], bool]] = {
    "phone": _phone,
    "national_id": _national_id,
    "card": _card,
    "person_name": _han_name,
    "id": _visible,
}
