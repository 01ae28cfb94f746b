"""A number and what there is of it agree, in English and in Chinese."""

import pytest

from pipeline.report import language
from schemas.wording import counted
from watermarking.authenticity import judge
from watermarking.resolve import RowClass


def test_what_is_counted_has_the_form_that_its_number_asks_for() -> None:
    said = [counted(1, "row"), counted(0, "row"), counted(1_200, "row repeats", "rows repeat")]
    assert said == ["1 row", "0 rows", "1,200 rows repeat"]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", [RowClass.HELD, RowClass.RECOMBINED, RowClass.UNKNOWN])
def test_a_verdict_about_one_row_is_said_in_the_singular(name: RowClass, count: int) -> None:
    matched = 0 if name is RowClass.UNKNOWN else count
    rows = {one: count if one is name else 0 for one in RowClass}
    for exclusive in (0, count):
        for said in judge(rows, count, matched, exclusive, 1e-9, 0, ["name"]).reasons:
            assert not any(wrong in said for wrong in (" 1 rows", "1 row agree ", "of 1 distinct readable rows"))
            assert language("zh").knows(said.partition(": ")[2]), said
