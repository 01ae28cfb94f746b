"""Escrow of a key in shares: any few of several people bring it back, fewer learn nothing (SLIP-39).

A share is a line of words with a checksum, which can be printed and typed in again. Shares say nothing of the key; what
they belong to is the id of the public half (or of the index key), by which a restore knows that it is the right one.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from shamir_mnemonic import MnemonicError, Share, combine_mnemonics, generate_mnemonics

from pipeline.epochs import key_id
from pipeline.keystore import KeyStore, write_private
from pipeline.receipts import public_id
from pipeline.registry import Registry
from pipeline.sealing import open_secret
from schemas.errors import InputError, KeyFileError, LeaktraceError, UsageError
from watermarking.keys import IndexKey

ROLES = ("officer", "index")
_HEAD = "# leaktrace share"


@dataclass(frozen=True)
class Restored:
    """A key brought back; `proof`: what showed that it is the right one."""

    role: str
    key_id: str
    proof: str
    written: str | None


def split(keys: KeyStore, role: str, shares: int, threshold: int, folder: Path) -> list[Path]:
    """Write the shares of a key, one file a holder, readable by its owner only; their paths.

    Raises UsageError for numbers that make no escrow, KeyFileError when a share exists or the key is not at hand.
    """
    if not 2 <= threshold <= shares <= 16:
        raise UsageError("leaktrace keys split: give 2 to 16 --shares, and a --threshold from 2 to as many")
    material = _material(keys, role)
    (words,) = generate_mnemonics(1, [(threshold, shares)], material)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = [folder / f"{role}-share-{number}-of-{shares}.txt" for number in range(1, shares + 1)]
    there = [path for path in paths if path.exists()]
    if there:
        raise KeyFileError(f"{there[0]} exists; shares are never overwritten: choose another -o")
    for path, line in zip(paths, words, strict=True):
        head = f"{_HEAD} of {role} {_id(role, material)}; {threshold} of {shares} bring it back"
        write_private(path, f"{head}\n{line}\n".encode())
    return paths


def restore(shares: Sequence[Path], role: str, keys: KeyStore, registry: str | None, output: Path | None) -> Restored:
    """Bring a key back from shares, prove that it is the right one, and write it, or (no `output`) only prove it.

    Raises InputError when the shares do not fit, KeyFileError when they give another key, or nothing shows which.
    """
    said = [_read(path) for path in shares]
    try:
        material = _combined([words for words, _ in said])
    except (MnemonicError, ValueError) as error:
        raise InputError(
            "the shares do not make a key: too few, of different keys, or a word is wrong; give as many as each says"
        ) from error
    found = _id(role, material)
    if any(name and name != f"{role} {found}" for _, name in said):
        raise KeyFileError(
            f"the shares are not of the {role} key that they say; give shares of one key, and its --role"
        )
    proof = _proof(material, role, found, keys, registry)
    if output is not None:
        write_private(output, _file(role, material))
    return Restored(role, found, proof, str(output) if output else None)


def _combined(words: Sequence[str]) -> bytes:
    """The key of shares; where there are more than it takes, each of them must be one of its shares.

    Raises MnemonicError or ValueError when they do not make one key.
    """
    needed = Share.from_mnemonic(words[0]).member_threshold
    turns = [[*words[first:], *words[:first]][:needed] for first in range(len(words))]
    (material,) = {combine_mnemonics(turn) for turn in (turns if len(words) > needed else [words])}
    return bytes(material)


def _material(keys: KeyStore, role: str) -> bytes:
    if role == "index":
        return keys.index_key()
    officer = keys.officer_private()
    if officer is None:
        raise KeyFileError("--keys holds no officer.key to split; give the folder that does")
    return officer.private_bytes_raw()


def _id(role: str, material: bytes) -> str:
    if role == "index":
        return key_id(IndexKey(material))
    return public_id(X25519PrivateKey.from_private_bytes(material).public_key())


def _file(role: str, material: bytes) -> bytes:
    if role == "index":
        return base64.b64encode(material) + b"\n"
    private = X25519PrivateKey.from_private_bytes(material)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read(path: Path) -> tuple[str, str]:
    """The words of a share, and which key it says that it is of; typed in again, it may lack its first line."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}); give the files of the shares") from error
    name = "".join(line.removeprefix(f"{_HEAD} of ").split(";")[0] for line in lines if line.startswith(_HEAD))
    return " ".join(line for line in lines if not line.startswith("#")), name


def _proof(material: bytes, role: str, found: str, keys: KeyStore, registry: str | None) -> str:
    """What shows that a restored key is the right one: a secret that it opens, or the key's own public half."""
    if registry is not None:
        with Registry.open(registry) as opened:
            proof = _opens(opened, material) if role == "officer" else _is_index(opened, found, keys)
        if proof is not None:
            return proof
    if role == "officer" and public_id(keys.officer_public()) == found:
        return "it is the private half of officer.pub"
    if role == "index" and key_id(IndexKey(keys.index_key())) == found:
        return "it is index.key"
    raise KeyFileError("the shares give another key than the one in --keys; give shares of this registry's key")


def _opens(registry: Registry, material: bytes) -> str | None:
    """Which secret the key opens; None when the registry holds none."""
    officer = X25519PrivateKey.from_private_bytes(material)
    exports: list[dict[str, Any]] = registry.exports().to_pylist()[::-1]
    for row in (row for export in exports for row in registry.sealed([export["export_id"]]).to_pylist()):
        try:
            open_secret(officer, row)
        except LeaktraceError as error:
            raise KeyFileError(
                f"the restored key does not open the secret of {row['export_id']}; these are shares of another key, or "
                "of one before a rotation"
            ) from error
        return f"it opens the secret of {row['export_id']}, as its receipt commits to it"
    return None


def _is_index(registry: Registry, found: str, keys: KeyStore) -> str:
    for epoch in registry.epochs():
        if found == (epoch.key_id or key_id(IndexKey(keys.index_key()))):
            return f"it is the index key of epoch {epoch.number}"
    raise KeyFileError("the restored key is the index key of no epoch of this registry; give shares of this one's")
