"""`registry rotate-key`: new keys from now on, and everything older stays readable.

1. New keys are written beside the old ones, as NAME.next.
2. One transaction enters in the chain which keys there are now, and seals every secret anew for a new officer.
3. The old keys get their number (index-1.key), the new ones their name.
A rotation that is interrupted before 2 has not happened; one interrupted after it is finished by the next.

What a commitment and a receipt sign does not change: secrets are sealed anew, never drawn anew.
"""

import base64
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import pool
from pipeline.epochs import INDEX, KIND, key_id
from pipeline.key_sources import passphrase
from pipeline.keystore import KeyStore, new_pair, write_private
from pipeline.receipts import public_id
from pipeline.registry import Registry
from pipeline.sealing import open_secret, seal_secret
from pipeline.storage import Connection
from schemas.errors import KeyFileError
from watermarking.keys import IndexKey

ROLES = (INDEX, "officer", "issuer", "examiner")
_KEPT = (INDEX, "officer")  # the old private half is still needed: to trace, and for what was sealed to it meanwhile
_NEXT = ".next"
_BATCH = 5_000  # secrets that are sealed anew at once


@dataclass(frozen=True)
class Rotated:
    """What a rotation did; `finished`: it only finished one that was interrupted."""

    roles: tuple[str, ...]
    epoch: int
    entry: int | None
    kept: tuple[str, ...]
    finished: bool = False


def rotate(registry: Registry, folder: Path, roles: Sequence[str]) -> Rotated:
    """Begin new keys for some roles; raises KeyFileError or RegistryError, and then the old ones are in force."""
    keys = KeyStore(folder)
    notes = registry.notes(KIND)
    unfinished = _finish(folder, notes)
    if unfinished is not None:
        return Rotated(*unfinished, finished=True)
    epochs, old = registry.epochs(), IndexKey(keys.index_key(registry.epochs()[-1]))
    missing = [name for role in roles for name in _files(role) if not (folder / name).exists()]
    if missing:
        raise KeyFileError(f"{folder / missing[0]} is no file, so it cannot be replaced; rotate where the keys lie")
    made = {role: _made(folder, role) for role in roles}
    written: list[Path] = []
    try:
        for name, body in (pair for files in made.values() for pair in files.items()):
            write_private(folder / (name + _NEXT), body)
            written.append(folder / (name + _NEXT))
        facts = _facts(folder, roles, keys, epochs[-1].number, old)
        entry = _enter(registry, keys, folder, roles, facts)
    except BaseException:
        if len(registry.notes(KIND)) == len(notes):  # else the chain has it: the next command gives the names
            for path in written:
                path.unlink(missing_ok=True)
        raise
    done = _finish(folder, [*notes, entry])
    assert done is not None  # noqa: S101 - the entry was made for these very files
    return Rotated(*done)


def _files(role: str) -> tuple[str, ...]:
    return ("index.key",) if role == INDEX else (f"{role}.key", f"{role}.pub")


def _made(folder: Path, role: str) -> dict[str, bytes]:
    """The files of a new key of a role; under a passphrase where the old one is."""
    if role == INDEX:
        return {"index.key": base64.b64encode(secrets.token_bytes(32)) + b"\n"}
    old = folder / f"{role}.key"
    return new_pair(role, passphrase(str(old)) if b"BEGIN ENCRYPTED" in old.read_bytes() else None)


def _facts(folder: Path, roles: Sequence[str], keys: KeyStore, epoch: int, old: IndexKey) -> dict[str, Any]:
    """What the chain's entry says: ids of keys, new and retired; no key."""
    facts: dict[str, Any] = {"roles": list(roles)}
    if INDEX in roles:
        new = IndexKey(base64.b64decode((folder / f"index.key{_NEXT}").read_bytes()))
        facts["index_keys"] = {str(epoch): key_id(old), str(epoch + 1): key_id(new)}
    for role in (role for role in roles if role != INDEX):
        facts[role] = public_id(keys.public(role, _NEXT))
        facts[f"{role}_retired"] = public_id(keys.public(role))
    return facts


