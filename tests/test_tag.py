"""Issuing copies through the command line: what is kept, what is refused, and that nothing is half done."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from conftest import Answer, World

from examples import bank_table

ROOT = Path(__file__).parent.parent


def exports_of(world: World) -> list[dict]:
    return world.run("exports", "--json").json()["exports"]


def refused(world: World, answer: Answer, *words: str, code: int = 1) -> None:
    """One sentence with these words, nothing issued, nothing registered, the registry in order."""
    assert answer.code == code, answer.err
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
    assert "fault of this program" not in answer.err, answer.err
    for word in words:
        assert word in answer.err
    assert exports_of(world) == []
    assert world.run("registry", "check").code == 0
    assert not list((world.folder / "registry" / "staging").glob("X-*"))


def test_a_copy_keeps_types_rows_and_every_cell_without_a_mark(shared: World) -> None:
    source, copy = pq.read_table(shared.table), pq.read_table(shared.folder / "E1.parquet")
    assert copy.schema.equals(source.schema)
    known = pc.is_in(copy["customer_no"], value_set=source["customer_no"].combine_chunks())
    kept = copy.filter(known)
    assert kept["customer_no"].equals(source["customer_no"])
    receipt = exports_of(shared)[0]
    assert copy.num_rows - source.num_rows == copy.num_rows - kept.num_rows == receipt["rows_out"] - source.num_rows > 0
    for name in source.column_names:
        if name not in ("address", "email"):
            assert kept[name].combine_chunks().equals(source[name].combine_chunks()), name
    changed = pc.sum(pc.not_equal(kept["address"], source["address"])).as_py()
    assert 0.1 < changed / source.num_rows < 0.9


def test_copies_differ_and_their_marks_leave_the_mix_of_spellings(shared: World) -> None:
    tables = [pq.read_table(shared.folder / f"{name}.parquet") for name in ("bank", "E1", "E2", "E3")]
    texts = [table["address"] for table in tables]
    assert len({tuple(text.to_pylist()) for text in texts}) == 4
    shares = [pc.mean(pc.match_substring(text, "号楼").cast(pa.int8())).as_py() for text in texts]
    assert max(shares) - min(shares) < 0.05


def test_text_cells_of_a_csv_come_back_character_for_character(fresh: World, tmp_path: Path) -> None:
    rows = 300
    table = pa.table(
        {
            "account": [f"{n:018d}" for n in range(1, rows + 1)],
            "amount": ["1.10", "007", "-0.00", "1e5", " 12 ", ""] * (rows // 6),
            "note": ['say "hi"', "a,b", "line\nbreak", "", "Ⅻ", "плюс"] * (rows // 6),
        }
    )
    pa_csv.write_csv(table, tmp_path / "t.csv")
    assert fresh.run("contract", "infer", tmp_path / "t.csv", "-o", tmp_path / "t.yaml").code == 0
    out = tmp_path / "out.csv"
    command = ["tag", tmp_path / "t.csv", "--contract", tmp_path / "t.yaml", "--recipient", "E1", "--purpose", "x"]
    answer = fresh.run(*command, "-o", out, "--no-quality")
    assert answer.code == 0, answer.err
    lines = set((tmp_path / "t.csv").read_text("utf-8").split('"\n"'))
    back = set(out.read_text("utf-8").split('"\n"'))
    assert len(lines - back) <= 2  # the first and the last line end differently
    copy = pa_csv.read_csv(
        out,
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(table.column_names, pa.string())),
    )
    kept = copy.filter(pc.is_in(copy["account"], value_set=table["account"].combine_chunks()))
    assert kept.to_pydict() == table.to_pydict()


def test_the_receipt_is_what_the_interface_says(fresh: World, tmp_path: Path) -> None:
    receipt = fresh.tag("E1", tmp_path / "o.parquet").json()
    expected = {
        *("export_id", "dataset", "recipient", "purpose", "issued_at", "rows_in", "rows_out", "canaries"),
        *("marked_sites", "output", "contract_sha256", "commitment", "previous", "signature"),
    }
    assert expected <= set(receipt)
    assert set(receipt["output"]) == {"path", "sha256", "bytes"}
    assert receipt["output"]["bytes"] == (tmp_path / "o.parquet").stat().st_size


def test_the_same_idempotency_key_returns_the_first_receipt_and_changes_nothing(fresh: World, tmp_path: Path) -> None:
    first = fresh.tag("E1", tmp_path / "o.parquet", "--idempotency-key", "k1")
    before = (tmp_path / "o.parquet").read_bytes()
    again = fresh.tag("E1", tmp_path / "o.parquet", "--idempotency-key", "k1")
    assert (again.code, again.json()) == (0, first.json())
    assert (tmp_path / "o.parquet").read_bytes() == before
    assert len(exports_of(fresh)) == 1


def test_copies_of_a_series_share_marks_and_canaries_and_others_do_not(fresh: World, tmp_path: Path) -> None:
    for name, more in (("a", ["--series"]), ("b", ["--series"]), ("c", [])):
        assert fresh.tag("E1", tmp_path / f"{name}.parquet", *more).code == 0
    a, b, c = (pq.read_table(tmp_path / f"{n}.parquet").sort_by("customer_no") for n in "abc")
    assert a.equals(b)
    assert not a.equals(c)
    series = [export["series_id"] for export in exports_of(fresh)]
    assert series[0] == series[1] != series[2]


def test_a_series_that_an_earlier_version_began_goes_on(fresh: World, tmp_path: Path) -> None:
    """It kept the canaries with the secret."""
    for name in "ab":
        if name == "b":
            (secret,) = (path for path in (fresh.folder / "keys" / "series").iterdir() if "canaries" not in path.name)
            canaries = secret.with_name(f"{secret.stem}-canaries.json")
            both = json.loads(secret.read_bytes()) | {"canaries": json.loads(canaries.read_bytes())}
            secret.write_text(json.dumps(both))
            canaries.unlink()
        assert fresh.tag("E1", tmp_path / f"{name}.parquet", "--series").code == 0
    a, b = (pq.read_table(tmp_path / f"{n}.parquet").sort_by("customer_no") for n in "ab")
    assert a.equals(b)
    assert len({export["series_id"] for export in exports_of(fresh)}) == 1


def test_keys_stay_unique_where_running_numbers_leave_no_gap(fresh: World, tmp_path: Path) -> None:
    """Canaries take the next numbers; by the time of a series' next copy some of them belong to real rows."""
    table = pq.read_table(fresh.table)
    numbered = pa.array([f"C{100_000 + n}" for n in range(table.num_rows)])
    table = table.set_column(0, table.schema.field(0), numbered)
    source, later = tmp_path / "source.parquet", tmp_path / "later.parquet"
    pq.write_table(table, source)
    contract = fresh.contract.read_text("utf-8").replace("value: 0.005", "value: 0.05")  # twenty a copy
    assert "value: 0.05" in contract
    fresh.contract.write_text(contract, "utf-8")
    dense = [f"{name}.parquet" for name in ("a", "b", "c")]
    for name in dense:
        assert fresh.tag(name[0], tmp_path / name, "--series", source=source).code == 0
    made = set(pq.read_table(tmp_path / "a.parquet")[0].to_pylist()) - set(numbered.to_pylist())
    assert made
    more = bank_table.generate(len(made), 8)
    more = more.set_column(0, table.schema.field(0), pa.array(sorted(made))).cast(table.schema)
    pq.write_table(pa.concat_tables([table, more]), later)
    assert fresh.tag("a", tmp_path / "d.parquet", "--series", source=later).code == 0
    for name in (*dense, "d.parquet"):
        copy = pq.read_table(tmp_path / name)
        for column in ("customer_no", "national_id", "phone", "card_no"):
            assert pc.count_distinct(copy[column]).as_py() == copy.num_rows, (name, column)


