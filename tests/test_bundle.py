"""The signed evidence of a case: whatever is changed in it is found, and named by its file."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import receipts
from pipeline.bundle import ENVELOPE, Known, countersign, verify_bundle, write_bundle
from schemas.errors import InputError, IntegrityError

EXAMINER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ISSUER = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
HEAD = {"number": 3, "digest": "ab" * 32}
RECEIPT = receipts.sign(
    {"export_id": "X-1", "number": 2, "issued_at": "2026-11-20T10:00:00.000Z", "recipient": "E1"}, ISSUER
)
VERDICT = {
    "schema": "leaktrace.verdict/1",
    "case_id": "C-1",
    "created_at": "2026-11-23T10:00:00+00:00",
    "version": "0.1.0",
    "attempt": 1,
    "authenticity": {"verdict": "ours"},
    "attribution": {
        "verdict": "identified",
        "candidates": [{"export_id": "X-1", "recipient": "E1"}, {"export_id": "X-2", "recipient": None}],
    },
}


@pytest.fixture
def case(tmp_path: Path) -> Path:
    folder = tmp_path / "case"
    (folder / "sample").mkdir(parents=True)
    (folder / "verdict.json").write_text(json.dumps(VERDICT), "utf-8")
    (folder / "report.html").write_text("<!doctype html>", "utf-8")
    (folder / "rows.parquet").write_bytes(b"PAR1 rows PAR1")
    (folder / "sample" / "帖子 1.txt").write_text("a row\n", "utf-8")
    write_bundle(folder, EXAMINER, HEAD, [RECEIPT], "2026-11-23T09:59:00+00:00")
    return folder


def statement(case: Path) -> Any:
    return json.loads(base64.b64decode(json.loads((case / ENVELOPE).read_text("utf-8"))["payload"]))


def test_a_case_as_it_was_signed_holds(case: Path) -> None:
    assert verify_bundle(case, EXAMINER.public_key()) == []


def test_a_case_that_was_moved_still_holds(case: Path, tmp_path: Path) -> None:
    shutil.copytree(case, tmp_path / "elsewhere")
    assert verify_bundle(tmp_path / "elsewhere", EXAMINER.public_key()) == []


def test_the_statement_names_every_file_and_the_head_of_the_chain(case: Path) -> None:
    said = statement(case)
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert {s["name"] for s in said["subject"]} == {"verdict.json", "report.html", "rows.parquet", "sample/帖子 1.txt"}
    assert said["predicate"]["chain_head"] == HEAD
    assert said["predicate"]["named"] == ["X-1"]


def envelope_with(case: Path, change: Callable[[dict[str, Any]], None]) -> None:
    body = json.loads((case / ENVELOPE).read_text("utf-8"))
    change(body)
    (case / ENVELOPE).write_text(json.dumps(body, indent=1) + "\n", "utf-8")


def payload_with(case: Path, old: bytes, new: bytes) -> None:
    def change(body: dict[str, Any]) -> None:
        payload = base64.b64decode(body["payload"])
        assert old in payload
        body["payload"] = base64.b64encode(payload.replace(old, new)).decode()

    envelope_with(case, change)


def flipped(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(bytes(body))


def add_signature(case: Path) -> None:
    envelope_with(case, lambda body: body["signatures"].append({"keyid": "00", "sig": "AAAA"}))


def resigned_by_a_stranger(case: Path) -> None:
    (case / "verdict.json").write_text(json.dumps({**VERDICT, "case_id": "C-2"}), "utf-8")
    write_bundle(case, STRANGER, HEAD)


def resigned_under_the_examiners_id(case: Path) -> None:
    keyid = json.loads((case / ENVELOPE).read_text("utf-8"))["signatures"][0]["keyid"]
    resigned_by_a_stranger(case)
    envelope_with(case, lambda body: body["signatures"][0].update(keyid=keyid))


def file_for_link(case: Path) -> None:
    (case / "report.html").rename(case.parent / "report.html")
    (case / "report.html").symlink_to(case.parent / "report.html")


TAMPERINGS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a byte of the verdict": (lambda c: flipped(c / "verdict.json"), "verdict.json was altered"),
    "a byte of the report": (lambda c: flipped(c / "report.html"), "report.html was altered"),
    "a byte of the rows": (lambda c: flipped(c / "rows.parquet"), "rows.parquet was altered"),
    "a byte of the sample": (lambda c: flipped(c / "sample" / "帖子 1.txt"), "sample/帖子 1.txt was altered"),
    "the report gone": (lambda c: (c / "report.html").unlink(), "report.html is missing"),
    "the sample gone": (lambda c: (c / "sample" / "帖子 1.txt").unlink(), "sample/帖子 1.txt is missing"),
    "a file added": (lambda c: (c / "sample" / "b.txt").write_text("x"), "sample/b.txt was added"),
    "a hidden file added": (lambda c: (c / ".b").write_text("x"), ".b was added"),
    "a work file added": (
        lambda c: ((c / "work").mkdir(), (c / "work" / "b").write_text("x")),
        "work/b was added",
    ),
    "a file renamed": (
        lambda c: (c / "sample" / "帖子 1.txt").rename(c / "sample" / "b.txt"),
        "sample/帖子 1.txt is missing",
    ),
    "a link for a file": (file_for_link, "report.html is a link"),
    "the envelope gone": (lambda c: (c / ENVELOPE).unlink(), f"{ENVELOPE} cannot be read"),
    "the envelope empty": (lambda c: (c / ENVELOPE).write_bytes(b""), "is no signed envelope"),
    "the envelope no mapping": (lambda c: (c / ENVELOPE).write_bytes(b"[1]"), "is no signed envelope"),
    "the envelope nested": (lambda c: (c / ENVELOPE).write_bytes(b"[" * 100_000), "is no signed envelope"),
    "the envelope no UTF-8": (lambda c: (c / ENVELOPE).write_bytes(b"\xff\xfe{}"), "is no signed envelope"),
    "the envelope cut": (
        lambda c: (c / ENVELOPE).write_bytes((c / ENVELOPE).read_bytes()[:-40]),
        "is no signed envelope",
    ),
    "a space in the envelope": (
        lambda c: (c / ENVELOPE).write_bytes((c / ENVELOPE).read_bytes() + b" "),
        f"{ENVELOPE} was altered",
    ),
    "a field in the envelope": (lambda c: envelope_with(c, lambda b: b.update(key="mine")), f"{ENVELOPE} was altered"),
    "a second signature": (add_signature, "a signature by an unknown key"),
    "no signature": (lambda c: envelope_with(c, lambda b: b["signatures"].clear()), "is not signed by this examiner"),
    "another type": (
        lambda c: envelope_with(c, lambda b: b.update(payloadType="text/plain")),
        "is not signed by this examiner",
    ),
    "another name in the statement": (lambda c: payload_with(c, b"X-1", b"X-2"), "is not signed by this examiner"),
    "another head in the statement": (
        lambda c: payload_with(c, b"ab" * 32, b"cd" * 32),
        "is not signed by this examiner",
    ),
    "signed by a stranger": (resigned_by_a_stranger, "is not signed by this examiner"),
    "signed by a stranger in our name": (resigned_under_the_examiners_id, "is not signed by this examiner"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found_and_named(case: Path, name: str) -> None:
    tamper, said = TAMPERINGS[name]
    tamper(case)
    problems = verify_bundle(case, EXAMINER.public_key())
    assert any(said in problem for problem in problems), problems


def test_every_byte_of_the_envelope_matters(case: Path) -> None:
    body = (case / ENVELOPE).read_bytes()
    for place in range(0, len(body), 7):
        changed = bytearray(body)
        changed[place] ^= 0x20  # letters change case, digits and signs become others
        (case / ENVELOPE).write_bytes(bytes(changed))
        assert verify_bundle(case, EXAMINER.public_key()), f"byte {place}"


def test_a_statement_about_less_than_a_case_is_refused(case: Path) -> None:
    (case / "rows.parquet").unlink()
    write_bundle(case, EXAMINER, HEAD)
    assert "states something else" in verify_bundle(case, EXAMINER.public_key())[0]


def test_a_folder_that_is_no_case_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no case"):
        verify_bundle(tmp_path, EXAMINER.public_key())


def test_a_second_person_signs_what_holds_and_is_known_by_their_key(case: Path) -> None:
    person = STRANGER.public_key()
    countersign(case, STRANGER, EXAMINER.public_key(), Known())
    assert verify_bundle(case, EXAMINER.public_key(), Known(persons=(person,))) == []
    assert "unknown key" in verify_bundle(case, EXAMINER.public_key())[0]


def test_nobody_countersigns_an_altered_case_or_their_own(case: Path) -> None:
    with pytest.raises(InputError, match="second person"):
        countersign(case, EXAMINER, EXAMINER.public_key(), Known())
    flipped(case / "report.html")
    before = (case / ENVELOPE).read_bytes()
    with pytest.raises(IntegrityError, match=r"report\.html was altered"):
        countersign(case, STRANGER, EXAMINER.public_key(), Known())
    assert (case / ENVELOPE).read_bytes() == before


def resigned(receipt: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return receipts.sign({**{k: v for k, v in receipt.items() if k != "signature"}, **changed}, ISSUER)


@pytest.mark.parametrize(
    ("receipt", "said"),
    [
        ([RECEIPT], ""),
        ([], "holds no receipt of X-1"),
        ([{**RECEIPT, "recipient": "E9"}], "is not signed by a known issuer"),
        ([resigned(RECEIPT, issued_at="2026-11-23T09:59:30.000Z")], "from after the sample arrived"),
        ([resigned(RECEIPT, number=4)], "beyond the head"),
    ],
)
def test_each_named_export_has_its_receipt_from_before_the_sample(case: Path, receipt: list[Any], said: str) -> None:
    write_bundle(case, EXAMINER, HEAD, receipt, "2026-11-23T09:59:00+00:00")
    problems = verify_bundle(case, EXAMINER.public_key(), Known(issuers=(ISSUER.public_key(),)))
    assert said in "".join(problems)
    assert bool(problems) == bool(said)
