"""Kinds are told from cells: with and without a header, from one cell or many, masked or whole."""

import datetime
import decimal

import hypothesis.strategies as st
import numpy as np
import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from stdnum import luhn
from stdnum.cn import ric

from schemas.contract import KINDS
from watermarking import detect
from watermarking.detect import Detected, detect_kind, hint_of
from watermarking.normalise import normalise, read_masked
from watermarking.validators import is_cn_id, is_luhn, is_phone, looks_cn_id

# Cells that nobody owns: example numbers of standards and handbooks, invented names.
COLUMNS = {
    "national_id": ["11010519491231002X", "440524188001010014", "330106198503072134"],
    "phone": ["13812345678", "+86 139 1234 5678", "15900001111"],
    "card": ["4111111111111111", "5500 0000 0000 0004", "6222021234567890128"],
    "email": ["a.b@example.com", "Zhang@example.org", "x_1@mail.example.net"],
    "address": [
        "浙江省杭州市西湖区文三路128号5栋2-302",
        "上海市浦东新区世纪大道100号",
        "北京市海淀区中关村大街1号楼3单元501室",
    ],
    "person_name": ["王秀英", "欧阳娜娜", "李伟"],
    "birth_date": ["1949-12-31", "1985/3/7", "1962年1月2日"],
    "timestamp": ["2024-01-02 03:04:05", "2024-01-02T03:04:05Z", "2023-12-31 23:59"],
    "postcode": ["TS19 0SH", "s6 6ab", "SW1A 1AA"],
    "amount": ["1,234.50", "¥88.00", "-3.10"],
}
OTHER_FORMS = {
    "person_name": ["Arthur Englefield", "Mary Jane Stanning", "Zhang Wei"],
    "phone": ["+44 20 7946 0018", "(212) 555-0123", "0571-88886666"],
    "address": ["221B Baker Street, London", "12 High Road", "Flat 3, 9 Mill Lane"],
    "national_id": ["330106********2137", "110105********002X", "440524********0014"],
    "card": ["6222 02** **** *** 0128", "4111********1111", "550000******0004"],
}
MASKED_PHONES = ["138****5678", "159****1111", "186****0000"]


@pytest.mark.parametrize("columns", [COLUMNS, OTHER_FORMS])
@pytest.mark.parametrize("rows", [1, 3, 3000])
def test_kinds_are_told_from_the_cells_alone(columns: dict[str, list[str]], rows: int) -> None:
    for kind, cells in columns.items():
        seen = detect_kind(pa.array((cells * rows)[:rows]))
        # Three values that stand a thousand times each are categories to look at, unless their form says more.
        if kind == "person_name" and rows > 3:
            continue
        assert seen.kind == kind, (cells[0], seen)
        assert seen.confidence >= 0.5
        assert seen.readable > 0.6


def test_english_addresses_end_in_a_postcode() -> None:
    cells = ["0155 SERRANO POINT, WEST DOUGLAS, WA 10743", "4676 Lauren Roads, East Jasonshire, MN 31050"]
    assert detect_kind(pa.array(cells)).kind == "address"


def test_ids_set_apart_by_blanks_are_ids() -> None:
    assert detect_kind(pa.array(["110105 19491231 002X", "440524-18800101-0014"])).kind == "national_id"


def test_traditional_characters_are_read_as_simplified_ones() -> None:
    assert detect_kind(pa.array(["陳麗華", "張偉", "劉德華", "歐陽娜娜"])).kind == "person_name"
    assert detect_kind(pa.array(["臺北市大安區信義路四段1號5樓", "浙江省杭州市西湖區文三路128號5棟"])).kind == "address"
    assert hint_of("身份證號") == "national_id"
    assert hint_of("聯繫電話") == "phone"


