"""From the copy to the person: acknowledged, witnessed, before the sample; each true only when it holds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import World
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pipeline.keystore import KeyStore
from pipeline.sealing import commitment, seal_secret
from pipeline.storage import attach

Write = Callable[[pa.Table, Path], Path]


@pytest.fixture
def leak(issued: World, tmp_path: Path, write_sample: Write) -> Path:
    table = pq.read_table(issued.folder / "E2.parquet")
    rows = np.random.default_rng(1).choice(table.num_rows, 40, replace=False)
    return write_sample(table.take(np.sort(rows)), tmp_path / "leak.csv")


def new_pair(folder: Path, public: Path) -> Path:
    """An Ed25519 pair: the private half in `folder`, the public one where the tracer keeps it."""
    private = Ed25519PrivateKey.generate()
    folder.mkdir(exist_ok=True)
    path = folder / "own.key"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    public.parent.mkdir(exist_ok=True)
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def receipt_of(world: World, recipient: str) -> dict[str, Any]:
    con = attach(world.folder / "registry")
    try:
        texts = con.execute("SELECT receipt FROM lake.receipts WHERE kind = 'export' ORDER BY number").fetchall()
    finally:
        con.close()
    return next(r for r in map(json.loads, (text for (text,) in texts)) if r["recipient"] == recipient)


def acknowledged(world: World, folder: Path, by: str = "recipient", name: str = "E2") -> Any:
    """E2's copy is signed for by somebody, and that is entered."""
    group = {"recipient": "recipients", "log": "logs", "person": "persons"}[by]
    key = new_pair(folder / "own", world.folder / "keys" / group / f"{name}.pub")
    (folder / "receipt.json").write_text(json.dumps(receipt_of(world, "E2")))
    said = folder / "said.jsonl"
    sign = (
        "exports",
        "acknowledge",
        folder / "receipt.json",
        "--sign-with",
        key,
        "--by",
        by,
        "--name",
        name,
        "-o",
        said,
    )
    assert world.run(*sign).code == 0
    return world.run("exports", "acknowledge", said)


def custody(world: World, leak: Path, case: Path, *more: object) -> dict[str, bool]:
    answer = world.run("trace", leak, "-o", case, "--json", *more)
    assert answer.code == 0, answer.err
    (found,) = [c for c in answer.json()["attribution"]["candidates"] if c["strength"] == "conclusive"]
    assert found["recipient"] == "E2"
    return dict(found["custody"])


def altered(world: World, *statements: tuple[str, list[object]]) -> None:
    con = attach(world.folder / "registry")
    for statement, values in statements:
        con.execute(statement, values)
    con.close()


@pytest.mark.parametrize(("by", "name"), [("recipient", "E2"), ("log", "mail-gateway"), ("person", "Li")])
def test_a_copy_that_was_signed_for_and_witnessed_is_tied_to_its_recipient(
    issued: World, leak: Path, tmp_path: Path, by: str, name: str
) -> None:
    assert acknowledged(issued, tmp_path, by, name).code == 0
    (tmp_path / "heads.txt").write_text(issued.run("registry", "head").out)
    found = custody(issued, leak, tmp_path / "case", "--heads", tmp_path / "heads.txt")
    assert found == {"acknowledged": True, "witnessed": True, "before_sample": True}
    assert issued.run("registry", "check", "--head", tmp_path / "heads.txt").code == 0


def test_nothing_is_assumed(issued: World, leak: Path, tmp_path: Path) -> None:
    found = custody(issued, leak, tmp_path / "case")
    assert found == {"acknowledged": False, "witnessed": False, "before_sample": True}


def test_what_came_after_the_sample_does_not_count(issued: World, leak: Path, tmp_path: Path) -> None:
    assert acknowledged(issued, tmp_path).code == 0
    (tmp_path / "heads.txt").write_text(issued.run("registry", "head").out)
    late = ("--heads", tmp_path / "heads.txt", "--received", "2026-01-01T00:00:00Z")
    assert not any(custody(issued, leak, tmp_path / "case", *late).values())


