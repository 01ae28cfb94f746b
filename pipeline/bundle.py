"""The signed evidence of a case: an in-toto Statement in a DSSE envelope, checked offline with public keys only.

Subjects are the digests of every file of the case; the predicate repeats the verdict's outcome, the program's
version and the head of the registry's chain. A key inside the bundle is never trusted.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from schemas.errors import InputError

ENVELOPE = "evidence.dsse.json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://leaktrace.example/verdict/v1"


def write_bundle(case: Path, examiner: Ed25519PrivateKey, head: dict[str, Any]) -> None:
    """Sign every file of a case; `head` is the end of the registry's chain when it was traced."""
    verdict = json.loads((case / "verdict.json").read_bytes())
    statement = {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": value}} for name, value in _digests(case).items()],
        "predicateType": _PREDICATE,
        "predicate": {
            "case_id": verdict["case_id"],
            "created_at": verdict["created_at"],
            "version": verdict["version"],
            "authenticity": verdict["authenticity"]["verdict"],
            "attribution": verdict["attribution"]["verdict"],
            "named": [c["export_id"] for c in verdict["attribution"]["candidates"] if c["recipient"] is not None],
            "chain_head": head,
        },
    }
    envelope = Envelope(json.dumps(statement, sort_keys=True).encode(), _PAYLOAD, {})
    envelope.sign(CryptoSigner(examiner, SSlibKey.from_crypto(examiner.public_key())))
    (case / ENVELOPE).write_text(json.dumps(envelope.to_dict(), indent=1) + "\n", "utf-8")


def verify_bundle(case: Path, examiner: Ed25519PublicKey) -> list[str]:
    """Every way in which a case is not what was signed, each naming the file; empty when it is.

    1. The envelope is signed by this examiner. 2. Each subject is there with its digest. 3. Nothing was added.
    Raises InputError when the folder is no case.
    """
    try:
        envelope = Envelope.from_dict(json.loads((case / ENVELOPE).read_bytes()))
    except FileNotFoundError as error:
        raise InputError(f"{case} holds no {ENVELOPE}; give the folder that leaktrace trace wrote") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        return [f"{ENVELOPE} is no signed envelope; it was altered"]
    # 1.
    try:
        envelope.verify([SSlibKey.from_crypto(examiner)], 1)
        statement = json.loads(envelope.payload)
        signed = {s["name"]: s["digest"]["sha256"] for s in statement["subject"]}
    except (VerificationError, ValueError, KeyError, TypeError):
        return [f"{ENVELOPE} is not signed by this examiner, or was altered"]
    if envelope.payload_type != _PAYLOAD or statement.get("predicateType") != _PREDICATE:
        return [f"{ENVELOPE} holds another kind of statement, or one of another version"]
    # 2. and 3.
    there = _digests(case)
    problems = [f"{name} is missing" for name in signed if name not in there]
    problems += [f"{name} was altered" for name, value in signed.items() if name in there and there[name] != value]
    return problems + [f"{name} was added" for name in there if name not in signed]


def _digests(case: Path) -> dict[str, str]:
    """SHA-256 of every file of a case but the envelope, by its path in the case."""
    files = sorted(path for path in case.rglob("*") if path.is_file())
    out = {}
    for path in files:
        name = path.relative_to(case).as_posix()
        if name == ENVELOPE or name.startswith("work/"):
            continue
        with path.open("rb") as file:
            out[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return out
