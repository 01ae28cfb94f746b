"""Leaks that were attacked before they were found, traced through the command line: the guilty are still named.

A tracer may call an innocent a mere lead in 1 of 100 samples, so the tests look at who is `conclusive`: that is an
accusation, and no innocent is ever one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import World, make_world

from benchmarks.office import conclusive
from examples import bank_table
from pipeline.keystore import KeyStore
from schemas.contract import parse
from watermarking.attacks import (
    add_strangers,
    change_cells,
    drop_columns,
    mix_cells,
    mix_rows,
    remove_canaries,
    renumber_key,
    rewrite,
    sample_rows,
)
from watermarking.keys import IndexKey
from watermarking.selection import MarkedColumn, plan

KEY = "customer_no"
STAFF = ("E1", "E2", "E3", "E4", "E5")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Five copies of a bank table, and a second export of E1's series after a hundred customers were new."""
    world = make_world(tmp_path_factory.mktemp("office"), rows=2_000)
    command = ["tag", world.table, "--contract", world.contract, "--purpose", "audit", "--no-quality", "--series"]
    staff = [part for name in STAFF for part in ("--recipient", name)]
    answer = world.run(*command, *staff, "-o", world.folder / "{recipient}.parquet")
    assert answer.code == 0, answer.err
    table = pq.read_table(world.table)
    pq.write_table(table.slice(0, 1_900), world.folder / "later.parquet")
    again = world.tag("E1", world.folder / "E1-later.parquet", "--series", source=world.folder / "later.parquet")
    assert again.code == 0, again.err
    return world


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(17)


def copies(world: World, *names: str) -> list[pa.Table]:
    return [pq.read_table(world.folder / f"{name}.parquet") for name in names]


def marked_columns(world: World) -> Sequence[MarkedColumn]:
    key = IndexKey(KeyStore(world.folder / "keys").index_key())
    return plan(parse(world.contract.read_bytes(), "contract"), key).columns


@pytest.fixture
def accused(office: World, tmp_path: Path) -> Callable[[pa.Table], set[str]]:
    """Whom a trace of some rows accuses."""

    def trace(leak: pa.Table) -> set[str]:
        pq.write_table(leak, tmp_path / "leak.parquet")
        answer = office.run("trace", tmp_path / "leak.parquet", "-o", tmp_path / "case", "--json")
        assert answer.code == 0, answer.err
        return conclusive(answer.json())

    return trace


Accused = Callable[[pa.Table], set[str]]


def test_a_tenth_of_all_cells_changed_at_random(office: World, accused: Accused, rng: np.random.Generator) -> None:
    assert accused(change_cells(sample_rows(copies(office, "E1")[0], 150, rng), 0.1, rng)) == {"E1"}


@pytest.mark.parametrize("attack", [drop_columns, renumber_key])
def test_without_the_key_column_or_with_another_count(
    office: World, accused: Accused, rng: np.random.Generator, attack: Callable[[pa.Table, object], pa.Table]
) -> None:
    leak = sample_rows(copies(office, "E2")[0], 60, rng)
    assert accused(attack(leak, [KEY] if attack is drop_columns else KEY)) == {"E2"}


def test_canaries_found_by_comparing_two_copies_are_removed(
    office: World, accused: Accused, rng: np.random.Generator
) -> None:
    mine = remove_canaries(copies(office, "E3", "E4"), KEY)[0]
    source = pq.read_table(office.table)[KEY].combine_chunks()
    real = mine.filter(pc.is_in(mine[KEY], value_set=source))  # nor one of the pool that both hold
    assert accused(sample_rows(real, 60, rng)) == {"E3"}


@pytest.mark.slow
def test_strangers_rows_are_added(office: World, accused: Accused, rng: np.random.Generator) -> None:
    leak = sample_rows(copies(office, "E4")[0], 60, rng)
    assert accused(add_strangers(leak, bank_table.generate(200, 97), rng)) == {"E4"}


@pytest.mark.slow
def test_every_carrier_but_one_is_rewritten(office: World, accused: Accused, rng: np.random.Generator) -> None:
    leak = sample_rows(copies(office, "E5")[0], 400, rng)
    first, *others = marked_columns(office)
    assert others
    for marked in others:
        leak = rewrite(leak, marked, 1)
    assert accused(leak) == {"E5"}


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3, 4])
def test_copies_mixed_by_row(office: World, accused: Accused, rng: np.random.Generator, count: int) -> None:
    guilty = STAFF[:count]
    named = accused(sample_rows(mix_rows(copies(office, *guilty), KEY, rng), 600, rng))
    assert named
    assert named <= set(guilty)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["random", "majority", "minority", "all_ones"])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_copies_mixed_by_cell(
    office: World, accused: Accused, rng: np.random.Generator, count: int, strategy: str
) -> None:
    guilty = ("E2", "E3", "E5", "E1")[:count]
    named = accused(mix_cells(copies(office, *guilty), KEY, marked_columns(office), strategy, rng))
    assert named
    assert named <= set(guilty)


def test_one_person_mixing_copies_of_their_series(office: World, accused: Accused, rng: np.random.Generator) -> None:
    both = mix_rows(copies(office, "E1", "E1-later"), KEY, rng)
    assert accused(sample_rows(both, 60, rng)) == {"E1"}