def test_a_head_without_a_time_witnesses_nothing(issued: World, leak: Path, tmp_path: Path) -> None:
    (tmp_path / "heads.txt").write_text(issued.run("registry", "head").out.split()[1])
    assert not custody(issued, leak, tmp_path / "case", "--heads", tmp_path / "heads.txt")["witnessed"]


def test_an_acknowledgement_whose_key_the_tracer_does_not_keep_does_not_count(
    issued: World, leak: Path, tmp_path: Path
) -> None:
    assert acknowledged(issued, tmp_path).code == 0
    (issued.folder / "keys" / "recipients" / "E2.pub").unlink()
    assert not custody(issued, leak, tmp_path / "case")["acknowledged"]


def test_the_issuer_cannot_confirm_its_own_delivery(issued: World, tmp_path: Path) -> None:
    keys = issued.folder / "keys"
    (keys / "persons").mkdir()
    (keys / "persons" / "Li.pub").write_bytes((keys / "issuer.pub").read_bytes())
    (tmp_path / "receipt.json").write_text(json.dumps(receipt_of(issued, "E2")))
    sign = ["--sign-with", keys / "issuer.key", "--by", "person", "--name", "Li", "-o", tmp_path / "said"]
    assert issued.run("exports", "acknowledge", tmp_path / "receipt.json", *sign).code == 0
    answer = issued.run("exports", "acknowledge", tmp_path / "said")
    assert answer.code == 1
    assert "an issuer's does not count" in answer.err


def test_nobody_signs_for_anothers_copy_and_an_altered_signature_is_refused(issued: World, tmp_path: Path) -> None:
    key = new_pair(tmp_path / "own", issued.folder / "keys" / "recipients" / "E1.pub")
    (tmp_path / "receipt.json").write_text(json.dumps(receipt_of(issued, "E2")))
    sign = ["--sign-with", key, "--name", "E1", "-o", tmp_path / "other"]
    answer = issued.run("exports", "acknowledge", tmp_path / "receipt.json", *sign)
    assert (answer.code, "nobody else can sign" in answer.err) == (1, True)
    assert acknowledged(issued, tmp_path).code == 0
    said = json.loads((tmp_path / "said.jsonl").read_text())
    (tmp_path / "said.jsonl").write_text(json.dumps({**said, "acknowledged_at": "2020-01-01T00:00:00Z"}))
    answer = issued.run("exports", "acknowledge", tmp_path / "said.jsonl")
    assert (answer.code, "not signed with their key" in answer.err) == (1, True)


def test_an_acknowledgement_is_entered_once(issued: World, tmp_path: Path) -> None:
    assert acknowledged(issued, tmp_path).code == 0
    answer = issued.run("exports", "acknowledge", tmp_path / "said.jsonl")
    assert answer.code == 0
    assert "Nothing new" in answer.out
    assert issued.run("registry", "check").code == 0


def test_a_chain_whose_end_was_cut_off_is_found_with_a_witnessed_head(
    issued: World, leak: Path, tmp_path: Path
) -> None:
    before = issued.run("registry", "head").out.split()[1]
    assert acknowledged(issued, tmp_path).code == 0
    (tmp_path / "heads.txt").write_text(issued.run("registry", "head").out)
    number, digest = before.split(":")
    altered(
        issued,
        ("DELETE FROM lake.receipts WHERE number > ?", [int(number)]),
        ("UPDATE lake.head SET number = ?, digest = ?", [int(number), digest]),
    )
    assert issued.run("registry", "check").code == 0
    answer = issued.run("registry", "check", "--head", tmp_path / "heads.txt")
    assert (answer.code, "were cut off" in answer.err) == (3, True)
    answer = issued.run("trace", leak, "-o", tmp_path / "case", "--heads", tmp_path / "heads.txt")
    assert (answer.code, (tmp_path / "case").exists()) == (3, False)


