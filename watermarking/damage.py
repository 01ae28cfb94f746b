"""What a spreadsheet did to identifiers, undone where it can be, and else not read.

Numbers above 15 digits lose their last ones, numbers lose leading zeros, long ones are shown as 1.38E+10, dates become
days since 1900. A value that lost digits is not the value of somebody else: it is left out, as a masked one is.
"""

from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.calendar_dates import NEWEST_BIRTH, iso_dates, order_of
from watermarking.decimals import bare, has_commas, with_points
from watermarking.normalise import spelled
from watermarking.plain_cells import none_scientific

_SCIENTIFIC = r"^(?P<a>\d)(?:\.(?P<b>\d*))?[eE]\+?(?P<x>\d{1,2})$"
_PADDED = frozenset(("id", "account", "postcode"))
_DAYS = r"^[1-6]\d{4}(?:\.0+)?$"  # 18 May 1927 to 2091, as days since 30 December 1899
_BIRTHS = r"^(?:[1-3]\d{4}|4[0-3]\d{3})(?:\.0+)?$"  # to 2020: nobody's customer is born later
_MOSTLY = 0.8  # of the cells
_EPOCH = np.datetime64("1899-12-30", "D")
_ROUNDED = {"national_id": r"^\d{15}0{3}$", "card": r"^\d{15}0{1,4}$"}  # 15 digits are kept, the rest are zeros
_ROUNDED_SHARE = 0.2  # of the cells


class Notation(StrEnum):
    """How a column writes what a cell alone leaves open: 03/07/1985, 1.234."""

    USUAL = ""
    MONTH_FIRST = "month before day"
    DAY_FIRST = "day before month"
    DECIMAL_COMMA = "decimal comma"


def notation_of(kind: str, cells: pa.Array) -> Notation:
    """The notation of a sample's column, decided by all of its cells together."""
    text = spelled(cells)
    if kind in ("birth_date", "date"):
        return (Notation.USUAL, Notation.MONTH_FIRST, Notation.DAY_FIRST)[order_of(text)]
    return Notation.DECIMAL_COMMA if kind in ("amount", "number") and has_commas(text) else Notation.USUAL


def repaired(kind: str, cells: pa.Array, notation: Notation = Notation.USUAL) -> pa.Array:
    """The cells of a sample's column as they were before a spreadsheet had them; string[n].

    Null where digits are lost. A cell that no spreadsheet damaged is the same as before, but for what the column's
    notation decides.
    """
    text = _written_out(spelled(cells))
    if kind in _ROUNDED and _mostly_zeros(text):
        lost = pc.match_substring_regex(text, _ROUNDED[kind]).fill_null(False)
        # One id in a thousand ends so by itself; most of a column do when a spreadsheet rounded it.
        if lost.true_count > _ROUNDED_SHARE * len(text):
            text = pc.if_else(lost, pa.scalar(None, pa.string()), text)
    if kind in _PADDED:
        text = _with_leading_zeros(text)
    if notation is Notation.DECIMAL_COMMA:
        return with_points(bare(text), throughout=True)
    if notation is Notation.MONTH_FIRST:
        newest = {"newest": NEWEST_BIRTH} if kind == "birth_date" else {}
        text = pc.coalesce(iso_dates(text, month_first=True, **newest), text)
    return _dates(text) if kind in ("birth_date", "date") else text


def _mostly_zeros(text: pa.Array) -> bool:
    """Whether as many cells end with a zero as ought to when a spreadsheet rounded them."""
    return pc.ends_with(text, "0").true_count > _ROUNDED_SHARE * len(text)


def births_in_days(cells: pa.Array) -> pa.Array | None:
    """Birth dates of a column that may hold them as a spreadsheet's days; string[n], None where it holds other things.

    Ids of five digits look alike, so this is one reading of the column beside its own.
    """
    text = spelled(cells)
    found = pc.match_substring_regex(text, _BIRTHS)
    share = pc.mean(found).as_py()
    return _dates(pc.if_else(found, text, None)) if share is not None and share >= _MOSTLY else None


def _written_out(text: pa.Array) -> pa.Array:
    """1.3800001111E+10 as its digits; null where fewer digits are shown than the number has."""
    if none_scientific(text):
        return text
    found = pc.match_substring_regex(text, _SCIENTIFIC).fill_null(False)
    if not found.true_count:
        return text
    parts = pc.extract_regex(text.filter(found), _SCIENTIFIC)
    shown = pc.utf8_length(parts.field("b"))
    whole = pc.equal(shown.cast(pa.int64()), parts.field("x").cast(pa.int64()))
    digits = pc.binary_join_element_wise(parts.field("a"), parts.field("b"), "")
    return pc.replace_with_mask(text, found, pc.if_else(whole, digits, pa.scalar(None, pa.string())))


def _with_leading_zeros(text: pa.Array) -> pa.Array:
    """Plain numbers as long as the longest of the column, when most have that length and none is longer."""
    if not pc.all(pc.match_substring_regex(text.drop_null(), r"^\d+$")).as_py():
        return text
    lengths = pc.utf8_length(text.drop_null()).to_numpy(zero_copy_only=False)
    if not len(lengths) or lengths.max() > 18 or (lengths == lengths.max()).mean() < 0.6:
        return text  # running numbers, or codes of several lengths
    return pc.utf8_lpad(text, int(lengths.max()), "0")


def _dates(text: pa.Array) -> pa.Array:
    serial = pc.match_substring_regex(text, _DAYS).fill_null(False)
    if not serial.true_count:
        return text
    days = pc.replace_substring_regex(text.filter(serial), r"\.0+$", "").cast(pa.int64()).to_numpy()
    dates = pa.array(_EPOCH + days.astype("timedelta64[D]"), pa.date32()).cast(pa.string())
    return pc.replace_with_mask(text, serial, dates)
