"""Tests of cells: which of them have the form of an id, a card, a phone, an address, a name.

Every test takes trimmed text without nulls (string[n]) and returns bool[n]. Check digits are computed
column-wise; python-stdnum and phonenumbers are held against them in the tests.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.lexicon import (
    GIVEN_NAMES,
    STREET_WORDS,
    SURNAMES,
    SURNAMES_PINYIN,
    SURNAMES_ZH,
    SURNAMES_ZH_LONG,
)
from watermarking.normalise import normalise
from watermarking.plain_cells import all_normal
from watermarking.text import buffers

Bool = npt.NDArray[np.bool_]
_HAN = "\u4e00-\u9fff"
_MASK = "[*xX\u00d7\u2022\u25cf#]"
_AREA_ZH = "(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[123])"
_MOBILE = r"(?:\(?(?:\+|00)?86\)?[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}"
_PHONES = "|".join(
    (
        _MOBILE,
        r"0[1-9]\d{1,2}-\d{7,8}",  # Chinese landline
        r"\+[1-9][\d ()\-]{7,17}\d",  # E.164
        r"\(?0[12378]\d{1,4}\)?[ -]?\d{3,4}[ -]?\d{3,4}",  # British, national
        r"\(?[2-9]\d{2}\)?[-. ]{1,2}[2-9]\d{2}[-. ]\d{4}",  # North American, national
    )
)
_DAY = r"(?:[12]\d{3}[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.][12]\d{3}|[12]\d{7})"
_WORD = r"[A-Za-z\x{c0}-\x{24f}][A-Za-z\x{c0}-\x{24f}'’.\-]*"
_POSTCODE = r"[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2}|\d{5}-\d{4}|[a-z]\d[a-z] ?\d[a-z]\d"
_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0])  # of each month, none of a 0th or 13th
_DOUBLED = np.array([0, 2, 4, 6, 8, 1, 3, 5, 7, 9], dtype=np.uint8)  # the digits of twice a digit, added up
_BLANK, _HYPHEN = b" -"
_CITY_WORDS, _DOOR_WORDS = "省市区县镇乡村盟旗州", "路街道巷弄号楼栋幢座室组里"


def matches(text: pa.Array, pattern: str) -> Bool:
    """Where an RE2 pattern is found; bool[n], False for null."""
    found = pc.match_substring_regex(text, pattern).fill_null(False)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)


def is_cn_id(text: pa.Array) -> Bool:
    """Chinese ids of 18 characters: a date that exists and the check character of GB 11643."""
    good, digits = _cn_ids(text)
    weights = np.array([pow(2, 17 - place, 11) for place in range(18)], dtype=np.int16)
    good[good] = np.where(digits == ord("X"), np.int16(10), digits - np.int16(ord("0"))) @ weights % 11 == 1
    return good


def wrong_cn_id(text: pa.Array) -> Bool:
    """17 digits and a digit or X, with no date that exists or another check character."""
    shaped = _lengths(text) == 18 if all_normal("national_id", text) else matches(text, r"^\d{17}[0-9X]$")
    return shaped & ~is_cn_id(text)


def looks_cn_id(text: pa.Array) -> Bool:
    """18 characters with a province and a date that exists, whatever the check character."""
    return _cn_ids(text)[0]


def _cn_ids(text: pa.Array) -> tuple[Bool, npt.NDArray[np.int16]]:
    """What looks like one, bool[n], and the characters of those that do; int16[ids, 18]."""
    text = _closed_up(text)
    shaped = matches(text, rf"^{_AREA_ZH}\d{{4}}(?:18|19|20)\d{{9}}[\dXx]$")
    digits = _characters(pc.utf8_upper(text.filter(pa.array(shaped))), 18).astype(np.int16)
    year, month, day = (
        (digits[:, start:end] - ord("0")) @ 10 ** np.arange(end - start, dtype=np.int16)[::-1]
        for start, end in ((6, 10), (10, 12), (12, 14))
    )
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = _DAYS[np.minimum(month, 13)] - ((month == 2) & ~leap)
    there = (day >= 1) & (day <= days)
    shaped[shaped] = there
    return shaped, digits[there]


def is_old_cn_id(text: pa.Array) -> Bool:
    """Chinese ids of 15 digits, as issued until 1999: a province and month and day."""
    return matches(text, rf"^{_AREA_ZH}\d{{6}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{{3}}$")


def is_western_id(text: pa.Array) -> Bool:
    """US social security (written 3-2-4) and British national insurance numbers, by form."""
    nino = "(?i:[a-ceghj-pr-tw-z][a-ceghj-npr-tw-z] ?(?:[0-9]{2} ?){3}[a-d])"
    return matches(text, rf"^(?:[0-8]\d{{2}}-\d{{2}}-\d{{4}}|{nino})$")


def is_luhn(text: pa.Array) -> Bool:
    """13 to 19 digits, the first a bank's (2 to 9), that pass the check of ISO/IEC 7812; spaces, hyphens ignored."""
    bare = _closed_up(text)
    good = _long_numbers(bare)
    padded = pc.utf8_lpad(bare.filter(pa.array(good)), 20, "0")
    digits = _characters(padded, 20) - np.uint8(ord("0"))
    total = (digits[:, 1::2] + _DOUBLED[digits[:, 0::2]]) @ np.ones(10, dtype=np.uint8)  # at most 180
    good[good] = total % 10 == 0
    return good


