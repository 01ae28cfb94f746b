"""The same people in two datasets: a leak of either is traced to its copy, because nothing in the rows says which."""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from conftest import World


def test_a_leak_of_either_dataset_names_its_copy(fresh: World, tmp_path: Path) -> None:
    text = fresh.contract.read_text("utf-8")
    (fresh.folder / "extract.yaml").write_text(
        text.replace("name: bank", "name: extract").replace("id: bank", "id: extract")
    )
    assert fresh.tag("E1", fresh.folder / "E1.parquet").code == 0
    command = ("tag", fresh.table, "--contract", fresh.folder / "extract.yaml", "--purpose", "test", "--no-quality")
    assert fresh.run(*command, "--recipient", "E2", "-o", fresh.folder / "E2.parquet").code == 0
    datasets = {one["recipient"]: one["dataset"] for one in fresh.run("exports", "--json").json()["exports"]}
    assert datasets == {"E1": "bank", "E2": "extract"}
    for who in datasets:
        copy = pq.read_table(fresh.folder / f"{who}.parquet")
        people = pc.is_in(copy["customer_no"], pq.read_table(fresh.table)["customer_no"])
        leak = copy.filter(people).slice(20, 60)  # a canary is in one of the two only
        pa_csv.write_csv(leak.select(["name", "national_id", "phone", "address", "email"]), tmp_path / f"{who}.csv")
        answer = fresh.run("trace", tmp_path / f"{who}.csv", "-o", tmp_path / who, "--json")
        assert answer.code == 0, answer.err
        found = answer.json()["attribution"]
        assert {c["recipient"] for c in found["candidates"] if c["strength"] == "conclusive"} == {who}
        assert [c["coverage"]["rows"] for c in found["candidates"]] == [60, 60], "both held these rows"
        assert found["sources"]["minimum_exports"] == 1
