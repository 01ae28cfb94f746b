"""Carriers: what they write and leave alone, wrong options, and their speed."""

import pickle
import time
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from schemas.carriers import CARRIERS
from schemas.contract import Mark
from schemas.errors import ContractError
from watermarking.carriers import CARRIER_CLASSES, carrier

SYNONYMS = [["Ltd", "Limited"], ["有限公司", "有限责任公司"]]


def spelled(name: str, cell: object, *symbols: int, **options: object) -> object:
    """One cell with symbols written."""
    cells = cell if isinstance(cell, pa.Array) else pa.array([cell])
    return carrier(Mark(name, options)).write(cells, np.array([symbols], dtype=np.int8)).to_pylist()[0]


def symbols_of(name: str, cell: object, **options: object) -> list[int]:
    """The symbols of one cell."""
    cells = cell if isinstance(cell, pa.Array) else pa.array([cell])
    return carrier(Mark(name, options)).read(cells)[0].tolist()


def test_a_chinese_address_has_four_spellings_that_change_alone() -> None:
    address = "浙江省杭州市西湖区文三路128号翠苑小区5号楼2单元302室"
    assert carrier(Mark("address_zh", {})).labels() == ("province", "building", "unit", "room")
    assert symbols_of("address_zh", address) == [0, 0, 0, 0]
    assert spelled("address_zh", address, 1, -1, -1, -1) == "浙江杭州市西湖区文三路128号翠苑小区5号楼2单元302室"
    assert spelled("address_zh", address, -1, 1, -1, -1) == "浙江省杭州市西湖区文三路128号翠苑小区5栋2单元302室"
    assert spelled("address_zh", address, -1, -1, 1, -1) == "浙江省杭州市西湖区文三路128号翠苑小区5号楼2-302室"
    assert spelled("address_zh", address, -1, -1, -1, 1) == "浙江省杭州市西湖区文三路128号翠苑小区5号楼2单元302"
    assert spelled("address_zh", address, 1, 1, 1, 1) == "浙江杭州市西湖区文三路128号翠苑小区5栋2-302"


def test_long_names_of_regions_come_back() -> None:
    for region, short, rest in (
        ("广西壮族自治区", "广西", "南宁市青秀区1栋"),
        ("内蒙古自治区", "内蒙古", "呼和浩特市"),
        ("北京市", "北京", "通州区新华大街1号"),
        ("黑龙江省", "黑龙江", "哈尔滨市"),
        ("西藏自治区", "西藏", "阿里地区"),
    ):
        assert spelled("address_zh", region + rest, 1, -1, -1, -1) == short + rest
        assert spelled("address_zh", short + rest, 0, -1, -1, -1) == region + rest


@pytest.mark.parametrize(
    "cell",
    [
        "浙江路12号",
        "北京东路8号",
        "吉林市船营区",
        "海南藏族自治州共和县",
        "河北区昆纬路",
        "南京市玄武区",
        "文三路128-302号",
        "号楼",
        "",
    ],
)
def test_what_only_looks_like_a_spelling_is_no_site(cell: str) -> None:
    assert symbols_of("address_zh", cell) == [-1, -1, -1, -1]


def test_the_third_word_for_a_building_is_left_alone() -> None:
    assert symbols_of("address_zh", "5幢2单元302室") == [-1, -1, 0, 0]
    assert symbols_of("address_zh", "5幢2单元302室", building="幢") == [-1, 1, 0, 0]
    assert spelled("address_zh", "5幢101", 0, 0, 0, 0, building="幢") == "5号楼101室"


def test_width_is_one_more_site() -> None:
    assert symbols_of("address_zh", "５栋２-302", width=True) == [-1, 1, 1, 1, -1]
    assert spelled("address_zh", "12号5栋", -1, 0, -1, -1, 1, width=True) == "１２号５号楼"
    assert spelled("address_width", "１２号", 0) == "12号"