def test_a_dry_run_says_what_would_change_and_changes_nothing(fresh: World, tmp_path: Path) -> None:
    command = ["tag", fresh.table, "--contract", fresh.contract, "--recipient", "E1", "--purpose", "x", "--dry-run"]
    answer = fresh.run(*command, "--json").json()
    assert answer["cells_changed"]["address"] > 0
    assert answer["cells_changed"]["customer_no"] == 0
    assert answer["canaries"] > 0
    assert set(answer["drift"]) == set(answer["cells_changed"])
    assert exports_of(fresh) == []


@pytest.mark.parametrize("recipient", ["a/b", "a\nb", "", "..", "a b"])
def test_a_recipient_that_breaks_a_path_is_refused(fresh: World, tmp_path: Path, recipient: str) -> None:
    refused(fresh, fresh.tag(recipient, tmp_path / "o.parquet"), "--recipient", code=2)


def test_an_output_that_exists_is_refused_and_kept(fresh: World, tmp_path: Path) -> None:
    (tmp_path / "o.parquet").write_bytes(b"mine")
    refused(fresh, fresh.tag("E1", tmp_path / "o.parquet"), "exists")
    assert (tmp_path / "o.parquet").read_bytes() == b"mine"


def test_several_recipients_need_a_place_each(fresh: World, tmp_path: Path) -> None:
    refused(fresh, fresh.tag("E1", tmp_path / "o.parquet", "--recipient", "E2"), "{recipient}", code=2)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", ["empty"]),
        ("header.csv", b"a,b\n", []),
        ("cut.parquet", b"PAR1 and no more", ["Parquet"]),
        ("table.txt", b"a,b\n1,2\n", ["suffix"]),
        ("nul.csv", b"a,b\n\0\0,1\n", []),
        ("gbk.csv", "姓名,电话\n张三,1\n".encode("gbk"), ["UTF-8"]),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    fresh: World, tmp_path: Path, name: str, content: bytes, words: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    refused(fresh, fresh.tag("E1", tmp_path / "o.parquet", source=tmp_path / name), name, *words)


