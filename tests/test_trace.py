"""From a leaked sample to a verdict, through the command line."""

import json
import random
import secrets
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import World, issue_three

from examples import bank_table
from watermarking.evidence import attempt_share

Write = Callable[[pa.Table, Path], Path]


def rows_of(world: World, name: str, count: int, seed: int = 1) -> pa.Table:
    table = pq.read_table(world.folder / f"{name}.parquet")
    chosen = np.random.default_rng(seed).choice(table.num_rows, count, replace=False)
    return table.take(np.sort(chosen))


def traced(world: World, sample: Path | list[Path], case: Path) -> dict:
    samples = sample if isinstance(sample, list) else [sample]
    answer = world.run("trace", *samples, "-o", case, "--json")
    assert answer.code == 0, answer.err
    assert json.loads((case / "verdict.json").read_text()) == answer.json()
    return answer.json()


def named(verdict: dict) -> dict[str, str]:
    candidates = verdict["attribution"]["candidates"]
    return {c["recipient"]: c["strength"] for c in candidates if c["recipient"] is not None}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Copies whose secrets are the same in every run: by chance a lead (no accusation) arises in 1 of 200 samples."""
    draw = random.Random(20261124)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_bytes", lambda size=32: draw.randbytes(size or 32))
        patch.setattr(secrets, "randbits", draw.getrandbits)
        return issue_three(tmp_path_factory.mktemp("drawn-once"))


def test_a_csv_sample_names_its_copy_and_nobody_else(shared: World, tmp_path: Path, write_sample: Write) -> None:
    verdict = traced(shared, write_sample(rows_of(shared, "E2", 40), tmp_path / "leak.csv"), tmp_path / "case")
    assert verdict["authenticity"]["verdict"] == "ours"
    assert verdict["attribution"]["verdict"] == "identified"
    assert named(verdict) == {"E2": "conclusive"}


def test_a_parquet_sample_with_dropped_and_reordered_columns_names_its_copy(shared: World, tmp_path: Path) -> None:
    leak = rows_of(shared, "E3", 60).select(["address", "email", "name", "phone"])
    pq.write_table(leak.rename_columns(["d", "c", "b", "a"]), tmp_path / "leak.parquet")
    verdict = traced(shared, tmp_path / "leak.parquet", tmp_path / "case")
    assert named(verdict) == {"E3": "conclusive"}


def test_a_post_in_prose_names_its_copy(shared: World, tmp_path: Path) -> None:
    lines = [
        f"{n}、姓名：{r['name']}，手机：{r['phone']}，身份证：{r['national_id']}，地址：{r['address']}，邮箱：{r['email']}"
        for n, r in enumerate(rows_of(shared, "E1", 40).to_pylist(), 1)
    ]
    (tmp_path / "post.txt").write_text("出售客户资料一百万条，样本如下：\n" + "\n".join(lines), "utf-8")
    verdict = traced(shared, tmp_path / "post.txt", tmp_path / "case")
    assert named(verdict) == {"E1": "conclusive"}
    assert verdict["sample"]["files"][0]["format"] == "prose"


def test_two_copies_mixed_with_strangers_are_both_named(shared: World, tmp_path: Path, write_sample: Write) -> None:
    strangers = bank_table.generate(60, 99).cast(rows_of(shared, "E1", 1).schema)
    mixed = pa.concat_tables([rows_of(shared, "E1", 150), rows_of(shared, "E2", 150, seed=2), strangers])
    verdict = traced(shared, write_sample(mixed, tmp_path / "leak.csv"), tmp_path / "case")
    assert named(verdict) == {"E1": "conclusive", "E2": "conclusive"}
    assert verdict["authenticity"]["verdict"] == "partly_ours"
    assert verdict["authenticity"]["rows"]["unknown"] >= 60


def test_rows_of_the_source_itself_name_nobody(shared: World, tmp_path: Path, write_sample: Write) -> None:
    for number in range(5):
        source = rows_of(shared, "bank", 40, seed=number)
        verdict = traced(shared, write_sample(source, tmp_path / f"{number}.csv"), tmp_path / f"case-{number}")
        assert verdict["authenticity"]["verdict"] == "ours"
        assert named(verdict) == {}


def test_strangers_are_not_ours(shared: World, tmp_path: Path, write_sample: Write) -> None:
    verdict = traced(shared, write_sample(bank_table.generate(100, 98), tmp_path / "s.csv"), tmp_path / "case")
    assert verdict["authenticity"]["verdict"] == "not_ours"
    assert verdict["attribution"]["verdict"] == "not_applicable"
    assert verdict["authenticity"]["rows"]["unknown"] == 100


def test_canaries_alone_name_the_only_copy_that_holds_them(shared: World, tmp_path: Path, write_sample: Write) -> None:
    copy, source = pq.read_table(shared.folder / "E2.parquet"), pq.read_table(shared.table)
    known = pa.compute.is_in(copy["customer_no"], value_set=source["customer_no"].combine_chunks())
    canaries = copy.filter(pa.compute.invert(known))
    verdict = traced(shared, write_sample(canaries, tmp_path / "c.csv"), tmp_path / "case")
    assert verdict["authenticity"]["rows"]["canary"] == canaries.num_rows
    assert named(verdict) == {"E2": "conclusive"}


def test_without_the_officers_key_nobody_is_named_and_the_verdict_says_why(
    issued: World, tmp_path: Path, write_sample: Write
) -> None:
    (issued.folder / "keys" / "officer.key").unlink()
    verdict = traced(issued, write_sample(rows_of(issued, "E2", 40), tmp_path / "leak.csv"), tmp_path / "case")
    assert verdict["authenticity"]["verdict"] == "ours"
    assert verdict["attribution"]["verdict"] in ("narrowed", "insufficient")
    assert named(verdict) == {}
    assert any("officer.key" in reason for reason in verdict["attribution"]["reasons"])


def test_every_attempt_on_a_sample_is_counted_and_paid(issued: World, tmp_path: Path, write_sample: Write) -> None:
    sample = write_sample(rows_of(issued, "E2", 40, seed=77), tmp_path / "leak.csv")
    first, second = (traced(issued, sample, tmp_path / f"case-{n}") for n in (1, 2))
    assert (first["attempt"], second["attempt"]) == (1, 2)
    bounds = [v["attribution"]["candidates"][0]["log10_p_adjusted"] for v in (first, second)]
    assert bounds[1] == pytest.approx(bounds[0] + np.log10(attempt_share(1) / attempt_share(2)), abs=0.01)


def test_a_registered_file_is_found_by_membership_only(fresh: World, tmp_path: Path, write_sample: Write) -> None:
    command = ["register", fresh.table, "--contract", fresh.contract, "--recipient", "E9", "--purpose", "audit"]
    assert fresh.run(*command, "--no-quality").code == 0
    verdict = traced(fresh, write_sample(rows_of(fresh, "bank", 30), tmp_path / "leak.csv"), tmp_path / "case")
    assert verdict["authenticity"]["verdict"] == "ours"
    assert named(verdict) == {}
    assert verdict["attribution"]["candidates"][0]["coverage"]["rows"] == 30


def test_no_value_of_the_sample_is_in_verdict_report_or_rows(
    shared: World, tmp_path: Path, write_sample: Write
) -> None:
    leak = rows_of(shared, "E1", 30)
    case = tmp_path / "case"
    answer = shared.run("trace", write_sample(leak, tmp_path / "leak.csv"), "-o", case, "-v")
    shown = (case / "verdict.json").read_text("utf-8") + (case / "report.html").read_text("utf-8")
    shown += answer.out + answer.err + str(pq.read_table(case / "rows.parquet").to_pylist())
    for name in ("name", "national_id", "phone", "email", "card_no", "address", "customer_no"):
        values = [value for value in leak[name].to_pylist() if value]
        assert not [value for value in values if value in shown], name


def test_a_case_is_verified_offline_and_any_change_is_named(shared: World, tmp_path: Path, write_sample: Write) -> None:
    case = tmp_path / "case"
    traced(shared, write_sample(rows_of(shared, "E1", 30), tmp_path / "leak.csv"), case)
    assert shared.run("verify", case).code == 0
    for name in ("verdict.json", "report.html", "rows.parquet", "sample/leak.csv"):
        original = (case / name).read_bytes()
        (case / name).write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        answer = shared.run("verify", case)
        assert answer.code == 3
        assert name in answer.err
        (case / name).write_bytes(original)
    assert shared.run("verify", case).code == 0


@pytest.mark.parametrize("content", [b"", b"\n\n", b"name,phone\n", b"\x00\x01\x02" * 50, b"PAR1 but no more"])
def test_a_sample_that_cannot_be_read_is_one_sentence_and_no_case(
    shared: World, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    answer = shared.run("trace", tmp_path / "bad.csv", "-o", tmp_path / "case")
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
    assert not (tmp_path / "case").exists()


def test_a_bad_file_beside_a_good_one_does_not_stop_the_trace(
    shared: World, tmp_path: Path, write_sample: Write
) -> None:
    folder = tmp_path / "samples"
    folder.mkdir()
    write_sample(rows_of(shared, "E1", 30), folder / "good.csv")
    (folder / "bad.parquet").write_bytes(b"PAR1 but no more")
    verdict = traced(shared, folder, tmp_path / "case")
    assert verdict["sample"]["rows"] == 30
    assert any("bad.parquet" in note for note in verdict["sample"]["notes"])


def test_a_case_is_never_overwritten(shared: World, tmp_path: Path, write_sample: Write) -> None:
    sample = write_sample(rows_of(shared, "E1", 30), tmp_path / "leak.csv")
    traced(shared, sample, tmp_path / "case")
    answer = shared.run("trace", sample, "-o", tmp_path / "case")
    assert answer.code == 1
    assert "never overwritten" in answer.err


def test_the_verdict_says_how_the_evidence_adds_up(shared: World, tmp_path: Path, write_sample: Write) -> None:
    verdict = traced(shared, write_sample(rows_of(shared, "E2", 40, seed=5), tmp_path / "leak.csv"), tmp_path / "case")
    (named_copy,) = [c for c in verdict["attribution"]["candidates"] if c["strength"] == "conclusive"]
    evidence = named_copy["evidence"]
    read = {channel["name"]: channel["read"] for channel in evidence["channels"]}
    assert read["marks"] == named_copy["marks"]["sites_read"] - read.get("coded_canaries", 0)
    assert sum(one["sites_read"] for one in evidence["carriers"]) == read["marks"]
    assert {"column", "carrier", "sites_read", "sites_agreeing"} == set(evidence["carriers"][0])
    assert evidence["null"]["unit"] == "nats"
    assert evidence["words"]
    assert verdict["attribution"]["set_aside"] == []
    assert all("evidence" not in c for c in verdict["attribution"]["candidates"] if c["strength"] == "none")


def test_a_carrier_brought_to_one_form_is_set_aside_in_the_verdict(
    shared: World, tmp_path: Path, write_sample: Write
) -> None:
    leak = rows_of(shared, "E3", 300, seed=6)
    lower = pa.compute.utf8_lower(leak["email"].combine_chunks())
    leak = leak.set_column(leak.schema.get_field_index("email"), "email", lower)
    verdict = traced(shared, write_sample(leak, tmp_path / "leak.csv"), tmp_path / "case")
    assert named(verdict) == {"E3": "conclusive"}
    aside = {one["column"]: one for one in verdict["attribution"]["set_aside"]}
    assert set(aside) == {"email"}
    assert aside["email"]["carrier"].startswith("email_case")
    assert "one form" in aside["email"]["reason"]
