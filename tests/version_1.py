"""A registry as version 1 of its tables left it, and the keys it was made with.

The registry in data/registry-version-1.tar.gz was made by the program before version 2: 120 made-up customers
tagged for E1 and E2, half of them registered for E3, the first export superseded, and one sample (30 rows of the copy
of E2, which lies beside it) traced once. Its keys are no secret: they follow from a phrase.
"""

import base64
import hashlib
import tarfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ARCHIVE = Path(__file__).parent / "data" / "registry-version-1.tar.gz"


def unpack(folder: Path) -> None:
    """`registry`, `keys` and `sample.csv` of version 1 in a folder."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    write_keys(folder / "keys")


def write_keys(folder: Path) -> None:
    """The keys of that registry."""
    folder.mkdir(mode=0o700)
    files = {"index.key": base64.b64encode(_bytes("index")) + b"\n"}
    for role, kind in (("officer", X25519PrivateKey), ("issuer", Ed25519PrivateKey), ("examiner", Ed25519PrivateKey)):
        key = kind.from_private_bytes(_bytes(role))
        files[f"{role}.key"] = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files[f"{role}.pub"] = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, body in files.items():
        (folder / name).write_bytes(body)
        (folder / name).chmod(0o600)


def _bytes(role: str) -> bytes:
    return hashlib.sha256(f"leaktrace test keys of version 1: {role}".encode()).digest()
