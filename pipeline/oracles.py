"""A second opinion on a few cells: python-stdnum and phonenumbers, cell by cell, so only on a handful."""

from collections.abc import Callable, Mapping

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from stdnum import luhn
from stdnum.cn import ric
from stdnum.exceptions import InvalidComponent
from stdnum.us import ssn

from watermarking.normalise import normalise

_MOST = 200
_REGIONS = ("CN", "GB", "US")


def second_opinion(kind: str, cells: pa.Array) -> tuple[str, int, int] | None:
    """The oracle's name, how many cells it agrees on, and how many it was asked; None for other kinds."""
    if kind not in _ORACLES:
        return None
    whole = cells.filter(normalise(kind, cells).is_valid())
    text = pc.utf8_trim_whitespace(whole.cast(pa.string())) if len(whole) else pa.array([], pa.string())
    if not len(text):
        return None
    rows = np.unique(np.linspace(0, len(text) - 1, min(len(text), _MOST)).astype(np.int64))
    name, agrees = _ORACLES[kind]
    asked = text.take(pa.array(rows)).to_pylist()
    return name, sum(agrees(cell) for cell in asked), len(asked)


def is_phone(cell: str) -> bool:
    """Whether phonenumbers takes it for a number of China, Britain, the US, or in international form."""
    for region in _REGIONS:
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(cell, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


def is_national_id(cell: str) -> bool:
    """Whether python-stdnum takes it for a Chinese resident's id or a US social security number.

    Of a Chinese id, check character and date only: its table of counties also asks that the county's code was
    in use in the year of birth, but codes were given out when people registered.
    """
    if len(cell) != 18 or not cell[:17].isdecimal():
        return bool(ssn.is_valid(cell))
    try:
        ric.get_birth_date(cell)
    except InvalidComponent:
        return False
    return bool(ric.calc_check_digit(cell) == cell[-1].upper())


_ORACLES: Mapping[str, tuple[str, Callable[[str], bool]]] = {
    "phone": ("phonenumbers", is_phone),
    "national_id": ("python-stdnum", is_national_id),
    "card": ("python-stdnum", lambda cell: bool(luhn.is_valid(cell.replace(" ", "").replace("-", "")))),
}
