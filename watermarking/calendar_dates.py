"""Calendar dates in the notations that tables and posts use, brought to yyyy-mm-dd."""

import calendar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

I64 = npt.NDArray[np.int64]
_TIME = r"(?:[T ]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+\-]\d{2}:?\d{2})?)?$"
_MONTHS = "|".join(f"(?i:{calendar.month_name[n][:3]})" for n in range(1, 13))
NEWEST_BIRTH = 2020  # a birth year of two digits makes nobody older than a hundred
_YY = r"(?P<y>\d{2})"
_NOTATIONS = (  # named groups: year, month or word, day
    r"^(?P<y>[12]\d{3})(?:-|/|\.|年)(?P<m>\d{1,2})(?:-|/|\.|月)(?P<d>\d{1,2})日?" + _TIME,
    r"^(?P<y>[12]\d{3})(?P<m>\d{2})(?P<d>\d{2})" + _TIME,
    r"^(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>[12]\d{3})" + _TIME,
    rf"^(?P<d>\d{{1,2}})[- ](?P<w>{_MONTHS})[a-z]*\.?[- ,]+(?P<y>[12]\d{{3}})" + _TIME,
    rf"^(?P<w>{_MONTHS})[a-z]*\.? (?P<d>\d{{1,2}}),? +(?P<y>[12]\d{{3}})" + _TIME,
    r"^(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.]" + _YY + _TIME,
    r"^(?P<y>3[2-9]|[4-9]\d)[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})" + _TIME,  # no day is above 31
    rf"^(?P<d>\d{{1,2}})[- ](?P<w>{_MONTHS})[a-z]*\.?[- ]" + _YY + _TIME,
    r"^(?P<d>\d{1,2})-(?P<m>\d{1,2})月 ?-" + _YY + _TIME,  # Oracle in Chinese
)
_EITHER = r"^(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?:[12]\d{3}|\d{2})" + _TIME


def iso_dates(text: pa.Array, *, month_first: bool = False, newest: int = 2049) -> pa.Array:
    """Dates as yyyy-mm-dd; string[n], null where there is no date that exists.

    month_first: how to read a date of which both could be, as in 03/07/1985; where only the other order is a date, that
    one. newest: years of two digits lie in the hundred that end with it. A time of day after the date is dropped.
    """
    result = pa.nulls(len(text), pa.string())
    for notation in _NOTATIONS:
        found = pc.match_substring_regex(text, notation).fill_null(False)
        if found.true_count:
            parts = pc.extract_regex(text.filter(found), notation)
            either = notation.startswith(r"^(?P<d>\d{1,2})[-/.]")
            read = _joined(parts, either=either, month_first=month_first, newest=newest)
            result = pc.if_else(result.is_null(), _spread(read, found), result)
    return result


def order_of(text: pa.Array) -> int:
    """Which comes first in a column: 1 the month, -1 the day, 0 where each of its dates could be both.

    Told by the dates that are none in the other order.
    """
    parts = pc.extract_regex(text.drop_null(), _EITHER).drop_null()
    if not len(parts):
        return 0
    first, second = _numbers(parts.field("a")), _numbers(parts.field("b"))
    return int(np.sign(int(((first <= 12) & (second > 12)).sum()) - int(((first > 12) & (second <= 12)).sum())))


def _spread(cells: pa.Array, there: pa.Array) -> pa.Array:
    return pc.replace_with_mask(pa.nulls(len(there), pa.string()), there, cells)


def _joined(parts: pa.StructArray, *, either: bool, month_first: bool, newest: int) -> pa.Array:
    """The dates of named parts; either: day and month are numbers whose order the notation leaves open."""
    year, day = _numbers(parts.field("y")), _numbers(parts.field("d"))
    year = np.where(year < 100, newest - (newest - year) % 100, year)
    month = _numbers(parts.field("m")) if _has(parts, "m") else _named(parts.field("w"))
    if either and month_first:
        month, day = day, month
    swap = (month > 12) & (day <= 12) & either
    month, day = np.where(swap, day, month), np.where(swap, month, day)
    lengths = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    last = lengths[np.clip(month, 0, 12)] + (leap & (month == 2))
    good = (month >= 1) & (month <= 12) & (day >= 1) & (day <= last)
    days = _days(np.where(good, year, 1970), np.where(good, month, 1), np.where(good, day, 1))
    dates = pa.array(days, pa.date32(), mask=~good)
    return dates.cast(pa.string())


def _days(year: I64, month: I64, day: I64) -> npt.NDArray[np.datetime64]:
    months = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    return np.asarray(months.astype("datetime64[D]") + (day - 1))


def _numbers(cells: pa.Array) -> I64:
    return np.asarray(cells.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)


def _named(words: pa.Array) -> I64:
    names = pa.array([calendar.month_name[n][:3].lower() for n in range(1, 13)])
    return _numbers(pc.index_in(pc.utf8_lower(words), value_set=names)) + 1


def _has(parts: pa.StructArray, name: str) -> bool:
    return bool(parts.type.get_field_index(name) >= 0)
