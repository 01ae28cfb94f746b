"""Which record versions an export holds, and what it adds to the index: entered and digested, never row by row.

Workers leave parts, a chunk of the export each: its versions, and its tokens in a sorted file with their digest. A
part whose versions are all new is adopted as it is; of a part that is new in places only those tokens are entered;
a part that is known costs nothing. What sorting is left is DuckDB's, which spills to disk when it must, and digests
are taken from a stream: memory does not grow with the rows.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.entries import NewExport
from pipeline.parts import TokenPart, little_endian, token_parts
from pipeline.storage import Connection, adopt, disown, retrying
from pipeline.tiles import LEAST, next_set_number, number_versions, numbers_of, pack
from schemas.errors import ContractError, InputError

BATCH = 262_144
_DOMAIN = b"leaktrace/2/index\0"


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
            f"{rows - records:,} of {rows:,} rows {'shares' if rows - records == 1 else 'share'} a key with another "
            "row; the contract's primaryKey must be "
            "unique: remove the duplicates, or correct the key in the contract"
        )

    def held() -> str:
        con.execute(
            "CREATE OR REPLACE TEMP TABLE held AS SELECT version FROM read_parquet(?) ORDER BY version", [parts]
        )
        return _digest(con, "SELECT version FROM held")  # made in order, which DuckDB keeps

    return Members(rows, retrying(held))


def enter_members(con: Connection, export: NewExport, staging: Path, members: Members, number: int) -> dict[str, Any]:
    """Enter a member set unless it is known, and the versions and tokens that the index lacks.

    number: of the receipt that adds them. Returns the receipt's `index`. Runs inside a transaction, after
    `staged_members`; may run again when the transaction must be tried again.
    """
    known = con.execute("SELECT 1 FROM lake.member_sets WHERE set_id = ?", [members.set_id]).fetchone()
    if known:
        return nothing_added()
    set_number = next_set_number(con) if members.rows >= LEAST else None
    row = [members.set_id, export.dataset, export.epoch, members.digest, members.rows, set_number]
    con.execute("INSERT INTO lake.member_sets VALUES (?, ?, ?, ?, ?, ?)", row)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE fresh AS SELECT part, version, record FROM read_parquet(?) "
        "ANTI JOIN lake.versions USING (version) ORDER BY part, version",
        [_parts(staging, "versions")],
    )
    con.execute(
        "INSERT INTO lake.versions SELECT version, record, ?, ?, ?, part, row_number() OVER () + "  # they are in order
        "(SELECT coalesce(max(number), -1) FROM lake.versions) FROM fresh",
        [export.dataset, export.epoch, number],
    )
    if set_number is None:
        con.execute("INSERT INTO lake.members SELECT ?, version FROM held", [members.set_id])
    else:
        number_versions(con)
        pack(con, f"SELECT {set_number}::BIGINT AS set_number, version FROM held")  # noqa: S608 - a number
    added = Digested("versions", ("version", "record"))
    added.read(con, "SELECT part, version, record FROM fresh")
    tokens = _enter_tokens(con, export, staging)
    con.execute("DROP TABLE fresh")
    return index_document(added, tokens)


def _enter_tokens(con: Connection, export: NewExport, staging: Path) -> "Digested":
    """Enter the tokens of the fresh versions; their digests."""
    found = con.execute("SELECT part, count(*) FROM fresh GROUP BY part").fetchall()
    fresh: dict[int, int] = dict(found)
    found = con.execute(
        "SELECT part, count(*) FROM read_parquet(?) GROUP BY part", [_parts(staging, "versions")]
    ).fetchall()
    whole = {part for part, rows in found if fresh.get(part) == rows}
    digested, some = Digested("tokens", ("token", "kind", "version")), []
    for part in token_parts(staging):
        name = f"{export.export_id}-{part.number:05d}.parquet"
        if part.number not in whole:
            disown(con, "tokens", name)  # an earlier try of this transaction may have put it there
            some += [part.path] if part.number in fresh else []
        elif part.rows:
            adopt(con, "tokens", Path(part.path), name)
            digested.take(part)
    if some:
        _enter_some(con, export.epoch, some, digested)
    return digested


def _enter_some(con: Connection, epoch: int, paths: Sequence[str], digested: "Digested") -> None:
    """The tokens of those versions of several parts that are fresh."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE renewed AS SELECT part, token, kind, version FROM read_parquet(?) "
        "JOIN fresh USING (version)",
        [list(paths)],
    )
    con.execute("INSERT INTO lake.tokens SELECT token, kind, version, ? FROM renewed", [epoch])
    digested.read(con, "SELECT part, token, kind, version FROM renewed ORDER BY ALL")
    con.execute("DROP TABLE renewed")