def wrong_luhn(text: pa.Array) -> Bool:
    """13 to 19 digits, the first a bank's, that do not pass."""
    return _long_numbers(text) & ~is_luhn(text)


def _long_numbers(text: pa.Array) -> Bool:
    if not all_normal("card", text):
        return matches(text, r"^[2-9]\d{12,18}$")
    offsets, data = buffers(text)
    return (_lengths(text) >= 13) & (data[np.minimum(offsets[:-1], len(data) - 1)] >= ord("2"))


def is_unionpay(text: pa.Array) -> Bool:
    """16 to 19 digits that begin as Chinese bank cards do, whatever the check digit."""
    return matches(text, r"^62\d{2}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{0,3}$")


def is_masked_number(text: pa.Array, lengths: str) -> Bool:
    """Digits, a run of hidden ones, digits; lengths: a character class pattern of the total, as in "15|18"."""
    bare = pc.replace_substring_regex(_closed_up(text), r"^\(?(?:\+|00)?86\)?(1[3-9])", r"\1")
    shaped = matches(bare, rf"^\d{{1,8}}{_MASK}{{2,}}\d{{0,7}}[\dXx]?$")
    size = pc.utf8_length(bare).cast(pa.string())
    return shaped & matches(size, f"^(?:{lengths})$")


def is_phone(text: pa.Array) -> Bool:
    """Chinese mobiles and landlines, E.164, British and North American national forms."""
    return matches(text, f"^(?:{_PHONES})$")


def is_email(text: pa.Array) -> Bool:
    """Addresses of mail, also with a local part partly hidden, or in angle brackets."""
    return matches(text, rf"^<?[^@\s<>]+@[^@\s.<>]+(?:\.[^@\s.<>]+)*\.[A-Za-z{_HAN}]{{2,}}>?$")


def is_timestamp(text: pa.Array) -> Bool:
    """A date and a time of day."""
    return matches(text, rf"^{_DAY}[T ]+\d{{1,2}}[:时]\d{{2}}")


def is_date(text: pa.Array) -> Bool:
    """A date that exists, without a time."""
    exists = normalise("date", text).is_valid().to_numpy(zero_copy_only=False)
    return np.asarray(exists & ~is_timestamp(text), dtype=np.bool_)


def has_cents(text: pa.Array) -> Bool:
    """Numbers with two decimals, after a point or a comma."""
    return is_amount(text) & matches(text, r"[.,]\d{2} ?[€£$元]?$")


def is_amount(text: pa.Array) -> Bool:
    """Numbers, thousands set apart or not, with the sign of a currency or not."""
    return matches(text, r"^[-+]?[¥$€£]? ?\d[\d,.' \x{a0}\x{202f}]*(?: ?[€£$元])?$") & matches(
        normalise("amount", text), r"^-?\d+(?:\.\d+)?$"
    )


def is_postcode(text: pa.Array) -> Bool:
    """Postcodes that cannot be plain numbers: British, US with four more digits, Canadian."""
    return matches(text, rf"(?i)^(?:{_POSTCODE})$")


def is_zh_address(text: pa.Array) -> Bool:
    """A place and then a road or a door, or a road with a number."""
    near = f"[{_CITY_WORDS}].{{1,30}}[{_DOOR_WORDS}]|[路街道巷弄].{{0,8}}[0-9０-９一二三四五六七八九十]+号"
    return matches(text, near) & matches(text, "^[^\n]{6,120}$") & matches(text, f"[{_HAN}]{{4}}")


