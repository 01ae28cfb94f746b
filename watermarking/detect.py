"""What a column holds, told from its cells.

Every test says which share of the cells it recognises; one with a check digit or a strict form is sure of
itself alone, a loose one needs the header to agree. The header only tips the scale between kinds that the
cells allow. Masked values are recognised as what they mask.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import KINDS
from watermarking import validators as test
from watermarking.damage import births_in_days, repaired
from watermarking.lexicon import HEADERS
from watermarking.normalise import normalise, spelled
from watermarking.simplified import simplified, simplified_text
from watermarking.validators import Bool, matches

_MOST = 20_000  # cells looked at: a share is then known within one percent
_SOME = 1_000  # cells of which a test must recognise one, before it looks at all
_AGREES, _DIFFERS = 0.35, 0.1  # what a header adds to its kind, and takes from the others
_STRICT = 0.9  # a test this sure, on this share of the cells, leaves no room for a loose one
_FEW_DAYS, _DAYS_APART = 5, 1_500  # numbers of days that tell a column; their least standard deviation
_NOTHING = r"^(?i:null|n/?a|nan|none|\\n|-+|\?+|unknown)$|^(?:暂?无|未知|不详)$"
_CODE = (
    r"^(?:[A-Za-z]{0,6}[-_/]?\d{2,}[-_/]?[A-Za-z0-9]{0,12}"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$"
)


@dataclass(frozen=True)
class Detected:
    """The kind of a column.

    confidence: 0 to 1; readable: share of the cells with content that have the form of the kind; saw: a
    phrase in our own words, with shares and never with a value.
    """

    kind: str
    confidence: float
    readable: float
    saw: str


@dataclass(frozen=True)
class _Values:
    """The values of a column: a test looks at a cell alone, so each value is tested once.

    text: string[v], distinct; place: int[n], of each cell its value; some: those of a thousand cells drawn at random,
    where there are many. A form that a share p of all cells has is in none of the thousand with probability
    (1 - p)^1000: 10^-26 for the least share that any test asks for.
    """

    text: pa.Array
    place: npt.NDArray[np.int32]
    some: pa.Array | None

    @classmethod
    def of(cls, cells: pa.Array) -> "_Values":
        """Those of cells without nulls, at least one."""
        coded, some = cells.dictionary_encode(), None
        if len(coded.dictionary) > _SOME:
            some = cells.take(pa.array(np.random.default_rng(0).integers(0, len(cells), _SOME))).unique()
        return cls(coded.dictionary, coded.indices.to_numpy(), some)

    def recognised(self, test: Callable[[pa.Array], Bool]) -> float:
        """The share of the cells that a test recognises."""
        if self.some is not None and not test(self.some).any():
            return 0.0
        return float(np.bincount(self.place)[test(self.text)].sum() / len(self.place))


@dataclass(frozen=True)
class _Test:
    """A test of cells.

    alone: how sure it is when the header is silent; least: the share of cells that it must recognise at all;
    plenty: the share from which it is as sure as it can be (no list knows every name).
    """

    kind: str
    says: str
    recognises: Callable[[pa.Array], Bool]
    alone: float
    least: float = 0.5
    plenty: float = 1.0


_TESTS = (
    _Test("email", "are e-mail addresses", test.is_email, 0.97),
    _Test("national_id", "are 18-character ids with a right check digit", test.is_cn_id, 0.98),
    _Test("national_id", "are 18-character ids by form", test.looks_cn_id, 0.8),
    _Test("national_id", "are 15-digit ids by form", test.is_old_cn_id, 0.6),
    _Test("national_id", "are western ids by form", test.is_western_id, 0.8),
    _Test("national_id", "are masked ids", lambda text: test.is_masked_number(text, "15|18"), 0.8),
    _Test("card", "are card numbers with a right check digit", test.is_luhn, 0.9),
    _Test("card", "are bank card numbers by form", test.is_unionpay, 0.7),
    _Test("card", "are masked card numbers", lambda text: test.is_masked_number(text, "1[679]"), 0.8),
    _Test("phone", "are phone numbers", test.is_phone, 0.92),
    _Test("phone", "are masked phone numbers", lambda text: test.is_masked_number(text, "[789]|1[0-3]"), 0.8),
    _Test("timestamp", "are dates with a time", test.is_timestamp, 0.95),
    _Test("postcode", "are postcodes", test.is_postcode, 0.88),
    _Test("postcode", "are numbers of a postcode's length", lambda text: matches(text, r"^\d{5,6}$"), 0.3),
    _Test("address", "are Chinese addresses", test.is_zh_address, 0.9),
    _Test("address", "are addresses with a street and a number", test.is_en_address, 0.85),
    _Test("address", "have a number and words", lambda text: matches(text, r"(?:\d.*\pL{3}|\pL{3}.*\d)"), 0.2),
    _Test("person_name", "are Chinese names", test.is_zh_name, 0.85, 0.6, 0.8),
    _Test("person_name", "hold a known given name or surname", test.is_latin_name, 0.8, 0.3, 0.5),
    *(_Test(kind, "are words", test.is_words, 0.2) for kind in ("person_name", "given_name", "surname")),
    _Test("given_name", "are known given names", test.is_given_name, 0.75, 0.4, 0.6),
    _Test("surname", "are Chinese surnames", test.is_zh_surname, 0.75, 0.9),
    _Test("surname", "are known surnames", test.is_surname, 0.7, 0.12, 0.25),
    _Test("account", "have the form of an IBAN", lambda t: matches(t, r"^[A-Z]{2}\d{2}[A-Z0-9 ]{11,38}$"), 0.7),
    _Test("account", "are long numbers", lambda text: matches(text, r"^\d{12,21}$"), 0.5),
    _Test("account", "are numbers or codes", lambda text: matches(text, r"^[A-Z0-9 \-]*\d{3}[0-9A-Z \-]*$"), 0.25),
    _Test("amount", "have two decimals", test.has_cents, 0.75),
    _Test("amount", "are numbers", test.is_amount, 0.3),
    _Test("number", "are numbers", lambda text: matches(text, r"^[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$"), 0.5, 0.9),
)  # fmt: skip


_TEXT = Detected("text", 0.3, 1.0, "text of no known form")


def detect_kind(cells: pa.Array, name: str | None = None) -> Detected:
    """The kind that fits the cells best; the header `name` is a hint.

    cells: any type, 1 cell or millions (an even selection of 20,000 is looked at). The kind is one of
    schemas.contract.KINDS; `text` where nothing else fits, and confidence 0 where there is no content.
    """
    hint = hint_of(name)
    text = simplified(_selection(repaired(hint or "text", cells) if pa.types.is_string(cells.type) else cells))
    if not len(text):
        return Detected(hint or "text", 0.0, 0.0, "no content")
    typed = _by_type(cells.type, text, hint)
    if typed is not None:
        return typed
    values = _Values.of(text)
    forms = list(_by_form(text, values, hint))
    found = [seen for _, seen in forms]
    if any(one.alone >= _STRICT and seen.readable >= _STRICT for one, seen in forms):
        # Ids, phones and cards are codes too, so a header that says id or account does not speak against them.
        found = [seen for seen in found if seen.kind != "account"]
    else:
        found += _by_spread(cells.type, text, hint)
    found += [] if name else _by_days(text)
    return max((*found, *_by_date(text, values, hint), _TEXT), key=lambda one: one.confidence)


def hint_of(name: str | None) -> str | None:
    """The kind that a header speaks of, or None; a kind's own name speaks of itself."""
    if not name:
        return None
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s_\-.:：/]+", " ", simplified_text(name.strip())).lower().strip()
    if apart.replace(" ", "_") in KINDS:
        return apart.replace(" ", "_")
    return next((kind for kind, pattern in HEADERS if re.search(pattern, apart)), None)


