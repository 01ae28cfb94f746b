"""Numbers written with a decimal comma, brought to a decimal point."""

import pyarrow as pa
import pyarrow.compute as pc

_THOUSANDS = r"\d{1,3}(?:\.\d{3})+"
# A comma that cannot set thousands apart: 1.234,56 or 1234,5 or 1234,567 or 0,123, but not 1,234.
_COMMA = rf"^[+\-]?(?:{_THOUSANDS},\d*|\d+,(?:\d{{1,2}}|\d{{4,}})|(?:\d{{4,}}|0\d*),\d+)$"
_POINT = r"^[+\-]?(?:\d{1,3}(?:,\d{3})+\.\d*|\d+\.(?:\d{1,2}|\d{4,})|(?:\d{4,}|0\d*)\.\d+)$"
_EITHER = rf"^[+\-]?(?:{_THOUSANDS}|\d+)(?:,\d+)?$"
_MILLIONS = r"^[+\-]?\d{1,3}(?:\.\d{3}){2,}$"  # no number has two decimal points


def bare(text: pa.Array) -> pa.Array:
    """Numbers without blanks, apostrophes, low lines and signs of currencies."""
    return pc.replace_substring_regex(text, r"[\s\x{a0}\x{202f}_¥$€£'’]", "")


def has_commas(text: pa.Array) -> bool:
    """Whether a column writes decimal commas: more cells show one than show a decimal point."""
    if not pc.any(pc.match_substring(text, ",")).as_py():
        return False
    numbers = bare(text)
    commas, points = (pc.match_substring_regex(numbers, pattern).true_count for pattern in (_COMMA, _POINT))
    return bool(commas > points)


def with_points(numbers: pa.Array, *, throughout: bool = False) -> pa.Array:
    """Bare numbers with a decimal comma as numbers with a decimal point, others as they are; string[n].

    throughout: the column writes decimal commas, so that 1.234 is a thousand and 1,234 a little more than one.
    """
    found = pc.match_substring_regex(numbers, _EITHER if throughout else f"{_COMMA}|{_MILLIONS}").fill_null(False)
    if not found.true_count:
        return numbers
    pointed = pc.replace_substring(pc.replace_substring(numbers.filter(found), ".", ""), ",", ".")
    return pc.replace_with_mask(numbers, found, pointed)
