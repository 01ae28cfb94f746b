"""Which record versions an export holds, and what it adds to the index: entered and digested, never row by row.

Workers leave parts, a chunk of the export each: its versions, and its tokens in a sorted file with their digest. A
part whose versions are all new is adopted as it is; of a part that is new in places only those tokens are entered;
a part that is known costs nothing. What sorting is left is DuckDB's, which spills to disk when it must, and digests
are taken from a stream: memory does not grow with the rows.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.entries import NewExport
from pipeline.parts import TokenPart, ahead, in_shares, little_endian, token_parts
from pipeline.retrying import disk_error
from pipeline.storage import Connection, adopt, disown
from pipeline.tiles import LEAST, all_numbered, next_set_number, number_versions, numbers_of, pack
from schemas.errors import ContractError, InputError
from schemas.tables import TABLES

BATCH = 262_144
_DOMAIN = b"leaktrace/2/index\0"
_FRESH = "fresh.parquet"  # in a job's folder: the versions that the index lacks
# Sorted digests hardly compress; the other columns are the same in every row, or count up.
_AS_IT_IS: dict[str, Any] = {
    "compression": "NONE", "store_schema": False, "use_dictionary": ["dataset", "epoch", "added", "part"],
    "column_encoding": {"number": "DELTA_BINARY_PACKED"},
}  # fmt: skip


@dataclass(frozen=True)
class Members:
    """The versions of a file: how many, and the SHA-256 of them sorted, as little-endian words."""

    rows: int
    digest: str

    @property
    def set_id(self) -> str:
        """The name of the set that holds exactly these."""
        return f"S-{self.digest}"


def staged_members(staging: Path) -> Members:
    """The versions of a job's parts; ContractError when rows share a key, InputError when there is no row.

    Sorted by NumPy, some millions at a time, which takes a tenth of what DuckDB's count and sort took.
    """
    parts = sorted(staging.glob("versions-*.parquet"))
    rows = sum(pq.read_metadata(part).num_rows for part in parts)
    if rows == 0:
        raise InputError("the file has no rows, so there is nothing to enter; export it again")
    again, hasher = 0, hashlib.sha256()
    for (record,) in in_shares(parts, rows, partial(_column, "record")):
        record.sort()
        again += int(np.count_nonzero(record[1:] == record[:-1]))
    if again:
        raise ContractError(
            f"{again:,} of {rows:,} rows {'shares' if again == 1 else 'share'} a key with another "
            "row; the contract's primaryKey must be "
            "unique: remove the duplicates, or correct the key in the contract"
        )
    for (version,) in in_shares(parts, rows, partial(_column, "version")):
        version.sort()
        hasher.update(little_endian(version))
    return Members(rows, hasher.hexdigest())


def _column(name: str, part: Path) -> list[np.ndarray]:
    return [pq.read_table(part, columns=[name], use_threads=False)[name].to_numpy()]


@dataclass(frozen=True)
class Compared:
    """Which versions of a job's parts the index knows, and which it lacks: good once, for one connection and folder.

    Those that it knows are in the connection's temporary table `known` (part, version, number), those that it lacks in
    the file _FRESH beside the parts. snapshot: of the tables that they were compared with; this holds while it is the
    last one. set_number: under which the set is packed, where it is to be; number: of the receipt that adds the fresh
    ones; first: the number that the first of these gets, whose others follow; fresh: their digests.
    """

    snapshot: int | None
    set_number: int | None
    number: int
    first: int
    fresh: "Digested"


def compare_ahead(
    con: Connection, dataset: str, epoch: int, staging: Path, members: Members, number: int
) -> Compared | None:
    """Compare outside any transaction, so that nobody waits meanwhile; number: that the receipt seems to get.

    None where entering them has nothing to compare, or has to number versions first.
    """
    snapshot = _snapshot(con)
    if snapshot is None or _is_known(con, members) or not all_numbered(con):
        return None
    return _compare(con, dataset, epoch, staging, members, number, snapshot)


def enter_members(
    con: Connection, export: NewExport, staging: Path, members: Members, number: int, compared: Compared | None = None
) -> dict[str, Any]:
    """Enter a member set unless it is known, and the versions and tokens that the index lacks.

    number: of the receipt that adds them; compared: by `compare_ahead`; that is done again where anything was
    committed since. Returns the receipt's `index`. Runs inside a transaction, after `staged_members`; may run again
    when the transaction must be tried again.
    """
    snapshot = _snapshot(con)
    if compared is None or (compared.snapshot, compared.number) != (snapshot, number):
        if _is_known(con, members):
            return nothing_added()
        if members.rows >= LEAST:
            number_versions(con)
        compared = _compare(con, export.dataset, export.epoch, staging, members, number, snapshot)
    fresh, set_number = compared.fresh, compared.set_number
    row = [members.set_id, export.dataset, export.epoch, members.digest, members.rows, set_number]
    con.execute("INSERT INTO lake.member_sets VALUES (?, ?, ?, ?, ?, ?)", row)
    if set_number is None:
        con.execute("INSERT INTO lake.members SELECT ?, version FROM read_parquet(?) ORDER BY version",
                    [members.set_id, _parts(staging, "versions")])  # fmt: skip
    else:
        known = f"(SELECT {set_number}::BIGINT AS set_number, number FROM known)"  # noqa: S608 - a number
        pack(con, known, range(compared.first, compared.first + sum(fresh.rows.values())), set_number)
    con.execute("DROP TABLE known")
    name = f"{export.export_id}.parquet"
    if fresh.rows:
        adopt(con, "versions", {name: staging / _FRESH})
    else:
        disown(con, "versions", [name])  # an earlier try of this transaction may have put it there
    return index_document(fresh, _enter_tokens(con, export, staging, fresh.rows))


def _is_known(con: Connection, members: Members) -> bool:
    return con.execute("SELECT 1 FROM lake.member_sets WHERE set_id = ?", [members.set_id]).fetchone() is not None


def _snapshot(con: Connection) -> int | None:
    """The number of the tables' last snapshot: every commit makes one, whatever it changes."""
    row = con.execute("FROM ducklake_current_snapshot('lake')").fetchone()
    return int(row[0]) if row else None


