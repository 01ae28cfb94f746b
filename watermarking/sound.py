"""What a misspelt cell still shares with the right one: the sound of a name, the year of a date, a postcode's area.

The sound is the code of Russell and Odell (Soundex, US patents 1,261,167 and 1,435,663).

Letters that are confused by ear, and by who copies what was heard, have one digit; so most misspelt surnames keep their
code. It is a filter, not a proof: an agreement of sounds says little, and only finds what other fields confirm.
"""

import pyarrow as pa
import pyarrow.compute as pc

from watermarking.lexicon import NICKNAMES

_DIGITS = (("[bfpv]+", "1"), ("[cgjkqsxz]+", "2"), ("[dt]+", "3"), ("l+", "4"), ("[mn]+", "5"), ("r+", "6"))


def almost(kind: str, whole: pa.Array) -> pa.Array:
    """The part of each normalised cell that most errors leave; string[n], null where there is none.

    kind: surname, given_name (the sound), birth_date (the year), postcode (the part before the last three characters of
    a British one, the first three digits of others).
    """
    if kind == "birth_date":
        return pc.utf8_slice_codeunits(whole, 0, 4)
    if kind == "postcode":
        british = pc.match_substring_regex(whole, r"^[A-Z]{1,2}\d[0-9A-Z]?\d[A-Z]{2}$")
        return pc.if_else(british, pc.utf8_slice_codeunits(whole, 0, -3), pc.utf8_slice_codeunits(whole, 0, 3))
    if kind == "given_name":
        return sound_of(_full_given_name(whole))
    return sound_of(whole)


def _full_given_name(given_names: pa.Array) -> pa.Array:
    """Bill is William: the name that a usual short form stands for, else the name itself."""
    known = pc.index_in(given_names, value_set=pa.array(list(NICKNAMES)))
    return pc.coalesce(pa.array(list(NICKNAMES.values())).take(known), given_names)


def sound_of(surnames: pa.Array) -> pa.Array:
    """The code of each normalised surname, a letter and up to three digits; null where it has no Latin letter."""
    coded = surnames.dictionary_encode()
    return pc.take(_codes(coded.dictionary), coded.indices)


def _codes(surnames: pa.Array) -> pa.Array:
    letters = pc.replace_substring_regex(surnames, "[^a-z]", "")
    first = pc.utf8_slice_codeunits(letters, 0, 1)
    rest = pc.replace_substring_regex(pc.utf8_slice_codeunits(letters, 1), "[hw]", "")
    digits = pc.binary_join_element_wise(first, rest, "")
    for pattern, digit in _DIGITS:
        digits = pc.replace_substring_regex(digits, pattern, digit)
    # The first letter stands for itself, and so do letters of its digit that follow it at once.
    digits = pc.replace_substring_regex(pc.utf8_slice_codeunits(digits, 1), "[^1-6]", "")
    code = pc.binary_join_element_wise(first, pc.utf8_slice_codeunits(digits, 0, 3), "")
    return pc.if_else(pc.equal(first, ""), pa.scalar(None, pa.string()), code)