def _selection(cells: pa.Array) -> pa.Array:
    """At most 20,000 cells with content, evenly spread, as trimmed text."""
    if len(cells) > 4 * _MOST:
        cells = cells.take(pa.array(np.linspace(0, len(cells) - 1, 4 * _MOST).astype(np.int64)))
    text = normalise("text", spelled(cells)).drop_null()
    if len(text) > _MOST:
        text = text.take(pa.array(np.linspace(0, len(text) - 1, _MOST).astype(np.int64)))
    return text.filter(pc.invert(pc.match_substring_regex(text, _NOTHING)))


def _by_type(stored: pa.DataType, text: pa.Array, hint: str | None) -> Detected | None:
    """Columns whose type says what they hold."""
    if pa.types.is_boolean(stored):
        return Detected("category", 0.95, 1.0, "stored as true and false")
    if pa.types.is_date(stored) or pa.types.is_timestamp(stored):
        midnight = bool(matches(text, r"^\S+$| 00:00:00(?:\.0+)?Z?$").all())
        kind = ("birth_date" if _are_births(text, hint) else "date") if midnight else "timestamp"
        return Detected(kind, 0.95, 1.0, f"stored as {'dates' if midnight else 'times'}")
    if not (pa.types.is_decimal(stored) or pa.types.is_floating(stored)) or not matches(text, r"\.").any():
        return None
    cents = float(matches(text, r"^-?\d+(?:\.\d{1,2})?$").mean())
    if hint == "amount" or cents == 1.0:
        return Detected("amount", 0.9 if hint == "amount" else 0.7, 1.0, f"{cents:.1%} have two decimals at most")
    return Detected("number", 0.8, 1.0, "stored as numbers with decimals")


