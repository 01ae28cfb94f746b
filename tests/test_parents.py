"""Copies made from copies, and copies that were revoked: the registry knows, and a trace says so."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.parents import chain_of
from tests.conftest import World


def ids(world: World) -> dict[str, str]:
    return {e["recipient"]: e["export_id"] for e in world.run("exports", "--json").json()["exports"]}


def parent(answer) -> str | None:
    assert answer.code == 0, answer.err
    return answer.json()["parent"]


def test_a_table_that_is_no_copy_has_no_parent(issued: World) -> None:
    assert parent(issued.tag("E7", issued.folder / "E7.parquet")) is None


def test_a_copy_tagged_again_is_known_by_its_digest_without_the_officers_key(issued: World) -> None:
    (issued.folder / "keys" / "officer.key").unlink()
    again = issued.tag("E7", issued.folder / "E7.parquet", source=issued.folder / "E1.parquet")
    assert parent(again) == ids(issued)["E1"]


def test_rows_of_a_copy_in_another_table_are_known_by_their_canaries(issued: World) -> None:
    source, copy = pq.read_table(issued.table), pq.read_table(issued.folder / "E2.parquet")
    known = set(source["customer_no"].to_pylist())
    canaries = copy.filter(pa.array([n not in known for n in copy["customer_no"].to_pylist()]))
    pq.write_table(pa.concat_tables([source, canaries]), issued.folder / "mixed.parquet")
    mixed = issued.folder / "mixed.parquet"
    assert parent(issued.tag("E7", issued.folder / "E7.parquet", source=mixed)) == ids(issued)["E2"]
    (issued.folder / "keys" / "officer.key").unlink()
    assert parent(issued.tag("E8", issued.folder / "E8.parquet", source=mixed)) is None, "sealed without the key"


def test_a_trace_names_the_chain_and_counts_fed_back_canaries_for_none(
    issued: World, tmp_path: Path, write_sample
) -> None:
    assert issued.tag("E7", issued.folder / "E7.parquet", source=issued.folder / "E1.parquet").code == 0
    copy = pq.read_table(issued.folder / "E7.parquet")
    leak = write_sample(copy.slice(0, 600), tmp_path / "leak.csv")
    verdict = issued.run("trace", leak, "-o", tmp_path / "case", "--json").json()
    best = verdict["attribution"]["candidates"][0]
    assert best["recipient"] == "E7"
    assert best["parents"] == [ids(issued)["E1"]]
    assert any(f"made from copy {ids(issued)['E1']}" in reason for reason in verdict["attribution"]["reasons"])
    others = [c for c in verdict["attribution"]["candidates"] if c["export_id"] == ids(issued)["E1"]]
    assert all(c["canaries"]["unique"] == 0 for c in others if c.get("canaries"))


def test_a_circle_of_parents_ends() -> None:
    assert chain_of("a", {"a": "b", "b": "c"}) == ["b", "c"]
    assert chain_of("a", {"a": "b", "b": "a"}) == ["b", "a"]


def test_a_superseded_copy_stays_traceable_and_the_trace_says_so(issued: World, tmp_path: Path, write_sample) -> None:
    wrong = ids(issued)["E3"]
    assert issued.run("exports", "supersede", wrong, "--reason", "wrong month").code == 0
    assert "superseded: wrong month" in issued.run("exports").out
    assert issued.run("registry", "check").code == 0
    leak = write_sample(pq.read_table(issued.folder / "E3.parquet").slice(0, 60), tmp_path / "leak.csv")
    assert issued.run("trace", leak, "-o", tmp_path / "case").code == 0
    verdict = json.loads((tmp_path / "case" / "verdict.json").read_bytes())
    assert verdict["attribution"]["candidates"][0]["superseded"] is True
    assert any("was superseded" in reason for reason in verdict["attribution"]["reasons"])


def test_only_an_export_that_is_there_can_be_superseded_once(issued: World) -> None:
    known = ids(issued)["E1"]
    assert issued.run("exports", "supersede", "X-NONE", "--reason", "x").code == 1
    assert issued.run("exports", "supersede", known, "--reason", "x").code == 0
    assert issued.run("exports", "supersede", known, "--reason", "x").code == 1


def test_whoever_tags_a_copy_is_told_and_so_is_who_asks_whose_canary_rang(issued: World) -> None:
    again = issued.folder / "again.parquet"
    words = ["--contract", issued.contract, "--recipient", "E7", "--purpose", "desk", "-o", again, "--no-quality"]
    told = issued.run("tag", issued.folder / "E1.parquet", *words)
    assert told.code == 0, told.err
    assert f"its source is, or has rows of, copy {ids(issued)['E1']}" in told.out
    source, copy = pq.read_table(issued.table), pq.read_table(issued.folder / "E1.parquet")
    known = set(source["customer_no"].to_pylist())
    phones = [
        p for n, p in zip(*(copy[c].to_pylist() for c in ("customer_no", "phone")), strict=True) if n not in known
    ]
    hits = [issued.run("watchlist", "hit", phone, "--json").json()["hits"] for phone in phones]
    ours = [hit for of_one in hits for hit in of_one if hit["recipient"] == "E1"]
    assert ours
    assert all(hit["made_from_them"] == [ids(issued)["E7"]] for hit in ours)
    assert ids(issued)["E7"] in issued.run("watchlist", "hit", phones[0]).out
