"""The signed evidence of a case: an in-toto Statement in a DSSE envelope, checked offline with public keys only.

Subjects are the digests of every file of the case; the predicate repeats the verdict's outcome, the program's
version, the ids of the keys, the head of the registry's chain and the receipt of each named export, signed by its
issuer before the sample arrived. A key inside the bundle is never trusted. A second person who has reviewed the case
adds a signature of their own to the same envelope.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509 import Certificate
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error as SecureSystemsError
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from pipeline import merkle, receipts, timestamps
from pipeline.hashing import digest_of
from pipeline.keystore import KeyStore
from pipeline.witness import Head, parse_time
from schemas.errors import InputError, IntegrityError, OutputError

ENVELOPE = "evidence.dsse.json"
REQUIRED = ("verdict.json", "report.html", "rows.parquet")
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://leaktrace.example/verdict/v1"  # a name, of a reserved domain; nothing is fetched from it


@dataclass(frozen=True)
class Known:
    """Public keys that whoever verifies trusts besides the examiner's.

    Of reviewers, of issuers of receipts, and of the examiner before a rotation; roots of time-stamp servers, and
    heads of the chain as whoever verifies had them noted.
    """

    persons: tuple[Ed25519PublicKey, ...] = ()
    issuers: tuple[Ed25519PublicKey, ...] = ()
    old_examiners: tuple[Ed25519PublicKey, ...] = ()
    stamp_roots: tuple[Certificate, ...] = ()
    heads: tuple[Head, ...] = ()


def known_of(keys: KeyStore, heads: Sequence[Head] = ()) -> Known:
    """What the owner of a keys folder trusts; heads: of the chain, as they had them noted."""
    persons, issuers, old_examiners = keys.known()
    return Known(persons, issuers, old_examiners, keys.stamp_roots(), tuple(heads))


NOBODY = Known()
# Whatever a reader of JSON, base64 or an envelope raises on bytes that are none.
_UNREADABLE = (SecureSystemsError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def write_bundle(
    case: Path,
    examiner: Ed25519PrivateKey,
    head: Mapping[str, Any],
    named: Sequence[Mapping[str, Any]] = (),
    received: str = "",
    proofs: Sequence[Mapping[str, Any]] = (),
    index_keys: Sequence[str] = (),
    operator: str = "",
) -> None:
    """Sign every file of a case; `head` is the end of the registry's chain when it was traced.

    named: the receipts of the exports that the verdict names. received: when the sample arrived (RFC 3339). proofs:
    paths from those receipts to a head that was witnessed before that (pipeline/custody.py). index_keys: ids of the
    keys that the sample was looked up with. operator: who traced. Raises OSError when the envelope cannot be written.
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
            "keys": {"examiner": key.keyid, "index": list(index_keys)},
            "chain_head": dict(head),
            "sample_received_at": received,
            "operator": operator,
            "inclusion": [dict(receipt) for receipt in named],
            "witnessed": [dict(proof) for proof in proofs],
        },
    }
    payload = json.dumps(statement, sort_keys=True, ensure_ascii=False).encode()
    envelope = Envelope(payload, _PAYLOAD, {})
    envelope.sign(CryptoSigner(examiner, key))
    (case / ENVELOPE).write_text(_spelled(envelope), "utf-8")


def predicate_of(case: Path) -> dict[str, Any]:
    """What the envelope of a case states about it; the case was verified before."""
    return json.loads(Envelope.from_dict(json.loads((case / ENVELOPE).read_bytes())).payload)["predicate"]


def key_id(key: Ed25519PublicKey) -> str:
    """The id of a public key, as an envelope gives it."""
    return str(SSlibKey.from_crypto(key).keyid)


def countersign(case: Path, person: Ed25519PrivateKey, examiner: Ed25519PublicKey, known: Known) -> None:
    """Add a second person's signature to a case that holds; IntegrityError when it does not.

    Raises InputError for the examiner's own key: a review is somebody else's.
    """
    if person.public_key() == examiner:
        raise InputError("the key of --countersign is the examiner's own; a review needs a second person's")
    problems = verify_bundle(case, examiner, known)
    if problems:
        raise IntegrityError("; ".join(problems))
    envelope = Envelope.from_dict(json.loads((case / ENVELOPE).read_bytes()))
    envelope.sign(CryptoSigner(person, SSlibKey.from_crypto(person.public_key())))
    beside = case.with_name(f".{case.name}.{ENVELOPE}")
    try:
        beside.write_text(_spelled(envelope), "utf-8")
        beside.replace(case / ENVELOPE)
    except OSError as error:
        raise OutputError(f"{case / ENVELOPE} cannot be written ({error.strerror}); nothing has changed") from error


