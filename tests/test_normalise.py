"""What counts as the same value: test vectors, and laws that hold for any cell."""

import datetime
import decimal

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings

from schemas.contract import KINDS, Mark
from schemas.spellings import ADDRESS_EN, MUNICIPALITIES, PROVINCES
from watermarking import damage
from watermarking import normalise as module
from watermarking.carriers import carrier
from watermarking.normalise import masked, normalise, read_masked
from watermarking.plain_cells import all_normal, none_scientific, nothing_hidden

VECTORS = {
    "phone": {
        "13812345678": "13812345678",
        "138 1234 5678": "13812345678",
        "１３８１２３４５６７８": "13812345678",
        "+86 138-1234-5678": "13812345678",
        "8613812345678": "13812345678",
        "0086 13812345678": "13812345678",
        "13812345678.0": "13812345678",
        "'13812345678": "13812345678",
        "0571-88886666": "057188886666",
        "+86 571 8888 6666": "057188886666",
        "+44 (0)20 7946 0018": "02079460018",
        "+44 20 7946 0018": "02079460018",
        "020 7946 0018": "02079460018",
        "447911123456": "07911123456",
        "+1 (212) 555-0123": "2125550123",
        "(212) 555-0123": "2125550123",
        "138****5678": None,
        "12345": None,
        "call me": None,
        "": None,
    },
    "national_id": {
        "11010519491231002x": "11010519491231002X",
        "110105 19491231 002X": "11010519491231002X",
        "QQ 12 34 56 C": "QQ123456C",
        "123-45-6789": "123456789",
        "110105********002X": None,
        "110105XXXXXXXX0021": None,
        "none": None,
    },
    "email": {
        " Zhang.Wei@Example.COM ": "zhang.wei@example.com",
        "mailto:a@b.example": "a@b.example",
        "<a@b.example>": "a@b.example",
        "z***@example.com": None,
        "nobody": None,
    },
    "card": {"6222 0212 3456 7890 123": "6222021234567890123", "4111-1111-1111-1111": "4111111111111111", "41": None},
    "account": {
        "gb29 nwbk 6016 1331 9268 19": "GB29NWBK60161331926819",
        "00123": "00123",
        "XX1": "XX1",
        "6222XXXX1234": None,
        "622*1": None,
        "-": None,
    },
    "postcode": {"ts19 0sh": "TS190SH", "310000": "310000", "none": None},
    "birth_date": {
        "1985-03-07": "1985-03-07",
        "1985/3/7": "1985-03-07",
        "19850307": "1985-03-07",
        "1985年3月7日": "1985-03-07",
        "07/03/1985": "1985-03-07",
        "25/12/1985": "1985-12-25",
        "12/25/1985": "1985-12-25",
        "7 Mar 1985": "1985-03-07",
        "March 7, 1985": "1985-03-07",
        "1985-03-07T00:00:00": "1985-03-07",
        "02.01.90": "1990-01-02",
        "25/12/21": "1921-12-25",
        "90-01-02": "1990-01-02",
        "02-JAN-90": "1990-01-02",
        "02-1月 -90": "1990-01-02",
        "45.77.20": None,
        "1984-02-29": "1984-02-29",
        "1985-02-29": None,
        "1985-13-40": None,
        "19851305": None,
        "soon": None,
    },
    "person_name": {
        "张 三": "张三",
        "阿凡提·买买提": "阿凡提买买提",
        "ARTHUR  Englefield": "arthur englefield",
        "O’Neill, John": "o neill john",
        "o'neill john": "o neill john",
        "Groß": "gross",
        "ＪＯＨＮ": "john",
        "\u200b张三": "张三",
        "张*": None,
        "张某某": None,
        "NULL": None,
        "123": None,
    },
    "address": {
        "浙江省杭州市西湖区文三路128号5号楼2单元302室": "浙江杭州市西湖区文三路128号5号楼2单元302",
        "浙江杭州市 西湖区文三路１２８号5栋2-302": "浙江杭州市西湖区文三路128号5号楼2单元302",
        "221B Baker Street, London": "221bbakerstlondon",
        "221b baker st. London": "221bbakerstlondon",
        "Flat 1, 23 High Road": "flat1-23highrd",
        "Flat 12, 3 High Road": "flat12-3highrd",
        "浙江省****": None,
        "N/A": None,
        ", -": None,
    },
    "date": {"02.01.24": "2024-01-02", "02/01/75": "1975-01-02"},
    "amount": {
        "1,234.50": "1234.5",
        "1234,56": "1234.56",
        "1.234.567,5": "1234567.5",
        "1 234,50 €": "1234.5",
        "1'234.50": "1234.5",
        "1,234": "1234",
        "1.234.567": "1234567",
        "12345,678": "12345.678",
        "¥0100": "100",
        "-0.00": "0",
        "1.10": "1.1",
        "-007.5": "-7.5",
        "n/k": "n/k",
    },
    "timestamp": {
        "2024-01-02T03:04:05.000": "2024-01-02 03:04:05",
        "2024-01-02 03:04:05.120": "2024-01-02 03:04:05.12",
        "noon": "noon",
    },
    "id": {" C001 ": "C001", "Ｃ００１": "C001", "": None},
    "text": {" a\u3000b ": "a b", "\u00a0": None},
}


