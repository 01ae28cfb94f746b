"""What spreadsheets do to identifiers, and what can be undone."""

import pyarrow as pa
import pytest

from watermarking.damage import repaired
from watermarking.detect import detect_kind
from watermarking.normalise import normalise


@pytest.mark.parametrize(
    ("kind", "cells", "expected"),
    [
        ("phone", ["1.3800001111E+10", "13800001111"], ["13800001111", "13800001111"]),
        ("phone", ["1.38E+10"], [None]),
        ("national_id", ["330106199003071000", "330106198506152000"], [None, None]),
        ("national_id", ["330106199003071", "33010619900307123X"], ["330106199003071", "33010619900307123X"]),
        ("id", ["0012345678", "12345678", "4412345678", "9912345678"],
         ["0012345678", "0012345678", "4412345678", "9912345678"]),
        ("id", ["9", "10", "11", "100"], ["9", "10", "11", "100"]),
        ("postcode", ["1002", "99501", "60614"], ["01002", "99501", "60614"]),
        ("birth_date", ["32874", "1990-01-01"], ["1990-01-01", "1990-01-01"]),
        ("email", ["a@example.org"], ["a@example.org"]),
    ],
)  # fmt: skip
def test_damage_is_undone_or_not_read(kind: str, cells: list[str], expected: list[str | None]) -> None:
    assert repaired(kind, pa.array(cells)).to_pylist() == expected


def test_an_id_that_ends_in_zeros_by_itself_stays() -> None:
    cells = [f"33010619900307{n:03}X" for n in range(20)] + ["330106199003071000"]
    assert repaired("national_id", pa.array(cells)).to_pylist() == cells


def test_phones_in_scientific_notation_are_recognised_and_read() -> None:
    cells = pa.array([f"1.38{n:08}E+10" for n in range(20)])
    assert detect_kind(cells).kind == "phone"
    assert normalise("phone", repaired("phone", cells))[3].as_py() == "13800000003"


def test_days_since_1900_are_dates_of_birth_where_the_header_says_so() -> None:
    cells = pa.array([str(20000 + 311 * n) for n in range(20)])
    assert detect_kind(cells, "出生日期").kind == "birth_date"
    assert detect_kind(cells).kind != "birth_date"
