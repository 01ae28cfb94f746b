"""Columns that hold several values a cell, or one value over several columns."""

from pathlib import Path

import pytest

from pipeline.intake import Said, Sheet, read_sample
from pipeline.sample_columns import kinds_of

PHONES = [f"1380013{n:04d}" for n in range(20)]
NAMES = [surname + given for surname in "王李张刘陈" for given in ("伟", "秀英", "丽华", "强")]
MAILS = [f"user{n}@example.org" for n in range(20)]


def taken(tmp_path: Path, lines: list[str], said: Said | None = None) -> tuple[Sheet, list[str]]:
    (tmp_path / "leak.csv").write_text("\n".join(lines))
    (tmp_path / "spool").mkdir()
    (sheet,) = read_sample((tmp_path / "leak.csv",), tmp_path / "spool", said).sheets
    return sheet, [column.kind for column in kinds_of(sheet, said or Said())]


@pytest.mark.parametrize("form", ["{n} {p}", "{n}{p}", "{p}/{n}", "{n}（手机：{p}）", "{n}-+86 {p}", "{n} 电话:{p}"])
def test_a_name_and_a_phone_in_one_cell_are_two_columns(tmp_path: Path, form: str) -> None:
    cells = [form.format(n=n, p=p) for n, p in zip(NAMES, PHONES, strict=True)]
    sheet, kinds = taken(tmp_path, [f"{cell},{n * 7}.50" for n, cell in enumerate(cells)])
    assert kinds == ["person_name", "amount", "phone"]
    assert sheet.table["c0"].to_pylist() == NAMES
    assert [cell.removeprefix("+86 ") for cell in sheet.table["c2"].to_pylist()] == PHONES
    assert "column 1 holds phone beside something else" in sheet.notes[0]


def test_a_header_goes_with_the_value_that_it_names(tmp_path: Path) -> None:
    lines = ["no,mail", *(f"{n},{name} <{mail}>" for n, (name, mail) in enumerate(zip(NAMES, MAILS, strict=True)))]
    sheet, kinds = taken(tmp_path, lines)
    assert kinds[1:] == ["person_name", "email"]
    assert sheet.headers[1:] == ("", "mail")


def test_three_values_in_one_cell_are_three_columns(tmp_path: Path) -> None:
    lines = [f"{n};Ann Lee <{m}> {p}" for n, (m, p) in enumerate(zip(MAILS, PHONES, strict=True))]
    sheet, kinds = taken(tmp_path, lines)
    assert kinds[2:] == ["email", "phone"]
    assert sheet.table["c1"].to_pylist() == ["Ann Lee"] * 20
    assert sheet.table["c2"].to_pylist() == MAILS


def test_a_parcel_label_keeps_its_address(tmp_path: Path) -> None:
    lines = [
        f"{n} {p} 浙江省杭州市西湖区文三路{i + 1}号5栋,see {i}"
        for i, (n, p) in enumerate(zip(NAMES, PHONES, strict=True))
    ]
    sheet, kinds = taken(tmp_path, lines)
    assert kinds == ["address", "text", "phone", "person_name"]
    assert sheet.table["c2"].to_pylist() == PHONES
    assert sheet.table["c3"].to_pylist() == NAMES
    assert sheet.table["c0"][0].as_py() == "浙江省杭州市西湖区文三路1号5栋"


@pytest.mark.parametrize(
    "form",
    ["'{n}','{p}'", "{n}`,`{p}", '{n},"=""{p}"""', "{i}. {n}，手机{p}", "[{i}] {n},'{p}", "{n},tel: {p}"],
)
def test_what_stands_around_a_value_is_taken_away(tmp_path: Path, form: str) -> None:
    lines = [form.format(n=n, p=p, i=i) for i, (n, p) in enumerate(zip(NAMES, PHONES, strict=True), 1)]
    sheet, kinds = taken(tmp_path, lines)
    table = dict(zip(kinds, sheet.table.columns, strict=True))
    assert table["person_name"].to_pylist() == NAMES
    assert table["phone"].to_pylist() == PHONES


def test_values_one_under_the_other_are_rows(tmp_path: Path) -> None:
    lines = [line for n, p, m in zip(NAMES, PHONES, MAILS, strict=True) for line in (n, p, m, "")]
    sheet, kinds = taken(tmp_path, lines)
    assert kinds == ["person_name", "phone", "email"]
    assert sheet.table["c1"].to_pylist() == PHONES


def test_numbers_before_a_point_are_no_running_numbers(tmp_path: Path) -> None:
    sheet, _ = taken(tmp_path, [f"{i}.{i}.1990,{p}" for i, p in enumerate(PHONES[:9], 1)])
    assert sheet.table["c0"].to_pylist() == [f"{i}.{i}.1990" for i in range(1, 10)]


def test_columns_of_one_value_stay_as_they_are(tmp_path: Path) -> None:
    lines = [f"{n},{p},{m},+44 20 7946 {i:04d},2024-01-02 03:04:05,浙江省杭州市文三路{i}号"
             for i, (n, p, m) in enumerate(zip(NAMES, PHONES, MAILS, strict=True))]  # fmt: skip
    sheet, kinds = taken(tmp_path, lines)
    assert kinds == ["person_name", "phone", "email", "phone", "timestamp", "address"]
    assert not sheet.notes


def test_a_column_whose_kind_was_said_is_not_taken_apart(tmp_path: Path) -> None:
    lines = [f"{n} {p},x" for n, p in zip(NAMES, PHONES, strict=True)]
    assert taken(tmp_path, lines, Said(columns={1: "text"}))[1][0] == "text"


@pytest.mark.parametrize("header", ["", "a,b,c\n"])
def test_given_names_are_known_by_the_surnames_beside_them(tmp_path: Path, header: str) -> None:
    lines = [f"{name[0]},{name[1:]},{phone}" for name, phone in zip(NAMES, PHONES, strict=True)]
    sheet, kinds = taken(tmp_path, [*header.split(), *lines])
    assert kinds == ["surname", "given_name", "phone"]
    assert sheet.rows == 20