def test_a_truncated_parquet_file_is_refused(fresh: World, tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(fresh.table.read_bytes()[:-100])
    refused(fresh, fresh.tag("E1", tmp_path / "o.parquet", source=tmp_path / "cut.parquet"), "cut.parquet")


def test_a_wrong_delimiter_is_refused(fresh: World, tmp_path: Path) -> None:
    table = pq.read_table(fresh.table)
    text = pa.table({name: table[name].cast(pa.string()) for name in table.column_names})
    pa_csv.write_csv(text, tmp_path / "t.csv", pa_csv.WriteOptions(delimiter="^"))
    refused(fresh, fresh.tag("E1", tmp_path / "o.csv", source=tmp_path / "t.csv"), "delimiter")


def test_a_missing_column_is_refused(fresh: World, tmp_path: Path) -> None:
    pq.write_table(pq.read_table(fresh.table).drop_columns(["phone"]), tmp_path / "t.parquet")
    refused(fresh, fresh.tag("E1", tmp_path / "o.parquet", source=tmp_path / "t.parquet"), "'phone'", "contract")


def test_a_column_of_another_type_is_refused(fresh: World, tmp_path: Path) -> None:
    table = pq.read_table(fresh.table)
    place = table.schema.get_field_index("balance")
    table = table.set_column(place, "balance", table["balance"].cast(pa.float64()))
    pq.write_table(table, tmp_path / "t.parquet")
    answer = fresh.tag("E1", tmp_path / "o.parquet", source=tmp_path / "t.parquet")
    refused(fresh, answer, "'balance'", "double", "decimal")


def test_another_unit_of_time_is_the_same_type(fresh: World, tmp_path: Path) -> None:
    table = pq.read_table(fresh.table)
    place = table.schema.get_field_index("opened_at")
    source = tmp_path / "micro.parquet"
    micro = pa.timestamp("us", table.schema.field(place).type.tz)
    pq.write_table(table.set_column(place, "opened_at", table["opened_at"].cast(micro)), source)
    answer = fresh.tag("E1", tmp_path / "o.parquet", source=source)
    assert answer.code == 0, answer.err
    assert pq.read_schema(tmp_path / "o.parquet").field("opened_at").type == micro


def test_a_file_without_rows_is_told_before_any_rule_runs(fresh: World, tmp_path: Path) -> None:
    source = tmp_path / "header.csv"
    source.write_text(",".join(pq.read_schema(fresh.table).names) + "\n", "utf-8")
    command = ["tag", source, "--contract", fresh.contract, "--recipient", "E1", "--purpose", "x"]
    refused(fresh, fresh.run(*command, "-o", tmp_path / "o.csv"), "no rows")


def test_rows_that_share_a_key_are_refused(fresh: World, tmp_path: Path) -> None:
    table = pq.read_table(fresh.table)
    pq.write_table(pa.concat_tables([table, table.slice(0, 3)]), tmp_path / "t.parquet")
    refused(fresh, fresh.tag("E1", tmp_path / "o.parquet", source=tmp_path / "t.parquet"), "key")
    assert list(tmp_path.glob(".X-*")) == []


def test_an_unknown_carrier_is_refused_with_its_line(fresh: World, tmp_path: Path) -> None:
    text = fresh.contract.read_text("utf-8").replace("carrier: address_zh", "carrier: address_xx")
    line = next(n for n, one in enumerate(text.splitlines(), 1) if "address_xx" in one)
    fresh.contract.write_text(text, "utf-8")
    answer = fresh.tag("E1", tmp_path / "o.parquet")
    refused(fresh, answer, "carrier")
    assert f":{line}:" in answer.err or f":{line - 1}:" in answer.err


@pytest.mark.parametrize("name", ["index.key", "officer.pub", "issuer.key"])
def test_a_missing_key_is_refused(fresh: World, tmp_path: Path, name: str) -> None:
    body = (fresh.folder / "keys" / name).read_bytes()
    (fresh.folder / "keys" / name).unlink()
    answer = fresh.tag("E1", tmp_path / "o.parquet")
    (fresh.folder / "keys" / name).write_bytes(body)
    (fresh.folder / "keys" / name).chmod(0o600)
    refused(fresh, answer, name)


def test_a_key_that_others_can_read_is_refused(fresh: World, tmp_path: Path) -> None:
    key = fresh.folder / "keys" / "index.key"
    key.chmod(0o644)
    answer = fresh.tag("E1", tmp_path / "o.parquet")
    key.chmod(0o600)
    refused(fresh, answer, "index.key", "chmod 600")


def test_no_registry_is_one_sentence(fresh: World, tmp_path: Path) -> None:
    shutil.move(fresh.folder / "registry", fresh.folder / "elsewhere")
    answer = fresh.tag("E1", tmp_path / "o.parquet")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "leaktrace init" in answer.err


def test_init_leaves_no_keys_where_the_registry_cannot_be_made(fresh: World, tmp_path: Path) -> None:
    answer = fresh.run("--keys", tmp_path / "others", "init")
    assert answer.code == 1
    assert "already holds a registry" in answer.err
    assert not (tmp_path / "others").exists()


def test_init_refuses_to_overwrite(fresh: World) -> None:
    answer = fresh.run("init")
    assert answer.code == 1
    assert "overwritten" in answer.err


def process(world: World, recipient: str, out: Path) -> subprocess.Popen[bytes]:
    """`leaktrace tag` in a process of its own."""
    roots = ["--registry", world.folder / "registry", "--keys", world.folder / "keys"]
    command = ["tag", world.table, "--contract", world.contract, "--recipient", recipient, "--purpose", "x"]
    program = [sys.executable, "-m", "pipeline", *roots, *command, "-o", out, "--no-quality"]
    return subprocess.Popen([str(part) for part in program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def whole(world: World, folder: Path) -> None:
    """Every file has its entry and every entry its file; the registry is in order."""
    assert world.run("registry", "check").code == 0
    entered = {e["recipient"] for e in exports_of(world) if e["state"] == "issued"}
    files = {path.stem for path in folder.glob("*.parquet") if not path.name.startswith(".")}
    assert entered == files
    assert list(folder.glob(".X-*")) == []


def test_a_kill_at_any_moment_leaves_all_or_nothing(fresh: World, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for trial in range(10):
        running = process(fresh, f"E{trial}", folder / f"E{trial}.parquet")
        time.sleep(float(rng.uniform(1.0, 6.0)))
        running.send_signal(signal.SIGKILL)
        running.wait()
    whole(fresh, folder)
    assert fresh.tag("last", folder / "last.parquet").code == 0
    whole(fresh, folder)


@pytest.mark.slow
def test_eight_jobs_at_once_lose_nothing_and_the_chain_stays_one(fresh: World, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    jobs = [process(fresh, f"E{n}", folder / f"E{n}.parquet") for n in range(8)]
    assert [job.wait(timeout=240) for job in jobs] == [0] * 8
    assert len(exports_of(fresh)) == 8
    whole(fresh, folder)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system can only be mounted by root")
def test_a_full_disk_is_one_sentence_and_nothing_is_issued(fresh: World, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", small], check=True)
    try:
        job = process(fresh, "E1", small / "o.parquet")
        said = job.communicate(timeout=240)[1].decode()
        assert job.returncode == 1
        assert said.count("\n") == 1, said  # one sentence, and nothing that Beam logs
        assert "free some space" in said
        assert list(small.iterdir()) == []
        assert exports_of(fresh) == []
    finally:
        subprocess.run(["umount", small], check=True)
    assert fresh.tag("E1", tmp_path / "o.parquet").code == 0


def test_help_shows_an_example_for_every_command() -> None:
    for command in (["tag"], ["trace"], ["register"], ["init"], ["exports"], ["verify"], ["contract", "infer"]):
        program = [sys.executable, "-m", "pipeline", *command, "--help"]
        shown = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert "example:" in shown


def test_the_command_line_is_parsed_without_heavy_imports() -> None:
    code = "import sys, pipeline.cli as c; c.build_parser(); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"import json; {code}"], cwd=ROOT, capture_output=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"pyarrow", "numpy", "duckdb", "apache_beam", "great_expectations"}
