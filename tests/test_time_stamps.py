"""Time stamps by an outside server: entered, checked, believed at a trace, shown offline; and what goes wrong."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import World
from securesystemslib.dsse import Envelope
from time_stamp_server import make_authority, serving

from pipeline import timestamps
from pipeline.bundle import ENVELOPE, write_bundle
from pipeline.keystore import KeyStore
from pipeline.receipts import digest, sign
from pipeline.storage import attach

Write = Callable[[pa.Table, Path], Path]
LENGTH = 4  # of the chain: the pool of coded canaries, and the copies of E1, E2 and E3
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl, which plays the server")


@pytest.fixture
def server(issued: World, tmp_path: Path) -> Iterator[str]:
    """A time-stamp server that the world's keys trust."""
    root = make_authority(tmp_path / "authority")
    trust(issued, root)
    with serving(tmp_path / "authority") as url:
        yield url


def trust(world: World, root: Path) -> None:
    folder = world.folder / "keys" / "timestamps"
    folder.mkdir(exist_ok=True)
    shutil.copy(root, folder / root.name)


def leak(world: World, folder: Path, write: Write) -> Path:
    table = pq.read_table(world.folder / "E2.parquet")
    chosen = np.random.default_rng(1).choice(table.num_rows, 40, replace=False)
    return write(table.take(np.sort(chosen)), folder / "leak.csv")


def predicate(case: Path) -> Any:
    envelope = Envelope.from_dict(json.loads((case / ENVELOPE).read_bytes()))
    return json.loads(envelope.payload)["predicate"]


def named(case: Path, recipient: str) -> Any:
    """The copy that is named; beside it an innocent one may be a lead, once in a hundred traces (DESIGN §5)."""
    verdict = json.loads((case / "verdict.json").read_bytes())
    (found,) = [c for c in verdict["attribution"]["candidates"] if c["strength"] == "conclusive"]
    assert found["recipient"] == recipient
    return found


def proofs(case: Path, recipient: str) -> list[Any]:
    """The paths from the receipt of the copy that is named to a witnessed head."""
    export = named(case, recipient)["export_id"]
    return [proof for proof in predicate(case)["witnessed"] if proof["export_id"] == export]


def test_a_stamped_head_witnesses_the_copy_and_the_case_shows_it_offline(
    issued: World, server: str, tmp_path: Path, write_sample: Write
) -> None:
    said = issued.run("registry", "head", "--timestamp", server, "--json")
    assert said.code == 0, said.err
    assert said.json()["number"] == LENGTH
    assert issued.run("registry", "check").code == 0
    case = tmp_path / "case"
    answer = issued.run("trace", leak(issued, tmp_path, write_sample), "-o", case)
    assert answer.code == 0, answer.err
    assert named(case, "E2")["custody"]["witnessed"] is True
    (proof,) = proofs(case, "E2")
    assert proof["head"].startswith(f"{LENGTH}:")
    assert proof["token"]
    assert f"when a time-stamp server outside signed its entry {LENGTH}" in (case / "report.html").read_text("utf-8")
    drawn = issued.run("report", case, "--lang", "zh", "-o", tmp_path / "zh.html")
    assert drawn.code == 0, drawn.err
    assert f"为登记链第 {LENGTH} 条签名时" in (tmp_path / "zh.html").read_text("utf-8")
    verifier = tmp_path / "verifier"
    verifier.mkdir()
    for name in ("examiner.pub", "issuer.pub"):
        shutil.copy(issued.folder / "keys" / name, verifier)
    shutil.copytree(issued.folder / "keys" / "timestamps", verifier / "timestamps")
    assert issued.run("--keys", verifier, "verify", case).code == 0
    stranger = tmp_path / "stranger"
    shutil.copytree(verifier, stranger)
    shutil.copy(make_authority(tmp_path / "other"), stranger / "timestamps" / "root.pem")
    refused = issued.run("--keys", stranger, "verify", case)
    assert refused.code == 3
    assert "time stamp" in refused.err


