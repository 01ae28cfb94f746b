"""Whom to notify, through the command line."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from conftest import World
from python_calamine import CalamineWorkbook

from examples import bank_table


@pytest.fixture(scope="module")
def leak(shared: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The case of 30 rows of a copy among 20 strangers, and the customer numbers of the 30."""
    folder = tmp_path_factory.mktemp("exposed")
    copy = pq.read_table(shared.folder / "E1.parquet")
    ours = copy.filter(pc.is_in(copy["customer_no"], value_set=pq.read_table(shared.table)["customer_no"]))
    ours = ours.take(list(range(90, 0, -3)))
    strangers = bank_table.generate(20, 97).cast(copy.schema)
    chosen = ["name", "phone", "email", "address"]
    pa_csv.write_csv(pa.concat_tables([ours, strangers]).select(chosen), folder / "leak.csv")
    assert shared.run("trace", folder / "leak.csv", "-o", folder / "case").code == 0
    return folder / "case", ours["customer_no"].to_pylist()


def listed(world: World, case: Path, out: Path, source: Path | None = None):
    return world.run(
        "exposed", case, "--source", source or world.table, "--contract", world.contract, "-o", out, "--json"
    )


def test_each_row_of_ours_is_listed_with_its_place_in_the_sample_and_no_stranger_is(shared, leak, tmp_path):
    case, customers = leak
    answer = listed(shared, case, tmp_path / "notify.parquet")
    assert answer.code == 0, answer.err
    found = pq.read_table(tmp_path / "notify.parquet")
    assert found.column_names == ["sample_file", "sample_row", "class", *pq.read_schema(shared.table).names]
    assert found["customer_no"].to_pylist() == customers
    assert found["sample_row"].to_pylist() == list(range(1, 31))
    assert set(found["sample_file"].to_pylist()) == {"leak.csv"}
    assert answer.json()["people"] == 30 == sum(answer.json()["classes"].values())


def test_both_people_of_a_recombined_row_are_listed_and_counted(shared, tmp_path):
    table = pq.read_table(shared.table)
    one, two = table.slice(100, 6), table.slice(200, 6)
    mixed = pa.table({name: (one if name in ("name", "national_id") else two)[name]
                      for name in ("name", "national_id", "phone", "card_no")})  # fmt: skip
    pa_csv.write_csv(mixed, tmp_path / "mixed.csv")
    answer = shared.run("trace", tmp_path / "mixed.csv", "-o", tmp_path / "case", "--json")
    assert answer.json()["authenticity"]["rows"]["recombined"] == 6
    assert answer.json()["exposed"]["people"] == 12
    assert listed(shared, tmp_path / "case", tmp_path / "notify.parquet").json()["people"] == 12
    found = pq.read_table(tmp_path / "notify.parquet")
    both = one["customer_no"].to_pylist() + two["customer_no"].to_pylist()
    assert sorted(found["customer_no"].to_pylist()) == sorted(both)
    assert found["sample_row"].to_pylist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


def test_the_values_are_the_tables_own_in_a_csv_that_only_its_owner_may_read(shared, leak, tmp_path):
    case, customers = leak
    assert listed(shared, case, tmp_path / "notify.csv").code == 0
    assert (tmp_path / "notify.csv").stat().st_mode & 0o077 == 0
    text = pa_csv.ConvertOptions(column_types={"phone": pa.string()})
    found, source = pa_csv.read_csv(tmp_path / "notify.csv", convert_options=text), pq.read_table(shared.table)
    phones = dict(zip(source["customer_no"].to_pylist(), source["phone"].to_pylist(), strict=True))
    assert found["phone"].to_pylist() == [phones[c] for c in customers]


def test_the_list_can_be_a_workbook(shared, leak, tmp_path):
    case, customers = leak
    answer = listed(shared, case, tmp_path / "notify.xlsx")
    assert answer.code == 0, answer.err
    assert (tmp_path / "notify.xlsx").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["notify.xlsx"]
    rows = CalamineWorkbook.from_path(tmp_path / "notify.xlsx").get_sheet_by_index(0).to_python()
    assert [row[rows[0].index("customer_no")] for row in rows[1:]] == customers


def test_records_that_the_table_no_longer_has_are_counted(shared, leak, tmp_path):
    case, customers = leak
    source = pq.read_table(shared.table)
    left = source.filter(pc.invert(pc.is_in(source["customer_no"], value_set=pa.array(customers[:10]))))
    pq.write_table(left, tmp_path / "later.parquet")
    answer = listed(shared, case, tmp_path / "notify.csv", source=tmp_path / "later.parquet")
    assert (answer.json()["people"], answer.json()["not_in_table"]) == (20, 10)


def test_an_altered_case_a_wrong_table_and_an_existing_list_are_refused(shared, leak, tmp_path):
    case, _ = leak
    shutil.copytree(case, tmp_path / "case")
    (tmp_path / "case" / "report.html").write_text("nobody")
    answer = listed(shared, tmp_path / "case", tmp_path / "notify.csv")
    assert answer.code == 3
    assert "report.html was altered" in answer.err
    pq.write_table(pq.read_table(shared.table).drop_columns(["customer_no"]), tmp_path / "keyless.parquet")
    answer = listed(shared, case, tmp_path / "notify.csv", source=tmp_path / "keyless.parquet")
    assert answer.code == 1
    assert "lacks column 'customer_no'" in answer.err
    assert list(tmp_path.glob("*notify*")) == []
    (tmp_path / "there.csv").write_text("kept")
    assert listed(shared, case, tmp_path / "there.csv").code == 1
    assert (tmp_path / "there.csv").read_text() == "kept"