def added_by(con: Connection, number: int) -> dict[str, Any]:
    """What the registry holds of what one receipt added: the same document as the receipt's `index`."""
    versions, tokens = Digested("versions", ("version", "record")), Digested("tokens", ("token", "kind", "version"))
    versions.read(con, "SELECT part, version, record FROM lake.versions WHERE added = ? ORDER BY ALL", [number])
    tokens.read(
        con,
        "SELECT part, token, kind, t.version FROM lake.tokens t JOIN "
        "(SELECT DISTINCT version, part FROM lake.versions WHERE added = ?) v ON t.version = v.version ORDER BY ALL",
        [number],
    )
    return index_document(versions, tokens)


def nothing_added() -> dict[str, Any]:
    """The `index` of a receipt whose export brought no new version."""
    return index_document(Digested("versions", ()), Digested("tokens", ()))


def members_of(con: Connection, set_ids: Sequence[str]) -> str:
    """The digest of the members of several sets together, from the tables, packed or not."""
    con.register("packed_numbers", pa.table({"number": numbers_of(con, set_ids)}))
    query = (
        "SELECT version FROM (SELECT version FROM lake.members WHERE set_id IN (SELECT unnest($1::VARCHAR[])) "
        "UNION ALL SELECT version FROM lake.versions JOIN packed_numbers USING (number)) ORDER BY version"
    )
    return _digest(con, query, [list(set_ids)])


class Digested:
    """Rows by part, and for each part one SHA-256 over each column as little-endian words."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        """name: of the table; columns: what is digested of it."""
        self.name, self.columns = name, columns
        self.rows: dict[int, int] = {}
        self._hashers: dict[int, list[Any]] = {}
        self._taken: dict[int, tuple[str, ...]] = {}

    def read(self, con: Connection, query: str, values: Sequence[Any] = ()) -> None:
        """The rows of a query, (part, *columns), sorted by all of them; read in batches."""
        for batch in con.execute(query, list(values)).to_arrow_reader(BATCH):
            self.add(batch)

    def add(self, batch: pa.RecordBatch) -> None:
        """Some of the rows, in their order."""
        for part, rows in runs(batch):
            self._add(part, rows.columns)

    def take(self, part: TokenPart) -> None:
        """A part whose digest is known already."""
        self.rows[part.number], self._taken[part.number] = part.rows, part.sha256

    def document(self) -> Mapping[int, tuple[str, ...]]:
        """The digests of each part's columns, in hex."""
        return self._taken | {n: tuple(h.hexdigest() for h in hashers) for n, hashers in self._hashers.items()}

    def _add(self, part: int, columns: Sequence[pa.Array]) -> None:
        hashers = self._hashers.setdefault(part, [hashlib.sha256() for _ in self.columns])
        self.rows[part] = self.rows.get(part, 0) + len(columns[0])
        for hasher, column in zip(hashers, columns, strict=True):
            hasher.update(little_endian(column))


def runs(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Rows that follow one another with the same number in their first column: the number, and the other columns."""
    number = batch.column(0).to_numpy()
    cuts = [0, *(np.flatnonzero(np.diff(number)) + 1).tolist(), len(number)]
    for start, end in zip(cuts, cuts[1:], strict=False):
        if start < end:
            yield int(number[start]), batch.slice(start, end - start).select(batch.schema.names[1:])


def _digest(con: Connection, query: str, values: Sequence[Any] = ()) -> str:
    """SHA-256 of a column of sorted versions; it does not depend on how files are laid out."""
    hasher = hashlib.sha256()
    for batch in con.execute(query, list(values)).to_arrow_reader(BATCH):
        hasher.update(little_endian(batch.column(0)))
    return hasher.hexdigest()


def index_document(versions: Digested, tokens: Digested) -> dict[str, Any]:
    """Counts, and one digest over the digests of all parts in order."""
    joined = hashlib.sha256(_DOMAIN)
    for digested in (versions, tokens):
        for part, digests in sorted(digested.document().items()):
            joined.update(f"{digested.name} {part} {digested.rows[part]} {' '.join(digests)}\n".encode())
    counts = {"versions": sum(versions.rows.values()), "tokens": sum(tokens.rows.values())}
    return counts | {"digest": joined.hexdigest()}


def _parts(staging: Path, name: str) -> str:
    return str(staging / f"{name}-*.parquet")