def _enter(
    registry: Registry, keys: KeyStore, folder: Path, roles: Sequence[str], facts: dict[str, Any]
) -> dict[str, Any]:
    if "officer" not in roles:
        return registry.note(KIND, "", facts)
    officers = keys.officers()
    entry = registry.rewrite(KIND, lambda con: _resealed(con, officers, keys.public("officer", _NEXT), facts))
    assert entry is not None  # noqa: S101 - the facts are never empty
    return entry


def _resealed(con: Connection, officers: Sequence[Any], new: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """The inside of the transaction that seals every secret to a new officer."""
    query = (
        "SELECT s.export_id, e.dataset, e.recipient, s.commitment, s.sealed FROM lake.sealed s "
        "JOIN lake.exports e USING (export_id) WHERE s.sealed IS NOT NULL"
    )
    con.execute("CREATE OR REPLACE TEMP TABLE resealed (export_id VARCHAR, sealed BLOB)")
    rows = con.execute(query).to_arrow_table()
    for at in range(0, rows.num_rows, _BATCH):
        part = [_sealed_anew(row, officers, new) for row in rows.slice(at, _BATCH).to_pylist()]
        con.register("part", pa.Table.from_pylist(part, schema=pa.schema([("e", pa.string()), ("s", pa.binary())])))
        con.execute("INSERT INTO resealed SELECT e, s FROM part")
    con.execute("UPDATE lake.sealed SET sealed = r.sealed FROM resealed r WHERE lake.sealed.export_id = r.export_id")
    for line in con.execute("SELECT * FROM lake.pool").to_arrow_table().to_pylist():
        values = [pool.sealed_anew(line, officers, new), line["dataset"], line["first"]]
        con.execute("UPDATE lake.pool SET officer = ? WHERE dataset = ? AND first = ?", values)
    return {**facts, "resealed": rows.num_rows}


def _sealed_anew(row: Mapping[str, Any], officers: Sequence[Any], new: Any) -> dict[str, Any]:
    opened = open_secret(officers, row)
    names = {name: row[name] for name in ("export_id", "dataset", "recipient")}
    sealed = seal_secret(new, **names, nonce=opened.nonce, secret=opened.secret, canaries=opened.document)
    return {"e": row["export_id"], "s": sealed}


def _finish(
    folder: Path, notes: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, ...], int, int | None, tuple[str, ...]] | None:
    """Give new keys that the chain knows their names; None when there are none. Others never came into force."""
    waiting = [folder / (name + _NEXT) for role in ROLES for name in _files(role)]
    waiting = [path for path in waiting if path.exists()]
    if not waiting:
        return None
    last = notes[-1] if notes else {"roles": []}
    roles = [role for role in last["roles"] if any((folder / (n + _NEXT)).exists() for n in _files(role))]
    known = [role for role in roles if _is_known(folder, role, last)]
    if not known:
        for path in waiting:
            path.unlink()
        return None
    kept = [name for role in known for name in _renamed(folder, role, notes)]
    return tuple(known), max(map(int, _epochs(notes)), default=1), last["number"], tuple(kept)


def _epochs(notes: Iterable[Mapping[str, Any]]) -> list[str]:
    return [number for note in notes for number in note.get("index_keys", {})]


def _is_known(folder: Path, role: str, note: Mapping[str, Any]) -> bool:
    """Whether the chain's last rotation is about the key that waits."""
    if role == INDEX:
        new = IndexKey(base64.b64decode((folder / f"index.key{_NEXT}").read_bytes()))
        begun = note.get("index_keys", {"0": ""})
        return key_id(new) == begun[max(begun, key=int)]
    waiting = folder / f"{role}.pub{_NEXT}"
    return not waiting.exists() or public_id(KeyStore(folder).public(role, _NEXT)) == note.get(role)


def _renamed(folder: Path, role: str, notes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The old files get their number, the new ones their name; the names of what is kept."""
    number = sum(role in note["roles"] for note in notes)
    kept = []
    for name in reversed(_files(role)):  # .pub first: .key decides whether a role is finished
        stem, suffix = name.split(".")
        older, waiting = folder / f"{stem}-{number}.{suffix}", folder / (name + _NEXT)
        if not waiting.exists():
            continue
        if suffix == "pub" or role in _KEPT:
            if not older.exists():
                os.link(folder / name, older)
            kept.append(older.name)
        waiting.replace(folder / name)
    return kept
