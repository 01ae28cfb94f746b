"""Other spellings of what a sample's cells say: simplified characters, a name's words in another order, pinyin.

They are made when rows are traced, of cells that no record agreed with as they stand, and cost an export nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
from anyascii import anyascii

from watermarking.lexicon import SURNAMES_PINYIN, SURNAMES_ZH, SURNAMES_ZH_LONG
from watermarking.normalise import normalise
from watermarking.simplified import simplified
from watermarking.tokens import Field

_NAMES = frozenset(("person_name", "given_name", "surname"))
_SPELLED_IN_HAN = _NAMES | {"address"}
_INITIAL = "(?:[bpmfdtnlgkhjqxrzcsyw]|[zcs]h)?"
_FINAL = "(?:[iuv]?an[g]?|i?en[g]?|in[g]?|i?ong|un|[iuv]?[ae]|[iu]?o|u?ai|i?ao|u?ei|ou|iu|u[ie]|er|[iuv])"
_SYLLABLE = f"(?:{_INITIAL}{_FINAL})"


def respelled(fields: Sequence[Field]) -> list[Field]:
    """The fields with the other spellings of their cells added to those that they have."""
    return [replace(field, also=(*field.also, *_others(field))) for field in fields]


def in_pinyin(names: pa.Array) -> pa.Array:
    """Whether normalised names are Chinese ones in Latin letters, by a usual surname and syllables; bool[n].

    Such a name is no other name than the one that a record has in characters, and cannot be compared with it.
    """
    surname = "|".join(_surnames())
    given = f"{_SYLLABLE}(?: ?{_SYLLABLE})?"
    return pc.match_substring_regex(names, f"^(?:(?:{surname}) ?{given}|{given} (?:{surname}))$").fill_null(False)


def _others(field: Field) -> list[pa.Array]:
    out = []
    if field.kind in _SPELLED_IN_HAN:
        out.append(_unlike(normalise(field.kind, simplified(field.whole)), field.whole))
    if field.kind == "person_name":
        first = pc.replace_substring_regex(field.whole, r"^(.+) (\S+)$", r"\2 \1")
        last = pc.replace_substring_regex(field.whole, r"^(\S+) (.+)$", r"\2 \1")
        out += [_unlike(first, field.whole), _unlike(_unlike(last, first), field.whole)]
    return [cells for cells in out if cells.null_count < len(cells)]


def _unlike(cells: pa.Array, other: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(cells, other), pa.scalar(None, pa.string()), cells)


@cache
def _surnames() -> tuple[str, ...]:
    """In pinyin, longest first; Lü is spelled in several ways."""
    usual = {anyascii(name).lower() for name in (*SURNAMES_ZH, *SURNAMES_ZH_LONG.split("|"))}
    return tuple(sorted({*usual, *SURNAMES_PINYIN, "lv", "lyu"}, key=lambda name: (-len(name), name)))
