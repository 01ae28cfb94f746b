"""Other ways to read a sample's columns of digits: as a spreadsheet's days of birth, with leading zeros put back."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from watermarking.damage import births_in_days
from watermarking.tokens import Field

LIKE_DAYS = frozenset(("id", "number", "amount", "postcode", "account", "text"))  # kinds that five digits may be
_UNLIKELY = 3.0  # bits that an agreement says less in a column that is called another kind, or with zeros put back
_ZEROS = 3  # that may be gone from every cell of a column


def births(columns: Sequence[pa.Array]) -> list[Field]:
    """What columns would be as birth dates that a spreadsheet made numbers."""
    read = [one for one in map(births_in_days, columns) if one is not None]
    return [Field("birth_date", "", one, None, _UNLIKELY) for one in read]


def with_zeros(fields: Sequence[Field]) -> list[Field]:
    """Ids of digits of which none begins with a zero, as ones that are longer by one, two or three zeros."""
    out = []
    for field in fields:
        cells = field.whole.drop_null()
        if field.kind == "id" and len(cells) and pc.all(pc.match_substring_regex(cells, r"^[1-9]\d*$")).as_py():
            longest = pc.max(pc.utf8_length(cells)).as_py()
            widths = range(longest + 1, longest + 1 + _ZEROS)
            out += [Field("id", "", pc.utf8_lpad(field.whole, width, "0"), None, _UNLIKELY) for width in widths]
    return out
