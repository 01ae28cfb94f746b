"""The attacks do what they say; what they cost a trace is the benchmarks' business."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import World

from pipeline.keystore import KeyStore
from schemas.contract import parse
from watermarking.attacks import (
    STRATEGIES,
    add_strangers,
    answer,
    block_rows,
    change_cells,
    changed,
    drop_columns,
    flip_symbols,
    head_rows,
    leak_of,
    mix_cells,
    mix_rows,
    mixed_by_cell,
    mixed_by_row,
    remove_canaries,
    renumber_key,
    rewrite,
    rewritten,
    sample_rows,
    without_sites,
)
from watermarking.keys import IndexKey
from watermarking.selection import Plan, plan

P = np.full(64, 0.5)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(scope="session")
def copies(_issued: World) -> list[pa.Table]:
    return [pq.read_table(_issued.folder / f"E{n}.parquet") for n in (1, 2, 3)]


@pytest.fixture(scope="session")
def marks(_issued: World) -> Plan:
    contract = parse(_issued.contract.read_bytes(), "contract")
    return plan(contract, IndexKey(KeyStore(_issued.folder / "keys").index_key()))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_where_copies_agree_the_coalition_shows_what_they_hold(strategy: str, rng: np.random.Generator) -> None:
    bits = np.array([[0, 1, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]], dtype=np.uint8)
    shown = answer(bits, np.array([0.9, 0.1, 0.2, 0.8]), strategy, rng)
    assert shown[:2].tolist() == [0, 1]
    expected = {"majority": [1, 1], "minority": [0, 0], "all_ones": [1, 1], "all_zeros": [0, 0], "likelier": [0, 1]}
    assert strategy == "random" or shown[2:].tolist() == expected[strategy]


def test_symbols_of_a_verbatim_leak_are_the_copys(rng: np.random.Generator) -> None:
    word = rng.integers(0, 2, 64).astype(np.uint8)
    leak = leak_of(word, 30, 3, rng)
    assert (leak.symbol == word[leak.position]).all()
    assert leak.readings().count() == 90
    assert (changed(leak, 1.0, rng).symbol == 1 - word[leak.position]).all()
    assert set(rewritten(leak, [1], 0).symbol[leak.site == 1].tolist()) == {0}
    assert set(without_sites(leak, [0, 2]).site.tolist()) == {1}


def test_rows_of_a_mixed_leak_come_whole_from_one_copy(rng: np.random.Generator) -> None:
    words = np.stack([np.zeros(64), np.ones(64)]).astype(np.uint8)
    leak = mixed_by_row(words, 50, 4, rng)
    of_row = [set(leak.symbol[leak.row == row].tolist()) for row in range(50)]
    assert {len(symbols) for symbols in of_row} == {1}
    assert len(set.union(*of_row)) == 2
    assert mixed_by_cell(words, P, "all_ones", 50, 4, rng).symbol.all()


def test_a_coalition_answers_once_a_position(rng: np.random.Generator) -> None:
    words = rng.integers(0, 2, (2, 64)).astype(np.uint8)
    leak = mixed_by_cell(words, P, "random", 200, 4, rng)
    assert all(len(set(leak.symbol[leak.position == at].tolist())) == 1 for at in np.unique(leak.position))


def test_rows_are_sampled_from_head_block_or_anywhere(copies: list[pa.Table], rng: np.random.Generator) -> None:
    table = copies[0]
    assert head_rows(table, 5).equals(table.slice(0, 5))
    block = block_rows(table, 7, rng)
    first = table["customer_no"].to_pylist().index(block["customer_no"][0].as_py())
    assert block.equals(table.slice(first, 7))
    drawn = sample_rows(table, 20, rng)["customer_no"].to_pylist()
    assert len(set(drawn)) == 20
    assert set(drawn) <= set(table["customer_no"].to_pylist())
    assert drop_columns(table, ["customer_no"]).column_names == table.column_names[1:]


def test_a_renumbered_key_has_its_type_and_nothing_of_the_old(copies: list[pa.Table]) -> None:
    fresh = renumber_key(copies[0], "customer_no")
    assert fresh.schema == copies[0].schema
    assert fresh["customer_no"][:2].to_pylist() == ["1", "2"]
    assert fresh.drop_columns("customer_no").equals(copies[0].drop_columns("customer_no"))


def test_a_rewritten_carrier_shows_one_symbol_only(copies: list[pa.Table], marks: Plan) -> None:
    for marked in marks.columns:
        cells = rewrite(copies[0], marked, 1)[marked.column.name].combine_chunks()
        assert set(np.unique(marked.carrier.read(cells)).tolist()) <= {-1, 1}


def test_a_share_of_symbols_is_flipped_and_nothing_else(
    copies: list[pa.Table], marks: Plan, rng: np.random.Generator
) -> None:
    after = flip_symbols(copies[0], marks.columns, 0.25, rng)
    for marked in marks.columns:
        before, now = (marked.carrier.read(t[marked.column.name].combine_chunks()) for t in (copies[0], after))
        there = before >= 0
        assert (there == (now >= 0)).all()
        assert 0.2 < (before != now)[there].mean() < 0.3
    names = {marked.column.name for marked in marks.columns}
    assert after.drop_columns(sorted(names)).equals(copies[0].drop_columns(sorted(names)))


def test_a_share_of_cells_is_changed(copies: list[pa.Table], rng: np.random.Generator) -> None:
    table = copies[0]
    after = change_cells(table, 0.25, rng, ["phone"])
    differ = np.array([a != b for a, b in zip(table["phone"].to_pylist(), after["phone"].to_pylist(), strict=True)])
    assert 0.2 < differ.mean() < 0.3
    assert after.drop_columns("phone").equals(table.drop_columns("phone"))


def test_what_copies_do_not_share_is_found(copies: list[pa.Table], shared: World) -> None:
    source = pq.read_table(shared.table)
    one, two = remove_canaries(copies[:2], "customer_no")
    real = pa.compute.is_in(one["customer_no"], source["customer_no"].combine_chunks())
    assert one.filter(real)["customer_no"].to_pylist() == source["customer_no"].to_pylist()
    left = set(one.filter(pa.compute.invert(real))["customer_no"].to_pylist())  # coded canaries that both copies hold
    assert set(two["customer_no"].to_pylist()) == set(source["customer_no"].to_pylist()) | left
    assert len(left) < copies[0].num_rows - source.num_rows


def test_mixed_rows_are_whole_rows_of_the_copies(copies: list[pa.Table], rng: np.random.Generator) -> None:
    mixed = mix_rows(copies, "customer_no", rng).slice(0, 50)
    holders = [{tuple(row.values()) for row in copy.to_pylist()} for copy in copies]
    assert all(any(tuple(row.values()) in held for held in holders) for row in mixed.to_pylist())


@pytest.mark.parametrize("strategy", ["random", "majority", "minority", "all_ones"])
def test_mixed_cells_keep_every_row_and_follow_the_strategy(
    copies: list[pa.Table], marks: Plan, rng: np.random.Generator, strategy: str
) -> None:
    mixed = mix_cells(copies, "customer_no", marks.columns, strategy, rng)
    keys = mixed["customer_no"].combine_chunks()
    aligned = [copy.take(pa.compute.index_in(keys, copy["customer_no"].combine_chunks())) for copy in copies]
    assert mixed.schema == copies[0].schema
    for marked in marks.columns:
        name = marked.column.name
        shown = marked.carrier.read(mixed[name].combine_chunks())
        read = np.stack([marked.carrier.read(copy[name].combine_chunks()) for copy in aligned])
        there = (read >= 0).all(axis=0)
        ones = read.sum(axis=0)[there]
        wanted = {"majority": ones >= 2, "minority": (ones == 3) | (ones == 1), "all_ones": ones > 0}.get(strategy)
        if wanted is not None:
            assert (shown[there] == wanted).all()
        agreed = ones % 3 == 0
        assert (shown[there][agreed] == (ones[agreed] == 3)).all()


def test_strangers_stand_between_the_rows(copies: list[pa.Table], rng: np.random.Generator) -> None:
    strangers = copies[1].slice(0, 10).drop_columns("email")
    both = add_strangers(copies[0].slice(100, 20), strangers, rng)
    assert both.schema == copies[0].schema
    assert sorted(both["customer_no"].to_pylist()) == sorted(
        copies[0]["customer_no"][100:120].to_pylist() + strangers["customer_no"].to_pylist()
    )
