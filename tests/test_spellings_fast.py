"""The fast ways of folding and finding Chinese spellings, held to the plain patterns of schemas/spellings.py."""

from dataclasses import replace
from functools import reduce

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings

from schemas.spellings import MUNICIPALITIES, PROVINCES, ZH_FOLDS
from watermarking import normalise, zh_places
from watermarking.carriers.address_zh import AddressZh
from watermarking.carriers.spelled import locate, read_forms

# Pieces in any order: every branch of the patterns, and what almost fits one.
_PIECES = [
    *(word for pair in (*PROVINCES, *MUNICIPALITIES) for word in pair),
    *"省 市 区 县 州 栋 幢 座 号 号楼 单元 - － 室 自治区 维吾尔自治区 壮族自治区 杭州市 海曙区 胜利路".split(),
    *"1 5 22 302 2602 30201 ２ ３０２ 一 十 二十 a ䷿ 一 鿿 ꀀ".split(),
]
_ADDRESS = st.lists(st.sampled_from(_PIECES), max_size=9).map("".join)
_USUAL = st.tuples(
    st.sampled_from(PROVINCES + MUNICIPALITIES).flatmap(st.sampled_from),
    st.sampled_from(["杭州市西湖区", "海曙区", "维吾尔自治区", "路"]),
    st.sampled_from(["5", "十", "２２", "路"]),
    st.sampled_from(["号楼", "栋", "幢", "座", "栋幢", "栋3幢"]),
    st.sampled_from(["2单元302", "2-302", "２－３０２", "302", ""]),
    st.sampled_from(["室", ""]),
).map("".join)
_ORDINARY = "^[0-9\u4e00-\u9fff][0-9\u4e00-\u9fff-]*$"
_CELLS = st.lists(st.none() | _ADDRESS | _USUAL, min_size=1, max_size=30)


@given(_CELLS)
@settings(max_examples=300, deadline=None)
def test_folding_without_groups_is_folding(cells: list[str | None]) -> None:
    text = pa.array(cells, pa.string())
    plain = reduce(lambda folded, fold: pc.replace_substring_regex(folded, *fold), ZH_FOLDS, text)
    places = zh_places.Places(text)
    assert (places.rows == pc.fill_null(pc.match_substring_regex(text, _ORDINARY), False).to_numpy(False)).all()
    cells = pa.array(places.rows)
    assert normalise._chinese(places).filter(cells).to_pylist() == plain.filter(cells).to_pylist()


@given(_CELLS, st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_a_site_is_found_where_its_pattern_finds_it(cells: list[str | None], first: int) -> None:
    text = pa.array(cells, pa.string()).slice(min(first, len(cells) - 1))
    rule = AddressZh()._spelled
    for site, fast in zip(rule.sites, rule._found(text), strict=True):
        plain = read_forms(text, site, locate(text, replace(site, head=None)))
        assert np.array_equal(fast.form, plain.form), site.label
        for one, other in zip(vars(fast.spans).values(), vars(plain.spans).values(), strict=True):
            assert np.array_equal(one, other), site.label


def test_bytes_under_a_null_are_nobodys_address() -> None:
    cell = "浙江省杭州市西湖区5号楼2单元302室"
    text = pa.array([cell, cell])
    hidden = pa.StringArray.from_buffers(2, *text.buffers()[1:], pa.array([True, False]).buffers()[1])
    assert hidden.to_pylist() == [cell, None]
    assert (AddressZh().read(hidden)[1] == -1).all()
    assert (AddressZh().read(hidden)[0] == 0).all()
    assert normalise.normalise("address", hidden).to_pylist() == ["浙江杭州市西湖区5号楼2单元302", None]
