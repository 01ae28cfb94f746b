"""The registry: what was issued to whom, changed in transactions over all its tables.

An export is entered whole or not at all. Issuing takes two steps, because a rename and a commit cannot be one:
`prepare` commits it with its signed receipt, the file gets its name, `issue` commits that; `recover` finishes
or undoes what a crash left in between.
"""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import receipts
from pipeline.index import IndexFiles
from pipeline.recovery import Job, finish, left_over, open_job
from pipeline.storage import CATALOGUE, Connection, attach, create_tables, retrying
from schemas.errors import ContractError, RegistryError
from schemas.tables import SCHEMA_VERSION, TABLES

T = TypeVar("T")


@dataclass(frozen=True)
class NewExport:
    """An export as it is entered. `output` is None for a file that was only registered, and so is `sealed`."""

    export_id: str
    dataset: str
    recipient: str
    purpose: str
    series_id: str
    epoch: int
    idempotency_key: str | None
    rows_in: int
    rows_out: int
    canaries: int
    marked_sites: int
    output: dict[str, Any] | None
    contract_sha256: str
    quality: str
    commitment: str
    sealed: bytes | None
    temp_path: str | None
    parent: str | None


def create(location: str, data: str | None = None) -> None:
    """Create an empty registry; refuses to overwrite one. `data`: where the tables' files go."""
    folder = Path(location)
    if (folder / CATALOGUE).exists():
        raise RegistryError(f"{folder} already holds a registry; nothing is overwritten: choose another --registry")
    try:
        (folder / "staging").mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "data").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise RegistryError(f"{folder} cannot be created ({error.strerror}); choose another --registry") from error
    con = attach(folder, data=data, create=True)
    con.execute("BEGIN")
    create_tables(con)
    con.execute("INSERT INTO lake.meta VALUES ('schema_version', ?)", [str(SCHEMA_VERSION)])
    con.execute("INSERT INTO lake.head VALUES (0, ?)", [receipts.GENESIS])
    con.execute("COMMIT")
    con.close()