@pytest.mark.slow
def test_a_stamp_from_after_the_sample_arrived_witnesses_nothing(
    issued: World, server: str, tmp_path: Path, write_sample: Write
) -> None:
    assert issued.run("registry", "head", "--timestamp", server).code == 0
    sample = leak(issued, tmp_path, write_sample)
    assert issued.run("trace", sample, "-o", tmp_path / "case", "--received", "2026-01-01T00:00:00Z").code == 0
    assert named(tmp_path / "case", "E2")["custody"]["witnessed"] is False
    assert predicate(tmp_path / "case")["witnessed"] == []


def test_a_chain_rewritten_before_a_stamp_is_found(
    issued: World, server: str, tmp_path: Path, write_sample: Write
) -> None:
    assert issued.run("registry", "head", "--timestamp", server).code == 0
    rewrite(issued, 2, purpose="another purpose")
    answer = issued.run("registry", "check")
    assert answer.code == 3
    assert "time stamp" in answer.err
    refused = issued.run("trace", leak(issued, tmp_path, write_sample), "-o", tmp_path / "case")
    assert refused.code == 3
    assert "rewritten" in refused.err


def rewrite(world: World, number: int, **changes: str) -> None:
    """Whoever holds the issuer's key signs one entry otherwise, and all after it again."""
    issuer = KeyStore(world.folder / "keys").issuer()
    con = attach(world.folder / "registry")
    lines = con.execute("SELECT number, receipt FROM lake.receipts ORDER BY number").fetchall()
    previous = ""
    for at, text in lines:
        entry = json.loads(text)
        if at >= number:
            body = {name: value for name, value in entry.items() if name != "signature"}
            body |= changes if at == number else {"previous": previous}
            entry = sign(body, issuer)
            con.execute(
                "UPDATE lake.receipts SET receipt = ? WHERE number = ?",
                [json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False), at],
            )
        previous = digest(entry)
    con.execute("UPDATE lake.head SET digest = ?", [previous])
    con.close()


@pytest.mark.slow
def test_a_path_that_leads_elsewhere_is_named(issued: World, server: str, tmp_path: Path, write_sample: Write) -> None:
    assert issued.run("registry", "head", "--timestamp", server).code == 0
    case = tmp_path / "case"
    assert issued.run("trace", leak(issued, tmp_path, write_sample), "-o", case).code == 0
    said, keys = predicate(case), KeyStore(issued.folder / "keys")
    (case / ENVELOPE).unlink()
    forged = [{**said["witnessed"][0], "path": ["ab" * 32] * len(said["witnessed"][0]["path"])}]
    write_bundle(case, keys.examiner(), said["chain_head"], said["inclusion"], said["sample_received_at"], forged)
    answer = issued.run("verify", case)
    assert answer.code == 3
    assert "does not lead to the head" in answer.err


def test_a_witness_outside_has_noted_the_head_that_a_case_rests_on(
    issued: World, tmp_path: Path, write_sample: Write
) -> None:
    (tmp_path / "witness.txt").write_text(issued.run("registry", "head").out)
    case = tmp_path / "case"
    trace = ("trace", leak(issued, tmp_path, write_sample), "-o", case, "--heads", tmp_path / "witness.txt")
    assert issued.run(*trace).code == 0
    assert len(proofs(case, "E2")) == 1
    page = (case / "report.html").read_text("utf-8")
    assert f"when a witness outside noted its entry {LENGTH}" in page
    assert "signed log of traces" in page
    assert issued.run("verify", case, "--head", tmp_path / "witness.txt").code == 0
    (tmp_path / "other.txt").write_text(f"2026-11-01T00:00:00Z {LENGTH}:{'ab' * 32}\n")
    refused = issued.run("verify", case, "--head", tmp_path / "other.txt")
    assert refused.code == 3
    assert "none of those that were noted" in refused.err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["down", "nonsense", "stranger", "untrusted", "address"])
