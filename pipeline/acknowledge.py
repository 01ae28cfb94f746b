"""Acknowledgements: somebody other than the tagger signs that a copy reached its recipient.

An acknowledgement names the receipt by its digest and is signed with the recipient's own key, the key of a delivery
log, or that of a second person. It is made away from the registry, entered in the chain as an entry of its own kind,
and believed at a trace only when the public key lies in the folder of whoever traces (recipients/, logs/ or
persons/): a thief of the tagging machine can sign anything, but not with those keys.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.keystore import KeyStore
from pipeline.receipts import digest
from pipeline.registry import Registry
from pipeline.sealing import canonical
from schemas.errors import InputError, KeyFileError

KIND = "acknowledge"
GROUPS = {"recipient": "recipients", "log": "logs", "person": "persons"}
_DOMAIN = b"leaktrace/1/acknowledge\0"
_FIELDS = ("receipt_sha256", "export", "by", "name", "acknowledged_at")


def acknowledgement(
    receipt: Mapping[str, Any], by: str, name: str, key: Ed25519PrivateKey, acknowledged_at: str
) -> dict[str, Any]:
    """What `name` signs about a receipt, with the signature in base64.

    by: recipient, log or person. Raises InputError when a recipient signs for somebody else's copy.
    """
    if by == "recipient" and name != receipt["recipient"]:
        raise InputError(f"{receipt['export_id']} was issued to somebody else than {name}; nobody else can sign for it")
    body = dict(zip(_FIELDS, (digest(receipt), receipt["export_id"], by, name, acknowledged_at), strict=True))
    return {**body, "proof": base64.b64encode(key.sign(_DOMAIN + canonical(body))).decode()}


def holds(said: Mapping[str, Any], receipt: Mapping[str, Any], key: Ed25519PublicKey) -> bool:
    """Whether this key signed that this very receipt's copy was received."""
    body = {name: said.get(name) for name in _FIELDS}
    if body["receipt_sha256"] != digest(receipt) or body["export"] != receipt["export_id"]:
        return False
    if body["by"] == "recipient" and body["name"] != receipt["recipient"]:
        return False
    try:
        key.verify(base64.b64decode(str(said.get("proof", ""))), _DOMAIN + canonical(body))
    except (InvalidSignature, ValueError):
        return False
    return True


def trusted_key(said: Mapping[str, Any], keys: KeyStore) -> Ed25519PublicKey | None:
    """The key that an acknowledgement should hold under; None when it is not among those kept, or an issuer's.

    Whoever issues copies cannot also be the one who confirms that they arrived.
    """
    group = GROUPS.get(str(said.get("by")))
    key = keys.trusted(group, str(said.get("name"))) if group else None
    return None if key is None or key in (keys.issuer_public(), *keys.other_issuers()) else key


def enter(registry: Registry, keys: KeyStore, given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Enter acknowledgements in the chain; an export's second one by the same name changes nothing.

    Every one is checked before the first is entered. Raises InputError or KeyFileError.
    """
    receipts = registry.receipts([str(one.get("export")) for one in given])
    for one in given:
        export, name = str(one.get("export")), str(one.get("name"))
        if export not in receipts:
            raise InputError(f"the registry holds no export {export}; give the right --registry")
        key = trusted_key(one, keys)
        if key is None:
            place = f"{GROUPS.get(str(one.get('by')), 'persons')}/{quote(name, safe='')}.pub"
            raise KeyFileError(
                f"--keys holds no public key of {name} as {place} (an issuer's does not count); put it there"
            )
        if not holds(one, receipts[export], key):
            raise InputError(f"the acknowledgement of {export} by {name} is not signed with their key, or was altered")
    there = {(note["export_id"], note["by"], note["name"]) for note in registry.notes(KIND)}
    new = [one for one in given if (one["export"], one["by"], one["name"]) not in there]
    return [registry.note(KIND, one["export"], {n: one[n] for n in (*_FIELDS, "proof")}) for one in new]


def read_documents(path: Path) -> list[dict[str, Any]]:
    """Receipts or acknowledgements: one JSON document, a list of them, or one a line; InputError otherwise."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read; give a file of receipts or acknowledgements") from error
    try:
        whole = json.loads(text)
    except ValueError:
        try:
            whole = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise InputError(f"{path} is not JSON; give what tag --json or exports acknowledge wrote") from error
    found = whole if isinstance(whole, list) else [whole]
    if not found or not all(isinstance(one, dict) for one in found):
        raise InputError(f"{path} holds no receipt and no acknowledgement; give what tag --json wrote")
    return found