class Registry:
    """An open registry. Use `Registry.open(...)` in a with-statement."""

    def __init__(self, folder: Path, con: Connection, issuer: Ed25519PrivateKey | None) -> None:
        """Use `open`."""
        self._folder, self._con, self._issuer = folder, con, issuer

    @classmethod
    @contextmanager
    def open(cls, location: str, *, issuer: Ed25519PrivateKey | None = None) -> Iterator["Registry"]:
        """Open a registry; `issuer` is needed to enter exports. RegistryError when it is of a newer version."""
        folder = Path(location)
        if not (folder / CATALOGUE).exists():
            raise RegistryError(f"{folder} holds no registry; give the right --registry, or run leaktrace init")
        con = attach(folder)
        try:
            _check_version(con, folder)
            yield cls(folder, con, issuer)
        finally:
            con.close()

    # -- entering exports ------------------------------------------------------------------------------------

    @contextmanager
    def job(self, export_ids: Sequence[str], temporary: Sequence[str], outputs: Sequence[str] = ()) -> Iterator[Path]:
        """A private folder for the parts of a job, with a lock that says that the job lives.

        When the block fails before `prepare`, the temporary files and the folder are removed; after it, the
        next command's `recover` finishes the job.
        """
        job = Job(tuple(export_ids), tuple(temporary), tuple(outputs))
        with open_job(self._folder / "staging", job) as folder:
            try:
                yield folder
            except BaseException:
                if not self._states(export_ids):
                    finish(job, {})
                    shutil.rmtree(folder, ignore_errors=True)
                raise
            shutil.rmtree(folder, ignore_errors=True)

    def prepare(self, exports: Sequence[NewExport], staging: Path, contract: bytes) -> list[dict[str, Any]]:
        """Enter exports with the index parts of `staging`, in one transaction; returns their receipts.

        The receipts are signed inside the retry, because their place in the chain is known only there.
        Raises ContractError when rows share a key, RegistryError when the registry cannot be written.
        """
        members = self._members(staging)
        return self._transaction(lambda: self._enter(exports, staging, contract, members))

    def issue(self, export_ids: Sequence[str]) -> None:
        """The copies have their names: they are issued."""
        self._transaction(lambda: self._set_state(export_ids, "issued"))

    def recover(self) -> list[str]:
        """Finish or undo what crashed jobs left behind; returns the ids of the exports that were finished."""
        finished: list[str] = []
        for job, folder in left_over(self._folder / "staging"):
            states = self._states(job.exports)
            prepared = [export for export, state in states.items() if state == "prepared"]
            done = finish(job, states)
            void = [export for export in prepared if export not in done]
            if done:
                self.issue(done)
            if void:
                self._transaction(lambda void=void: self._set_state(void, "void"))  # type: ignore[misc]
            finished += done
            shutil.rmtree(folder, ignore_errors=True)
        return finished

    # -- reading ---------------------------------------------------------------------------------------------

    def by_idempotency_key(self, key: str) -> list[dict[str, Any]]:
        """The receipts of the command that used this key before, in their order; empty when none did."""
        found = self._con.execute(
            "SELECT receipt FROM lake.exports WHERE idempotency_key = ? AND state <> 'void' ORDER BY number", [key]
        )
        return [json.loads(row[0]) for row in found.fetchall()]

    def exports(self, recipient: str | None = None, dataset: str | None = None) -> pa.Table:
        """Exports that were issued, oldest first; see schemas.tables.EXPORTS."""
        return self._con.execute(
            "SELECT * FROM lake.exports WHERE state <> 'void' AND ($1 IS NULL OR recipient = $1) "
            "AND ($2 IS NULL OR dataset = $2) ORDER BY number",
            [recipient, dataset],
        ).to_arrow_table()

    def datasets(self) -> list[tuple[str, str, bytes]]:
        """Name, contract digest and contract text of each dataset; the newest contract of each."""
        found = self._con.execute(
            "SELECT dataset, contract_sha256, contract FROM lake.datasets "
            "QUALIFY row_number() OVER (PARTITION BY dataset ORDER BY added_at DESC) = 1 ORDER BY dataset"
        )
        return [(name, digest, bytes(text)) for name, digest, text in found.fetchall()]

    def index_files(self) -> IndexFiles:
        """What a worker needs for look-ups."""
        counts = self._con.execute("SELECT dataset, count(DISTINCT version) FROM lake.versions GROUP BY dataset")
        return IndexFiles(str(self._folder), tuple(counts.fetchall()))

    def sealed(self, export_ids: Sequence[str]) -> pa.Table:
        """The sealed secrets of exports with what their seal is bound to."""
        self._con.register("asked", pa.table({"export_id": pa.array(export_ids, pa.string())}))
        return self._con.execute(
            "SELECT s.export_id, s.series_id, e.dataset, e.recipient, s.commitment, s.sealed "
            "FROM lake.sealed s JOIN asked USING (export_id) JOIN lake.exports e USING (export_id)"
        ).to_arrow_table()

    def head(self) -> dict[str, Any]:
        """Number and digest of the last receipt of the chain."""
        row = self._con.execute("SELECT number, digest FROM lake.head").fetchone()
        return {"number": row[0], "digest": row[1]} if row else {"number": 0, "digest": receipts.GENESIS}

    def begin_attempt(self, sample_digest: str, case_id: str, created_at: datetime) -> int:
        """Count one more trace of a sample; returns which one it is, from 1."""

        def count() -> int:
            row = self._con.execute(
                "SELECT coalesce(max(attempt), 0) FROM lake.cases WHERE sample_digest = ?", [sample_digest]
            ).fetchone()
            attempt = int(row[0]) + 1 if row else 1
            values = [sample_digest, attempt, case_id, created_at.isoformat(timespec="seconds")]
            self._con.execute("INSERT INTO lake.cases VALUES (?, ?, ?, ?)", values)
            return attempt

        return self._transaction(count)

    @property
    def connection(self) -> Connection:
        """For the integrity check (pipeline/audit.py)."""
        return self._con

    # -- inside ----------------------------------------------------------------------------------------------

    def _enter(
        self, exports: Sequence[NewExport], staging: Path, contract: bytes, members: npt.NDArray[np.uint64]
    ) -> list[dict[str, Any]]:
        con, first = self._con, exports[0]
        set_id, digest = self._member_set(first, staging, members)
        if not con.execute(
            "SELECT 1 FROM lake.datasets WHERE dataset = ? AND contract_sha256 = ?",
            [first.dataset, first.contract_sha256],
        ).fetchone():
            row = [first.dataset, first.contract_sha256, contract, datetime.now(UTC).isoformat()]
            con.execute("INSERT INTO lake.datasets VALUES (?, ?, ?, ?)", row)
        head = self.head()
        number, previous, made = head["number"], head["digest"], []
        for export in exports:
            number += 1
            receipt = receipts.sign(_body(export, number, previous, digest), self._signer())
            previous = receipts.digest(receipt)
            made.append(receipt)
        self._insert("exports", [_export_row(e, r) for e, r in zip(exports, made, strict=True)])
        self._insert("memberships", [{"export_id": e.export_id, "set_id": set_id} for e in exports])
        self._insert("sealed", [_sealed_row(e) for e in exports if e.sealed is not None])
        con.execute("UPDATE lake.head SET number = ?, digest = ?", [number, previous])
        return made

    def _member_set(self, export: NewExport, staging: Path, members: npt.NDArray[np.uint64]) -> tuple[str, str]:
        """The set of versions an export holds: a known one, or a new one with its new versions and tokens."""
        con, digest = self._con, members_digest(members)
        known = con.execute(
            "SELECT set_id FROM lake.member_sets WHERE dataset = ? AND digest = ?", [export.dataset, digest]
        ).fetchone()
        if known:
            return str(known[0]), digest
        set_id = "S-" + digest[:24]
        con.execute("INSERT INTO lake.member_sets VALUES (?, ?, ?, ?)", [set_id, export.dataset, digest, len(members)])
        con.register("sorted_members", pa.table({"version": pa.array(members)}))
        con.execute("INSERT INTO lake.members SELECT ?, version FROM sorted_members", [set_id])
        con.execute(
            "CREATE OR REPLACE TEMP TABLE fresh AS SELECT DISTINCT version, record "
            f"FROM read_parquet('{_parts(staging, 'versions')}') "
            "WHERE version NOT IN (SELECT version FROM lake.versions WHERE dataset = ?)",
            [export.dataset],
        )
        con.execute("INSERT INTO lake.versions SELECT version, record, ?, ? FROM fresh", [export.dataset, export.epoch])
        con.execute(
            f"INSERT INTO lake.tokens SELECT token, kind, version FROM read_parquet('{_parts(staging, 'tokens')}') "
            "SEMI JOIN fresh USING (version) ORDER BY token"
        )
        con.execute("DROP TABLE fresh")
        return set_id, digest

    def _members(self, staging: Path) -> npt.NDArray[np.uint64]:
        """The sorted versions of a job; refuses rows that share a key."""
        row = self._con.execute(
            f"SELECT count(*), count(DISTINCT record) FROM read_parquet('{_parts(staging, 'versions')}')"
        ).fetchone()
        rows, records = row or (0, 0)
        if rows != records:
            raise ContractError(
                f"{rows - records} rows share a key with another row; the contract's primaryKey must be unique: "
                "remove the duplicates, or correct the key in the contract"
            )
        found = self._con.execute(f"SELECT version FROM read_parquet('{_parts(staging, 'versions')}')").fetchnumpy()
        return np.unique(np.asarray(found["version"], dtype=np.uint64))

    def _insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        if not rows:
            return
        self._con.register("new_rows", pa.Table.from_pylist(list(rows), schema=TABLES[table]))
        self._con.execute(f"INSERT INTO lake.{table} SELECT * FROM new_rows")

    def _set_state(self, export_ids: Sequence[str], state: str) -> None:
        self._con.register("asked", pa.table({"export_id": pa.array(export_ids, pa.string())}))
        self._con.execute("UPDATE lake.exports SET state = ? WHERE export_id IN (SELECT export_id FROM asked)", [state])

    def _states(self, export_ids: Sequence[str]) -> dict[str, str]:
        self._con.register("asked", pa.table({"export_id": pa.array(export_ids, pa.string())}))
        found = self._con.execute("SELECT export_id, state FROM lake.exports JOIN asked USING (export_id)")
        return dict(found.fetchall())

    def _signer(self) -> Ed25519PrivateKey:
        if self._issuer is None:
            raise RegistryError("no issuer key is open, so no receipt can be signed; give --keys with issuer.key")
        return self._issuer

    def _transaction(self, work: Callable[[], T]) -> T:
        """One transaction, alone on this machine (a lock file), and tried again while others are in the way."""

        def once() -> T:
            self._con.execute("BEGIN")
            try:
                result = work()
                self._con.execute("COMMIT")
            except BaseException:
                _rollback(self._con)
                raise
            return result

        with (self._folder / "commit.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return retrying(once)


def members_digest(members: npt.NDArray[np.uint64]) -> str:
    """SHA-256 of the sorted versions, as little-endian words; it does not depend on how files are laid out."""
    return hashlib.sha256(np.ascontiguousarray(members, dtype="<u8").data).hexdigest()


def _rollback(con: Connection) -> None:
    try:
        con.execute("ROLLBACK")
    except Exception:  # noqa: S110 - the transaction may be gone with the error that is being raised
        pass


def _check_version(con: Connection, folder: Path) -> None:
    row = con.execute("SELECT value FROM lake.meta WHERE name = 'schema_version'").fetchone()
    found = int(row[0]) if row else 0
    if found > SCHEMA_VERSION:
        raise RegistryError(
            f"the registry in {folder} is of a newer version ({found}, this program knows {SCHEMA_VERSION}); "
            "upgrade leaktrace"
        )


def _body(export: NewExport, number: int, previous: str, members: str) -> dict[str, Any]:
    return {
        "number": number,
        "export_id": export.export_id,
        "dataset": export.dataset,
        "recipient": export.recipient,
        "purpose": export.purpose,
        "series": export.series_id,
        "epoch": export.epoch,
        "issued_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "rows_in": export.rows_in,
        "rows_out": export.rows_out,
        "canaries": export.canaries,
        "marked_sites": export.marked_sites,
        "output": export.output,
        "contract_sha256": export.contract_sha256,
        "quality": export.quality,
        "members": members,
        "commitment": export.commitment,
        "parent": export.parent,
        "previous": previous,
    }


def _export_row(export: NewExport, receipt: dict[str, Any]) -> dict[str, Any]:
    row = {name: getattr(export, name, None) for name in TABLES["exports"].names}
    text = json.dumps(receipt, ensure_ascii=False, sort_keys=True)
    return row | {
        "number": receipt["number"],
        "issued_at": receipt["issued_at"],
        "state": "prepared",
        "receipt": text,
    }


def _sealed_row(export: NewExport) -> dict[str, Any]:
    return {name: getattr(export, name) for name in TABLES["sealed"].names}


def _parts(staging: Path, name: str) -> str:
    return str(staging / f"{name}-*.parquet").replace("'", "''")
