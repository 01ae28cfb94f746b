"""Calendar dates in the notations that tables and posts use, brought to yyyy-mm-dd."""

import calendar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

I64 = npt.NDArray[np.int64]
_TIME = r"(?:[T ]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+\-]\d{2}:?\d{2})?)?$"
_MONTHS = "|".join(f"(?i:{calendar.month_name[n][:3]})" for n in range(1, 13))
_NOTATIONS = (  # named groups: year, month or word, day
    r"^(?P<y>[12]\d{3})(?:-|/|\.|年)(?P<m>\d{1,2})(?:-|/|\.|月)(?P<d>\d{1,2})日?" + _TIME,
    r"^(?P<y>[12]\d{3})(?P<m>\d{2})(?P<d>\d{2})" + _TIME,
    r"^(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>[12]\d{3})" + _TIME,
    rf"^(?P<d>\d{{1,2}})[- ](?P<w>{_MONTHS})[a-z]*\.?[- ,]+(?P<y>[12]\d{{3}})" + _TIME,
    rf"^(?P<w>{_MONTHS})[a-z]*\.? (?P<d>\d{{1,2}}),? +(?P<y>[12]\d{{3}})" + _TIME,
)


def iso_dates(text: pa.Array) -> pa.Array:
    """Dates as yyyy-mm-dd; string[n], null where there is no date that exists.

    Day before month where both could be, as in dd/mm/yyyy; where only the other order is a date, that one.
    A time of day after the date is dropped.
    """
    result = pa.nulls(len(text), pa.string())
    for notation in _NOTATIONS:
        found = pc.match_substring_regex(text, notation).fill_null(False)
        if found.true_count:
            parts = pc.extract_regex(text.filter(found), notation)
            result = pc.replace_with_mask(result, found, _joined(parts, day_first=notation.startswith("^(?P<d>")))
    return result


def _joined(parts: pa.StructArray, *, day_first: bool) -> pa.Array:
    year, day = _numbers(parts.field("y")), _numbers(parts.field("d"))
    month = _numbers(parts.field("m")) if _has(parts, "m") else _named(parts.field("w"))
    swap = (month > 12) & (day <= 12) & day_first
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
