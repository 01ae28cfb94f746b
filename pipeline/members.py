"""Which record versions an export holds, and what it adds to the index: entered and digested, never row by row.

All sorting is DuckDB's, which spills to disk when it must; digests are taken from a stream, and tokens are entered
range by range. Memory does not grow with the rows, and a look-up can skip the files whose range it does not ask for.
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
_RANGE = 4_000_000  # tokens that are sorted at once
_MOST_RANGES = 16  # each range reads the parts again
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
    versions = _parts(staging, "versions")
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
    added = _Digested(2)
    added.add(con, "SELECT version, record FROM fresh")  # made in order, which DuckDB keeps
    tokens = _enter_tokens(con, export.epoch, _parts(staging, "tokens"), every=counted == (members.rows,))
    con.execute("DROP TABLE fresh")
    return _document(added, tokens)


def _enter_tokens(con: Connection, epoch: int, parts: str, *, every: bool) -> "_Digested":
    """Enter the tokens of the fresh versions (of `every` version, when all are fresh), sorted; their digest."""
    row = con.execute("SELECT count(*) FROM read_parquet(?)", [parts]).fetchone()
    ranges = min(_MOST_RANGES, 1 + (int(row[0]) if row else 0) // _RANGE)
    chosen = "SELECT token, kind, version FROM read_parquet(?) WHERE token BETWEEN ?::UBIGINT AND ?::UBIGINT "
    chosen += "" if every else "AND version IN (SELECT version FROM fresh) "
    digested = _Digested(3)
    for number in range(ranges):
        low, high = number * 2**64 // ranges, (number + 1) * 2**64 // ranges - 1
        con.execute(f"CREATE OR REPLACE TEMP TABLE part AS {chosen} ORDER BY token, kind, version", [parts, low, high])
        con.execute("INSERT INTO lake.tokens SELECT token, kind, version, ? FROM part", [epoch])
        digested.add(con, "SELECT token, kind, version FROM part")
    con.execute("DROP TABLE part")
    return digested


def added_by(con: Connection, number: int) -> dict[str, Any]:
    """What the registry holds of what one receipt added: the same document as the receipt's `index`."""
    versions, tokens = _Digested(2), _Digested(3)
    versions.add(con, "SELECT version, record FROM lake.versions WHERE added = ? ORDER BY version, record", [number])
    tokens.add(
        con,
        "SELECT token, kind, t.version FROM lake.tokens t SEMI JOIN "
        "(SELECT version FROM lake.versions WHERE added = ?) v ON t.version = v.version "
        "ORDER BY token, kind, t.version",
        [number],
    )
    return _document(versions, tokens)


def nothing_added() -> dict[str, Any]:
    """The `index` of a receipt whose export brought no new version."""
    return _document(_Digested(2), _Digested(3))


def members_of(con: Connection, set_ids: Sequence[str]) -> str:
    """The digest of the members of several sets together, from the tables."""
    query = "SELECT version FROM lake.members WHERE set_id IN (SELECT unnest($1::VARCHAR[])) ORDER BY version"
    return _digest(con, query, [list(set_ids)])


class _Digested:
    """Rows of sorted queries, and one SHA-256 over each column as little-endian words, read in batches."""

    def __init__(self, columns: int) -> None:
        self.rows = 0
        self.hashers = [hashlib.sha256() for _ in range(columns)]

    def add(self, con: Connection, query: str, values: Sequence[Any] = ()) -> None:
        """Go on with the rows of a query."""
        for batch in con.execute(query, list(values)).to_arrow_reader(_BATCH):
            self.rows += batch.num_rows
            for hasher, column in zip(self.hashers, batch.columns, strict=True):
                cells = column.to_numpy(zero_copy_only=False)
                hasher.update(np.ascontiguousarray(cells, dtype=cells.dtype.newbyteorder("<")).data)


def _digest(con: Connection, query: str, values: Sequence[Any]) -> str:
    """SHA-256 of a column of sorted versions; it does not depend on how files are laid out."""
    digested = _Digested(1)
    digested.add(con, query, values)
    return digested.hashers[0].hexdigest()


def _document(versions: _Digested, tokens: _Digested) -> dict[str, Any]:
    joined = hashlib.sha256(_DOMAIN)
    for part in (versions, tokens):
        joined.update(part.rows.to_bytes(8, "big") + b"".join(hasher.digest() for hasher in part.hashers))
    return {"versions": versions.rows, "tokens": tokens.rows, "digest": joined.hexdigest()}


def _parts(staging: Path, name: str) -> str:
    return str(staging / f"{name}-*.parquet")
