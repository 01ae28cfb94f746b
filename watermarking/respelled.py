"""Other spellings of a sample's cells: simplified characters for traditional ones and back, the words of names turned.

They are made when rows are traced, of cells that no record agreed with as they stand, and cost an export nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from watermarking.normalise import normalise
from watermarking.simplified import simplified, traditional_names, traditional_text
from watermarking.tokens import Field

_WAYS = 4  # of writing a name in traditional characters
_NAMES = frozenset(("person_name", "given_name", "surname"))
_SPELLED_IN_HAN = _NAMES | {"address"}


def respelled(fields: Sequence[Field]) -> list[Field]:
    """The fields with the other spellings of their cells added to those that they have."""
    return [replace(field, also=(*field.also, *_others(field))) for field in fields]


def _others(field: Field) -> list[pa.Array]:
    out: list[pa.Array] = []
    if field.kind in _SPELLED_IN_HAN:
        back = traditional_text(field.whole) if field.kind == "address" else traditional_names(field.whole, _WAYS)
        for cells in (simplified(field.whole), *back):
            out.append(reduce(_unlike, [field.whole, *out], normalise(field.kind, cells)))
    if field.kind == "person_name":
        first = pc.replace_substring_regex(field.whole, r"^(.+) (\S+)$", r"\2 \1")
        last = pc.replace_substring_regex(field.whole, r"^(\S+) (.+)$", r"\2 \1")
        out += [_unlike(first, field.whole), _unlike(_unlike(last, first), field.whole)]
    return [cells for cells in out if cells.null_count < len(cells)]


def _unlike(cells: pa.Array, other: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(cells, other).fill_null(False), pa.scalar(None, pa.string()), cells)
