"""Other ways to read the names of a sample: merged, split, or in the other order than the table has them."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from watermarking.lexicon import SURNAMES_ZH_LONG
from watermarking.tokens import Field

_SWAPPED = 3.0  # bits that an agreement says less when the name had to be turned round
_ZH = rf"^(?P<s>{SURNAMES_ZH_LONG}|[\x{{4e00}}-\x{{9fff}}])(?P<g>[\x{{4e00}}-\x{{9fff}}]{{1,3}})$"
_FIRST, _LAST = r"^(?P<w>\S+)(?: .*)?$", r"^(?:.* )?(?P<w>\S+)$"


def other_readings(fields: Sequence[Field]) -> list[Field]:
    """Further fields read from the name columns of a sample.

    A full name gives a given name and a surname where the sample has no columns of these, and they give a full name
    where it has none. Given name and surname are also read in each other's place, at a cost.
    """
    full, given, surname = (_first(fields, kind) for kind in ("person_name", "given_name", "surname"))
    out: list[Field] = []
    if full is not None and given is None and surname is None:
        out += _split(full)
    if full is None and given is not None and surname is not None:
        out.append(_derived("person_name", _merged(given.whole, surname.whole)))
    if given is not None:
        out.append(_derived("surname", given.whole, _SWAPPED))
    if surname is not None:
        out.append(_derived("given_name", surname.whole, _SWAPPED))
    return out


def _split(full: Field) -> list[Field]:
    latin = pc.match_substring_regex(full.whole, r"^[^\x{4e00}-\x{9fff}]+$")
    words = pc.if_else(latin, full.whole, None)  # a pattern costs nothing where a cell is null
    han = pc.extract_regex(pc.if_else(latin, None, full.whole), _ZH)
    first, last = (pc.struct_field(pc.extract_regex(words, pattern), "w") for pattern in (_FIRST, _LAST))
    last = pc.if_else(pc.match_substring(words, " "), last, None)
    return [
        _derived("given_name", pc.coalesce(pc.struct_field(han, "g"), first)),
        _derived("surname", pc.coalesce(pc.struct_field(han, "s"), last)),
        _derived("surname", first, _SWAPPED),
        _derived("given_name", last, _SWAPPED),
    ]


def _merged(given: pa.Array, surname: pa.Array) -> pa.Array:
    """Given name first in Latin letters, surname first and without a space in Han characters."""
    han = pc.match_substring_regex(surname, r"^[\x{4e00}-\x{9fff}]+$")
    latin = pc.binary_join_element_wise(given, surname, " ")
    return pc.if_else(han, pc.binary_join_element_wise(surname, given, ""), latin)


def _derived(kind: str, whole: pa.Array, cost: float = 0.0) -> Field:
    return Field(kind, "", whole, None, cost)


def _first(fields: Sequence[Field], kind: str) -> Field | None:
    return next((field for field in fields if field.kind == kind), None)