def test_english_words_keep_their_case_and_saints_stay_saints() -> None:
    assert spelled("address_en", "12 St James Street, Apt 5", 1, 0) == "12 St James St, Apartment 5"
    assert spelled("address_en", "12 OAK AVE APT 5B", 0, 0) == "12 OAK AVENUE APARTMENT 5B"
    assert spelled("address_en", "Suite 200, 9 High Rd., Leeds", 0, 1) == "Ste 200, 9 High Road, Leeds"
    assert symbols_of("address_en", "St Pauls Square Gardens") == [-1, -1]


def test_email_case_touches_the_local_part_only() -> None:
    assert spelled("email_case", "zhang.Wei@Example.com", 1) == "Zhang.wei@Example.com"
    assert spelled("email_case", "zhang.Wei@Example.com", 0) == "zhang.Wei@Example.com"
    assert symbols_of("email_case", "1zhang@example.com") == [-1]


def test_seconds_move_inside_their_block_and_keep_their_format() -> None:
    for cell, wanted in (
        ("2024-05-01 10:30:05", "2024-05-01 10:30:07"),
        ("2024-05-01T10:30:05.250Z", "2024-05-01T10:30:07.250Z"),
        ("20240501103005", "20240501103007"),
        ("10时30分05秒", "10时30分07秒"),
    ):
        assert spelled("timestamp_second", cell, 1, 1) == wanted
    moment = pa.array([datetime(2024, 5, 1, 10, 30, 5, 250000, tzinfo=UTC)])
    assert spelled("timestamp_second", moment, 0, 0) == datetime(2024, 5, 1, 10, 30, 4, 250000, tzinfo=UTC)


@pytest.mark.parametrize("cell", ["2024-05-01", "2024-05-01 10:30", "2024-05-01 00:00:00", "00:00:00:01"])
def test_a_date_or_a_time_without_seconds_has_no_second_to_mark(cell: str) -> None:
    assert symbols_of("timestamp_second", cell) == [-1, -1]


def test_a_block_that_leaves_the_minute_is_no_site() -> None:
    assert symbols_of("timestamp_second", "2024-05-01 10:30:57", bits=3) == [-1, -1, -1]


def test_amounts_in_text_keep_sign_zeros_and_separators() -> None:
    assert spelled("amount_low_digits", "-1,234.50", 0, 0) == "-1,234.48"
    assert spelled("amount_low_digits", "¥0012.50元", 1, 1) == "¥0012.51元"
    assert spelled("amount_low_digits", "12.3456", 1, 1) == "12.3556"
    assert spelled("amount_low_digits", "123456789012345678901234567890.10", 1, 1).endswith("890.11")
    assert spelled("amount_low_digits", "1,000", 1, 1, 1, decimals=0, bits=3) == "1,007"


@pytest.mark.parametrize("cell", ["12.5", "12", "0.00", "-0.03", "1.234,56", "1,23.00", "about 12.50 or 13.50"])
def test_amounts_without_room_for_a_mark(cell: str) -> None:
    assert symbols_of("amount_low_digits", cell) == [-1, -1]


def test_amounts_never_cross_a_block_whatever_their_type() -> None:
    for cells in (
        pa.array([Decimal("-125.42")]),
        pa.array([-125.42]),
        pa.array(["-125.42"]),
        pa.array([Decimal("-125.4200")], pa.decimal128(20, 4)),
    ):
        assert symbols_of("amount_low_digits", cells) == [0, 1]
        assert float(spelled("amount_low_digits", cells, 1, 0)) == -125.41
    assert symbols_of("amount_low_digits", pa.array([12542])) == [-1, -1]
    assert symbols_of("amount_low_digits", pa.array([12542]), decimals=0) == [0, 1]
    least = pa.array([-128], pa.int8())
    assert symbols_of("amount_low_digits", least, decimals=0) == [-1, -1]
    assert spelled("amount_low_digits", least, 1, 1, decimals=0) == -128, "there is no -129"


