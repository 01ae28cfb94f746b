"""Keys in a folder: one file a role, mode 0600, opened only when they are needed.

index.key    symmetric, 256 bits     to tag and to trace
pool.key     symmetric, 256 bits     to tag: opens the pools of coded canaries
officer.*    X25519                  public half to tag; private half to open marks and canaries
issuer.*     Ed25519                 signs receipts
examiner.*   Ed25519                 signs cases
issuer-*.pub, recipients/*.pub, logs/*.pub, persons/*.pub   public keys of others that this folder's owner trusts

A private key comes from the environment (LEAKTRACE_OFFICER_KEY and so on), from its file, or from a command that
prints it (LEAKTRACE_KEY_COMMAND, for a KMS or vault), in this order. Private halves may be under a passphrase.
"""

import base64
import hashlib
import os
import re
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from pipeline.epochs import FIRST, Epoch, key_id
from pipeline.key_sources import from_command, from_environment, passphrase
from schemas.errors import KeyFileError
from watermarking.keys import IndexKey

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_PAIRS: dict[str, Any] = {"officer": X25519PrivateKey, "issuer": Ed25519PrivateKey, "examiner": Ed25519PrivateKey}
_PUBLIC: dict[str, Any] = {"officer": X25519PublicKey, "issuer": Ed25519PublicKey, "examiner": Ed25519PublicKey}
_TAGGER_NEEDS = ("index.key", "officer.pub")
_PRIVATE = ("index.key", "pool.key", *(f"{role}.key" for role in _PAIRS))
_OLDER = re.compile(r"(index|officer|issuer|examiner)-[0-9]{1,9}\.key")
Key = TypeVar("Key", X25519PrivateKey, X25519PublicKey, Ed25519PrivateKey, Ed25519PublicKey)


