"""Tagging tables as `.csv.gz`, `.jsonl` and `.xlsx`: every cell that no mark needs keeps its value and its type."""

import gzip
import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from pipeline.files import chunks, describe, open_writer, read_chunk
from schemas.errors import InputError, OutputError
from tests.conftest import World

NAMES = ["客户号", "number", "amount", "day", "moment", "flag", "note"]
ROWS: list[list[Any]] = [
    ["001", 13800000000, 1234.5, date(2020, 1, 2), datetime(2020, 1, 2, 3, 4, 5), True, '他说 "好"\\\n=1+1'],
    ["002", None, 0.1, date(1999, 12, 31), datetime(2021, 1, 2, 0, 0), False, "=SUM(A1)"],
    ["0003", -7, 1e-7, None, datetime(2022, 5, 6, 7, 8, 9), None, None],
]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def write_book(path: Path, rows: list[list[Any]], *, sheets: int = 1) -> Path:
    book = openpyxl.Workbook()
    for number in range(sheets):
        sheet = book.active if number == 0 else book.create_sheet()
        for row in [NAMES, *rows]:
            sheet.append(row)
        for row in sheet.iter_rows():
            for cell in row:
                if isinstance(cell.value, str):
                    cell.data_type = "s"
        for row in sheet.iter_rows(min_row=2, min_col=3, max_col=3):
            row[0].number_format = "#,##0.00"
    book.save(path)
    return path


def read_book(path: Path) -> tuple[list[list[Any]], list[str]]:
    """Values, and the number formats of the first row of values."""
    sheet = openpyxl.load_workbook(path).active
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    return rows, [cell.number_format for cell in next(sheet.iter_rows(min_row=2, max_row=2))]


def rewrite(path: Path, out: Path) -> None:
    """The table, read and written again as tagging does."""
    source = describe(path)
    with open_writer(out, source) as writer:
        for chunk in chunks(source):
            writer.write(read_chunk(chunk))


def test_packed_csv_keeps_every_byte(tmp_path: Path) -> None:
    text = 'a;b\r\n"x;1";\r\n00;"é"\r\n'.encode()
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(text))
    rewrite(tmp_path / "in.csv.gz", tmp_path / "out.csv.gz")
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == text


def test_json_lines_keep_values_types_and_the_order_of_columns(tmp_path: Path) -> None:
    names = [name for name in NAMES if name not in ("day", "moment")]
    rows = [{name: row[NAMES.index(name)] for name in names} | {"when": "2020-01-02T03:04:05"} for row in ROWS]
    rows[0]["note"] += "\x01\x1f\t"
    rewrite(write_lines(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl")
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert written == rows
    assert [list(row) for row in written] == [list(row) for row in rows]


def test_json_lines_that_leave_out_what_is_missing_still_do(tmp_path: Path) -> None:
    rows = [{"a": "1", "b": 2}, {"b": 3}, {"a": "4"}]
    rewrite(write_lines(tmp_path / "in.jsonl", rows), tmp_path / "out.jsonl")
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()] == rows


def test_a_workbook_keeps_values_types_and_number_formats(tmp_path: Path) -> None:
    rewrite(write_book(tmp_path / "in.xlsx", ROWS), tmp_path / "out.xlsx")
    before, after = read_book(tmp_path / "in.xlsx"), read_book(tmp_path / "out.xlsx")
    assert after == before


@pytest.mark.parametrize(("suffix", "quality"), [("csv.gz", True), ("jsonl", True), ("xlsx", False)])
def test_a_copy_in_any_format_is_traced_to_its_recipient(
    fresh: World, tmp_path: Path, suffix: str, quality: bool
) -> None:
    table = pq.read_table(fresh.table)
    source = fresh.folder / f"bank.{suffix}"
    plain = pa.table({name: table[name].cast(pa.string()) for name in table.column_names})
    with open_writer(source, replace(describe(fresh.table), schema=plain.schema)) as writer:
        writer.write(plain)
    contract = fresh.folder / "packed.yaml"
    assert fresh.run("contract", "infer", source, "-o", contract).code == 0
    command = ["tag", source, "--contract", contract, "--recipient", "E1", "--recipient", "E2", "--purpose", "test"]
    more = [] if quality else ["--no-quality"]  # the rules read a workbook as they do .jsonl: a Parquet copy
    answer = fresh.run(*command, "-o", tmp_path / f"{{recipient}}.{suffix}", *more)
    assert answer.code == 0, answer.err
    copy = describe(tmp_path / f"E2.{suffix}")
    marked = pa.concat_tables([read_chunk(chunk) for chunk in chunks(copy)])
    assert marked.num_rows > table.num_rows
    leak = tmp_path / "leak.csv"
    pa_csv.write_csv(marked.slice(50, 60), leak)
    verdict = fresh.run("trace", leak, "-o", tmp_path / "case", "--json").json()
    best = verdict["attribution"]["candidates"][0]
    assert (best["recipient"], best["strength"]) == ("E2", "conclusive")
    untouched = {name for name in plain.column_names if "leaktraceMark" not in _column(contract, name)}
    keys = set(plain[plain.column_names[0]].to_pylist())
    kept = [row for row in marked.to_pylist() if str(row[plain.column_names[0]]) in keys]
    assert len(kept) == plain.num_rows
    for before, after in zip(plain.to_pylist(), kept, strict=True):
        assert all(str(after[name]) == str(before[name]) for name in untouched)


def _column(contract: Path, name: str) -> str:
    """The part of a contract that is about a column."""
    _, _, rest = contract.read_text("utf-8").partition(f"name: {name}\n")
    return rest.partition("  - name:")[0]


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}\n{"a": "x"}\n', "one kind"),
        ('{"a": {"b": 1}}\n', "objects or lists"),
        ('{"a": [1]}\n', "objects or lists"),
        ('{"a": 1.5}\n{"a": 12345678901234567890123}\n', "one kind|15 digits"),
        ('{"a": 1}\n{"a": 2', "JSON lines"),
        ("\n\n", "no rows"),
        ("secret,value\n", "JSON lines"),
    ],
)
def test_lines_that_are_no_table_are_refused_without_a_value(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=said) as caught:
        describe(path)
    assert "secret" not in str(caught.value)


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)[:-20])
    with pytest.raises(InputError, match="whole gzip"):
        describe(path)
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError, match="whole gzip"):
        describe(path)


def test_a_workbook_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.xlsx"
    path.write_bytes(b"PK\x03\x04 not a workbook")
    with pytest.raises(InputError, match="no Excel workbook"):
        describe(path)
    with pytest.raises(InputError, match="2 sheets"):
        describe(write_book(tmp_path / "two.xlsx", ROWS, sheets=2))
    mixed = [["001", "secret", *ROWS[0][2:]], *ROWS[1:], ["004", 5, *ROWS[0][2:]]]
    with pytest.raises(InputError, match="column 2 holds values of several kinds") as caught:
        describe(write_book(tmp_path / "mixed.xlsx", mixed))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("cell", "said"), [("x\x01", "control characters"), (10**16, "15 digits")])
def test_a_copy_that_no_sheet_can_hold_is_refused(tmp_path: Path, cell: Any, said: str) -> None:
    pq.write_table(pa.table({"a": [cell]}), tmp_path / "in.parquet")
    with pytest.raises(OutputError, match=said):
        rewrite(tmp_path / "in.parquet", tmp_path / "out.xlsx")
    assert not (tmp_path / "out.xlsx").exists()


def test_an_unknown_suffix_is_told_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.parquet, \.csv, \.csv\.gz, \.jsonl, \.xlsx"):
        describe(tmp_path / "in.txt")
