"""Signed receipts in a chain: each names the digest of the one before, so none can be changed or left out."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from pipeline.sealing import canonical

GENESIS = "0" * 64
_DOMAIN = b"leaktrace/1/receipt\0"


def sign(body: Mapping[str, Any], issuer: Ed25519PrivateKey) -> dict[str, Any]:
    """The receipt: the body with its Ed25519 signature (base64) over the canonical JSON of the body."""
    signature = issuer.sign(_DOMAIN + canonical(body))
    return {**body, "signature": base64.b64encode(signature).decode()}


def holds(receipt: Mapping[str, Any], *issuers: Ed25519PublicKey) -> bool:
    """Whether the signature of a receipt is that of one of the issuers."""
    body = {name: value for name, value in receipt.items() if name != "signature"}
    signed = _DOMAIN + canonical(body)
    return any(_verifies(issuer, str(receipt.get("signature", "")), signed) for issuer in issuers)


def signer(receipt: Mapping[str, Any], issuers: Sequence[Ed25519PublicKey]) -> str:
    """The id of the issuer whose signature a receipt has; empty when it has none's."""
    return next((public_id(issuer) for issuer in issuers if holds(receipt, issuer)), "")


def public_id(key: Ed25519PublicKey | X25519PublicKey) -> str:
    """What a public key is known by in the chain: 128 bits of its SHA-256, in hex."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:32]


def _verifies(issuer: Ed25519PublicKey, signature: str, signed: bytes) -> bool:
    try:
        issuer.verify(base64.b64decode(signature), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def digest(receipt: Mapping[str, Any]) -> str:
    """What the next receipt names as `previous`: SHA-256 of the whole receipt, in hex."""
    return hashlib.sha256(canonical(receipt)).hexdigest()
