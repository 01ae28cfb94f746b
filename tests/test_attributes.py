"""A table without names, phones or numbers of people: its rows are told apart by many attributes together."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from benchmarks.adult import _CONTRACT, _SOURCE, _impossible
from schemas.contract import parse
from tests.conftest import World
from watermarking.attacks import change_cells, drop_columns, renumber_key, sample_rows
from watermarking.attributes import attributes, replaceable
from watermarking.keys import IndexKey
from watermarking.tokens import BUDGET, fields_of, normal_forms, tokens_of

ROWS = 6_000


@pytest.fixture(scope="module")
def census(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with two copies of the first rows of the census table."""
    world = World(tmp_path_factory.mktemp("census"))
    pq.write_table(pq.read_table(_SOURCE).slice(0, ROWS), world.folder / "adult.parquet")
    assert world.run("init").code == 0
    command = ["tag", world.folder / "adult.parquet", "--contract", _CONTRACT, "--purpose", "test", "--no-quality"]
    answer = world.run(*command, "--recipient", "E1", "--recipient", "E2", "-o", world.folder / "{recipient}.parquet")
    assert answer.code == 0, answer.err
    return world


def named(world: World, leak: pa.Table, case: Path) -> set[str]:
    pa_csv.write_csv(leak, case.with_suffix(".csv"))
    answer = world.run("trace", case.with_suffix(".csv"), "-o", case, "--json")
    assert answer.code == 0, answer.err
    candidates = answer.json()["attribution"]["candidates"]
    return {c["recipient"] for c in candidates if c["strength"] == "conclusive"}


def test_rows_whose_key_was_numbered_anew_name_the_recipient(census: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    leak = renumber_key(sample_rows(pq.read_table(census.folder / "E2.parquet"), 60, rng), "Id")
    assert named(census, leak, tmp_path / "case") == {"E2"}
    rows = pq.read_table(tmp_path / "case" / "rows.parquet")
    assert rows["class"].to_pylist().count("held") >= 50
    assert "R1: every field that can be read is that of one record: attributes." in rows["reason"].to_pylist()


def test_without_the_column_with_most_marks_the_other_one_names_the_recipient(census: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    leak = drop_columns(sample_rows(pq.read_table(census.folder / "E1.parquet"), 1_000, rng), ["fnlwgt", "Id"])
    assert named(census, leak, tmp_path / "case") == {"E1"}


@pytest.mark.slow
def test_two_of_five_cells_changed_name_the_recipient(census: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    leak = change_cells(sample_rows(pq.read_table(census.folder / "E1.parquet"), 600, rng), 0.4, rng)
    assert named(census, leak, tmp_path / "case") == {"E1"}


def test_cells_without_a_header_are_read_in_the_order_of_the_table(census: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    leak = sample_rows(pq.read_table(census.folder / "E2.parquet"), 60, rng)
    path = tmp_path / "bare.csv"
    pa_csv.write_csv(leak, path, pa_csv.WriteOptions(include_header=False))
    answer = census.run("trace", path, "-o", tmp_path / "case", "--json")
    assert answer.json()["attribution"]["candidates"][0]["strength"] == "conclusive"


@pytest.mark.slow
def test_rows_of_the_source_name_nobody(census: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    leak = sample_rows(pq.read_table(census.folder / "adult.parquet"), 200, rng)
    assert named(census, leak, tmp_path / "case") == set()


def test_only_low_bits_change_and_no_pair_becomes_impossible(census: World) -> None:
    before, after = (pq.read_table(census.folder / f"{name}.parquet") for name in ("adult", "E1"))
    marked = {"fnlwgt": 15, "age": 1}
    for name in before.column_names:
        if name in marked:
            change = np.abs(before[name].to_numpy() - after[name].to_numpy())
            assert 0 < change.max() <= marked[name]
        else:
            assert before[name] == after[name]
    assert _impossible(after) == _impossible(before)


def test_tokens_of_attributes_forget_marks_and_stay_in_the_budget(census: World) -> None:
    contract, key = parse(_CONTRACT.read_bytes(), "contract"), IndexKey(bytes(32))
    assert (len(attributes(contract)), replaceable(contract)) == (15, "fnlwgt")
    found = []
    for name in ("adult", "E1"):
        table = pq.read_table(census.folder / f"{name}.parquet")
        found.append(tokens_of(fields_of(normal_forms(table, contract), contract), key))
    assert len(found[0]) == BUDGET
    for one, other in zip(*found, strict=True):
        assert one.kind == other.kind
        assert (one.values == other.values).all()
