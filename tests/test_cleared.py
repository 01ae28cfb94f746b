"""A real leak is never cleared: `not_ours` is not said of rows of ours, whichever columns are left of them."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from conftest import World

from examples import bank_table
from pipeline.intake import Said, read_sample
from pipeline.keystore import KeyStore
from pipeline.registry import Registry
from pipeline.report.language import language
from pipeline.report.summary import text_of
from pipeline.rows import trace_chunk
from pipeline.sample_columns import kinds_of
from pipeline.tracing import judge_sample
from schemas.contract import parse
from watermarking.authenticity import Authenticity
from watermarking.keys import IndexKey

Write = Callable[[pa.Table, Path], Path]
IDENTIFIERS = ("phone", "national_id", "email", "card_no")


@dataclass(frozen=True)
class Bank:
    """The registry's side of the bank's table, and the table."""

    world: World
    judged: Callable[[pa.Table], Authenticity]


@pytest.fixture(scope="module")
def bank(_issued: World) -> Bank:
    contract = parse(_issued.contract.read_bytes(), "bank")
    with Registry.open(str(_issued.folder / "registry")) as registry:
        index = registry.index_files()
    key = IndexKey(KeyStore(_issued.folder / "keys").index_key())

    def judged(table: pa.Table) -> Authenticity:
        out = io.BytesIO()
        pa_csv.write_csv(table, out)
        sheet = read_sample(out.getvalue(), _issued.folder, Said()).sheets[0]
        plans = [SimpleNamespace(columns=(), order=())]
        return judge_sample(
            trace_chunk(sheet.table, kinds_of(sheet, Said()), [contract], plans, key, index)[1], [contract]
        )

    return Bank(_issued, judged)


def test_no_choice_of_weak_columns_clears_rows_of_ours(bank: Bank) -> None:
    table = pq.read_table(bank.world.table)
    phone, address = table["phone"].cast("string"), table["address"].cast("string")
    weak = {
        "name": table["name"],
        "given": pc.utf8_slice_codeunits(table["name"], 1),
        "phone": pc.replace_substring_regex(phone, r"^(\d{3})\d{4}", r"\1****"),
        "address": pc.utf8_slice_codeunits(address, 0, 9),
        "opened_at": table["opened_at"],
        "customer_no": pa.array(range(1, table.num_rows + 1)),  # counted anew
    }
    for number, names in enumerate(combinations(weak, 2)):
        sample = pa.table({name: weak[name] for name in names}).slice(20 * number, 20)
        assert bank.judged(sample).verdict != "not_ours", names


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_strangers_who_show_an_identifier_are_not_ours(bank: Bank, name: str) -> None:
    sample = bank_table.generate(40, 99).select(["name", name])
    sample = sample.filter(sample[name].is_valid()).slice(0, 20)
    assert bank.judged(sample).verdict == "not_ours"


def test_names_of_strangers_alone_are_undecided_and_the_reason_says_why(bank: Bank) -> None:
    found = bank.judged(bank_table.generate(20, 99).select(["name", "opened_at"]))
    assert found.verdict == "undecided"
    assert "20 of 20 distinct readable rows show too little (person name) to be found even" in found.reasons[-1]
    chinese = text_of(found.reasons[-1], language("zh"))
    assert "20 个可读行中，有 20 行内容太少（姓名）" in chinese


def test_names_in_letters_that_no_record_has_are_undecided(bank: Bank) -> None:
    spelled = pa.array([f"{given} {name}" for name in ("Zhang", "Wang", "Li", "Liu") for given in ("Wei", "Fang")])
    dates = pa.array([f"19{70 + n}-03-0{n + 1}" for n in range(8)])
    assert bank.judged(pa.table({"name": spelled, "birth": dates})).verdict == "undecided"


def test_a_trace_says_that_too_little_can_be_read(issued: World, tmp_path: Path, write_sample: Write) -> None:
    sample = pq.read_table(issued.table).slice(0, 20).select(["name", "opened_at", "balance"])
    answer = issued.run("trace", write_sample(sample, tmp_path / "leak.csv"), "-o", tmp_path / "case", "--json")
    assert answer.code == 0, answer.err
    assert answer.json()["authenticity"]["verdict"] == "undecided"
    assert answer.json()["attribution"]["verdict"] == "insufficient"
    rows = pq.read_table(tmp_path / "case" / "rows.parquet")
    assert {reason[:4] for reason in rows["reason"].to_pylist()} <= {"R8: ", "R10:"}