def test_a_synonym_that_would_read_differently_is_no_site() -> None:
    assert spelled("synonym", "Acme Ltd, York", 1, pairs=[["Ltd", "Limited"]]) == "Acme Limited, York"
    assert spelled("synonym", "杭州某某有限责任公司", 0, pairs=SYNONYMS) == "杭州某某有限公司"
    assert symbols_of("synonym", "Ltdx", pairs=[["Ltd", "Limited"]]) == [-1]
    assert symbols_of("synonym", "B A", pairs=[["A", "C D"], ["B C", "E"]]) == [-1]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("address_fr", {}),
        ("address_zh", {"wide": True}),
        ("address_zh", {"building": "座"}),
        ("timestamp_second", {"bits": 6}),
        ("amount_low_digits", {"bits": True}),
        ("amount_low_digits", {"decimals": -1}),
        ("synonym", {}),
        ("synonym", {"pairs": [["Ltd", "Ltd"]]}),
        ("synonym", {"pairs": [["Ltd"]]}),
    ],
)
def test_a_wrong_option_is_a_sentence(name: str, options: dict[str, object]) -> None:
    with pytest.raises(ContractError, match=name):
        carrier(Mark(name, options))


def test_options_of_the_selection_are_no_concern_of_a_carrier() -> None:
    assert carrier(Mark("email_case", {"mix": 0.3, "skip": []})).labels() == ("first_letter",)


def test_the_contract_knows_the_same_carriers() -> None:
    assert set(CARRIERS) == set(CARRIER_CLASSES)


def test_a_carrier_travels_without_the_cells_it_saw() -> None:
    rule = carrier(Mark("address_zh", {}))
    rule.read(pa.array(["浙江省杭州市5号楼"]))
    travelled = pickle.dumps(rule)
    assert "杭州".encode() not in travelled
    assert pickle.loads(travelled).read(pa.array(["5栋"])).tolist() == [[-1, 1, -1, -1]]  # noqa: S301


def test_cells_seen_before_are_not_taken_for_others() -> None:
    rule = carrier(Mark("address_zh", {}))
    column = pa.array(["5栋", "5号楼", None, "x"])
    assert [rule.read(column.slice(first, 1))[0, 1] for first in range(4)] == [1, 0, -1, -1]


def test_a_hundred_thousand_addresses_take_a_fraction_of_a_second() -> None:
    rng = np.random.default_rng(5)
    numbers = rng.integers(101, 2900, 100_000)
    cells = pa.array([f"浙江省宁波市鄞州区中山北路{n}号阳光花园{n % 40}号楼2单元{n}室" for n in numbers.tolist()])
    rule = carrier(Mark("address_zh", {}))
    symbols = rng.integers(0, 2, (len(cells), 4)).astype(np.int8)
    started = time.process_time()
    assert (rule.read(rule.write(cells, symbols)) == symbols).all()
    assert time.process_time() - started < 2.0  # 0.25 s on a quiet machine


def test_spaces_and_dots_of_an_address_are_written_and_read() -> None:
    cells = pa.array(["12 Main St, Leeds", "12 Main St.,Leeds", "浙江省杭州市西湖区建设路12号", "a", None])
    rule = carrier(Mark("address_spacing", {}))
    np.testing.assert_array_equal(rule.read(cells), [[0, 0, -1], [1, 1, -1], [-1, -1, 0], [-1, -1, -1], [-1, -1, -1]])
    written = rule.write(cells, np.ones((5, 3), dtype=np.int8))
    assert written.to_pylist() == [
        "12 Main St.,Leeds", "12 Main St.,Leeds", "浙江省杭州市西湖区 建设路12号", "a", None
    ]  # fmt: skip


def test_separators_of_a_date_are_written_and_read() -> None:
    cells = pa.array(["2024-05-01", "2024/5/1", "2024-05-01 10:30", "05/01/2024", "2024-05/01", None])
    rule = carrier(Mark("date_spelling", {}))
    assert rule.read(cells)[:, 0].tolist() == [0, 1, -1, -1, -1, -1]
    written = rule.write(cells, np.array([[1], [0], [1], [1], [1], [1]], dtype=np.int8))
    assert written.to_pylist()[:3] == ["2024/05/01", "2024-5-1", "2024-05-01 10:30"]