def test_a_head_of_another_chain_is_found(issued: World) -> None:
    answer = issued.run("registry", "check", "--head", f"2:{'ab' * 32}")
    assert (answer.code, "chain entry 2: it is not the one witnessed" in answer.err) == (3, True)


@pytest.mark.parametrize("given", ["nothing", "3", "soon 3:" + "a" * 64])
def test_what_is_no_head_is_told(issued: World, tmp_path: Path, given: str) -> None:
    (tmp_path / "heads.txt").write_text(given)
    answer = issued.run("registry", "check", "--head", tmp_path / "heads.txt")
    assert (answer.code, "is no head" in answer.err) == (1, True)


def test_a_relabelled_recipient_is_never_named(issued: World, leak: Path, tmp_path: Path) -> None:
    altered(issued, ("UPDATE lake.exports SET recipient = 'E9' WHERE recipient = 'E2'", []))
    answer = issued.run("trace", leak, "-o", tmp_path / "case")
    assert (answer.code, (tmp_path / "case").exists()) == (1, False)
    assert "registry check" in answer.err


def test_a_secret_that_a_thief_sealed_to_an_innocents_export_is_never_believed(
    issued: World, tmp_path: Path, write_sample: Write
) -> None:
    """The thief knows a secret (of a copy of their own) and has every key but the officer's private one."""
    mine, innocent = receipt_of(issued, "E2"), receipt_of(issued, "E1")
    keys = KeyStore(issued.folder / "keys")
    officer = keys.officer_private()
    assert officer is not None
    from pipeline.registry import Registry
    from pipeline.sealing import open_secret

    with Registry.open(str(issued.folder / "registry")) as registry:
        (row,) = registry.sealed([mine["export_id"]]).to_pylist()
    known = open_secret(officer, row)
    name, nonce = innocent["export_id"], bytes(32)
    forged = seal_secret(
        keys.officer_public(), export_id=name, dataset=innocent["dataset"], recipient="E1", nonce=nonce,
        secret=known.secret, canaries=known.canaries,
    )  # fmt: skip
    altered(
        issued,
        (
            "UPDATE lake.sealed SET sealed = ?, commitment = ? WHERE export_id = ?",
            [forged, commitment(name, nonce, known.secret, known.canaries), name],
        ),
        ("UPDATE lake.sealed SET sealed = NULL WHERE export_id = ?", [mine["export_id"]]),
    )
    table = pq.read_table(issued.folder / "E2.parquet")
    leak = write_sample(table.slice(0, 60), tmp_path / "framing.csv")
    answer = issued.run("trace", leak, "-o", tmp_path / "case")
    assert (answer.code, (tmp_path / "case").exists()) == (3, False)
    assert f"secret of {name} is not what its receipt says" in answer.err


def test_a_case_traced_again_from_its_sample_gives_the_same_verdict(issued: World, leak: Path, tmp_path: Path) -> None:
    case = tmp_path / "case"
    custody(issued, leak, case)
    answer = issued.run("verify", case, "--reproduce")
    assert (answer.code, "same verdict" in answer.out) == (0, True), answer.err
    assert json.loads((case / "verdict.json").read_text())["attempt"] == 1
    answer = issued.run("trace", leak, "-o", tmp_path / "second", "--json")
    assert answer.json()["attempt"] == 2


def test_a_second_person_reviews_a_case(issued: World, leak: Path, tmp_path: Path) -> None:
    custody(issued, leak, tmp_path / "case")
    key = new_pair(tmp_path / "own", issued.folder / "keys" / "persons" / "Li.pub")
    assert issued.run("verify", tmp_path / "case", "--countersign", key).code == 0
    assert issued.run("verify", tmp_path / "case").code == 0
    (issued.folder / "keys" / "persons" / "Li.pub").unlink()
    answer = issued.run("verify", tmp_path / "case")
    assert (answer.code, "unknown key" in answer.err) == (3, True)
