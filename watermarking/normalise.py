"""One form for every way of writing an identifier.

Tokens, records and versions are digests of what this module returns, so it decides what counts as the same
value: half- and full-width digits, country codes, spaces, letter case and the spellings that marks use are
the same; another digit or another name is not. A cell's form depends on the cell alone, never on its
neighbours, so that it does not change with the size of a batch.

Most cells of a real column are in that form already. Each kind therefore has a pattern of cells that are left
as they are, and only the others take the long way; the tests hold both ways to the same answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.spellings import EN_FOLDS, LATIN, ZH_FOLDS, han_without
from watermarking.calendar_dates import NEWEST_BIRTH, iso_dates
from watermarking.decimals import bare, with_points
from watermarking.email_cells import usual_emails
from watermarking.plain_cells import all_ascii, all_normal, nothing_hidden
from watermarking.text import Spans, buffers, eight_from, mask_of, small, splice
from watermarking.zh_places import Places, finished, places_in

_ZERO = np.uint8(ord("0"))
_HAN = "\u4e00-\u9fff"
_UNSAFE = rf"[^\x00-\x7f{_HAN}]"  # anything else may change under NFKC; ASCII and unified Han never do
_INVISIBLE = "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
_HIDDEN = "[*\u00d7\u25a0\u25a1\u25cb\u25cf\u2588]"  # what stands for a hidden character in names and addresses
_SOME = f"^[{_HAN}]{{1,2}}某"  # 某 hides the rest of a name
_NOTHING = pa.array(["null", "none", "nan", "na", "n a", "n/a", "unknown", "\\n", "无", "暂无", "未知", "不详"])
_LONGEST = max(pc.binary_length(_NOTHING).to_pylist())
_MASK = "[*xX\u00d7\u2022\u25cf#]"
_ISO = (
    r"^[12]\d{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    r"|(?:0[13578]|1[02])-31)$"
)
# Cells that match are in their form already.
_NORMAL: Mapping[str, str] = {
    "phone": r"^1[3-9]\d{9}$",
    "national_id": r"^\d{14,17}[0-9X]$",
    "card": r"^\d{12,19}$",
    "account": "^(?:X{1,2}|(?:X{0,2}[0-9A-WYZ])+X{0,2})$",  # three X hide something
    "postcode": r"^(?:\d{5,6}|[A-Z]{1,2}\d[0-9A-Z]?\d[A-Z]{2})$",
    "birth_date": _ISO,
    "date": _ISO,
    "person_name": rf"^(?:{han_without('某')}{{2,4}}|[a-z]+(?: [a-z]+){{0,4}})$",
    "timestamp": r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$",
    "number": r"^(?:0|-?[1-9]\d*)$",
    "amount": r"^(?:0|-?[1-9]\d*)$",
}
_GAP = r"[\s\p{P}\p{S}\p{Z}]+"
_PLAIN = r"^[!-~](?:[ -~]*[!-~])?$"  # kinds without a pattern: ASCII with nothing to trim


def normalise(kind: str, cells: pa.Array) -> pa.Array:
    """The form of each cell under which equal values are equal.

    cells: any type; numbers, decimals, dates and times are spelled first. Returns string[n], null where the
    cell is empty or cannot be read as that kind. Idempotent, and the same for every spelling that a mark of
    an address or an e-mail may write.
    """
    text = spelled(cells)
    kind = "person_name" if kind in ("given_name", "surname") else kind
    long_way = _LONG_WAY.get(kind, _plain)
    if kind == "address":
        return _address(text)
    normal = _NORMAL.get(kind, _PLAIN)
    if kind == "email":  # a usual address wants no more than small letters
        lower = small(text) if all_ascii(text) else pc.utf8_lower(text)
        usual = usual_emails(text) | text.is_null().to_numpy(zero_copy_only=False)
        result = _elsewhere(lower, pa.array(usual), lambda rest: long_way(_clean(rest)))
    elif all_normal(kind, text):
        result = text
    else:
        result = _elsewhere(text, _matching(text, normal), lambda rest: long_way(_clean(rest)))
    return _said(result) if kind == "person_name" else result


def masked(kind: str, whole: pa.Array) -> pa.Array:
    """The usual masking of normalised whole values; string[n].

    A phone's first 3 and last 4 (138*1234), an id's or card's first 6 and last 4; null for other kinds and
    for values too short to hide anything.
    """
    head = _HEADS.get(kind)
    if head is None:
        return pa.nulls(len(whole), pa.string())
    offsets, data = buffers(whole)
    hides = np.diff(offsets) > head + 4
    if whole.null_count:
        hides &= whole.is_valid().to_numpy(zero_copy_only=False)
    if not (data[offsets[0] : offsets[-1]] - _ZERO < 10).all():
        hides &= mask_of(pc.ascii_is_alnum(whole))  # so a byte is a character
    # The first eight bytes hold the head and the asterisk, and the last four what is shown behind it.
    form = np.dtype(
        {"names": ["head", "tail"], "formats": ["<u8", "<u4"], "offsets": [0, head + 1], "itemsize": head + 5}
    )
    shown = np.empty(np.count_nonzero(hides), form)
    shown["head"] = eight_from(data, offsets[:-1][hides]) & np.uint64(2 ** (8 * head) - 1) | np.uint64(
        ord("*") << 8 * head
    )
    shown["tail"] = eight_from(data, offsets[1:][hides] - 8) >> np.uint64(32)
    ends = np.zeros(len(whole) + 1, dtype=np.int32)
    np.cumsum(hides, out=ends[1:])
    nulls = None if len(shown) == len(whole) else pa.array(hides).buffers()[1]
    return pa.StringArray.from_buffers(len(whole), pa.py_buffer(ends * np.int32(head + 5)), pa.py_buffer(shown), nulls)


def read_masked(kind: str, cells: pa.Array) -> pa.Array:
    """Masked values as samples show them (138****1234, 6222 02** **** 1234), in the form of `masked`.

    string[n]; null where nothing is hidden, or where fewer characters are shown than that form has: a value
    that shows less has no token to be found by.
    """
    head = _HEADS.get(kind)
    if head is None:
        return pa.nulls(len(cells), pa.string())
    text = spelled(cells)
    if all_normal(kind, text):
        return pa.nulls(len(text), pa.string())
    hidden = pc.match_substring_regex(text, "[^0-9]")
    if not pc.any(hidden).as_py():
        return pa.nulls(len(text), pa.string())
    shown = pc.replace_substring_regex(_clean(text), r"[\s\-]", "")
    if kind == "phone":
        shown = pc.replace_substring_regex(shown, r"^\(?(?:\+|00)?86\)?(1[3-9])", r"\1")
    return _rewritten(pc.utf8_upper(shown), rf"^(\d{{{head}}})\d*{_MASK}{{2,}}\d*?(\d{{3}}[\dX])$", r"\1*\2")


def masked_words(cells: pa.Array) -> pa.Array:
    """What is shown of names, mails and addresses that are partly hidden; string[n], null where nothing is hidden.

    张* and 张某某 show 张, z***@qq.com shows z@qq.com.
    """
    text = spelled(cells)
    if nothing_hidden(text):
        return pa.nulls(len(text), pa.string())
    text = _clean(text)
    if not pc.any(pc.match_substring_regex(text, f"{_HIDDEN}|某")).as_py():
        return pa.nulls(len(text), pa.string())
    hidden = pc.match_substring_regex(text, rf"^\pL.*{_HIDDEN}|{_HIDDEN}.*\pL|{_SOME}")
    shown = pc.replace_substring_regex(text, f"{_HIDDEN}|某", "")
    return pc.if_else(hidden.fill_null(False), shown, pa.scalar(None, pa.string()))


def spelled(cells: pa.Array) -> pa.StringArray:
    """Cells of any type as text; whole floats without their `.0`; string[n], null for types without text."""
    kind = cells.type
    if pa.types.is_string(kind):
        return cells
    if pa.types.is_floating(kind):
        whole = pc.and_(pc.equal(pc.floor(cells), cells), pc.less(pc.abs(cells), 2.0**53)).fill_null(False)
        integers = pc.if_else(whole, cells, pa.scalar(0, kind)).cast(pa.int64())
        return pc.if_else(whole, integers.cast(pa.string()), cells.cast(pa.string()))
    if pa.types.is_nested(kind) or pa.types.is_null(kind):
        return pa.nulls(len(cells), pa.string())
    try:
        return cells.cast(pa.string())
    except pa.ArrowInvalid:  # bytes that are no text
        return pa.nulls(len(cells), pa.string())


def _clean(text: pa.Array) -> pa.Array:
    """NFKC, without invisible characters and outer white space."""
    unsafe = pc.match_substring_regex(text, _UNSAFE).fill_null(False)
    if pc.any(unsafe).as_py():
        composed = pc.utf8_normalize(text.filter(unsafe), form="NFKC")
        text = pc.replace_with_mask(text, unsafe, pc.replace_substring_regex(composed, _INVISIBLE, ""))
    return pc.utf8_trim_whitespace(text)


def _phone(text: pa.Array) -> pa.Array:
    """7 to 15 digits, national where a country code of China, Britain or (written +1) America stands."""
    text = pc.replace_substring_regex(text, r"^([+\d ]+?) *\(0\)", r"\1")
    text = pc.replace_substring_regex(text, r"^(\d+)\.0$", r"\1")
    text = pc.replace_substring_regex(text, r"[\s()\-./'_\p{Pd}]", "")
    text = pc.replace_substring_regex(text, r"^00([1-9])", r"+\1")
    for pattern, national in _COUNTRIES:
        text = pc.replace_substring_regex(text, pattern, national)
    return _only(pc.replace_substring_regex(text, r"^\+", ""), r"^\d{7,15}$")


_COUNTRIES = (
    (r"^(?:\+?86|0)(1[3-9]\d{9})$", r"\1"),
    (r"^\+86([2-9]\d{8,10})$", r"0\1"),
    (r"^\+?44([1-37-9]\d{8,9})$", r"0\1"),
    (r"^\+1([2-9]\d{9})$", r"\1"),
)


def _national_id(text: pa.Array) -> pa.Array:
    text = _without(text, pc.match_substring_regex(text, r"(?:[*\x{2022}\x{25cf}#]|(?i:x){3})"))
    return _only(_shown(_alphanumeric(text)), r"^[A-Z]*\d[0-9A-Z]{4,24}$")


def _email(text: pa.Array) -> pa.Array:
    text = pc.replace_substring_regex(pc.utf8_lower(text), "^(?:mailto:|<)|>$", "")
    return _only(text, r"^[^@\s*<>]+@[^@\s*<>]+\.[^@\s*<>]+$")


def _card(text: pa.Array) -> pa.Array:
    return _only(pc.replace_substring_regex(text, r"[\s\-]", ""), r"^\d{12,19}$")


def _account(text: pa.Array) -> pa.Array:
    hidden = pc.match_substring_regex(text, "[*#]|(?i:x){3}")
    return _only(_shown(_alphanumeric(_without(text, hidden))), "^.")


def _postcode(text: pa.Array) -> pa.Array:
    return _only(_alphanumeric(text), r"^[0-9A-Z]{0,9}\d[0-9A-Z]{0,9}$")


def _person_name(text: pa.Array) -> pa.Array:
    """Words one space apart, none between Han characters; null for 张*, 张某某 and for no letter."""
    text = _without(text, pc.match_substring_regex(text, f"{_HIDDEN}|{_SOME}"))
    text = pc.replace_substring_regex(_folded(text), r"[\s\p{P}\p{S}\p{Z}\p{C}]+", " ")
    apart = pc.match_substring_regex(text, rf"[{_HAN}] [{_HAN}]").fill_null(False)
    for _ in range(2):  # the second pass takes the pairs that overlap one of the first
        joined = pc.replace_substring_regex(text.filter(apart), rf"([{_HAN}]) ([{_HAN}])", r"\1\2")
        text = pc.replace_with_mask(text, apart, joined)
    text = pc.utf8_trim_whitespace(text)
    return _only(_without(text, pc.match_substring_regex(text, _SOME)), r"\p{L}")  # 张·某


def _address(text: pa.Array) -> pa.Array:
    """One spelling, no white space or punctuation; a hyphen is kept where two numbers would run together."""
    places, null = places_in(text), text.is_null().to_numpy(zero_copy_only=False)
    made = _chinese(places)
    made = _elsewhere(made, pa.array(finished(made, places) | ~places.rows), _settled)
    made = _elsewhere(made, pa.array(places.rows | null), _other_address)
    return _said(made)


def _other_address(text: pa.Array) -> pa.Array:
    """The same of cells that are not ordinary, null or not, once they are prepared."""
    places = Places(_prepared(text))
    known = places.rows | places.text.is_null().to_numpy(zero_copy_only=False)
    made = _elsewhere(_chinese(places), pa.array(known), _by_patterns)
    return _elsewhere(made, pa.array(finished(made, places) | made.is_null().to_numpy(zero_copy_only=False)), _settled)


def _by_patterns(text: pa.Array) -> pa.Array:
    """What ZH_FOLDS do, one after the other."""
    for pattern, replacement in ZH_FOLDS:
        text = _replaced_where(text, pattern, replacement)
    return text


def _chinese(places: Places) -> pa.Array:
    """What ZH_FOLDS do to ordinary cells, in one splice; the tests hold both ways to the same answer."""
    units, rooms = places.ends
    edits = [
        (places.provinces, ""), (places.building("栋"), "号楼"), (places.building("幢"), "号楼"),
        (units.keep(units.lengths == 1), "单元"), (rooms.keep(rooms.lengths > 0), ""),
    ]  # fmt: skip
    spans = Spans(*(np.concatenate([vars(one)[f.name] for one, _ in edits]) for f in fields(Spans)))
    if not len(spans.rows):
        return places.text
    which = np.repeat(np.arange(len(edits)), [len(one.rows) for one, _ in edits])
    return splice(places.text, spans, pa.array([word for _, word in edits]), which)


def _prepared(text: pa.Array) -> pa.Array:
    text = _clean(text)
    return _folded(_without(text, pc.match_substring_regex(text, _HIDDEN)))


def _settled(text: pa.Array) -> pa.Array:
    """Squeezed; folded again where that has brought words together (5 栋), until nothing changes."""
    text = _squeezed(text)
    han = pc.match_substring_regex(text, f"[{_HAN}]").fill_null(False)
    if not han.true_count:
        return text
    before = text.filter(han)
    folded = _by_patterns(before)
    changed = pc.not_equal(folded, before)
    if pc.any(changed).as_py():
        folded = pc.replace_with_mask(folded, changed, _settled(folded.filter(changed)))
    return pc.replace_with_mask(text, han, folded)


def _squeezed(text: pa.Array) -> pa.Array:
    """English words folded; white space and punctuation dropped, but for one hyphen between digits."""
    text = pc.replace_substring(text, "\x01", "")  # it stands for the kept hyphens below
    latin = pc.match_substring_regex(text, LATIN).fill_null(False)
    if latin.true_count:
        text = pc.replace_with_mask(text, latin, _english(text.filter(latin)))
    for _ in range(2):  # the second pass takes the gaps that share a digit with one of the first
        text = _replaced_where(text, rf"(\d){_GAP}(\d)", "\\1\x01\\2")
    text = pc.replace_substring(_replaced_where(text, _GAP, ""), "\x01", "-")
    return _only(text, r"[\p{L}\p{N}]")


def _english(text: pa.Array) -> pa.Array:
    for pattern, replacement in EN_FOLDS:
        text = _replaced_where(text, pattern, replacement)
    return text


def _number(text: pa.Array) -> pa.Array:
    """Plain decimal notation without needless zeros; text that is no number stays as it is.

    A comma is the decimal sign where it cannot set thousands apart (1234,56 and 1.234,56, but not 1,234).
    """
    number = pc.replace_substring(with_points(bare(text)), ",", "")
    is_number = pc.match_substring_regex(number, r"^[+\-]?\d+(?:\.\d*)?$").fill_null(False)
    number = pc.replace_substring_regex(number, r"^(-?)\+?0*(\d)", r"\1\2")
    number = pc.replace_substring_regex(number, r"(\.\d*?)0*$", r"\1")
    number = pc.replace_substring_regex(number, r"\.$", "")
    number = pc.if_else(pc.equal(number, "-0"), "0", number)
    return pc.if_else(is_number, number, _plain(text))


def _timestamp(text: pa.Array) -> pa.Array:
    """The separator a space, no fraction of zeros; times of another form stay as they are."""
    pattern = r"^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(\.\d*?)0*(Z?)$"
    text = pc.replace_substring_regex(text, r"^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})", r"\1 \2")
    text = pc.replace_substring_regex(text, pattern, r"\1 \2\3\4")
    return _plain(pc.replace_substring_regex(text, r"\.(Z?)$", r"\1"))


def _plain(text: pa.Array) -> pa.Array:
    return _only(text, ".")


def _folded(text: pa.Array) -> pa.Array:
    """Case folded: lower case, and the two letters whose lower case is not enough."""
    upper = pc.match_substring_regex(text, rf"[A-Z]|{_UNSAFE}").fill_null(False)
    if not pc.any(upper).as_py():
        return text
    lower = pc.utf8_lower(text.filter(upper))
    lower = pc.replace_substring(pc.replace_substring(lower, "ß", "ss"), "ς", "σ")
    return pc.replace_with_mask(text, upper, lower)


def _shown(text: pa.Array) -> pa.Array:
    """Without cells in which dropping signs has brought three X together, which hide something."""
    return _without(text, pc.match_substring_regex(text, "XXX"))


def _alphanumeric(text: pa.Array) -> pa.Array:
    return pc.utf8_upper(pc.replace_substring_regex(text, "[^0-9A-Za-z]", ""))


def _only(text: pa.Array, pattern: str) -> pa.Array:
    return _without(text, pc.invert(pc.match_substring_regex(text, pattern)))


def _said(text: pa.Array) -> pa.Array:
    """The text without the words for nothing."""
    lengths = np.diff(buffers(text)[0])
    if not ((lengths > 0) & (lengths <= _LONGEST)).any():
        return text
    return _without(text, pc.is_in(text, value_set=_NOTHING))


def _without(text: pa.Array, where: pa.Array) -> pa.Array:
    where = where.fill_null(False)
    return pc.if_else(where, pa.scalar(None, text.type), text) if where.true_count else text


def _rewritten(text: pa.Array, pattern: str, replacement: str) -> pa.Array:
    return pc.replace_substring_regex(_only(text, pattern), pattern, replacement)


def _replaced_where(text: pa.Array, pattern: str, replacement: str) -> pa.Array:
    """A replacement of all matches; finding the cells first is several times as fast as trying it on all."""
    found = pc.match_substring_regex(text, pattern).fill_null(False)
    count = found.true_count
    if count == 0:
        return text
    if count * 2 > len(text):
        return pc.replace_substring_regex(text, pattern, replacement)
    changed = pc.replace_substring_regex(text.filter(found), pattern, replacement)
    return pc.replace_with_mask(text, found, changed)


def _matching(text: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(text, pattern).fill_null(True)


def _elsewhere(text: pa.Array, normal: pa.Array, long_way: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The text with the cells that are not normal put through the long way."""
    rest = pc.invert(normal)
    if rest.true_count == 0:
        return text
    return pc.replace_with_mask(text, rest, long_way(text.filter(rest)))


_HEADS = {"phone": 3, "national_id": 6, "card": 6}
_LONG_WAY: Mapping[str, Callable[[pa.Array], pa.Array]] = {
    "phone": _phone,
    "national_id": _national_id,
    "email": _email,
    "card": _card,
    "account": _account,
    "postcode": _postcode,
    "person_name": _person_name,
    "birth_date": partial(iso_dates, newest=NEWEST_BIRTH),
    "date": iso_dates,
    "number": _number,
    "amount": _number,
    "timestamp": _timestamp,
}
