"""The order of neighbouring rows as a carrier: what is written is read, and nothing but the order changes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import World
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.office import conclusive
from examples import bank_table
from schemas.contract import parse
from schemas.errors import ContractError
from watermarking.fingerprint_code import code_word
from watermarking.keys import IndexKey
from watermarking.row_order import Pairs, find_pairs, read_order, reorder
from watermarking.selection import Plan, plan

KEY = IndexKey(bytes(range(32)))
CONTRACT = """\
kind: DataContract
apiVersion: v3.0.2
id: orders
version: 1.0.0
status: active
schema:
  - name: table
    properties:
      - {name: number, logicalType: string, primaryKey: true, customProperties: [{property: leaktraceKind, value: id}]}
      - {name: phone, logicalType: string, customProperties: [{property: leaktraceKind, value: phone}]}
      - {name: email, logicalType: string, customProperties: [{property: leaktraceKind, value: email}]}
    customProperties:
      - {property: leaktraceRowOrder, value: true}
      - {property: leaktraceCanaryDensity, value: 0}
"""


def marks(text: str = CONTRACT) -> Plan:
    return plan(parse(text.encode(), "contract"), KEY)


def table_of(rows: int, seed: int = 1) -> tuple[pa.Table, np.ndarray]:
    records = np.random.default_rng(seed).integers(1, 2**63, rows, dtype=np.uint64)
    return pa.table({"record": records, "value": np.arange(rows)}), records


def agreeing(readings: object, word: np.ndarray) -> float:
    own = word[readings.position] == 1
    return float(np.where(own, readings.ones, readings.zeros).sum() / readings.count())


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 2**32))
def test_every_pair_shows_its_bit_and_no_row_goes_further_than_one_place(rows: int, seed: int) -> None:
    table, records = table_of(rows, seed)
    word = code_word(seed.to_bytes(32, "big"), marks().p)
    pairs = find_pairs(marks(), KEY, records)
    after = reorder(table, pairs, word)
    moved = after["value"].to_numpy() - np.arange(rows)
    assert np.abs(moved).max(initial=0) <= 1
    assert sorted(after["value"].to_pylist()) == list(range(rows))
    assert after.schema == table.schema
    now = after["record"].to_numpy()
    assert ((now[pairs.first] > now[pairs.first + 1]) == word[pairs.position]).all()
    assert (np.diff(pairs.first) >= 2).all()


def test_what_was_written_is_read_with_one_reading_in_eight_of_noise() -> None:
    table, records = table_of(20_000)
    word, other = (code_word(bytes([n] * 32), marks().p) for n in (1, 2))
    copy = reorder(table, find_pairs(marks(), KEY, records), word)["record"].to_numpy()
    readings = read_order(marks(), KEY, copy, np.ones(len(copy), dtype=bool))
    assert 0.12 < readings.count() / len(copy) < 0.14
    assert agreeing(readings, word) > 0.9
    assert 0.4 < agreeing(readings, other) < 0.6
    shuffled = np.random.default_rng(3).permutation(copy)
    assert 0.4 < agreeing(read_order(marks(), KEY, shuffled, np.ones(len(copy), dtype=bool)), word) < 0.6


def test_rows_that_did_not_resolve_are_no_neighbours_and_a_repeated_pair_counts_once() -> None:
    _, records = table_of(2_000)
    whole = read_order(marks(), KEY, records, np.ones(2_000, dtype=bool))
    assert read_order(marks(), KEY, records, np.arange(2_000) % 2 == 0).count() == 0
    doubled = read_order(marks(), KEY, np.concatenate([records, records]), np.ones(4_000, dtype=bool))
    assert whole.count() <= doubled.count() <= whole.count() + 1
    assert read_order(marks(), KEY, np.repeat(records[:1], 100), np.ones(100, dtype=bool)).count() == 0


def test_without_the_contracts_word_nothing_moves() -> None:
    table, records = table_of(1_000)
    without = marks(CONTRACT.replace("leaktraceRowOrder, value: true", "leaktraceRowOrder, value: false"))
    pairs = find_pairs(without, KEY, records)
    assert len(pairs.first) == 0
    assert reorder(table, Pairs.none(), np.ones(4096, dtype=np.uint8)) is table
    assert read_order(without, KEY, records, np.ones(1_000, dtype=bool)).count() == 0
    assert np.array_equal(without.p, marks().p)  # exports of other contracts keep their positions


def test_neither_true_nor_false_is_refused_with_its_line() -> None:
    with pytest.raises(ContractError, match="leaktraceRowOrder is neither true nor false"):
        parse(CONTRACT.replace("RowOrder, value: true", "RowOrder, value: sometimes").encode(), "contract")


@pytest.mark.parametrize("suffix", ["parquet", pytest.param("csv", marks=pytest.mark.slow)])
def test_a_block_of_rows_names_its_copy_by_their_order_alone(tmp_path: Path, suffix: str) -> None:
    world = World(tmp_path)
    source, contract = tmp_path / f"customers.{suffix}", tmp_path / "contract.yaml"
    bank = bank_table.generate(1_500, 5)
    bank_table.write(pa.table({"number": bank["customer_no"], "phone": bank["phone"], "email": bank["email"]}), source)
    contract.write_text(CONTRACT, "utf-8")
    assert world.run("init").code == 0
    staff = [part for name in ("E1", "E2", "E3") for part in ("--recipient", name)]
    command = ["tag", source, "--contract", contract, *staff, "--purpose", "test", "--no-quality", "--json"]
    answer = world.run(*command, "-o", tmp_path / f"{{recipient}}.{suffix}")
    assert answer.code == 0, answer.err
    # One neighbour in eight begins a pair, none in two: 167 of 1,500, five standard deviations (11.4) around it.
    assert all(110 <= receipt["marked_sites"] <= 224 for receipt in answer.json())
    if suffix == "csv":
        lines = [sorted((tmp_path / name).read_bytes().splitlines()) for name in ("customers.csv", "E2.csv")]
        assert lines[0] == lines[1]
        (tmp_path / "leak.csv").write_bytes(b"\n".join((tmp_path / "E2.csv").read_bytes().splitlines()[:1_001]))
    else:
        pq.write_table(pq.read_table(tmp_path / "E2.parquet").slice(200, 1_000), tmp_path / "leak.parquet")
    answer = world.run("trace", tmp_path / f"leak.{suffix}", "-o", tmp_path / "case", "--json")
    verdict = answer.json()
    assert conclusive(verdict) == {"E2"}
    (named,) = [c for c in verdict["attribution"]["candidates"] if c["strength"] == "conclusive"]
    assert [(one["column"], one["carrier"]) for one in named["evidence"]["carriers"]] == [("rows", "row_order")]
    assert any(words.startswith("rows (row order): ") for words in named["evidence"]["words"])