def _by_form(text: pa.Array, values: _Values, hint: str | None) -> Iterator[tuple[_Test, Detected]]:
    # Names repeat, but a column of a few values only is a list of categories however they are spelled.
    few = len(text) >= 5 and len(values.text) <= (0.4 if len(text) < 50 else 0.02) * len(text)
    share_of = cache(values.recognised)  # three kinds may be words
    for one in _TESTS:
        share = share_of(one.recognises)
        if share < (one.least / 2 if hint == one.kind else one.least):
            continue
        sure = one.alone * min(1.0, share / one.plenty)
        sure *= 0.5 if few and one.plenty < 1 else 1.0
        yield one, _found(one.kind, sure, share, one.says, len(text), hint)


def _by_date(text: pa.Array, values: _Values, hint: str | None) -> Iterator[Detected]:
    share = values.recognised(test.is_date)
    if share < 0.5:
        return
    births = _are_births(text.filter(pa.array(test.is_date(values.text)[values.place])), hint)
    yield _found("date", 0.8, share, "are dates", len(text), hint)
    yield _found("birth_date", 0.9 if births else 0.5, share, "are dates of birth by their years", len(text), hint)


def _by_days(text: pa.Array) -> Iterator[Detected]:
    """Birth dates as a spreadsheet numbers days: they lie years apart, hardly repeat, and are in no order."""
    births = births_in_days(text)
    if births is None or births.null_count or len(births) < _FEW_DAYS:
        return
    days = births.cast(pa.date32()).cast(pa.int32()).to_numpy()
    up = int((np.diff(days) > 0).sum())
    ordered = up in (0, len(days) - 1)
    if days.std() > _DAYS_APART and len(np.unique(days)) > len(days) / 2 and not ordered:
        yield _found("birth_date", 0.7, 1.0, "are days of birth as a spreadsheet numbers them", len(text), None)


def _are_births(dates: pa.Array, hint: str | None) -> bool:
    """Whether dates are people's: many of them lie decades before anything a business records."""
    if hint in ("birth_date", "date", "timestamp"):
        return hint == "birth_date"
    years = pc.utf8_slice_codeunits(normalise("date", dates).drop_null(), 0, 4).cast(pa.int64())
    return len(years) > 0 and float((years.to_numpy() < 1985).mean()) >= 0.2


def _by_spread(stored: pa.DataType, text: pa.Array, hint: str | None) -> Iterator[Detected]:
    """Ids, whose values are all different, and categories, which have few."""
    count, distinct = len(text), pc.count_distinct(text).as_py()
    codes = float(matches(text, _CODE).mean())
    prefixed = bool(matches(text, r"^[A-Za-z]{1,6}[-_]?\d{3,}$").all())
    if distinct >= 0.99 * count and codes >= 0.9 and (count > 1 or prefixed):
        one_length = pc.count_distinct(pc.utf8_length(text)).as_py() == 1
        sure = 0.25 if pa.types.is_integer(stored) or not one_length else 0.6
        yield _found("id", sure, codes, "are codes, no two the same", count, hint)
    if hint == "id" and matches(text, r"^\S{1,40}$").mean() >= 0.9:
        yield _found("id", 0.2, 1.0, "are short and without spaces", count, hint)
    words = not matches(text, r"^[-+]?\d+(?:\.\d+)?$").mean() >= 0.9
    if words and ((count >= 20 and distinct <= 0.1 * count) or (hint == "category" and distinct < 0.9 * count)):
        yield _found("category", 0.5, 1.0, f"are one of {distinct:,} values", count, hint)


def _found(kind: str, sure: float, share: float, says: str, count: int, hint: str | None) -> Detected:
    """One candidate; a form that few cells show is a little less sure."""
    weight = _AGREES if hint == kind else -_DIFFERS if hint else 0.0
    confidence = sure * (count + 0.5) / (count + 1) * min(1.0, 0.5 + share) + weight
    return Detected(kind, round(min(0.99, max(0.0, confidence)), 3), round(share, 4), f"{share:.1%} {says}")