@pytest.mark.parametrize(("kind", "cell"), [(kind, cell) for kind, cells in VECTORS.items() for cell in cells])
def test_a_cell_has_the_form_of_its_vector(kind: str, cell: str) -> None:
    assert normalise(kind, pa.array([cell])).to_pylist() == [VECTORS[kind][cell]]


def test_numbers_dates_and_times_are_spelled_first() -> None:
    assert normalise("phone", pa.array([13812345678])).to_pylist() == ["13812345678"]
    assert normalise("phone", pa.array([13812345678.0, None])).to_pylist() == ["13812345678", None]
    assert normalise("birth_date", pa.array([datetime.date(1985, 3, 7)])).to_pylist() == ["1985-03-07"]
    assert normalise("date", pa.array([datetime.datetime(1985, 3, 7, 1)])).to_pylist() == ["1985-03-07"]
    assert normalise("amount", pa.array([decimal.Decimal("12.50")])).to_pylist() == ["12.5"]
    assert normalise("person_name", pa.array(["张三"]).dictionary_encode()).to_pylist() == ["张三"]
    assert normalise("text", pa.array([[1]])).to_pylist() == [None]
    assert normalise("text", pa.array([b"\xff"])).to_pylist() == [None]


def test_given_names_and_surnames_are_read_as_names() -> None:
    for kind in ("given_name", "surname"):
        assert normalise(kind, pa.array(["O'Neill", "张*"])).to_pylist() == ["o neill", None]


@pytest.mark.parametrize(("first", "second"), [*PROVINCES, *MUNICIPALITIES])
def test_both_spellings_of_a_province_are_the_same_address(first: str, second: str) -> None:
    cells = normalise("address", pa.array([f"{place}某市甲区乙路1号" for place in (first, second)]))
    assert cells[0] == cells[1]


@pytest.mark.parametrize(("first", "second"), ADDRESS_EN)
def test_both_spellings_of_an_english_word_are_the_same_address(first: str, second: str) -> None:
    cells = normalise(
        "address", pa.array([f"12 High {first}, Leeds", f"12 High {second}, Leeds", f"12 HIGH {first.upper()} Leeds"])
    )
    assert len(cells.unique()) == 1


@pytest.mark.parametrize("building", ["5号楼", "5栋", "5幢"])
@pytest.mark.parametrize("unit", ["2单元302", "2-302", "2－302", "２单元３０２"])
@pytest.mark.parametrize("room", ["室", ""])
def test_all_spellings_of_a_door_are_the_same_address(building: str, unit: str, room: str) -> None:
    whole = normalise("address", pa.array([f"杭州市文三路128号{building}{unit}{room}"]))
    assert whole.to_pylist() == ["杭州市文三路128号5号楼2单元302"]


def test_masked_values_meet_the_masking_of_whole_ones() -> None:
    shown = {
        "phone": ["138****5678", "138 **** 5678", "+86 138****5678", "138xxxx5678", "138＊＊＊＊5678"],
        "national_id": ["110105********002X", "110105********002x", "1101051949****002X", "110105XXXXXXXX002X"],
        "card": ["622202*********0123", "6222 02** **** *** 0123", "622202######0123"],
    }
    whole = {"phone": "13812345678", "national_id": "11010519491231002X", "card": "6222021234567890123"}
    for kind, cells in shown.items():
        expected = masked(kind, normalise(kind, pa.array([whole[kind]]))).to_pylist()
        assert read_masked(kind, pa.array(cells)).unique().to_pylist() == expected
        assert normalise(kind, pa.array(cells)).null_count == len(cells)


_WHOLE = st.none() | st.text("0123456789Xé张", max_size=20) | st.from_regex(r"[0-9]{7,19}", fullmatch=True)


