"""What spreadsheets do to identifiers, and what can be undone."""

from dataclasses import replace

import pyarrow as pa
import pytest

from schemas.contract import Mark
from watermarking.carriers import carrier
from watermarking.damage import Notation, notation_of, repaired
from watermarking.detect import detect_kind
from watermarking.normalise import normalise
from watermarking.sample_column import SampleColumn
from watermarking.trace_rows import sample_fields


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


@pytest.mark.parametrize(
    ("kind", "cells", "notation", "expected"),
    [
        ("birth_date", ["03/07/1985", "12/25/1990", "01/02/88"], "month before day",
         ["1985-03-07", "1990-12-25", "1988-01-02"]),
        ("birth_date", ["03/07/1985", "25/12/1990", "02.01.88"], "day before month",
         ["1985-07-03", "1990-12-25", "1988-01-02"]),
        ("date", ["03/07/24", "04/30/24"], "month before day", ["2024-03-07", "2024-04-30"]),
        ("birth_date", ["03/07/1985", "04/05/1990"], "", ["1985-07-03", "1990-05-04"]),
        ("amount", ["1.234", "12,5", "1.234,56", "7"], "decimal comma", ["1234", "12.5", "1234.56", "7"]),
        ("amount", ["1,234", "12.5", "3,250.00"], "", ["1234", "12.5", "3250"]),
    ],
)  # fmt: skip
def test_what_a_cell_leaves_open_its_column_decides(
    kind: str, cells: list[str], notation: str, expected: list[str]
) -> None:
    found = notation_of(kind, pa.array(cells))
    assert found is Notation(notation)
    assert normalise(kind, repaired(kind, pa.array(cells), found)).to_pylist() == expected


def test_marks_are_read_from_amounts_with_a_decimal_comma() -> None:
    marks = carrier(Mark("amount_low_digits", {"bits": 3}))
    points = pa.array(["1,234.56", "98.70", "125.41", "7000.03"])
    commas = pa.array(["1.234,56", "98,70 €", "125,41", "7000,03"])
    read = repaired("amount", commas, notation_of("amount", commas))
    assert marks.read(read).tolist() == marks.read(points).tolist()
    assert (marks.read(points) >= 0).sum() == 12


def test_amounts_with_a_decimal_comma_are_recognised() -> None:
    assert detect_kind(pa.array([f"{n},{n % 100:02}" for n in range(500, 540)])).kind == "amount"
    assert detect_kind(pa.array([f"1.{n},{n % 100:02} €" for n in range(500, 540)])).kind == "amount"


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


def test_days_since_1900_are_dates_of_birth_without_a_header_where_they_are_no_running_numbers() -> None:
    days = [str(20000 + 7919 * n % 18000) for n in range(40)]
    assert detect_kind(pa.array(days)).kind == "birth_date"
    assert detect_kind(pa.array(days), "steps").kind != "birth_date"
    for others in (sorted(days), [str(10000 + 7919 * n % 60000) for n in range(40)], days[:2], days[:2] * 20):
        assert detect_kind(pa.array(others)).kind != "birth_date"


def test_numbers_of_days_under_another_name_are_read_as_births_too() -> None:
    table = pa.table({"a": ["ann", "bo"], "b": ["31048", "24200"]})
    columns = [SampleColumn(0, "given_name", "", 1.0), SampleColumn(1, "id", "", 1.0)]
    births = [field for field in sample_fields(table, columns)[0] if field.kind == "birth_date"]
    assert [(field.whole.to_pylist(), field.cost > 0) for field in births] == [(["1985-01-01", "1966-04-03"], True)]
    assert not any(
        f.kind == "birth_date" for f in sample_fields(table, [columns[0], replace(columns[1], guessed="id")])[0]
    )


def test_ids_that_all_lost_zeros_are_read_with_them_too() -> None:
    table = pa.table({"a": ["89237254", "163009826", "140110382"]})
    fields, places = sample_fields(table, [SampleColumn(0, "id", "", 1.0)])
    assert [(f.whole.to_pylist()[0], f.cost > 0) for f in fields if f.kind == "id"] == [
        ("089237254", False), ("0089237254", True), ("00089237254", True), ("000089237254", True)
    ]  # fmt: skip
    assert places == (0, -1, -1, -1)
    kept = pa.table({"a": ["0089237254", "163009826"]})
    assert len(sample_fields(kept, [SampleColumn(0, "id", "", 1.0)])[0]) == 1