def is_en_address(text: pa.Array) -> Bool:
    """A number and a word for a street, a building or a door; or a number first, and a postcode last."""
    street = matches(text, r"\d") & matches(text, rf"(?i)\b(?:{'|'.join(sorted(STREET_WORDS))})\b") & matches(text, " ")
    return street | matches(text, rf"(?i)^\d{{1,5}}[a-z]? .*[a-z]{{3}}.*[, ](?:{_POSTCODE}|[a-z]{{2}},? \d{{5}})$")


def is_zh_name(text: pa.Array) -> Bool:
    """Two to four Han characters of which the first are a common surname; hidden characters count."""
    body = f"[{_HAN}*×○]"
    plain = rf"(?:[{SURNAMES_ZH}]{body}{{1,2}}|(?:{SURNAMES_ZH_LONG}){body}{{1,2}})"
    apart = rf"[{_HAN}]{{2,8}}[·•・][{_HAN}]{{2,8}}"
    hidden = rf"[*×○]{{1,2}}[{_HAN}]{{1,2}}"  # the surname
    return matches(text, rf"^(?:{plain}|{apart}|{hidden}|[{_HAN}] [{_HAN}]|[{_HAN}][*×]{{1,2}})$")


def is_latin_name(text: pa.Array) -> Bool:
    """Two to five words of letters, with a known given name or surname among the first and the last."""
    text = _without_accents(text)
    shaped = matches(text, rf"^{_WORD}(?:,? {_WORD}){{1,4}}$")
    words = pc.split_pattern(pc.replace_substring(pc.utf8_lower(text.filter(pa.array(shaped))), ",", ""), " ")
    known = _array(GIVEN_NAMES | SURNAMES | SURNAMES_PINYIN)
    first, last = pc.list_element(words, 0), pc.list_element(pc.list_slice(words, 1, 2), 0)
    either = pc.or_(pc.is_in(first, value_set=known), pc.is_in(last, value_set=known))
    shaped[shaped] = either.to_numpy(zero_copy_only=False)
    return shaped


def is_words(text: pa.Array) -> Bool:
    """Letters, and what stands between the words of names."""
    return matches(text, r"^\pL[\pL\p{Mn} '’.·\-]*$")  # Arrow takes accents apart, whatever form is asked for


def is_given_name(text: pa.Array) -> Bool:
    """One word, a known given name."""
    return _known(text, GIVEN_NAMES)


def is_surname(text: pa.Array) -> Bool:
    """One word, a known surname; or a Chinese surname alone."""
    return _known(text, SURNAMES | SURNAMES_PINYIN) | is_zh_surname(text)


def is_zh_surname(text: pa.Array) -> Bool:
    """A usual Chinese surname alone."""
    return matches(text, f"^(?:[{SURNAMES_ZH}]|{SURNAMES_ZH_LONG})$")


def is_zh_given_name(text: pa.Array) -> Bool:
    """One or two Han characters: a given name, where the surname stands beside it."""
    return matches(text, f"^[{_HAN}]{{1,2}}$")


def _lengths(text: pa.Array) -> npt.NDArray[np.int64]:
    return np.diff(buffers(text)[0])


def _closed_up(text: pa.Array) -> pa.Array:
    """Numbers without the blanks and hyphens that set their digits apart."""
    offsets, data = buffers(text)
    data = data[offsets[0] : offsets[-1]]
    return pc.replace_substring_regex(text, "[ -]", "") if ((data == _BLANK) | (data == _HYPHEN)).any() else text


@cache
def _array(names: frozenset[str]) -> pa.Array:
    return pa.array(sorted(names))


def _known(text: pa.Array, names: frozenset[str]) -> Bool:
    found = pc.is_in(_without_accents(pc.utf8_lower(text)), value_set=_array(names))
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _without_accents(text: pa.Array) -> pa.Array:
    """José as jose: the lists of names are of plain letters."""
    if pc.all(pc.string_is_ascii(text)).as_py() is not False:
        return text
    return pc.replace_substring_regex(pc.utf8_normalize(text, form="NFD"), r"\p{Mn}", "")


def _characters(text: pa.Array, width: int) -> npt.NDArray[np.uint8]:
    """The bytes of ASCII cells that all have `width` characters; uint8[n, width]."""
    if not len(text):
        return np.zeros((0, width), dtype=np.uint8)
    body = text.cast(pa.binary()).cast(pa.binary(width))
    return np.frombuffer(body.buffers()[1], np.uint8).reshape(-1, width)[body.offset :][: len(body)]
