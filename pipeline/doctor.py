"""`leaktrace doctor`: whether this machine can tag and trace, and what to do when it cannot. Changes nothing."""

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pipeline.keystore import KeyStore
from pipeline.places import CATALOGUE, Place, place_of
from pipeline.registry import Registry
from schemas.errors import LeaktraceError
from schemas.tables import SCHEMA_VERSION

_LEAST_FREE = 2 << 30
_OLD_JOB = timedelta(days=1)
_NEEDED = ("duckdb", "pyarrow", "apache-beam", "cryptography", "numpy", "great-expectations")
_EXTENSIONS = ("ducklake", "sqlite_scanner")


@dataclass(frozen=True)
class Check:
    """One check: `state` is ok, warning or failed; `todo` says what to do about it."""

    name: str
    state: str
    found: str
    todo: str = ""


def check_health(registry: str | None, keys: Path | None, now: datetime) -> list[Check]:
    """Keys, registry, clock, disk and versions, in this order; what was not named is not checked."""
    groups: list[Callable[[], Iterator[Check]]] = [_versions]
    if keys is not None:
        groups.append(lambda: _keys(keys))
    if registry is not None:
        groups += [lambda: _registry(registry, now), lambda: _disk(place_of(registry))]
    found: list[Check] = []
    for group in groups:
        try:
            found += group()
        except LeaktraceError as error:
            found.append(Check("registry", "failed", str(error), "see runbooks/restore-from-backup.md"))
    return found


def _versions() -> Iterator[Check]:
    python = ".".join(map(str, sys.version_info[:3]))
    old = sys.version_info < (3, 11)
    yield Check("python", "failed" if old else "ok", python, "install Python 3.11 or later" if old else "")
    for name in _NEEDED:
        try:
            yield Check(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Check(name, "failed", "not installed", "install leaktrace again with its locked requirements")
    duckdb = metadata.version("duckdb")
    for name in _EXTENSIONS:
        there = (files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb}").is_dir()
        todo = "" if there else f"install duckdb-extension-{name.replace('_', '-')}=={duckdb}"
        yield Check(f"extension {name}", "ok" if there else "failed", duckdb if there else "of another version", todo)


def _keys(folder: Path) -> Iterator[Check]:
    """What each key is there for, whether it can be read, and whether the halves of a pair belong together."""
    store = KeyStore(folder)
    yield _try("index.key", lambda: bool(store.index_key()), "to tag and to trace")
    yield _try("officer.pub", lambda: bool(store.officer_public()), "to tag")
    for role, purpose in (("issuer", "to sign receipts"), ("examiner", "to sign cases")):
        yield _try(f"{role} pair", lambda role=role: _pair(store, role), purpose)  # type: ignore[misc]
    if (folder / "officer.key").exists():
        yield _try("officer.key", lambda: _pair(store, "officer"), "to trace marks and canaries")
        if (folder / "issuer.key").exists():
            todo = "where copies are tagged, remove officer.key; see runbooks/set-up-registry-and-keys.md"
            yield Check("separation", "warning", "officer.key and issuer.key lie on one machine", todo)
    others = [p.name for p in folder.glob("*.key") if p.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if others:
        yield Check("modes", "failed", f"{others[0]} can be read by others", f"run chmod 600 {folder}/*.key")


def _try(name: str, work: Callable[[], bool], purpose: str) -> Check:
    try:
        if work():
            return Check(name, "ok", purpose)
        return Check(name, "failed", "its two halves do not belong together", "restore both halves from one backup")
    except LeaktraceError as error:
        return Check(name, "failed", str(error), f"needed {purpose}")


def _pair(store: KeyStore, role: str) -> bool:
    private: Any = store.officer_private() if role == "officer" else getattr(store, role)()
    public = store.officer_public() if role == "officer" else getattr(store, f"{role}_public")()
    encoded = [k.public_bytes(Encoding.Raw, PublicFormat.Raw) for k in (private.public_key(), public)]
    return encoded[0] == encoded[1]


def _registry(location: str, now: datetime) -> Iterator[Check]:
    with Registry.open(location) as registry:
        head = registry.head()
        exports = registry.exports()
        yield Check("registry", "ok", f"version {SCHEMA_VERSION}, {exports.num_rows} exports, entry {head['number']}")
        last = max(filter(None, exports["issued_at"].to_pylist()), default=None)
    ahead = last is not None and datetime.fromisoformat(last) > now + timedelta(minutes=5)
    todo = "set this machine's clock (chronyc, timedatectl): receipts and verdicts state times" if ahead else ""
    found = "the last receipt is later than now" if ahead else now.isoformat(timespec="seconds")
    yield Check("clock", "failed" if ahead else "ok", found, todo)
    staging = place_of(location).staging
    left = [p for p in staging.iterdir() if not p.name.startswith(".")] if staging.is_dir() else []
    old = [p for p in left if p.stat().st_mtime < (now - _OLD_JOB).timestamp()]
    if old:
        todo = "run any tag command with the issuer's key: it finishes or undoes what was left"
        yield Check("left jobs", "warning", f"{len(old)} jobs are older than a day", todo)


def _disk(place: Place) -> Iterator[Check]:
    folder = place.folder
    free = shutil.disk_usage(folder).free
    low = free < _LEAST_FREE
    todo = f"free space on the disk of {folder}; tagging needs about three times the table" if low else ""
    yield Check("disk", "warning" if low else "ok", f"{free / (1 << 30):.1f} GiB free", todo)
    writable = os.access(folder if place.database else folder / CATALOGUE, os.W_OK)
    todo = "" if writable else f"give this user write access to {folder}"
    yield Check("rights", "ok" if writable else "failed", "writable" if writable else "read-only", todo)
