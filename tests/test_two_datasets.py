"""The same people in two datasets: a leak of either is traced to its copy, because nothing in the rows says which.

And for either dataset there is the list of people to notify.
"""

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
        for contract in (fresh.contract, fresh.folder / "extract.yaml"):
            assert notified(fresh, tmp_path / who, contract) == leak["customer_no"].to_pylist()
    leak = pq.read_table(fresh.table).slice(100, 20)
    mixed = leak.select(["name", "national_id"]).append_column("phone", leak["phone"].take(list(range(19, -1, -1))))
    pa_csv.write_csv(mixed, tmp_path / "mixed.csv")
    rows = fresh.run("trace", tmp_path / "mixed.csv", "-o", tmp_path / "mixed", "--json").json()["authenticity"]["rows"]
    assert rows["recombined"] == 20
    for contract in (fresh.contract, fresh.folder / "extract.yaml"):
        assert sorted(notified(fresh, tmp_path / "mixed", contract)) == sorted(leak["customer_no"].to_pylist() * 2)


def notified(world: World, case: Path, contract: Path) -> list[str]:
    """The customer numbers of `leaktrace exposed`."""
    out = case.with_name(f"{case.name}-{contract.stem}.parquet")
    answer = world.run("exposed", case, "--source", world.table, "--contract", contract, "-o", out)
    assert answer.code == 0, answer.err
    return pq.read_table(out)["customer_no"].to_pylist()
