"""The registry: what was issued to whom, changed in transactions over all its tables.

An export is entered whole or not at all. Issuing takes two steps, because a rename and a commit cannot be one:
`prepare` commits it with its signed receipt, the file gets its name, `issue` commits that; `recover` finishes
or undoes what a crash left in between. A trace counts prepared exports like issued ones.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import compaction, epochs, file_digests
from pipeline.compaction import Size
from pipeline.entries import NewExport, time_text
from pipeline.epochs import Epoch
from pipeline.founding import create, make_folders
from pipeline.index import IndexFiles
from pipeline.ledger import Clock, Ledger, Log
from pipeline.locks import everywhere
from pipeline.members import Compared, Members, compare_ahead, digests_of_adopted, staged_members
from pipeline.parts import remove_folder
from pipeline.places import Place, place_of
from pipeline.recovery import (
    Job,
    PreparedCopy,
    can_finish,
    copies_of,
    finish,
    left_over,
    open_job,
    remove_spills,
    withdraw,
)
from pipeline.retrying import retrying
from pipeline.storage import (
    Connection,
    attached,
    data_folder,
    delete_orphans,
    known_files,
    orphans_of,
    roll_back,
    stored_at,
)
from pipeline.tiles import pack_some
from pipeline.upgrade import create_tables, missing, upgrade, version_of
from schemas.errors import LeaktraceError, RegistryError
from schemas.tables import SCHEMA_VERSION

__all__ = ["NewExport", "Registry", "create"]
_ORPHAN_AGE = "1 DAY"
T = TypeVar("T")


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)


class Registry:
    """An open registry. Use `Registry.open(...)` in a with-statement."""

    def __init__(self, place: Place, con: Connection, issuer: Ed25519PrivateKey | None, clock: Clock) -> None:
        """Use `open`."""
        self._place, self._con, self._issuer = place, con, issuer
        self._ledger = Ledger(con, issuer, clock)
        self._digested: set[str] = set()  # names of data files whose digests are there
        self._known_digests: dict[str, str] = {}  # of data files, by name, that came with the files
        self.added: tuple[str, ...] = ()  # tables and columns that an upgrade added

    @classmethod
    @contextmanager
    def open(
        cls, location: str, *, issuer: Ed25519PrivateKey | None = None, clock: Clock = now, threads: int = 1
    ) -> Iterator["Registry"]:
        """Open a registry; `issuer` is needed to enter exports. One of an older version is upgraded where it lies.

        threads: of DuckDB; more than one only pays for a command that reads whole tables. Raises
        RegistryError when there is none, or one of a newer version.
        """
        place = place_of(location)
        if place.absent():
            raise RegistryError(f"{place.name} holds no registry; give the right --registry, or run leaktrace init")
        if place.database:
            make_folders(place)
        with attached(place, threads=threads) as con:
            opened = cls(place, con, issuer, clock)
            if retrying(lambda: version_of(con, place.name)) < SCHEMA_VERSION:
                opened._upgrade()
            yield opened

    def upgrade(self) -> tuple[str, ...]:
        """Add what is missing whatever version the registry says it has; what this or opening it has added."""
        self._upgrade()
        return self.added

    # -- entering exports ------------------------------------------------------------------------------------

    @contextmanager
    def job(self, export_ids: Sequence[str], temporary: Sequence[str], outputs: Sequence[str] = ()) -> Iterator[Path]:
        """A private folder for the parts of a job, with a lock that says that the job lives.

        When the block fails, whatever it wrote is removed and what it prepared is void: nothing was issued.
        When the process dies, the next command's `recover` does what is right.
        """
        job = Job(tuple(export_ids), _absolute(temporary), _absolute(outputs))
        with open_job(self._place.staging, job) as folder:
            try:
                yield folder
            except BaseException:
                self._abandon(job, folder)
                raise
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Nobody else does what `name` stands for meanwhile; RegistryError after ten minutes of waiting."""
        with everywhere(self._place, self._place.staging / f".{name}.lock"):
            yield

    def compare(self, staging: Path, members: Members, dataset: str, epoch: int) -> Compared | None:
        """What `prepare` asks of the index for the parts of a job, asked before, while others may commit.

        None where that cannot be: a compaction may take away a file that is being read. `prepare` then asks itself.
        """
        try:
            number = self.head()["number"] + 1
            return retrying(lambda: compare_ahead(self._con, dataset, epoch, staging, members, number))
        except RegistryError:
            return None

    def prepare(
        self,
        exports: Sequence[NewExport],
        staging: Path,
        contract: bytes,
        members: Members | None = None,
        compared: Compared | None = None,
    ) -> list[dict[str, Any]]:
        """Enter the exports of one job with the index parts in `staging`, in one transaction; their receipts.

        staging: versions-*.parquet (version, record) and tokens-*.parquet (token, kind, version), digests.
        members: what `staged_members` says of it, where it was asked before; compared: by `compare`.
        The receipts are signed inside the retry, because their place in the chain is known only there.
        Raises ContractError when rows share a key, RegistryError when the registry cannot be written; then
        nothing is entered.
        """
        held = members or staged_members(staging)
        self._known_digests |= digests_of_adopted(exports[0].export_id, staging)
        once = iter([compared])  # a transaction that failed may have taken the temporary table with it
        return self._transaction(lambda: self._ledger.enter(exports, staging, contract, held, next(once, None)))

    def issue(self, export_ids: Sequence[str]) -> None:
        """The copies have their names: they are issued."""
        self._transaction(lambda: self._ledger.set_state(export_ids, "issued"))

    def recover(self) -> list[str]:
        """Finish or undo what dead jobs left behind; returns the ids of the exports that were finished.

        Without the issuer's key, what would have to be declared void stays as it is for a command that has it.
        """
        finished: list[str] = []
        with left_over(self._place.staging) as jobs:
            for job, folder in jobs:
                finished += self._settle(job, folder)
            if jobs:
                self._sweep()
        return finished

    def compact(self, keep_seconds: int, advance: Callable[[Size], None]) -> Size:
        """Merge the small files of the index into large sorted ones, while others tag and trace.

        keep_seconds: how long a replaced file stays for traces that still read it. advance: called with the size
        after every merge. Returns the size at the end. Raises RegistryError; then nothing has changed but for
        merges that were complete.
        """
        with self.job([f"compaction-{secrets.token_hex(8)}"], ()):
            self._committing(partial(compaction.forget, self._con, keep_seconds))  # what earlier ones replaced
            while self._transaction(partial(pack_some, self._con)):
                advance(self.size())
            for table in ("members", "versions"):  # what was packed, and versions that got their numbers
                self._committing(partial(compaction.drop_deleted, self._con, table))
            for table in compaction.TABLES:
                while self._committing(partial(compaction.merge_once, self._con, table)):
                    advance(self.size())
            if keep_seconds == 0:
                self._committing(partial(compaction.forget, self._con, 0))
            self._tidy()
        return self.size()

    def rewrite(self, kind: str, work: Callable[[Connection], dict[str, Any] | None]) -> dict[str, Any] | None:
        """Take things out of the tables and say so in the chain, in one transaction; then out of the files.

        work: changes the tables and returns what the entry says; None when there is nothing to do.
        """

        def once() -> dict[str, Any] | None:
            facts = work(self._con)
            return None if facts is None else self._ledger.note(kind, "", facts)

        entry = self._transaction(once)
        for table in compaction.TABLES:  # always: an earlier one may have been killed just here
            self._committing(partial(compaction.drop_deleted, self._con, table))
        self._forget_deleted_words()
        return entry

    def size(self) -> Size:
        """What the index takes on disk."""
        return retrying(lambda: compaction.size_of(self._con))

    # -- reading ---------------------------------------------------------------------------------------------

    def by_idempotency_key(self, key: str) -> list[dict[str, Any]]:
        """The receipts of the command that used this key before, in their order; empty when none did."""
        return retrying(lambda: self._ledger.by_key(key))

    def exports(self, recipient: str | None = None, dataset: str | None = None) -> pa.Table:
        """Exports that were prepared or issued, oldest first; see schemas.tables.EXPORTS."""
        return self._read(
            "SELECT * FROM lake.exports WHERE state <> 'void' AND ($1 IS NULL OR recipient = $1) "
            "AND ($2 IS NULL OR dataset = $2) ORDER BY number",
            [recipient, dataset],
        )

    def receipts(self, export_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The signed receipt of each export that was ever entered."""
        return retrying(lambda: self._ledger.receipts(export_ids))

    def datasets(self) -> list[tuple[str, str, bytes]]:
        """Name, contract digest and contract text of each dataset: the contract of its latest export."""
        found = self._read(
            "SELECT e.dataset, contract_sha256, contract FROM lake.exports e "
            "JOIN lake.datasets USING (dataset, contract_sha256) "
            "QUALIFY row_number() OVER (PARTITION BY e.dataset ORDER BY e.number DESC) = 1 ORDER BY e.dataset"
        )
        return [(row["dataset"], row["contract_sha256"], bytes(row["contract"])) for row in found.to_pylist()]

    def index_files(self) -> IndexFiles:
        """What look-ups need, here or in a worker."""
        counts = self._read("SELECT dataset, count(*) AS versions FROM lake.versions GROUP BY dataset ORDER BY dataset")
        versions = tuple((row["dataset"], row["versions"]) for row in counts.to_pylist())
        return IndexFiles(self._place.name, versions, [self._con])

    def by_output_digest(self, sha256: str) -> str | None:
        """The export whose file has this digest; None when no receipt names it."""
        found = self._read(
            "SELECT export_id FROM lake.receipts WHERE kind = 'export' AND contains(receipt, ?) ORDER BY number DESC",
            [f'"sha256":"{sha256}"'],
        )
        return found["export_id"][0].as_py() if found.num_rows else None

    def notes(self, kind: str) -> list[dict[str, Any]]:
        """The chain's entries of a kind that enters nothing by itself (supersede, erasure, …), in order."""
        return retrying(lambda: self._ledger.notes(kind))

    def note(self, kind: str, export_id: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Add a signed entry about an export (or "" for the registry) to the chain; the entry."""
        return self._transaction(lambda: self._ledger.note(kind, export_id, facts))

    def latest_versions(self, dataset: str, records: pa.ChunkedArray) -> pa.Table:
        """The version that a dataset's record had last: table (record uint64, version uint64); unknown ones missing."""
        self._con.register("asked_records", pa.table({"record": records}))
        return self._read(
            "SELECT record, arg_max(version, added) AS version FROM lake.versions JOIN asked_records USING (record) "
            "WHERE dataset = ? GROUP BY record",
            [dataset],
        )

    def sealed(self, export_ids: Sequence[str]) -> pa.Table:
        """The sealed secrets of exports with what their seal is bound to."""
        return self._read(
            "SELECT s.export_id, s.series_id, e.dataset, e.recipient, s.commitment, s.sealed FROM lake.sealed s "
            "JOIN lake.exports e USING (export_id) WHERE s.export_id IN (SELECT unnest($1::VARCHAR[]))",
            [list(export_ids)],
        )

    def epochs(self) -> tuple[Epoch, ...]:
        """The epochs of the index key, oldest first; new exports are tagged in the last."""
        return epochs.epochs_of(self.notes(epochs.KIND))

    def epoch_of(self, dataset: str) -> Epoch:
        """The epoch of a dataset's latest export; the current one when it has none."""
        found = self._read("SELECT max(epoch) AS epoch FROM lake.exports WHERE dataset = ?", [dataset])
        there, latest = self.epochs(), found["epoch"][0].as_py()
        return next((epoch for epoch in there if epoch.number == latest), there[-1])

    def head(self) -> dict[str, Any]:
        """Number and digest of the last entry of the chain."""
        return retrying(self._ledger.head)

    def begin_attempt(self, sample_digest: str, case_id: str, created_at: datetime, log: Log | None = None) -> int:
        """Count one more trace of a sample; returns which one it is, from 1. It is committed at once.

        log: who traces, for the log of traces.
        """
        at = time_text(created_at)
        return self._transaction(lambda: self._ledger.count_attempt(sample_digest, case_id, at, log))

    def enter_log(self, kind: str, case_id: str, facts: dict[str, Any], log: Log) -> dict[str, Any]:
        """Enter something about a case in the log of traces."""
        return self._transaction(lambda: self._ledger.enter_log(kind, case_id, facts, log))

    def log(self) -> list[dict[str, Any]]:
        """Every entry of the log of traces, in order."""
        return retrying(self._ledger.log)

    def spent(self, year: int) -> tuple[float, int]:
        """What the cases of a year spent of its budget of alphas, and how many did."""
        return retrying(lambda: self._ledger.spent(year))

    def spend(self, case_id: str, alpha: float, year: int, budget: float, log: Log | None = None) -> bool:
        """Spend a case's alpha if the year's budget covers it; whether it does. It is committed at once.

        log: who traces, for the log of traces.
        """
        return self._transaction(lambda: self._ledger.spend(case_id, alpha, year, budget, log))

    def spent_on(self, sample_digest: str, attempt: int) -> float | None:
        """What one attempt at a sample spent; None when that is not written down."""
        return retrying(lambda: self._ledger.spent_on(sample_digest, attempt))

    def sight(self, case_id: str, sample_digest: str, at: str, words: pa.Array) -> None:
        """Keep the words by which a case's sample is known again (pipeline/sightings.py)."""
        self._transaction(lambda: self._ledger.sight(case_id, sample_digest, at, words))

    def sightings(self, words: pa.Array, before: str, but: str) -> dict[str, Any]:
        """The words kept of each case before a moment, of other samples than `but`, that has one of these words."""
        found = retrying(lambda: self._ledger.sightings(words, before, but))
        cases = found["case_id"].to_numpy()
        return {case: found["word"].to_numpy()[cases == case] for case in dict.fromkeys(cases.tolist())}

    def forget_sightings(self, case_id: str) -> None:
        """Forget a deleted case's sample, in the files too."""
        self._transaction(lambda: self._ledger.forget_sightings(case_id))
        self._forget_deleted_words()

    def pool(self, dataset: str) -> list[dict[str, Any]]:
        """The batches of a dataset's coded canaries, by rank; see schemas.tables.POOL."""
        query = "SELECT * FROM lake.pool WHERE dataset = ? ORDER BY first"
        return [dict(row) for row in self._read(query, [dataset]).to_pylist()]

    def has_pools(self) -> bool:
        """Whether any dataset has coded canaries: then a pool.key exists, and no machine makes another."""
        return bool(self._read("SELECT 1 FROM lake.pool LIMIT 1", []).num_rows)

    def add_to_pool(self, batch: dict[str, Any]) -> None:
        """Enter a batch of coded canaries, on record."""
        self._transaction(lambda: self._ledger.add_to_pool(batch))

    def at_one_moment(self, work: Callable[[Connection], T]) -> T:
        """What `work` finds in the tables as they are at one moment; again from the start when a server went away."""

        def once() -> T:
            with self.snapshot() as con:
                return work(con)

        return retrying(once)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """The tables as they are at one moment, for the integrity check (pipeline/audit.py)."""
        retrying(lambda: self._con.execute("BEGIN"))
        try:
            yield self._con
        finally:
            roll_back(self._con)

    def orphans(self) -> list[str]:
        """Names of data files that belong to nothing, found while nobody writes.

        Where several machines write, or the files lie in an object store, those of a day ago and older: a machine
        that lost its connection, and with it the lock, may still be writing.
        """
        with everywhere(self._place, self._place.folder / "commit.lock"):
            return [path.rsplit("/", 1)[-1] for path in retrying(self._orphans)]

    # -- inside ----------------------------------------------------------------------------------------------

    def _forget_deleted_words(self) -> None:
        self._committing(partial(compaction.drop_words, self._con))
        self._committing(partial(compaction.forget, self._con, 0))
        self._tidy()

    def _upgrade(self) -> None:
        self.added += tuple(retrying(lambda: missing(self._con)))
        self._committing(lambda: create_tables(self._con))
        self._transaction(lambda: upgrade(self._con, self._place.name))

    def _settle(self, job: Job, folder: Path) -> list[str]:
        """Finish or undo one dead job; the exports that are complete now."""
        states = retrying(lambda: self._ledger.states(job.exports))
        copies = copies_of(job, self.receipts(job.exports))
        prepared = [copy for copy in copies if states.get(copy.export_id) == "prepared"]
        if self._issuer is None and prepared and (job.withdrawn or not can_finish(prepared)):
            return []
        done: list[str] = []
        if prepared and not job.withdrawn:
            done = finish(prepared)
            self.issue(done)
            self._transaction(lambda: self._ledger.void([copy.export_id for copy in prepared]))
        elif not states or job.withdrawn:
            self._undo(copies)
        shutil.rmtree(folder, ignore_errors=True)
        return done

    def _abandon(self, job: Job, folder: Path) -> None:
        """Undo a job that failed in this process; what cannot be undone now is left to the next command."""
        try:
            states = retrying(lambda: self._ledger.states(job.exports))
            if "issued" not in states.values():
                job = withdraw(folder, job) if states else job
                self._undo(copies_of(job, self.receipts(job.exports)))
            remove_folder(folder)
            self._sweep()
        except (LeaktraceError, OSError):
            return

    def _undo(self, copies: Sequence[PreparedCopy]) -> None:
        for copy in copies:
            copy.delete()
        self._transaction(lambda: self._ledger.void([copy.export_id for copy in copies]))

    def _sweep(self) -> None:
        """Delete data files that an interrupted transaction left; nobody else writes while the lock is held."""
        with everywhere(self._place, self._place.folder / "commit.lock"):
            if self._alone_writes():
                for path in retrying(self._orphans):
                    Path(path).unlink(missing_ok=True)
            else:
                retrying(lambda: delete_orphans(self._con, _ORPHAN_AGE))
        remove_spills(self._place.staging)

    def _tidy(self) -> None:
        """Digests of data files that are gone."""
        if self._alone_writes():
            with everywhere(self._place, self._place.folder / "commit.lock"):
                file_digests.tidy(Path(stored_at(self._con)))

    def _orphans(self) -> list[str]:
        if not self._alone_writes():
            return orphans_of(self._con, _ORPHAN_AGE)
        folder = Path(stored_at(self._con))
        # By name, which is unique: a path can be spelled in several ways, and a live file must never be taken for one.
        known = known_files(self._con)
        return sorted(str(path) for path in folder.rglob("*.parquet") if path.name not in known)

    def _alone_writes(self) -> bool:
        """Whether this machine alone writes, and into a folder."""
        return self._place.database is None and data_folder(self._con) is not None

    def _read(self, query: str, values: Sequence[Any] = ()) -> pa.Table:
        return retrying(lambda: self._con.execute(query, list(values)).to_arrow_table())

    def _transaction(self, work: Callable[[], T]) -> T:
        """One transaction, alone on this machine (a lock file), and tried again while others are in the way."""

        def once() -> T:
            self._con.execute("BEGIN")
            try:
                result = work()
                self._con.execute("COMMIT")
            except BaseException:
                roll_back(self._con)
                raise
            return result

        return self._committing(once)

    def _committing(self, work: Callable[[], T]) -> T:
        """Run work that commits, alone on this machine, and again while others are in the way."""
        with everywhere(self._place, self._place.folder / "commit.lock"):
            result = retrying(work)
            with suppress(OSError, RegistryError):  # it is committed; the next commit makes up for it
                self._record_digests()
            return result

    def _record_digests(self) -> None:
        if self._alone_writes():
            folder = Path(stored_at(self._con))
            retrying(lambda: file_digests.record(self._con, folder, self._digested, self._known_digests))


def _absolute(paths: Sequence[str]) -> tuple[str, ...]:
    """The next command may run in another folder."""
    return tuple(os.path.abspath(path) for path in paths)
