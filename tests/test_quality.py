"""Quality rules: what they count, and that no value, log line or network attempt comes of them."""

import decimal
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.quality import check_quality, rules_of
from schemas.contract import Contract, parse
from schemas.errors import QualityError

CELL = "CELL-OF-A-CUSTOMER-4711"


def column(
    name: str, logical: str = "string", quality: list[dict[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    return {"name": name, "logicalType": logical, **more, **({"quality": quality} if quality else {})}


def contract(*columns: dict[str, Any], quality: list[dict[str, Any]] | None = None) -> Contract:
    table = {"name": "bank", "properties": list(columns), **({"quality": quality} if quality else {})}
    body = {"apiVersion": "v3.0.2", "kind": "DataContract", "id": "x", "version": "1", "status": "draft"}
    return parse(yaml.safe_dump({**body, "schema": [table]}).encode(), "test.odcs.yaml")


def written(folder: Path, table: dict[str, list[Any]], kind: str = "parquet") -> Path:
    path = folder / f"table.{kind}"
    data = pa.table(table)
    pq.write_table(data, path) if kind == "parquet" else pacsv.write_csv(data, path)
    return path


def counts(path: Path, checked: Contract) -> dict[str, tuple[bool, int]]:
    return {r.rule: (r.passed, r.unexpected) for r in check_quality(path, checked, "input").results}


ID = column("id", primaryKey=True)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_table_that_keeps_every_rule_passes(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, {"id": ["1", "2", "3"], "phone": ["13800000001", "13800000002", None]}, kind)
    rule = {"metric": "invalidValues", "arguments": {"pattern": "1[3-9][0-9]{9}"}}
    result = check_quality(path, contract(ID, column("phone", quality=[rule])), "input")
    assert result.passed
    assert len(result.results) == 3


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_rows_that_break_a_rule_are_counted(tmp_path: Path, kind: str) -> None:
    path = written(
        tmp_path,
        {"id": ["1", "2", "2", None], "grade": ["A", "B", CELL, None], "phone": ["13800000001", CELL, None, "1"]},
        kind,
    )
    valid = {"name": "grade is known", "metric": "invalidValues", "arguments": {"validValues": ["A", "B"]}}
    digits = {"name": "phone has digits", "metric": "invalidValues", "arguments": {"pattern": "1[0-9]{10}"}}
    found = counts(path, contract(ID, column("grade", quality=[valid]), column("phone", quality=[digits])))
    assert found == {
        "id is never empty": (False, 1),
        "id is unique": (False, 2),
        "grade is known": (False, 1),
        "phone has digits": (False, 2),
    }


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_bounds_hold_for_numbers_and_for_dates(tmp_path: Path, kind: str) -> None:
    table = {"id": ["1", "2", "3"], "n": ["1.5", "-3", "1,000"], "day": ["2026-01-01", "1899-12-31", "2026-02-02"]}
    amount = {"name": "n in range", "metric": "invalidValues", "arguments": {"min": 0, "max": 999}}
    day = {"name": "day in range", "metric": "invalidValues", "arguments": {"min": "1900-01-01"}}
    checked = contract(ID, column("n", "number", [amount]), column("day", quality=[day]))
    found = counts(written(tmp_path, table, kind), checked)
    assert found["n in range"] == (False, 2)
    assert found["day in range"] == (False, 1)
    assert found["n is a number"] == (True, 0)


def test_typed_columns_are_compared_as_they_are(tmp_path: Path) -> None:
    import datetime

    table = {
        "id": [1, 2],
        "n": [decimal.Decimal("1.50"), decimal.Decimal("-3.00")],
        "day": [datetime.date(2026, 1, 1), datetime.date(1899, 12, 31)],
        "open": [True, False],
    }
    checked = contract(
        column("id", "integer", primaryKey=True),
        column("n", "number", [{"name": "n", "metric": "invalidValues", "arguments": {"min": 0}}]),
        column("day", "date", [{"name": "day", "metric": "invalidValues", "arguments": {"min": "1900-01-01"}}]),
        column("open", "boolean", [{"name": "open", "metric": "invalidValues", "arguments": {"validValues": [True]}}]),
    )
    found = counts(written(tmp_path, table), checked)
    assert (found["n"], found["day"], found["open"]) == ((False, 1),) * 3


def test_text_that_is_no_number_breaks_the_type_of_a_csv_column(tmp_path: Path) -> None:
    path = written(tmp_path, {"id": ["1", "2"], "n": ["12", CELL]}, "csv")
    assert counts(path, contract(ID, column("n", "integer")))["n is an integer"] == (False, 1)


def test_a_key_of_two_columns_is_unique_together(tmp_path: Path) -> None:
    both = (column("branch", primaryKey=True), column("number", primaryKey=True))
    good = written(tmp_path, {"branch": ["a", "a", "b"], "number": ["1", "2", "1"]})
    assert check_quality(good, contract(*both), "input").passed
    bad = written(tmp_path, {"branch": ["a", "a", "b"], "number": ["1", "1", "1"]}, "csv")
    assert counts(bad, contract(*both))["branch, number are unique together"] == (False, 2)


@pytest.mark.parametrize(
    ("operators", "passed"),
    [
        ({}, False),
        ({"mustBe": 1}, True),
        ({"mustBeLessThan": 1}, False),
        ({"mustBeLessOrEqualTo": 1}, True),
        ({"mustBeLessThan": 30, "unit": "percent"}, True),
        ({"mustBeLessThan": 25, "unit": "percent"}, False),
        ({"mustBeBetween": [0, 2]}, True),
        ({"mustBeGreaterThan": 1}, False),
    ],
)
def test_the_operator_of_the_contract_decides(tmp_path: Path, operators: dict[str, Any], passed: bool) -> None:
    path = written(tmp_path, {"id": ["1", "2", "3", "4"], "note": ["a", None, "b", "c"]})
    rule = {"name": "note filled", "metric": "nullValues", **operators}
    assert counts(path, contract(ID, column("note", quality=[rule])))["note filled"] == (passed, 1)


def test_words_for_missing_count_as_missing(tmp_path: Path) -> None:
    path = written(tmp_path, {"id": ["1", "2", "3", "4"], "note": ["n/a", "", None, "c"]})
    rule = {"name": "note", "metric": "missingValues", "arguments": {"missingValues": [None, "", "n/a"]}}
    assert counts(path, contract(ID, column("note", quality=[rule])))["note"] == (False, 3)


def test_canaries_are_left_out_of_the_number_of_rows(tmp_path: Path) -> None:
    path = written(tmp_path, {"id": ["1", "2", "3"]})
    checked = contract(ID, quality=[{"name": "two customers", "metric": "rowCount", "mustBe": 2}])
    assert not check_quality(path, checked, "input").passed
    assert check_quality(path, checked, "output", canaries=1).passed


def test_names_of_columns_may_hold_anything(tmp_path: Path) -> None:
    name = "a \"b\" 'c' %d :e {f} 客户,号"
    path = written(tmp_path, {name: ["1", "1"]}, "csv")
    found = counts(path, contract(column(name, primaryKey=True)))
    assert found[f"{name} is unique"] == (False, 2)


def test_a_csv_file_is_read_in_its_own_dialect(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b'\xef\xbb\xbfid;note\r\n"1";"two\r\nlines; ""quoted"""\r\n2;\r\n3;x\r\n')
    rule = {"name": "note", "metric": "nullValues"}
    found = counts(path, contract(ID, column("note", quality=[rule])))
    assert found == {"id is never empty": (True, 0), "id is unique": (True, 0), "note": (False, 1)}


def test_a_contract_without_rules_needs_no_engine(tmp_path: Path) -> None:
    from dataclasses import replace

    checked = contract(ID)
    bare = replace(checked, columns=(replace(checked.columns[0], key=False),))
    assert rules_of(bare) == ()
    assert check_quality(tmp_path / "not there.parquet", bare, "input").passed


def test_no_value_of_a_failing_cell_is_in_results_or_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, {"id": [CELL, CELL, "3"], "n": [CELL, "1", "2"]})
    valid = {"metric": "invalidValues", "arguments": {"validValues": ["1"]}}
    result = check_quality(path, contract(ID, column("n", "number", [valid])), "output")
    told = json.dumps([vars(r) for r in result.results]) + result.message() + str(capfd.readouterr()) + caplog.text
    assert not result.passed
    assert CELL not in told
    assert "on the output" in result.message()
    assert "id is unique (2 rows)" in result.message()


def test_a_rule_that_cannot_run_is_an_error_without_a_value_or_a_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline import rule_view

    monkeypatch.setitem(rule_view.READABLE, "integer", "{c}::INTEGER = 1")  # DuckDB's error quotes the cell
    path = written(tmp_path, {"id": ["1", "2"], "n": [CELL, "1"]}, "csv")
    with pytest.raises(QualityError) as raised:
        check_quality(path, contract(ID, column("n", "integer")), "input")
    assert CELL not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"name": "odd", "metric": "nullValues", "mustBeSmall": 1}, "mustBeSmall with this limit is no operator"),
        ({"name": "odd", "metric": "nullValues", "mustBeBetween": 1}, "mustBeBetween with this limit is no operator"),
        ({"name": "odd", "metric": "nullValues", "mustBe": "none"}, "mustBe with this limit is no operator"),
        ({"name": "odd", "metric": "invalidValues", "arguments": {"pattern": "(?=a)"}}, "rule 'odd'"),
    ],
)
def test_a_rule_that_is_none_is_named_with_its_line(tmp_path: Path, rule: dict[str, Any], said: str) -> None:
    path = written(tmp_path, {"id": ["1"], "n": ["a"]})
    with pytest.raises(QualityError, match="line [0-9]+ of the contract") as raised:
        check_quality(path, contract(ID, column("n", quality=[rule])), "input")
    assert said in str(raised.value)


