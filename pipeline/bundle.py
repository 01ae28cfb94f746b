"""The signed evidence of a case: an in-toto Statement in a DSSE envelope, checked offline with public keys only.

Subjects are the digests of every file of the case; the predicate repeats the verdict's outcome, the program's
version, the id of the signing key and the head of the registry's chain. A key inside the bundle is never trusted.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error as SecureSystemsError
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from schemas.errors import InputError

ENVELOPE = "evidence.dsse.json"
REQUIRED = ("verdict.json", "report.html", "rows.parquet")
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://leaktrace.example/verdict/v1"  # a name, of a reserved domain; nothing is fetched from it
# Whatever a reader of JSON, base64 or an envelope raises on bytes that are none.
_UNREADABLE = (SecureSystemsError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def write_bundle(case: Path, examiner: Ed25519PrivateKey, head: Mapping[str, Any]) -> None:
    """Sign every file of a case; `head` is the end of the registry's chain when it was traced.

    Raises OSError when the envelope cannot be written.
    """
    key = SSlibKey.from_crypto(examiner.public_key())
    verdict = json.loads((case / "verdict.json").read_bytes())
    statement = {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": value}} for name, value in _digests(case).items()],
        "predicateType": _PREDICATE,
        "predicate": {
            "schema": verdict["schema"],
            "case_id": verdict["case_id"],
            "created_at": verdict["created_at"],
            "version": verdict["version"],
            "attempt": verdict["attempt"],
            "authenticity": verdict["authenticity"]["verdict"],
            "attribution": verdict["attribution"]["verdict"],
            "named": [c["export_id"] for c in verdict["attribution"]["candidates"] if c["recipient"] is not None],
            "keys": {"examiner": key.keyid},
            "chain_head": dict(head),
        },
    }
    payload = json.dumps(statement, sort_keys=True, ensure_ascii=False).encode()
    envelope = Envelope(payload, _PAYLOAD, {})
    envelope.sign(CryptoSigner(examiner, key))
    (case / ENVELOPE).write_text(_spelled(envelope), "utf-8")


def verify_bundle(case: Path, examiner: Ed25519PublicKey) -> list[str]:
    """Every way in which a case is not what was signed, each naming the file; empty when it is.

    1. The envelope is written as we write it and signed by this examiner.
    2. It states a verdict of ours about the files that every case has.
    3. Each file it names is there with its digest.
    4. Nothing was added, and nothing is a link.
    Raises InputError when the folder is no case.
    """
    if not any((case / name).exists() for name in (ENVELOPE, *REQUIRED)):
        raise InputError(f"{case} is no case; give the folder that leaktrace trace wrote")
    # 1.
    envelope = _opened(case / ENVELOPE, SSlibKey.from_crypto(examiner))
    if isinstance(envelope, str):
        return [f"{ENVELOPE} {envelope}"]
    # 2.
    signed = _subjects(envelope)
    if signed is None:
        return [f"{ENVELOPE} states something else than a verdict of this program; verify it with the one that made it"]
    # 3. and 4.
    there = _digests(case)
    problems = [f"{name} is missing" for name in signed if name not in there]
    problems += [f"{name} was altered" for name, value in signed.items() if name in there and there[name] != value]
    problems += [f"{name} was added" for name in there if name not in signed]
    return problems + [f"{name} is a link, not the file itself" for name in _links(case)]


def _opened(path: Path, examiner: Any) -> Envelope | str:
    """The envelope when this examiner signed it, else what is wrong with it."""
    try:
        text = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror}); restore it, or trace the sample again"
    try:
        envelope = Envelope.from_dict(json.loads(text))
        # An envelope may be spelled in many ways; only ours is taken, so that no byte of it can change unseen.
        ours = _spelled(envelope).encode() == text and set(envelope.signatures) <= {examiner.keyid}
    except _UNREADABLE:
        return "is no signed envelope; it was altered"
    try:
        envelope.verify([examiner], 1)
    except _UNREADABLE:
        return "is not signed by this examiner, or was altered"
    return envelope if ours else "was altered"


def _subjects(envelope: Envelope) -> dict[str, str] | None:
    """Digest by file of a signed statement; None when it is not one of ours about a whole case."""
    try:
        statement = json.loads(envelope.payload)
        signed = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    except _UNREADABLE:
        return None
    kinds = (envelope.payload_type, statement.get("_type"), statement.get("predicateType"))
    known = kinds == (_PAYLOAD, _STATEMENT, _PREDICATE)
    return signed if known and all(name in signed for name in REQUIRED) else None


def _spelled(envelope: Envelope) -> str:
    return json.dumps(envelope.to_dict(), indent=1) + "\n"


def _digests(case: Path) -> dict[str, str]:
    """SHA-256 of every file of a case but the envelope, by its path in the case; '' where it cannot be read."""
    out = {}
    for path in sorted(path for path in case.rglob("*") if path.is_file()):
        name = path.relative_to(case).as_posix()
        if name == ENVELOPE:
            continue
        try:
            with path.open("rb") as file:
                out[name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            out[name] = ""
    return out


def _links(case: Path) -> list[str]:
    return [path.relative_to(case).as_posix() for path in sorted(case.rglob("*")) if path.is_symlink()]