@pytest.mark.parametrize("code", ["0086", "(+86)", "86-", "(0086) "])
def test_a_country_code_in_any_writing_leaves_a_phone(code: str) -> None:
    cells = pa.array([f"{code}1381234{n:04}" for n in range(9)])
    assert detect_kind(cells).kind == "phone"
    assert normalise("phone", cells).to_pylist() == [f"1381234{n:04}" for n in range(9)]


def test_masked_phones_are_phones() -> None:
    assert detect_kind(pa.array(MASKED_PHONES)).kind == "phone"
    coded = pa.array([f"+86 138****{n:04}" for n in range(9)])
    assert (detect_kind(coded).kind, read_masked("phone", coded)[3].as_py()) == ("phone", "138*0003")
    assert detect_kind(pa.array(["张**", "李*", "王*英"])).kind == "person_name"
    assert detect_kind(pa.array(["**伟", "*娜", "*芳"])).kind == "person_name"


def test_a_header_tips_the_scale_between_what_the_cells_allow() -> None:
    numbers = pa.array(["310000", "310012", "100080"])
    assert detect_kind(numbers, "邮编").kind == "postcode"
    assert detect_kind(numbers, "客户号").kind == "id"
    assert detect_kind(pa.array(["622202123456"] * 3), "account_no").kind == "account"
    words = pa.array(["Stanning", "Englefield", "Killik"])
    assert detect_kind(words, "surname").kind == "surname"
    assert detect_kind(words, "first_name").kind == "given_name"
    assert detect_kind(words).kind == "text"


def test_a_header_cannot_make_cells_what_they_are_not() -> None:
    for header in ("address", "email", "姓名", "amount", "id", "dob"):
        assert detect_kind(pa.array(COLUMNS["phone"]), header).kind == "phone"
        assert detect_kind(pa.array(COLUMNS["national_id"]), header).kind == "national_id"


def test_a_two_line_number_file_is_no_name() -> None:
    for cells in (["42", "17"], ["1", "2"], ["2024", "2025"]):
        assert detect_kind(pa.array(cells)).kind in ("number", "id", "category")


def test_types_say_what_cells_cannot() -> None:
    day, time = datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4, 5)
    assert detect_kind(pa.array([day] * 3)).kind == "date"
    assert detect_kind(pa.array([datetime.date(1950, 1, 2)] * 3)).kind == "birth_date"
    assert detect_kind(pa.array([time] * 3)).kind == "timestamp"
    assert detect_kind(pa.array([datetime.datetime(2020, 1, 2)] * 3)).kind == "date"
    assert detect_kind(pa.array([True, False])).kind == "category"
    assert detect_kind(pa.array([decimal.Decimal("1.10"), decimal.Decimal("2.35")])).kind == "amount"
    assert detect_kind(pa.array([0.123456, 2.5])).kind == "number"
    assert detect_kind(pa.array([13812345678.0, None, 15900001111.0])).kind == "phone"
    assert detect_kind(pa.array([13812345678, 15900001111])).kind == "phone"


def test_a_column_without_content_is_not_known() -> None:
    for cells in ([], [None, None], ["", " ", "NULL", "n/a", "无"]):
        assert detect_kind(pa.array(cells, pa.string()), "phone") == Detected("phone", 0.0, 0.0, "no content")


def test_categories_and_codes_are_told_by_how_often_values_repeat() -> None:
    sexes = pa.array(["male", "female"] * 50)
    assert detect_kind(sexes).kind == "category"
    assert detect_kind(pa.array([f"C{n:08d}" for n in range(100)])).kind == "id"
    assert detect_kind(pa.array([f"Q{n * 37}" for n in range(5000)]), "person_id").kind == "id"


def test_dirty_columns_keep_their_kind() -> None:
    cells = COLUMNS["phone"] * 6 + ["unknown", "-", "ask him", "1381234567"]
    seen = detect_kind(pa.array(cells), "mobile")
    assert seen.kind == "phone"
    assert 0.85 < seen.readable < 1.0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.45, 0.8, 1.0])
