"""The laws of every carrier, on made-up cells of every type."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.contract import Mark
from watermarking.carriers import Carrier, carrier
from watermarking.normalise import normalise

SYNONYMS = [["Ltd", "Limited"], ["Ltd.", "X Ltd"], ["有限公司", "有限责任公司"], ["M", "male"], ["B C", "A"]]


def _pieces(told: str) -> tuple[str, ...]:
    return tuple(told.split("|"))


ZH_PIECES = _pieces(
    "浙江省|浙江|吉林|吉林省|省|广西壮族自治区|广西|内蒙古|自治区|北京市|北京|中国|杭州市|吉林市|"
    "海南藏族自治州|海南|市|州|地区|海淀区|朝阳县|区|路|文三路|中山北路|号|号楼|栋|幢|座|单元|-|－|"
    "室|楼|层| |，|5|2|302|１２|３０２|12|十|一|5号楼2单元302室|3栋2-1201|128号|²|\u3000|\u200b|\n|"
    "A|梯"
)
EN_PIECES = _pieces(
    "12 |Main |St |St. |St|St.|Street|street, |ROAD|RD |Ave|Avenue |James |, |Apt 5|apartment 12B|"
    "Suite #4|Ste. |Bldg B,|Building |N| NW |Springfield|\n|.|é "
)
EMAIL_PIECES = _pieces("zhang|Wei|ABC|.|@|example.com|EXAMPLE.com|1|é| |\n|+x")
TIME_PIECES = _pieces(
    "2024-05-01|2024/5/1|20240501| |T|10:30:05|00:00:0|00:00:00|3|103005|23:59:59|.250|Z|+08:00|"
    "10时30分05秒|0时00分02秒|10:30|:|000003|0"
)
SPACING_PIECES = _pieces(
    "12 |Main |St|St.|Rd|, |,| |.|Leeds|Apt 5|"
    "浙江省杭州市西湖区|浙江杭州市西湖区 |吉林省吉林市朝阳县|建设路|区|5号|é|\n|A"
)
DATE_PIECES = _pieces("2024-05-01|2024/05/01|1999/12/31|1999-1-2|2001/1/2|2024-13-01|2024-05/01| |T10:30|-|/|1|01")
AMOUNT_PIECES = _pieces("1|0|9|00|1,234|,|.|.50|.99|-|+|¥|元| |12.345|0.0|100.00")
SYNONYM_PIECES = _pieces("Ltd|Limited|.|X | |有限公司|有限责任公司|M|male|A|B |C|杭州|1")

TEXTS = {
    "address_zh": ZH_PIECES,
    "address_en": EN_PIECES,
    "address_width": ZH_PIECES,
    "address_spacing": SPACING_PIECES,
    "date_spelling": DATE_PIECES,
    "email_case": EMAIL_PIECES,
    "timestamp_second": TIME_PIECES,
    "amount_low_digits": AMOUNT_PIECES,
    "synonym": SYNONYM_PIECES,
}
CASES = [
    ("address_zh", {}),
    ("address_zh", {"width": True}),
    ("address_zh", {"building": "幢"}),
    ("address_en", {}),
    ("address_width", {}),
    ("address_spacing", {}),
    ("date_spelling", {}),
    ("email_case", {}),
    ("timestamp_second", {}),
    ("timestamp_second", {"bits": 3}),
    ("amount_low_digits", {}),
    ("amount_low_digits", {"bits": 5}),
    ("amount_low_digits", {"bits": 3, "decimals": 0}),
    ("amount_low_digits", {"bits": 1, "decimals": 0, "every": 4}),
    ("synonym", {"pairs": SYNONYMS}),
]
TEXT_TYPES = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int16(), pa.string()))
TYPED = {
    "timestamp_second": st.sampled_from(
        [
            pa.timestamp("s"),
            pa.timestamp("ms"),
            pa.timestamp("us", "Asia/Shanghai"),
            pa.timestamp("ns"),
            pa.date32(),
        ]
    ),
    "amount_low_digits": st.sampled_from(
        [
            pa.int8(),
            pa.int64(),
            pa.uint16(),
            pa.uint64(),
            pa.float64(),
            pa.decimal128(18, 2),
            pa.decimal128(30, 4),
        ]
    ),
}


@st.composite
def text_cells(draw: st.DrawFn, pieces: tuple[str, ...]) -> pa.Array:
    """Cells of a text type, some null, possibly a slice of a longer array."""
    word = st.lists(st.one_of(st.sampled_from(pieces), st.text(max_size=2)), max_size=12).map("".join)
    values = draw(st.lists(st.none() | word.filter(_encodable), max_size=6))
    cells = pa.array(values, pa.string()).cast(draw(st.sampled_from(TEXT_TYPES)))
    return cells.slice(draw(st.integers(0, len(values))))


def _encodable(word: str) -> bool:
    return not any(0xD800 <= ord(character) < 0xE000 for character in word)


@st.composite
def typed_cells(draw: st.DrawFn, kind: pa.DataType) -> pa.Array:
    """Cells of a number or time type, some null, possibly a slice."""
    if pa.types.is_decimal(kind):
        value = st.decimals(-(10**14), 10**14, places=kind.scale) | st.decimals(-2, 2, places=kind.scale)
    elif pa.types.is_floating(kind):
        value = st.floats() | st.integers(-(10**9), 10**9).map(lambda cents: cents / 100)
    elif pa.types.is_integer(kind):
        least, most = (0, 2**kind.bit_width - 1) if str(kind).startswith("u") else _signed(kind.bit_width)
        value = st.integers(least, most) | st.integers(max(least, -70), 70)
    elif pa.types.is_date(kind):
        value = st.integers(-(10**5), 10**5)
    else:
        second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        value = st.integers(-(9 * 10**9) * second, 9 * 10**9 * second) | st.integers(-200, 200)
    values = draw(st.lists(st.none() | value, max_size=6))
    return pa.array(values, kind).slice(draw(st.integers(0, len(values))))


def _signed(width: int) -> tuple[int, int]:
    return -(2 ** (width - 1)), 2 ** (width - 1) - 1


def assert_laws(rule: Carrier, cells: pa.Array, seed: int) -> None:
    """Every law of a carrier, for one column and one choice of symbols."""
    present = rule.read(cells)
    assert present.shape == (len(cells), len(rule.labels()))
    assert present.dtype == np.int8
    wanted = np.random.default_rng(seed).integers(-1, 2, present.shape).astype(np.int8)
    written = rule.write(cells, wanted)
    written.validate(full=True)
    assert written.type == cells.type
    expected = np.where((present >= 0) & (wanted >= 0), wanted, present)
    np.testing.assert_array_equal(rule.read(written), expected)
    assert rule.mark_free(written).equals(rule.mark_free(cells))
    assert rule.mark_free(cells).type == pa.string()
    for same in (rule.write(cells, present), rule.write(written, expected)):
        same.validate(full=True)
    assert list(map(_plain, rule.write(cells, present).to_pylist())) == list(map(_plain, cells.to_pylist()))
    untouched = np.flatnonzero((expected == present).all(axis=1))
    before, after = cells.to_pylist(), written.to_pylist()
    assert [_plain(after[row]) for row in untouched] == [_plain(before[row]) for row in untouched]
    if rule.name.startswith("address"):
        assert normalise("address", written).equals(normalise("address", cells))
    if rule.name == "date_spelling":
        assert normalise("date", written).equals(normalise("date", cells))
    if rule.name == "email_case":
        assert normalise("email", written).equals(normalise("email", cells))


def _plain(value: object) -> str:
    return repr(value)  # tells -0.0 from 0.0 and calls nan equal to nan


@pytest.mark.parametrize(("name", "options"), CASES)
@settings(max_examples=150, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_laws_hold_on_text(name: str, options: dict[str, object], data: st.DataObject, seed: int) -> None:
    rule = carrier(Mark(name, options))
    assert_laws(rule, data.draw(text_cells(TEXTS[name])), seed)


@pytest.mark.parametrize(
    ("name", "options"), [case for case in CASES if case[0] in TYPED], ids=lambda value: str(value)
)
@settings(max_examples=150, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_laws_hold_on_typed_columns(name: str, options: dict, data: st.DataObject, seed: int) -> None:
    rule = carrier(Mark(name, options))
    assert_laws(rule, data.draw(typed_cells(data.draw(TYPED[name]))), seed)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_laws_hold_on_twenty_thousand_odd_cells(name: str, options: dict[str, object]) -> None:
    rng = np.random.default_rng(11)
    pieces = np.array(TEXTS[name], dtype=object)
    counts = rng.integers(1, 9, 20_000)
    drawn = np.split(pieces[rng.integers(0, len(pieces), counts.sum())], np.cumsum(counts)[:-1])
    cells = pa.array(["".join(words) for words in drawn])
    rule = carrier(Mark(name, options))
    assert (rule.read(cells) >= 0).mean(axis=0).min() > 0.005, "the law would hold for want of sites"
    assert_laws(rule, cells, seed=12)
