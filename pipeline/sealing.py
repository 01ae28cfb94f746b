"""Secrets sealed to the officer: HPKE (RFC 9180), X25519, HKDF-SHA256, AES-256-GCM.

A sealed body holds a copy's nonce, secret and unique canaries. HPKE's `info` binds it to its export, dataset
and recipient, so that it cannot be moved to another one; the previous digest is bound by the receipt, which
commits to the content and is signed inside the chain (the seal is made before the place in the chain is known).
"""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from pipeline.canary_documents import Document, each
from schemas.errors import IntegrityError, KeyFileError

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_DOMAIN = b"leaktrace/1/"


@dataclass(frozen=True)
class OpenedSecret:
    """What only one copy has; never printed, never in `repr`."""

    secret: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    document: Document = field(repr=False)

    @cached_property
    def canaries(self) -> list[dict[str, Any]]:
        """The values and bounds of each canary."""
        return each(self.document)


def canonical(document: Any) -> bytes:
    """The one way to write a JSON document that is digested or signed."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def commitment(export_id: str, nonce: bytes, secret: bytes, canaries: Document) -> str:
    """H(domain, export, nonce, secret, digest of canaries), in hex; the nonce hides the secret."""
    digest = hashlib.sha256(_DOMAIN + b"commitment\0")
    for part in (export_id.encode(), nonce, secret, hashlib.sha256(canonical(canaries)).digest()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def seal_secret(
    officer: X25519PublicKey,
    *,
    export_id: str,
    dataset: str,
    recipient: str,
    nonce: bytes,
    secret: bytes,
    canaries: Document,
) -> bytes:
    """Seal a copy's secret; only the officer's private key opens it."""
    body = canonical({"nonce": nonce.hex(), "secret": secret.hex(), "canaries": canaries})
    return _SUITE.encrypt(zlib.compress(body, 6), officer, _info(export_id, dataset, recipient))


def open_secret(officer: X25519PrivateKey | Sequence[X25519PrivateKey], row: Mapping[str, Any]) -> OpenedSecret:
    """Open what `seal_secret` sealed and check it against the receipt's commitment.

    officer: the key, or several of which one opens it; row: export_id, dataset, recipient, sealed, commitment.
    Raises KeyFileError for another officer's key, IntegrityError when the content is not what the receipt commits to.
    """
    info = _info(row["export_id"], row["dataset"], row["recipient"])
    try:
        body = json.loads(zlib.decompress(_decrypted(row["sealed"], officer, info)))
    except (InvalidTag, ValueError, zlib.error) as error:
        raise KeyFileError(
            f"officer.key does not open the secret of {row['export_id']}; it is another registry's key, or the "
            "registry was altered: run leaktrace registry check"
        ) from error
    opened = OpenedSecret(bytes.fromhex(body["secret"]), bytes.fromhex(body["nonce"]), body["canaries"])
    if commitment(row["export_id"], opened.nonce, opened.secret, opened.document) != row["commitment"]:
        raise IntegrityError(
            f"the sealed secret of {row['export_id']} is not the one its receipt commits to; the registry was altered"
        )
    return opened


def _decrypted(sealed: bytes, officer: X25519PrivateKey | Sequence[X25519PrivateKey], info: bytes) -> bytes:
    """What the first key that fits opens; InvalidTag when none does."""
    keys = (officer,) if isinstance(officer, X25519PrivateKey) else officer
    for key in keys[:-1]:
        with suppress(InvalidTag):
            return _SUITE.decrypt(sealed, key, info)
    return _SUITE.decrypt(sealed, keys[-1], info)


def seal_body(officer: X25519PublicKey, body: bytes, info: bytes) -> bytes:
    """Seal bytes that belong to no export to the officer; `info` is what they are bound to."""
    return _SUITE.encrypt(zlib.compress(body, 6), officer, _DOMAIN + info)


def open_body(officers: Sequence[X25519PrivateKey], sealed: bytes, info: bytes) -> bytes:
    """Open what `seal_body` sealed to one of these; KeyFileError for another officer's key, or another `info`."""
    try:
        return zlib.decompress(_decrypted(sealed, officers, _DOMAIN + info))
    except (InvalidTag, ValueError, zlib.error) as error:
        raise KeyFileError(
            "officer.key does not open the pool of coded canaries; it is another registry's key, or the registry was "
            "altered: run leaktrace registry check"
        ) from error


def _info(export_id: str, dataset: str, recipient: str) -> bytes:
    return _DOMAIN + canonical(["seal", export_id, dataset, recipient])