def verify_bundle(case: Path, examiner: Ed25519PublicKey, known: Known = NOBODY) -> list[str]:
    """Every way in which a case is not what was signed, each naming the file; empty when it is.

    1. The envelope is written as we write it and signed by this examiner; every other signature is a known person's.
    2. It states a verdict of ours about the files that every case has.
    3. Each file it names is there with its digest.
    4. Nothing was added, and nothing is a link.
    5. The paths to witnessed heads hold, and so do their time stamps under the certificates that are trusted. With
       known issuers: each named export has a receipt of theirs from before the sample arrived and the head.
    Raises InputError when the folder is no case, or one of another version of this program.
    """
    if not any((case / name).exists() for name in (ENVELOPE, *REQUIRED)):
        raise InputError(f"{case} is no case; give the folder that leaktrace trace wrote")
    # 1.
    tries = [_opened(case / ENVELOPE, SSlibKey.from_crypto(key), known) for key in (examiner, *known.old_examiners)]
    envelope = next((one for one in tries if isinstance(one, Envelope)), tries[0])
    if isinstance(envelope, str):
        return [f"{ENVELOPE} {envelope}"]
    # 2.
    if _of_another_version(envelope):
        raise InputError(f"{case} is a case of another version; verify it with the program that made it")
    signed = _subjects(envelope)
    if signed is None:
        return [f"{ENVELOPE} states something else than a verdict of this program; verify it with the one that made it"]
    # 3. and 4.
    there = _digests(case)
    problems = [f"{name} is missing" for name in signed if name not in there]
    problems += [f"{name} was altered" for name, value in signed.items() if name in there and there[name] != value]
    problems += [f"{name} was added" for name in there if name not in signed]
    problems += [f"{name} is a link, not the file itself" for name in _links(case)]
    # 5.
    predicate = json.loads(envelope.payload)["predicate"]
    problems += _witnessed(predicate, known)
    return problems + list(_inclusion(predicate, known.issuers))


def _witnessed(predicate: Mapping[str, Any], known: Known) -> Iterator[str]:
    """What is wrong with the paths from receipts to witnessed heads."""
    there = {receipt["export_id"]: receipt for receipt in predicate.get("inclusion", ())}
    for proof in predicate.get("witnessed", ()):
        name, head = proof["export_id"], Head.parsed(proof["head"], parse_time(proof["at"]))
        receipt = there.get(name)
        number = 0 if receipt is None else receipt["number"]
        found = receipt and merkle.leads_to(receipts.digest(receipt), number - 1, head.number, proof["path"])
        if not head.root or found != head.root:
            yield f"{ENVELOPE}: the path of {name} does not lead to the head that it says was witnessed"
        if parse_time(proof["at"]) > parse_time(predicate["sample_received_at"]):
            yield f"{ENVELOPE}: the head that covers {name} is from after the sample arrived"
        if "token" in proof and known.stamp_roots:
            at = timestamps.verified(proof["token"], proof["head"], known.stamp_roots)
            if at is None:
                yield f"{ENVELOPE}: the time stamp of {name} does not hold under the certificates that are trusted"
            elif at != parse_time(proof["at"]):
                yield f"{ENVELOPE}: the time stamp of {name} is of another time than it says"
        if known.heads and not any(_same(head, noted) for noted in known.heads):
            yield f"{ENVELOPE}: the head that covers {name} is none of those that were noted"


def _same(head: Head, noted: Head) -> bool:
    """Whether a witness noted this head, and by then."""
    root = noted.root in ("", head.root)
    early = noted.at is None or (head.at is not None and noted.at <= head.at)
    return root and early and (noted.number, noted.digest) == (head.number, head.digest)


def _inclusion(predicate: Mapping[str, Any], issuers: Sequence[Ed25519PublicKey]) -> Iterator[str]:
    """What is wrong with the receipts of the named exports; nothing is said without an issuer's key."""
    if not issuers:
        return
    there = {receipt["export_id"]: receipt for receipt in predicate.get("inclusion", ())}
    for name in predicate["named"]:
        receipt = there.get(name)
        if receipt is None:
            yield f"{ENVELOPE} holds no receipt of {name}, which it names"
        elif not receipts.holds(receipt, *issuers):
            yield f"{ENVELOPE}: the receipt of {name} is not signed by a known issuer"
        elif receipt["number"] > predicate["chain_head"]["number"]:
            yield f"{ENVELOPE}: the receipt of {name} lies beyond the head of the chain"
        elif parse_time(receipt["issued_at"]) > parse_time(predicate["sample_received_at"]):
            yield f"{ENVELOPE}: the receipt of {name} is from after the sample arrived"


def _opened(path: Path, examiner: Any, known: Known) -> Envelope | str:
    """The envelope when this examiner signed it, else what is wrong with it."""
    try:
        text = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror}); restore it, or trace the sample again"
    try:
        envelope = Envelope.from_dict(json.loads(text))
        # An envelope may be spelled in many ways; only ours is taken, so that no byte of it can change unseen.
        ours = _spelled(envelope).encode() == text
    except _UNREADABLE:
        return "is no signed envelope; it was altered"
    try:
        envelope.verify([examiner], 1)
    except _UNREADABLE:
        return "is not signed by this examiner, or was altered"
    persons = {key.keyid: key for key in map(SSlibKey.from_crypto, known.persons)}
    for keyid in envelope.signatures.keys() - {examiner.keyid}:
        try:
            envelope.verify([persons[keyid]], 1)
        except _UNREADABLE:
            return f"has a signature by an unknown key ({keyid[:12]}), or it was altered; put their key in persons/"
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


def _of_another_version(envelope: Envelope) -> bool:
    """Whether a signed statement is a verdict of this program, but of another version of its format."""
    try:
        statement = json.loads(envelope.payload)
        kind, schema = statement["predicateType"], statement["predicate"]["schema"]
    except _UNREADABLE:
        return False
    ours = str(kind).startswith(_PREDICATE.removesuffix("v1")) and str(schema).startswith("leaktrace.verdict/")
    return ours and (kind, schema) != (_PREDICATE, "leaktrace.verdict/1")


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
            out[name] = digest_of(path)
        except OSError:
            out[name] = ""
    return out


def _links(case: Path) -> list[str]:
    return [path.relative_to(case).as_posix() for path in sorted(case.rglob("*")) if path.is_symlink()]