@given(
    st.lists(_WHOLE, min_size=1, max_size=12),
    st.sampled_from([("phone", 3), ("national_id", 6), ("card", 6)]),
    st.data(),
)
def test_whole_values_are_masked_cell_by_cell(
    cells: list[str | None], kind: tuple[str, int], data: st.DataObject
) -> None:
    name, head = kind
    first = data.draw(st.integers(0, len(cells) - 1))
    expected = [
        f"{cell[:head]}*{cell[-4:]}" if cell and cell.isascii() and len(cell) > head + 4 else None
        for cell in cells[first:]
    ]
    assert masked(name, pa.array(cells, pa.string()).slice(first)).to_pylist() == expected


def test_what_is_not_masked_is_no_masked_value() -> None:
    assert read_masked("phone", pa.array(["13812345678", "", None, "***", "1****8"])).null_count == 5
    assert read_masked("national_id", pa.array(["11010519491231002X", "3301**********1234"])).null_count == 2
    assert read_masked("email", pa.array(["z***@example.com"])).null_count == 1
    assert masked("email", pa.array(["a@b.example"])).null_count == 1
    assert masked("phone", pa.array(["1234567"])).null_count == 1


MARKED = {
    "address": (
        [
            "浙江省杭州市文三路128号5栋2单元302室",
            "上海市浦东新区世纪大道１００号12幢3-1201",
            "12 High Street, Apt 4",
            "7 Mill Lane",
        ],
        [Mark("address_zh", {}), Mark("address_zh", {"width": True, "building": "幢"})]
        + [Mark("address_en", {}), Mark("address_width", {})],
    ),
    "email": (["zhang.wei@example.com", "Li_Na@Example.com", "0@example.com"], [Mark("email_case", {})]),
}


@given(st.sampled_from(sorted(MARKED)), st.data())
@settings(deadline=None, max_examples=60)
def test_no_mark_changes_the_form_of_an_address_or_an_e_mail(kind: str, data: st.DataObject) -> None:
    cells, marks = pa.array(MARKED[kind][0]), MARKED[kind][1]
    written = cells
    for mark in data.draw(st.lists(st.sampled_from(marks), max_size=3)):
        rule = carrier(mark)
        bits = data.draw(st.lists(st.integers(0, 1), min_size=40, max_size=40))
        symbols = np.resize(np.array(bits, dtype=np.int8), (len(cells), len(rule.labels())))
        written = rule.write(written, symbols)
    assert normalise(kind, written).equals(normalise(kind, cells))


CELLS = st.lists(
    st.one_of(
        st.none(),
        st.text(max_size=12),
        st.text("0123456789 -+/.,xX*年月日号楼栋单元室浙江省省杭州市张三某·aAbBßς@０１８", max_size=20),
        st.from_regex(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]", fullmatch=True),
        st.from_regex(r"(\+?86)?1[3-9][0-9]{9}", fullmatch=True),
        st.sampled_from([cell for cells in VECTORS.values() for cell in cells]),
    ),
    max_size=8,
)


@pytest.mark.parametrize(
    "cell", ["浙江省杭州市文一路5 号楼 2 单元 302 室", "浙江杭州市文一路5 栋 2-302", "浙江省杭州市文一路5:幢:2-302室"]
)
def test_words_of_an_address_that_stand_apart_are_folded_like_those_that_do_not(cell: str) -> None:
    assert normalise("address", pa.array([cell])).to_pylist() == ["浙江杭州市文一路5号楼2单元302"]


@given(CELLS, st.sampled_from(sorted(KINDS)))
@example(["0:栋"], "address")
@example(["浙江省省杭州市文一路5号楼1-504号", "西藏自治区自治区1号"], "address")
@example(["张·某", "-伟 某"], "person_name")
@example(["Xx-xX 12345678"], "national_id")
@example(["A-X-X-X"], "account")
@settings(deadline=None)
def test_a_form_is_its_own_form(cells: list[str | None], kind: str) -> None:
    once = normalise(kind, pa.array(cells, pa.string()))
    assert once.type == pa.string()
    assert normalise(kind, once).equals(once)


@given(CELLS, st.sampled_from(sorted(KINDS)))
@settings(deadline=None)
def test_a_form_does_not_depend_on_the_cells_beside_it(cells: list[str | None], kind: str) -> None:
    together = normalise(kind, pa.array(cells, pa.string())).to_pylist()
    assert together == [normalise(kind, pa.array([cell], pa.string()))[0].as_py() for cell in cells]


@given(CELLS, st.sampled_from(sorted(KINDS - {"address"})))
@settings(deadline=None)
def test_the_short_way_and_the_long_way_agree(cells: list[str | None], kind: str) -> None:
    text = pa.array(cells, pa.string())
    name = "person_name" if kind in ("given_name", "surname") else kind
    long_way = module._LONG_WAY.get(name, module._plain)(module._clean(text))
    if name == "person_name":
        long_way = module._without(long_way, pc.is_in(long_way, value_set=module._NOTHING))
    assert normalise(kind, text).equals(long_way)