@pytest.mark.parametrize("header", [None, "surname", "phone"])
def test_of_many_different_values_some_tell_which_forms_to_look_for(
    share: float, header: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    one, other = [f"{n} Mill Lane" for n in range(3_000)], [f"138{n:08}" for n in rng.permutation(3_000)]
    cells = pa.array(np.where(rng.random(3_000) < share, other, one).tolist())
    quick = detect_kind(cells, header)
    monkeypatch.setattr(detect, "_SOME", 10**9)
    assert detect_kind(cells, header) == quick


def test_what_was_seen_is_told_without_a_value() -> None:
    for cells in (*COLUMNS.values(), *OTHER_FORMS.values()):
        assert not any(cell in detect_kind(pa.array(cells)).saw for cell in cells)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Mobile", "phone"),
        ("手机号码", "phone"),
        ("customerNo", "id"),
        ("身份证号", "national_id"),
        ("date_of_birth", "birth_date"),
        ("birth_place", "category"),
        ("e-mail", "email"),
        ("card_no", "card"),
        ("zip", "postcode"),
        ("opened_at", "timestamp"),
        ("person_name", "person_name"),
        ("customer_name", "person_name"),
        ("姓名", "person_name"),
        ("账号", "account"),
        ("xyzzy", None),
        ("", None),
        (None, None),
    ],
)
def test_headers_in_two_languages_are_understood(header: str | None, kind: str | None) -> None:
    assert hint_of(header) == kind


def test_ids_and_cards_are_judged_as_python_stdnum_judges_them() -> None:
    rng = np.random.default_rng(3)
    bodies = [f"{a}0106{y}{m:02d}{d:02d}{n:03d}" for a, y, m, d, n in zip(
        rng.choice([11, 33, 44, 82], 4000), rng.integers(1900, 2020, 4000), rng.integers(0, 14, 4000),
        rng.integers(0, 33, 4000), rng.integers(0, 1000, 4000), strict=True)]  # fmt: skip
    ids = [body + last for body, last in zip(bodies, rng.choice(list("0123456789Xx"), 4000), strict=True)]
    expected = [bool(ric.calc_check_digit(cell) == cell[-1].upper() and is_day(cell[6:14])) for cell in ids]
    assert is_cn_id(pa.array(ids)).tolist() == expected
    assert looks_cn_id(pa.array(ids)).tolist() == [is_day(cell[6:14]) for cell in ids]
    cards = [
        f"{first}{rest}"
        for first, rest in zip(rng.integers(2, 10, 4000), rng.integers(10**12, 10**18, 4000), strict=True)
    ]
    assert is_luhn(pa.array(cards)).tolist() == [luhn.is_valid(card) for card in cards]


def is_day(text: str) -> bool:
    try:
        datetime.datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return False
    return True


def test_example_numbers_of_phonenumbers_are_phones() -> None:
    formats = phonenumbers.PhoneNumberFormat
    kinds = phonenumbers.PhoneNumberType
    cells = []
    for region in ("CN", "GB", "US"):
        for kind in (kinds.MOBILE, kinds.FIXED_LINE):
            number = phonenumbers.example_number_for_type(region, kind)
            cells += [phonenumbers.format_number(number, form) for form in (formats.E164, formats.INTERNATIONAL)]
            if region != "CN" or kind == kinds.MOBILE:
                cells.append(phonenumbers.format_number(number, formats.NATIONAL))
    recognised = is_phone(pa.array(cells))
    assert recognised.all(), np.array(cells)[~recognised]


@given(st.lists(st.one_of(st.none(), st.text(max_size=20)), max_size=10), st.one_of(st.none(), st.text(max_size=8)))
@settings(deadline=None, max_examples=60)
def test_any_cells_and_any_header_have_an_answer(cells: list[str | None], name: str | None) -> None:
    seen = detect_kind(pa.array(cells, pa.string()), name)
    assert seen.kind in KINDS
    assert 0.0 <= seen.confidence <= 1.0
    assert 0.0 <= seen.readable <= 1.0
