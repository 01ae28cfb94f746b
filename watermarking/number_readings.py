"""Other ways to read a sample's columns of digits: as a spreadsheet's days of birth, with leading zeros put back."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from watermarking.damage import births_in_days
from watermarking.normalise import spelled
from watermarking.tokens import Field

LIKE_DAYS = frozenset(("id", "number", "amount", "postcode", "account", "text"))  # kinds that five digits may be
_UNLIKELY = 3.0  # bits that an agreement says less in a column that is called another kind, or with zeros put back
_ZEROS = 3  # that may be gone from every cell of a column


def births(columns: Sequence[pa.Array]) -> list[Field]:
    """What columns would be as birth dates that a spreadsheet made numbers."""
    read = [one for one in map(births_in_days, columns) if one is not None]
    return [Field("birth_date", "", one, None, _UNLIKELY) for one in read]


def with_zeros(whole: pa.Array, shown: pa.Array) -> list[Field]:
    """Ids of digits of which the sample shows none with a zero before it, as longer ones by one, two or three zeros.

    whole: the ids, string[n]; shown: as the sample has them.
    """
    shown = spelled(shown).drop_null()
    if not len(shown) or not pc.all(pc.match_substring_regex(shown, r"^\s*[1-9]\d*\s*$")).as_py():
        return []
    longest = pc.max(pc.utf8_length(whole)).as_py()
    widths = range(longest + 1, longest + 1 + _ZEROS)
    return [Field("id", "", pc.utf8_lpad(whole, width, "0"), None, _UNLIKELY) for width in widths]