def _compare(
    con: Connection, dataset: str, epoch: int, staging: Path, members: Members, number: int, snapshot: int | None
) -> Compared:
    set_number = next_set_number(con) if members.rows >= LEAST else None
    con.execute(
        "CREATE OR REPLACE TEMP TABLE known AS SELECT p.part, version, v.number FROM read_parquet(?) p "
        "JOIN lake.versions v USING (version) ORDER BY p.part, version",
        [_parts(staging, "versions")],
    )
    row = con.execute("SELECT coalesce(max(number), -1) + 1 FROM lake.versions").fetchone()
    first, constants = int(row[0]) if row else 0, {"dataset": dataset, "epoch": epoch, "added": number}
    try:
        return Compared(snapshot, set_number, number, first, _write_fresh(con, constants, staging, first))
    except OSError as error:
        raise disk_error(error) from error


def _write_fresh(con: Connection, constants: Mapping[str, Any], staging: Path, first: int) -> "Digested":
    """Write those versions that the index lacks as a file of its table, in their order; their digests.

    A part at a time: what is known of one comes from the table `known`, in the same order. constants: what all lines
    share; first: the number of the first.
    """
    added = Digested("versions", ("version", "record"))
    known = _by_part(con.execute("SELECT part, version FROM known").to_arrow_reader(BATCH))  # DuckDB keeps their order
    coming = next(known, None)
    parts = (pq.read_table(path, use_threads=False) for path in sorted(staging.glob("versions-*.parquet")))
    with pq.ParquetWriter(staging / _FRESH, TABLES["versions"], **_AS_IT_IS) as writer:
        for table in ahead(parts):
            part = int(table["part"][0].as_py()) if table.num_rows else -1
            if coming is not None and coming[0] == part:
                table = table.filter(pc.invert(pc.is_in(table["version"], value_set=coming[1])))
                coming = next(known, None)
            if table.num_rows:
                writer.write_table(_numbered(table, constants, first))
                added.add(table.combine_chunks().to_batches()[0])
                first += table.num_rows
    return added


def _numbered(table: pa.Table, constants: Mapping[str, Any], first: int) -> pa.Table:
    """Versions (part, version, record) as lines of their table, numbered from `first`; constants: what all share."""
    rows = table.num_rows
    columns = {name: table[name] for name in table.column_names}
    columns |= {
        name: pa.repeat(pa.scalar(value, TABLES["versions"].field(name).type), rows)
        for name, value in constants.items()
    }
    columns["number"] = pa.array(np.arange(first, first + rows, dtype=np.int64))
    return pa.table([columns[name] for name in TABLES["versions"].names], schema=TABLES["versions"])


def _by_part(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pa.ChunkedArray]]:
    """Batches of (part, version), sorted by part: each part with its versions."""
    each = (run for batch in batches for run in runs(batch))
    for part, some in groupby(each, key=itemgetter(0)):
        yield part, pa.chunked_array([rows.column(0) for _, rows in some])


def _enter_tokens(con: Connection, export: NewExport, staging: Path, fresh: Mapping[int, int]) -> "Digested":
    """Enter the tokens of the fresh versions; their digests. fresh: how many there are of each part."""
    digested, whole, some, unwanted = Digested("tokens", ("token", "kind", "version")), {}, [], []
    for part in token_parts(staging):
        name = adopted_name(export.export_id, part)
        rows = pq.read_metadata(staging / f"versions-{part.number:05d}.parquet").num_rows
        if fresh.get(part.number) != rows:
            unwanted.append(name)
            some += [part.path] if part.number in fresh else []
        elif part.rows:
            whole[name] = Path(part.path)
            digested.take(part)
    disown(con, "tokens", unwanted)  # an earlier try of this transaction may have put them there
    adopt(con, "tokens", whole)
    if some:
        _enter_some(con, export.epoch, some, staging / _FRESH, digested)
    return digested


def adopted_name(export_id: str, part: TokenPart) -> str:
    """The name of a part's token file as a file of the table."""
    return f"{export_id}-{part.number:05d}.parquet"


def digests_of_adopted(export_id: str, staging: Path) -> dict[str, str]:
    """The SHA-256 of the token files that an export may bring, by the names that they then have."""
    return {adopted_name(export_id, part): part.file for part in token_parts(staging)}


def _enter_some(con: Connection, epoch: int, paths: Sequence[str], fresh: Path, digested: "Digested") -> None:
    """The tokens of those versions of several parts that are fresh."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE renewed AS SELECT part, token, kind, version FROM read_parquet($1) "
        "JOIN (SELECT part, version FROM read_parquet($2)) USING (version)",
        [list(paths), str(fresh)],
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