def test_a_column_that_the_file_lacks_is_named_by_its_rule(tmp_path: Path) -> None:
    path = written(tmp_path, {"other": ["1"]})
    with pytest.raises(QualityError, match="a column that the input lacks"):
        check_quality(path, contract(ID), "input")


_NO_NETWORK = """
import socket, sys
tried = []
def refuse(*a, **k):
    tried.append(a[1:])
    raise OSError("no network in this test")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from pathlib import Path
from schemas.contract import parse
from pipeline.quality import check_quality
result = check_quality(Path(sys.argv[1]), parse(Path(sys.argv[2]).read_bytes(), "c"), "input")
assert not result.passed
assert tried == [], tried
"""


def test_nothing_is_sent_and_nothing_is_printed(tmp_path: Path) -> None:
    path = written(tmp_path, {"id": ["1", "1"], "day": [CELL, None]})
    body = {"apiVersion": "v3.0.2", "kind": "DataContract", "version": "1"}
    table = {"name": "t", "properties": [ID, column("day", "number")]}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**body, "schema": [table]}), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", _NO_NETWORK, str(path), str(tmp_path / "c.yaml")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "HOME": str(tmp_path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {p.name for p in tmp_path.iterdir()} == {"table.parquet", "c.yaml"}  # no spill, no settings left behind