def test_a_server_that_cannot_be_used_is_one_sentence_and_enters_nothing(
    issued: World, tmp_path: Path, kind: str
) -> None:
    root = make_authority(tmp_path / "authority")
    if kind != "untrusted":
        trust(issued, make_authority(tmp_path / "other") if kind == "stranger" else root)
    with serving(tmp_path / "authority", b"no stamp" if kind == "nonsense" else None) as url:
        given = {"down": "http://127.0.0.1:9/tsr", "address": "file:///etc/hostname"}.get(kind, url)
        answer = issued.run("registry", "head", "--timestamp", given)
    words = {"down": "does not answer", "nonsense": "does not hold", "stranger": "does not hold"}
    words |= {"untrusted": "trusts no time-stamp server", "address": "no http or https address"}
    assert (answer.code, len(answer.err.strip().splitlines())) == (1, 1)
    assert words[kind] in answer.err
    assert issued.run("registry", "head", "--json").json()["number"] == LENGTH


@pytest.mark.slow
def test_a_clock_far_off_is_said_and_nothing_entered(
    issued: World, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timestamps, "CLOCK", timedelta(seconds=-1))
    answer = issued.run("registry", "head", "--timestamp", server)
    assert answer.code == 1
    assert "clock" in answer.err
    assert issued.run("registry", "head", "--json").json()["number"] == LENGTH


def test_run_gives_each_days_head_to_the_witnesses_once(issued: World, server: str) -> None:
    jobs = issued.folder / "jobs.yaml"
    jobs.write_text(f"""
witness:
  file: witness/heads.txt
  timestamp: {server}
jobs:
  - name: once
    source: bank.parquet
    contract: bank.yaml
    recipients: [E8]
    purpose: spring
    output: out/{{recipient}}.parquet
    quality: false
""")
    first, second = issued.run("run", jobs), issued.run("run", jobs)
    assert (first.code, second.code) == (0, 0), first.err
    assert len((issued.folder / "witness" / "heads.txt").read_text().splitlines()) == 1
    assert issued.run("registry", "head", "--json").json()["number"] == LENGTH + 2  # E8's copy, and the stamp
    assert issued.run("registry", "check", "--head", issued.folder / "witness" / "heads.txt").code == 0


@pytest.mark.slow
def test_a_server_that_is_down_does_not_stop_the_jobs(issued: World, server: str) -> None:
    jobs = issued.folder / "jobs.yaml"
    jobs.write_text("""
witness: {timestamp: "http://127.0.0.1:9/tsr"}
jobs:
  - name: once
    source: bank.parquet
    contract: bank.yaml
    recipients: [E8]
    purpose: spring
    output: out/{recipient}.parquet
    quality: false
""")
    answer = issued.run("run", jobs)
    assert answer.code == 1
    assert "time-stamp server does not answer" in answer.out + answer.err
    assert (issued.folder / "out" / "E8.parquet").exists()


@pytest.mark.slow
def test_a_receipt_that_only_a_noted_head_covers_has_a_path_to_that_one(
    issued: World, server: str, tmp_path: Path, write_sample: Write
) -> None:
    """E7's copy came after the stamp; the head that a witness noted later shows it."""
    assert issued.run("registry", "head", "--timestamp", server).code == 0
    assert issued.tag("E7", issued.folder / "E7.parquet").code == 0
    (tmp_path / "witness.txt").write_text(issued.run("registry", "head").out)
    rows = pq.read_table(issued.folder / "E7.parquet").slice(100, 40)
    case = tmp_path / "case"
    sample = write_sample(rows, tmp_path / "leak.csv")
    assert issued.run("trace", sample, "-o", case, "--heads", tmp_path / "witness.txt").code == 0
    (proof,) = proofs(case, "E7")
    assert proof["head"].startswith(f"{LENGTH + 2}:")
    assert "token" not in proof
    assert issued.run("verify", case).code == 0