def init_keys(folder: Path, *, tagger: bool = False, protect: bytes | None = None) -> list[str]:
    """Make every key of a folder, or (`tagger`) only a tagger's own issuer pair.

    protect: a passphrase for the private halves of the pairs. Returns the names of the files made. Refuses to
    overwrite; raises KeyFileError.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyFileError(f"{folder} cannot be created ({error.strerror}); choose another --keys") from error
    if tagger:
        missing = [name for name in _TAGGER_NEEDS if not (folder / name).exists()]
        if missing:
            raise KeyFileError(f"{folder} lacks {missing[0]}; copy it there from the officer's machine first")
        if (folder / "officer.key").exists():
            raise KeyFileError(f"{folder / 'officer.key'} must not lie where tagging happens; take it away first")
        KeyStore(folder).index_key()
        KeyStore(folder).officer_public()
    roles = ("issuer",) if tagger else tuple(_PAIRS)
    files = {} if tagger else {name: _new_symmetric() for name in ("index.key", "pool.key")}
    for role in roles:
        files |= new_pair(role, protect)
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise KeyFileError(f"{folder / there[0]} exists; keys are never overwritten: choose another --keys")
    made: list[Path] = []
    try:
        for name, body in files.items():
            write_private(folder / name, body)
            made.append(folder / name)
    except KeyFileError:
        for path in made:  # half a set of keys would keep the next init from making a whole one
            path.unlink()
        raise
    return sorted(files)


def new_pair(role: str, protect: bytes | None = None) -> dict[str, bytes]:
    """A new pair of a role as the bodies of its two files; protect: a passphrase for the private half."""
    private = _PAIRS[role].generate()
    written = BestAvailableEncryption(protect) if protect else NoEncryption()
    return {
        f"{role}.key": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, written),
        f"{role}.pub": private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    }


def make_pair(folder: Path, name: str, protect: bytes | None = None) -> tuple[Path, Path]:
    """An Ed25519 pair for somebody who signs, as NAME.key and NAME.pub; KeyFileError when one of them exists."""
    body = new_pair("examiner", protect)
    paths = [folder / (quote(name, safe="") + suffix) for suffix in (".key", ".pub")]
    there = [path for path in paths if path.exists()]
    if there:
        raise KeyFileError(f"{there[0]} exists; keys are never overwritten: choose another -o")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyFileError(f"{folder} cannot be made ({error.strerror}); choose another -o") from error
    for path, content in zip(paths, body.values(), strict=True):
        write_private(path, content)
    return paths[0], paths[1]


class KeyStore:
    """The keys of one folder; each is read when asked for."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the files that `init_keys` made, or some of them."""
        self._folder = Path(folder)

    def index_key(self, epoch: Epoch = FIRST) -> bytes:
        """The 32 bytes of the index key of an epoch: index.key, or index-N.key; found by its id when that is known.

        Without the id it is index.key. Raises KeyFileError when no key at hand is that epoch's.
        """
        if not epoch.key_id:
            return self._symmetric("index.key")
        older = f"index-{epoch.number}.key"
        for name in ("index.key", older):
            if self._at_hand(name):
                material = self._symmetric(name)
                if key_id(IndexKey(material)) == epoch.key_id:
                    return material
        raise KeyFileError(
            f"{self._folder} holds no index key of epoch {epoch.number} as index.key or {older}; fetch it from the "
            "officer, or run leaktrace registry rotate-key again where a rotation was interrupted"
        )

    def pool_key(self, *, make: bool = False) -> bytes:
        """The 32 bytes of pool.key; make: make it where there is none (keys from before there were pools)."""
        if make and from_environment("pool.key") is None and not (self._folder / "pool.key").exists():
            given = from_command("pool.key", required=False)
            if given is None:
                write_private(self._folder / "pool.key", _new_symmetric())
        return self._symmetric("pool.key")

    def pool_key_if_any(self) -> bytes | None:
        """What `pool_key` gives, or None where it is not kept."""
        return self.pool_key() if self._at_hand("pool.key") else None

    def _symmetric(self, name: str) -> bytes:
        try:
            material = base64.b64decode(self._private(name).strip(), validate=True)
        except ValueError:
            material = b""
        if len(material) != 32:
            raise KeyFileError(f"{self._folder / name} holds no 256-bit key; restore it from its escrow copy")
        return material

    def _at_hand(self, name: str) -> bool:
        if (self._folder / name).exists() or from_environment(name) is not None:
            return True
        return from_command(name, required=False) is not None

    def officer_public(self) -> X25519PublicKey:
        """What secrets are sealed to."""
        return self._load("officer.pub", X25519PublicKey)

    def officer_private(self) -> X25519PrivateKey | None:
        """What opens them; None where it is not kept."""
        if (self._folder / "officer.key").exists() or from_environment("officer.key") is not None:
            return self._load("officer.key", X25519PrivateKey)
        body = from_command("officer.key", required=False)  # a tagger's vault refuses it, and should
        return None if body is None else self._parsed("officer.key", body, X25519PrivateKey)

    def officers(self) -> tuple[X25519PrivateKey, ...]:
        """The officer's private key and those it replaced (officer-N.key): copies may still be sealed to these."""
        current = self.officer_private()
        older = sorted(path.name for path in self._folder.glob("officer-*.key"))
        return () if current is None else (current, *(self._load(name, X25519PrivateKey) for name in older))

    def public(self, role: str, suffix: str = "") -> Any:
        """The public key of a role; suffix: of the file's name, for one that waits for its name."""
        return self._parsed(f"{role}.pub", self._read(f"{role}.pub{suffix}"), _PUBLIC[role])

    def every_index_key(self) -> tuple[bytes, ...]:
        """The index keys of this folder, of every epoch."""
        older = sorted(path.name for path in self._folder.glob("index-*.key"))
        return tuple(self._symmetric(name) for name in ("index.key", *older))

    def issuer(self) -> Ed25519PrivateKey:
        """What signs receipts."""
        return self._load("issuer.key", Ed25519PrivateKey)

    def issuer_public(self) -> Ed25519PublicKey:
        """What receipts are checked with."""
        return self._load("issuer.pub", Ed25519PublicKey)

    def other_issuers(self) -> tuple[Ed25519PublicKey, ...]:
        """The public keys of taggers with issuer pairs of their own (issuer-NAME.pub)."""
        names = sorted(path.name for path in self._folder.glob("issuer-*.pub"))
        return tuple(self._load(name, Ed25519PublicKey) for name in names)

    def trusted(self, group: str, name: str) -> Ed25519PublicKey | None:
        """The public key of one recipient, delivery log or person that this folder's owner put there; else None."""
        path = Path(group) / f"{quote(name, safe='')}.pub"
        return self._load(str(path), Ed25519PublicKey) if (self._folder / path).exists() else None

    def known(self) -> tuple[tuple[Ed25519PublicKey, ...], ...]:
        """The public keys kept here of second persons, of issuers, and of examiners whose keys were replaced."""
        persons = sorted(path.name for path in (self._folder / "persons").glob("*.pub"))
        own = (self.issuer_public(),) if (self._folder / "issuer.pub").exists() else ()
        reviewers = tuple(self._load(f"persons/{name}", Ed25519PublicKey) for name in persons)
        return reviewers, (*own, *self.other_issuers()), self.old_examiners()

    def stamp_roots(self) -> "tuple[Certificate, ...]":
        """The certificates that this folder's owner trusts for time stamps (timestamps/*.pem)."""
        from pipeline import timestamps  # most commands ask for none, and certificates take long to import

        return timestamps.trusted(self._folder)

    def examiner(self) -> Ed25519PrivateKey:
        """What signs cases."""
        return self._load("examiner.key", Ed25519PrivateKey)

    def examiners(self) -> tuple[Ed25519PublicKey, ...]:
        """The examiner's public key, if it is here, and those it replaced."""
        own = (self.examiner_public(),) if (self._folder / "examiner.pub").exists() else ()
        return (*own, *self.old_examiners())

    def old_examiners(self) -> tuple[Ed25519PublicKey, ...]:
        """What older cases are checked with: the keys that examiner.pub replaced (examiner-N.pub)."""
        older = sorted(path.name for path in self._folder.glob("examiner-*.pub"))
        return tuple(self._load(name, Ed25519PublicKey) for name in older)

    def examiner_public(self) -> Ed25519PublicKey:
        """What cases are checked with."""
        return self._load("examiner.pub", Ed25519PublicKey)

    def series(self, dataset: str, recipient: str, epoch: int, part: str) -> bytes | None:
        """What is kept of a series, its `secret` or its `canaries`; None before its first copy."""
        path = self._series_path(dataset, recipient, epoch, part)
        return self._private(str(path.relative_to(self._folder))) if path.exists() else None

    def keep_series(self, dataset: str, recipient: str, epoch: int, part: str, body: bytes) -> bytes:
        """Keep a part of a series; where another job was first, its body is returned and this one dropped."""
        path = self._series_path(dataset, recipient, epoch, part)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise KeyFileError(f"{path.parent} cannot be made ({error.strerror}); check its owner and mode") from error
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        write_private(temporary, body)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return self._private(f"series/{path.name}")
        finally:
            temporary.unlink()
        return body

    def _series_path(self, dataset: str, recipient: str, epoch: int, part: str) -> Path:
        name = hashlib.sha256(f"{dataset}\x1f{recipient}\x1f{epoch}".encode()).hexdigest()[:32]
        return self._folder / "series" / (f"{name}.json" if part == "secret" else f"{name}-{part}.json")

    def _private(self, name: str) -> bytes:
        path = self._folder / name
        given = None if name.endswith(".pub") or "/" in name else from_environment(name)
        if given is not None:
            return given
        if not path.exists() and (name in _PRIVATE or _OLDER.fullmatch(name)):
            fetched = from_command(name)
            if fetched is not None:
                return fetched
        body = self._read(name)
        if name.endswith(".pub"):
            return body
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyFileError(f"{path} can be read by others (mode {mode & 0o777:04o}); run chmod 600 on it")
        return body

    def _read(self, name: str) -> bytes:
        path = self._folder / name
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise KeyFileError(
                f"{path} is missing; give the right --keys, restore the key, or run leaktrace init for a new registry"
            ) from error
        except OSError as error:
            raise KeyFileError(f"{path} cannot be read ({error.strerror}); check its owner and mode") from error

    def _load(self, name: str, kind: type[Key]) -> Key:
        return self._parsed(name, self._private(name), kind)

    def _parsed(self, name: str, body: bytes, kind: type[Key]) -> Key:
        words = passphrase(str(self._folder / name)) if b"BEGIN ENCRYPTED" in body else None
        try:
            key = load_pem_public_key(body) if name.endswith(".pub") else load_pem_private_key(body, words)
        except (ValueError, TypeError) as error:
            if words is not None:
                raise KeyFileError(f"the passphrase does not open {self._folder / name}; give the right one") from error
            raise KeyFileError(f"{self._folder / name} holds no readable key; restore it") from error
        if not isinstance(key, kind):
            raise KeyFileError(f"{self._folder / name} holds a key of another kind; restore the right one")
        return key


def signing_key(path: Path) -> Ed25519PrivateKey:
    """An Ed25519 key from a file of its own (a recipient's, a second person's); KeyFileError otherwise."""
    if path.suffix == ".pub":
        raise KeyFileError(f"{path} is a public key; give the private one")
    try:
        return KeyStore(path.parent)._load(path.name, Ed25519PrivateKey)
    except KeyFileError as error:
        if path.exists():
            raise
        raise KeyFileError(
            f"{path} is missing; give the file of whoever signs, or make a pair with leaktrace keys make"
        ) from error


def _new_symmetric() -> bytes:
    return base64.b64encode(secrets.token_bytes(32)) + b"\n"


def write_private(path: Path, body: bytes) -> None:
    """Write a new file that only its owner can read, whole or not at all; KeyFileError when it exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be made ({error.strerror}); choose another --keys") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise KeyFileError(f"{path} cannot be written ({error.strerror}); choose another --keys") from error
