"""`leaktrace register --access-log`: who looked at what narrows a leak by screenshot, and never does more."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import World

MAPPING = """
      - property: leaktraceAccessLog
        value: {employee: user, time: at, customer_no: customer}
"""


@pytest.fixture
def viewed(issued: World) -> World:
    """A world whose contract maps access logs."""
    text = issued.contract.read_text("utf-8")
    assert text.count("    customProperties:\n") >= 1
    issued.contract.write_text(text.replace("    customProperties:\n", "    customProperties:" + MAPPING, 1), "utf-8")
    return issued


def customers(world: World, first: int, count: int) -> list[str]:
    return [str(n) for n in pq.read_table(world.table)["customer_no"].slice(first, count).to_pylist()]


def views(world: World) -> list[dict]:
    return [
        {"user": user, "at": f"2026-11-{day:02}T10:00:00", "customer": number, "screen": "detail"}
        for user, first in (("E8", 0), ("E9", 200))
        for day in (20, 21)
        for number in customers(world, first + 50 * (day - 20), 50)
    ]


def write(world: World, rows: list[dict], form: str, extra: str = "") -> Path:
    path = world.folder / f"log.{form}"
    with path.open("w", encoding="utf-8", newline="") as file:
        if form == "csv":
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
        file.write(extra)
    return path


def register(world: World, path: Path):
    return world.run("register", path, "--access-log", "--contract", world.contract, "--json")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_each_employee_and_day_becomes_an_export_once(viewed: World, form: str) -> None:
    log = write(viewed, views(viewed), form)
    first = register(viewed, log)
    assert first.code == 0, first.err
    assert first.json() == {"lines": 200, "broken": 0, "unknown": 0, "entered": 4, "before": 0}
    assert register(viewed, log).json()["entered"] == 0
    listed = viewed.run("exports", "--recipient", "E9", "--json").json()["exports"]
    assert [(e["purpose"], e["rows_out"]) for e in listed] == [("viewed, 2026-11-20", 50), ("viewed, 2026-11-21", 50)]
    assert viewed.run("registry", "check").code == 0


def test_a_screenshot_is_narrowed_to_who_looked_and_never_further(viewed: World, tmp_path: Path, write_sample) -> None:
    assert register(viewed, write(viewed, views(viewed), "jsonl")).code == 0
    rows = pq.read_table(viewed.table).slice(200, 20).select(["name", "phone", "national_id"])
    answer = viewed.run("trace", write_sample(rows, tmp_path / "screen.csv"), "-o", tmp_path / "case", "--json")
    attribution = answer.json()["attribution"]
    assert attribution["verdict"] in ("narrowed", "insufficient")
    best = viewed.run("exports", "--recipient", "E9", "--json").json()["exports"][0]["export_id"]
    shown = {c["export_id"]: c for c in attribution["candidates"]}
    assert shown[best]["coverage"]["rows"] == 20
    assert shown[best]["strength"] == "none"
    other = viewed.run("exports", "--recipient", "E8", "--json").json()["exports"]
    assert not {e["export_id"] for e in other} & set(shown)
    assert any("a view carries membership only" in reason for reason in attribution["reasons"])


def test_broken_lines_are_counted_and_the_rest_is_used(viewed: World) -> None:
    extra = '{"user": "E7", "at": "20\nnot json\n{"user": "E7", "at": "someday", "customer": "1"}\n[]\n'
    extra += json.dumps({"user": "E7", "at": "2026-11-20", "customer": customers(viewed, 5, 1)[0]}) + "\n"
    done = register(viewed, write(viewed, views(viewed), "jsonl", extra)).json()
    assert done["broken"] == 4
    assert done["lines"] == 205
    assert done["entered"] == 5


def test_broken_lines_of_a_csv_are_counted_too(viewed: World) -> None:
    done = register(viewed, write(viewed, views(viewed), "csv", "only,two\nE7,,1,x\n")).json()
    assert (done["broken"], done["lines"], done["entered"]) == (2, 202, 4)


def test_records_that_nobody_entered_are_counted_as_unknown(viewed: World) -> None:
    rows = [*views(viewed), {"user": "E9", "at": "2026-11-20", "customer": "no-such-customer", "screen": ""}]
    assert register(viewed, write(viewed, rows, "jsonl")).json()["unknown"] == 1


def test_a_contract_without_the_mapping_says_what_to_add(issued: World) -> None:
    answer = register(issued, write(issued, [{"user": "E1", "at": "2026-01-01", "customer": "1"}], "jsonl"))
    assert answer.code == 1
    assert "leaktraceAccessLog" in answer.err


def test_a_log_with_nothing_to_use_is_refused(viewed: World) -> None:
    answer = register(viewed, write(viewed, [{"user": "E1", "when": "2026-01-01"}], "jsonl"))
    assert answer.code == 1
    assert "no line that can be used" in answer.err
    table = pa.table({"user": ["E1"], "at": ["2026-01-01"]})
    assert register(viewed, write(viewed, table.to_pylist(), "csv")).code == 1


def test_employees_come_from_the_log_alone(viewed: World) -> None:
    log = write(viewed, views(viewed), "jsonl")
    command = ["register", log, "--access-log", "--contract", viewed.contract, "--recipient", "E1"]
    assert viewed.run(*command).code == 2
    assert viewed.run("register", log, "--contract", viewed.contract).code == 2
