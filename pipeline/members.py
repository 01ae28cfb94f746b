"""Which record versions an export holds, and what it adds to the index: entered and digested, never row by row.

All sorting is DuckDB's, which spills to disk; digests are taken from a stream. Memory does not grow with the rows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.entries import NewExport
from pipeline.storage import Connection, retrying
from schemas.errors import ContractError, InputError

_BATCH = 262_144
_DOMAIN = b"leaktrace/1/index\0"


@dataclass(frozen=True)
class Members:
    """The versions of a file: how many, and the SHA-256 of them sorted, as little-endian words."""

    rows: int
    digest: str

    @property
    def set_id(self) -> str:
        """The name of the set that holds exactly these."""
        return f"S-{self.digest}"


def staged_members(con: Connection, staging: Path) -> Members:
    """The versions of a job's parts; ContractError when rows share a key, InputError when there is no row."""
    parts = _parts(staging, "versions")

    def counted() -> tuple[int, int]:
        row = con.execute("SELECT count(*), count(DISTINCT record) FROM read_parquet(?)", [parts]).fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    rows, records = retrying(counted) if any(staging.glob("versions-*.parquet")) else (0, 0)
    if rows == 0:
        raise InputError("the file has no rows, so there is nothing to enter; export it again")
    if rows != records:
        raise ContractError(
            f"{rows - records:,} of {rows:,} rows share a key with another row; the contract's primaryKey must be "
            "unique: remove the duplicates, or correct the key in the contract"
        )
    query = "SELECT version FROM read_parquet(?) ORDER BY version"
    return Members(rows, retrying(lambda: _digest(con, query, [parts])))


def enter_members(con: Connection, export: NewExport, staging: Path, members: Members, number: int) -> dict[str, Any]:
    """Enter a member set unless it is known, and the versions and tokens that the index lacks.

    number: of the receipt that adds them. Returns the receipt's `index`. Runs inside a transaction.
    """
    known = con.execute("SELECT 1 FROM lake.member_sets WHERE set_id = ?", [members.set_id]).fetchone()
    if known:
        return nothing_added()
    row = [members.set_id, export.dataset, export.epoch, members.digest, members.rows]
    con.execute("INSERT INTO lake.member_sets VALUES (?, ?, ?, ?, ?)", row)
    versions, tokens = _parts(staging, "versions"), _parts(staging, "tokens")
    con.execute(
        "INSERT INTO lake.members SELECT ?, version FROM read_parquet(?) ORDER BY version", [members.set_id, versions]
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE fresh AS SELECT version, record FROM read_parquet(?) "
        "ANTI JOIN lake.versions USING (version) ORDER BY version",
        [versions],
    )
    con.execute(
        "INSERT INTO lake.versions SELECT version, record, ?, ?, ? FROM fresh",
        [export.dataset, export.epoch, number],
    )
    counted = con.execute("SELECT count(*) FROM fresh").fetchone()
    only_fresh = "" if counted == (members.rows,) else "SEMI JOIN fresh USING (version)"
    con.execute(
        "CREATE OR REPLACE TEMP TABLE fresh_tokens AS SELECT token, kind, version "
        f"FROM read_parquet(?) {only_fresh} ORDER BY token, kind, version",
        [tokens],
    )
    con.execute("INSERT INTO lake.tokens SELECT token, kind, version, ? FROM fresh_tokens", [export.epoch])
    # Both tables were made in order and DuckDB keeps it, so they are digested without another sort.
    added = _index(con, "SELECT version, record FROM fresh", "SELECT token, kind, version FROM fresh_tokens")
    con.execute("DROP TABLE fresh")
    con.execute("DROP TABLE fresh_tokens")
    return added


def added_by(con: Connection, number: int) -> dict[str, Any]:
    """What the registry holds of what one receipt added: the same document as the receipt's `index`."""
    return _index(
        con,
        "SELECT version, record FROM lake.versions WHERE added = ? ORDER BY version, record",
        "SELECT token, kind, t.version FROM lake.tokens t SEMI JOIN "
        "(SELECT version FROM lake.versions WHERE added = ?) v ON t.version = v.version "
        "ORDER BY token, kind, t.version",
        [number],
    )


def nothing_added() -> dict[str, Any]:
    """The `index` of a receipt whose export brought no new version."""
    return _document((0, [hashlib.sha256()] * 2), (0, [hashlib.sha256()] * 3))


def members_of(con: Connection, set_ids: Sequence[str]) -> str:
    """The digest of the members of several sets together, from the tables."""
    query = "SELECT version FROM lake.members WHERE set_id IN (SELECT unnest($1::VARCHAR[])) ORDER BY version"
    return _digest(con, query, [list(set_ids)])


def _digest(con: Connection, query: str, values: Sequence[Any]) -> str:
    """SHA-256 of a column of sorted versions, as little-endian words; it does not depend on how files are laid out."""
    _, (hasher,) = _streams(con, query, values, 1)
    return str(hasher.hexdigest())


def _index(con: Connection, versions: str, tokens: str, values: Sequence[Any] = ()) -> dict[str, Any]:
    return _document(_streams(con, versions, values, 2), _streams(con, tokens, values, 3))


def _document(versions: tuple[int, list[Any]], tokens: tuple[int, list[Any]]) -> dict[str, Any]:
    joined = hashlib.sha256(_DOMAIN)
    for rows, hashers in (versions, tokens):
        joined.update(rows.to_bytes(8, "big") + b"".join(hasher.digest() for hasher in hashers))
    return {"versions": versions[0], "tokens": tokens[0], "digest": joined.hexdigest()}


def _streams(con: Connection, query: str, values: Sequence[Any], columns: int) -> tuple[int, list[Any]]:
    """Rows of a query and one SHA-256 over each column, read in batches."""
    hashers, rows = [hashlib.sha256() for _ in range(columns)], 0
    for batch in con.execute(query, list(values)).to_arrow_reader(_BATCH):
        rows += batch.num_rows
        for hasher, column in zip(hashers, batch.columns, strict=True):
            cells = column.to_numpy(zero_copy_only=False)
            hasher.update(np.ascontiguousarray(cells, dtype=cells.dtype.newbyteorder("<")).data)
    return rows, hashers


def _parts(staging: Path, name: str) -> str:
    return str(staging / f"{name}-*.parquet")