def test_slices_and_empty_columns_are_read_like_any_other() -> None:
    cells = pa.array(["x", "138 1234 5678", "13812345679", "y"]).slice(1, 2)
    assert normalise("phone", cells).to_pylist() == ["13812345678", "13812345679"]
    for kind in KINDS:
        assert len(normalise(kind, pa.array([], pa.string()))) == 0


def test_a_column_that_begins_behind_its_buffer_is_read_like_any_other() -> None:
    cells = ["Owner.Secret@Bank.Com", "x", "Zhang@Ex.Com", "李@Qq.Com", None]
    for kind in KINDS:
        for at in range(len(cells)):
            text = pa.array(cells, pa.large_string()).slice(at)
            assert normalise(kind, text).to_pylist() == normalise(kind, pa.array(cells[at:], pa.string())).to_pylist()


# By kind with a rule over bytes: a column that it knows, and what is put into one to make it another.
_KNOWN = {
    "phone": ["13812345678", "19900001111"],
    "national_id": ["110105194912310026", "11010519491231002X", "110105491231002"],
    "card": ["622202123456", "6222021234567890123"],
    "person_name": ["王芳", "欧阳娜娜"],
    "id": ["C-100", "~", "!"],
}
_ODD = ["", "12345678901", "1381234567", "1381234567x", "11X", "X" * 15, "无", "王", "王某", "䷿䷿", "鿿鿿", "ꀀꀀ"]
_ODD += ["ab ", "é", "\x7f"]


@pytest.mark.parametrize("kind", sorted(_KNOWN))
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_column_said_to_be_normal_by_its_bytes_is_so_by_its_pattern(kind: str, data: st.DataObject) -> None:
    cells = data.draw(st.lists(st.none() | st.sampled_from(_KNOWN[kind] * 4 + _ODD), min_size=1, max_size=8))
    text = pa.array(cells, pa.string()).slice(data.draw(st.integers(0, len(cells) - 1)))
    if all_normal(kind, text):
        assert module._matching(text, module._NORMAL.get(kind, module._PLAIN)).to_pylist() == [True] * len(text)


@pytest.mark.parametrize("kind", sorted(_KNOWN))
def test_a_normal_column_is_known_by_its_bytes_and_one_odd_cell_is_seen(kind: str) -> None:
    assert all_normal(kind, pa.array([*_KNOWN[kind], None]))
    assert all_normal(kind, pa.array(["\u0000", *_KNOWN[kind]]).slice(1))
    for odd in ("", "é", "王某", " a"):
        assert not all_normal(kind, pa.array([*_KNOWN[kind], odd])), odd


_HIDING = [
    "*",
    "＊",
    "×",
    "■",
    "￭",
    "￮",
    "●",
    "某",
    "某某",
    "张某",
    "ー",
    "（",
    "２",
    "–",
    "é",
    "路",
    "5",
    "a b",
    "\ufeff",
    "𠮷",
    "䷿",
]


@given(st.lists(st.lists(st.sampled_from(_HIDING), max_size=4).map("".join) | st.none(), max_size=6))
@settings(max_examples=300, deadline=None)
def test_where_bytes_say_that_nothing_is_hidden_no_pattern_finds_anything(cells: list[str | None]) -> None:
    text = pa.array(["*", *cells], pa.string()).slice(1)
    hidden = pc.match_substring_regex(module._clean(text), f"{module._HIDDEN}|某").fill_null(False)
    if nothing_hidden(text):
        assert not hidden.true_count
    if all(cell is None or set(cell) <= set("（２路5a b") for cell in cells):
        assert nothing_hidden(text)


@given(st.lists(st.text("1.Ee+05 ", max_size=6) | st.none(), max_size=6))
@settings(max_examples=300, deadline=None)
def test_where_bytes_say_that_no_number_is_scientific_none_is(cells: list[str | None]) -> None:
    text = pa.array(["1.5E3", *cells], pa.string()).slice(1)
    found = pc.match_substring_regex(text, damage._SCIENTIFIC).fill_null(False)
    assert not (none_scientific(text) and found.true_count)
    assert none_scientific(pa.array(["13812345678", "", None, "ab.c"]))


def test_a_name_that_says_there_is_none_is_null() -> None:
    assert normalise("person_name", pa.array(["王芳", "未知", "不详"])).to_pylist() == ["王芳", None, None]
