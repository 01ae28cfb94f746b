"""A table without names, phones or numbers of people: its rows are told apart by many attributes together."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from scipy.stats import binom

from benchmarks.adult import _CONTRACT, _SOURCE, _impossible
from pipeline import describing, resolving
from pipeline.asking import Ours
from pipeline.intake import Said, read_sample
from pipeline.keystore import KeyStore
from pipeline.registry import Registry
from pipeline.resolving import resolve_parts
from pipeline.sample_columns import kinds_of
from pipeline.sample_part import part_of
from schemas.contract import parse
from tests.conftest import World
from watermarking.attacks import change_cells, drop_columns, renumber_key, sample_rows
from watermarking.attribute_columns import likenesses
from watermarking.attributes import ATTRIBUTE, attributes, replaceable
from watermarking.keys import IndexKey
from watermarking.neighbours import with_neighbours
from watermarking.resolve import CLASSES, Resolved
from watermarking.sample_column import SampleColumn
from watermarking.tokens import BUDGET, Field, fields_of, normal_forms, tokens_of

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
    return rows_of(world, leak, case)[1]


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


def rows_of(world: World, leak: pa.Table, case: Path, *, header: bool = True) -> tuple[pa.Table, set[str]]:
    """What each row of a leak is, and who is named."""
    path = case.with_suffix(".csv")
    pa_csv.write_csv(leak, path, pa_csv.WriteOptions(include_header=header))
    answer = world.run("trace", path, "-o", case, "--json")
    assert answer.code == 0, answer.err
    candidates = answer.json()["attribution"]["candidates"]
    return pq.read_table(case / "rows.parquet"), {c["recipient"] for c in candidates if c["strength"] == "conclusive"}


def test_columns_are_known_by_content_without_header_dropped_and_in_another_order(
    census: World, tmp_path: Path
) -> None:
    copy, rng = pq.read_table(census.folder / "E2.parquet"), np.random.default_rng(6)
    kept = ["sex", "fnlwgt", "occupation", "age", "education", "hours-per-week", "native-country", "capital-gain"]
    rows, who = rows_of(census, sample_rows(copy, 150, rng).select(kept), tmp_path / "bare", header=False)
    assert who == {"E2"}
    assert rows["class"].to_pylist().count("held") >= 120
    renamed = sample_rows(copy, 100, rng).rename_columns([f"c{n}" for n in range(16)])
    assert rows_of(census, renamed.select([*range(15, 0, -1)]), tmp_path / "renamed")[1] == {"E2"}


def test_four_columns_with_the_most_marked_one_are_enough(census: World, tmp_path: Path) -> None:
    leak = sample_rows(pq.read_table(census.folder / "E1.parquet"), 200, np.random.default_rng(7))
    assert rows_of(census, leak.select(["fnlwgt", "age", "occupation", "sex"]), tmp_path / "case")[1] == {"E1"}


def test_a_number_moved_into_the_next_block_finds_its_row_and_agrees_in_nothing(census: World, tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    leak = drop_columns(sample_rows(pq.read_table(census.folder / "E1.parquet"), 400, rng), ["occupation"])
    as_it_was, _ = rows_of(census, leak, tmp_path / "clean")
    weights = leak["fnlwgt"].to_numpy()
    moved = pa.array(np.where(rng.random(400) < 0.5, weights + 16, weights - 16))
    noisy = leak.set_column(leak.column_names.index("fnlwgt"), "fnlwgt", moved)
    rows, who = rows_of(census, noisy, tmp_path / "noisy")
    found = np.array(rows["class"].to_pylist()) != "unknown"
    assert found.sum() > 300
    assert set(rows.filter(pa.array(found))["class"].to_pylist()) == {"altered"}
    both = pa.array(found & (np.array(as_it_was["class"].to_pylist()) != "unknown"))
    wrong = pc.sum(pc.not_equal(rows.filter(both)["record"], as_it_was.filter(both)["record"])).as_py()
    assert wrong <= binom.ppf(1 - 1e-6, 400, 2**-8)
    assert who <= {"E1"}


def test_rows_of_people_who_are_not_in_the_table_are_hardly_ever_found(census: World, tmp_path: Path) -> None:
    strangers = pq.read_table(_SOURCE).slice(20_000, 1_500)
    few = strangers.select(["fnlwgt", "age", "occupation", "sex"])
    rows, who = rows_of(census, few, tmp_path / "few", header=False)
    assert pc.sum(pc.not_equal(rows["class"], "unknown")).as_py() <= binom.ppf(1 - 1e-6, 1_500, 2**-8)
    assert not who
    # Attributes say less together than each for itself (a husband is a man), so of all 15 more are found, as altered.
    rows, who = rows_of(census, strangers, tmp_path / "all")
    assert pc.sum(pc.not_equal(rows["class"], "unknown")).as_py() <= 0.1 * 1_500
    assert not who


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("dropped", [[], ["education"], ["fnlwgt"]])
def test_what_rows_tell_of_versions_and_rows_not_searched_for_twice_change_nothing(
    dropped: list[str], plain: bool, census: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(9)
    copy, source = (pq.read_table(census.folder / f"{name}.parquet") for name in ("E1", "adult"))
    weights = copy["fnlwgt"].to_numpy() + rng.integers(-16, 17, ROWS)
    noisy = copy.set_column(copy.column_names.index("fnlwgt"), "fnlwgt", pa.array(weights))
    other = copy.slice(0, 200)
    other = other.set_column(copy.column_names.index("fnlwgt"), "fnlwgt", copy["fnlwgt"].slice(1, 200))
    parts = [copy, sample_rows(noisy, 300, rng), change_cells(sample_rows(source, 300, rng), 0.2, rng),
             other, pq.read_table(_SOURCE).slice(20_000, 300).cast(copy.schema)]  # fmt: skip
    leak = drop_columns(copy if plain else pa.concat_tables(parts), dropped)
    searched: list[int] = []
    search = resolving._search
    monkeypatch.setattr(resolving, "_search", lambda *a: (searched.append(a[2]), search(*a))[1])
    quick = resolved(census, leak, tmp_path / "quick")
    monkeypatch.setattr(describing, "_told", lambda columns, code, tokens, *_: (np.zeros(tokens, bool), *_nothing()))
    monkeypatch.setattr(resolving, "indistinguishable", lambda *a: _nobody(len(a[3])))
    plainly = resolved(census, leak, tmp_path / "plain")
    for name in (field.name for field in dataclasses.fields(Resolved)):
        np.testing.assert_array_equal(getattr(quick, name), getattr(plainly, name), err_msg=name)
    classes = {str(CLASSES[c]) for c in np.unique(quick.row_class)}
    assert classes >= ({"held", "unknown"} if plain else {"altered", "unknown"})
    if "fnlwgt" in dropped:  # without it nothing is searched for twice
        assert len(searched) == 2
    elif plain:
        assert (searched[:1], len(searched)) == ([ROWS], 3)
    else:
        assert len(searched) == 4
        assert searched[1] < searched[3]


def _nobody(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool), np.zeros(rows, dtype=np.uint64)


def _nothing() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)


def resolved(world: World, leak: pa.Table, spool: Path) -> Resolved:
    """The rows of a leak, as it would be posted."""
    spool.mkdir()
    pa_csv.write_csv(leak, spool / "leak.csv")
    with Registry.open(str(world.folder / "registry")) as registry:
        contracts = [parse(text, name) for name, _, text in registry.datasets()]
        key, index = IndexKey(KeyStore(world.folder / "keys").index_key()), registry.index_files()
        sheet = read_sample((spool / "leak.csv",), spool).sheets[0]
        table = sheet.table
        (found,) = resolve_parts(
            [part_of(table, kinds_of(sheet, Said()), contracts, key)], Ours.of(contracts, key, index)
        )
        return found.resolved


def test_neighbouring_blocks_are_those_below_and_above() -> None:
    contract = parse(_CONTRACT.read_bytes(), "contract")
    cells = pa.array(["adult/fnlwgt=77504", None, "adult/fnlwgt=a few"], pa.string())
    other = Field(ATTRIBUTE, "sex", pa.array(["adult/sex=Male"] * 3), None)
    assert with_neighbours([other], [contract]) is None
    found = with_neighbours([other, Field(ATTRIBUTE, "fnlwgt", cells, None)], [contract])
    assert found is not None
    assert found[0] == other
    assert [also[0].as_py() for also in found[1].also] == ["adult/fnlwgt=77520", "adult/fnlwgt=77488"]
    assert [also.null_count for also in found[1].also] == [2, 2]


def test_of_a_very_wide_sample_only_the_first_columns_are_compared_by_content() -> None:
    contract = parse(_CONTRACT.read_bytes(), "contract")
    columns = [SampleColumn(n, "text", "", 1.0) for n in range(3_000)]
    table = pa.table([pa.array(["40"])] * len(columns), names=[str(n) for n in range(len(columns))])
    assert {one.column for one in likenesses(table, columns, contract, IndexKey(bytes(32)))} == set(range(100))
