"""The writes of the registry, each meant for the inside of a transaction, and the reads that they rest on."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.entries import (
    NewExport,
    Place,
    export_body,
    export_row,
    note_body,
    receipt_row,
    sealed_row,
    time_text,
    void_body,
)
from pipeline.members import Compared, Members, enter_members, nothing_added
from pipeline.receipts import GENESIS, digest, sign
from pipeline.sealing import canonical
from pipeline.storage import Connection
from pipeline.trace_log import SPEND, TRACE, Sign
from schemas.errors import RegistryError
from schemas.tables import TABLES

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Log:
    """Who does something that the log of traces tells of, and how it is signed."""

    operator: str
    sign: Sign


class Ledger:
    """The tables of an open registry, as the inside of a transaction sees them."""

    def __init__(self, con: Connection, issuer: Ed25519PrivateKey | None, clock: Clock) -> None:
        """`issuer` signs; without it nothing can be entered or declared void."""
        self._con, self._issuer, self._clock = con, issuer, clock

    def enter(
        self,
        exports: Sequence[NewExport],
        staging: Path,
        contract: bytes,
        members: Members,
        compared: Compared | None = None,
    ) -> list[dict[str, Any]]:
        """Enter the exports of one job as prepared, each with its place in the chain; their receipts.

        compared: its versions with the index, by `compare_ahead`.
        """
        con, first = self._con, exports[0]
        if there := self.receipts([export.export_id for export in exports]):
            return [there[export.export_id] for export in exports]  # a commit that was reported lost, but was not
        if any(self.by_key(key) for key in {e.idempotency_key for e in exports if e.idempotency_key}):
            raise RegistryError("another command has just used this --idempotency-key; run again to get its receipt")
        place = self._next_place()
        index = enter_members(con, first, staging, members, place.number, compared)
        row = [first.dataset, first.contract_sha256]
        if not con.execute("SELECT 1 FROM lake.datasets WHERE dataset = ? AND contract_sha256 = ?", row).fetchone():
            con.execute("INSERT INTO lake.datasets VALUES (?, ?, ?)", [*row, contract])
        made = []
        for export in exports:
            made.append(sign(export_body(export, place, members.digest, index), self._signer()))
            place, index = self._after(made[-1]), nothing_added()
        self._insert("receipts", [receipt_row(receipt) for receipt in made])
        self._insert("exports", [export_row(receipt, "prepared") for receipt in made])
        self._insert("memberships", [{"export_id": e.export_id, "set_id": members.set_id} for e in exports])
        self._insert("sealed", [sealed_row(export) for export in exports if export.sealed is not None])
        self._move_head(made[-1])
        return made

    def void(self, export_ids: Sequence[str]) -> None:
        """Prepared exports that never got their files: signed entries of the chain say so."""
        states = self.states(export_ids)
        made: list[dict[str, Any]] = []
        for export in (e for e in export_ids if states.get(e) == "prepared"):
            place = self._after(made[-1]) if made else self._next_place()
            made.append(sign(void_body(export, place), self._signer()))
        if made:
            self._insert("receipts", [receipt_row(entry) for entry in made])
            self.set_state([entry["export_id"] for entry in made], "void")
            self._move_head(made[-1])

    def note(self, kind: str, export_id: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        """A signed entry of another kind; what it says is in `facts`."""
        entry = sign(note_body(kind, export_id, self._next_place(), facts), self._signer())
        self._insert("receipts", [receipt_row(entry)])
        self._move_head(entry)
        return entry

    def notes(self, kind: str) -> list[dict[str, Any]]:
        """Every entry of a kind, in order."""
        found = self._con.execute("SELECT receipt FROM lake.receipts WHERE kind = ? ORDER BY number", [kind])
        return [json.loads(row[0]) for row in found.fetchall()]

    def by_key(self, key: str) -> list[dict[str, Any]]:
        """The receipts that an idempotency key stands for, in their order."""
        found = self._con.execute(
            "SELECT receipt FROM lake.receipts r JOIN lake.exports e USING (number) "
            "WHERE e.idempotency_key = ? AND e.state <> 'void' ORDER BY number",
            [key],
        )
        return [json.loads(row[0]) for row in found.fetchall()]

    def receipts(self, export_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The receipt of each export that was ever entered."""
        found = self._con.execute(
            "SELECT export_id, receipt FROM lake.receipts WHERE kind = 'export' "
            "AND export_id IN (SELECT unnest($1::VARCHAR[]))",
            [list(export_ids)],
        )
        return {export: json.loads(receipt) for export, receipt in found.fetchall()}

    def count_attempt(self, sample_digest: str, case_id: str, created_at: str, log: "Log | None" = None) -> int:
        """Count one more trace of a sample, and enter it in the log; which one it is."""
        # The counter is one row, so that two traces that count at once collide and one of them counts again.
        self._con.execute("UPDATE lake.meta SET value = (value::BIGINT + 1)::VARCHAR WHERE name = 'attempts'")
        row = self._con.execute(
            "SELECT coalesce(max(attempt), 0) FROM lake.cases WHERE sample_digest = ?", [sample_digest]
        ).fetchone()
        attempt = int(row[0]) + 1 if row else 1
        line = [sample_digest, attempt, case_id, created_at]
        self._con.execute(
            "INSERT INTO lake.cases (sample_digest, attempt, case_id, created_at) VALUES (?, ?, ?, ?)", line
        )
        if log is not None:
            said = {"sample_digest": sample_digest, "attempt": attempt, "created_at": created_at}
            self.enter_log(TRACE, case_id, said, log)
        return attempt

    def sight(self, case_id: str, sample_digest: str, at: str, words: pa.Array) -> None:
        """Keep the words of a case's sample."""
        same = [pa.array([text] * len(words), pa.string()) for text in (case_id, sample_digest, at)]
        self._con.register("new_rows", pa.table([*same, words], schema=TABLES["sightings"]))
        self._con.execute("INSERT INTO lake.sightings BY NAME SELECT * FROM new_rows")

    def sightings(self, words: pa.Array, before: str, but: str) -> pa.Table:
        """Table (case_id, word) of the cases that have one of the words, seen before a moment, of other samples."""
        self._con.register("asked", pa.table({"word": words}))
        return self._con.execute(
            "SELECT case_id, word FROM lake.sightings WHERE case_id IN (SELECT case_id FROM lake.sightings "
            "SEMI JOIN asked USING (word) WHERE seen_at < ? AND sample_digest <> ?) ORDER BY case_id, word",
            [before, but],
        ).to_arrow_table()

    def forget_sightings(self, case_id: str) -> None:
        """Delete the words of a case's sample."""
        self._con.execute("DELETE FROM lake.sightings WHERE case_id = ?", [case_id])

    def spent(self, year: int, but: str = "") -> tuple[float, int]:
        """What the cases of a year (but for one) spent of its budget of alphas, and how many did.

        What the log says was signed, so it prevails over what stands with the cases.
        """
        found = self._con.execute(
            "SELECT case_id, alpha FROM lake.cases WHERE created_at LIKE ? AND alpha IS NOT NULL", [f"{year:04d}-%"]
        )
        alphas: dict[str, float] = dict(found.fetchall())
        alphas |= {entry["case_id"]: entry["alpha"] for entry in self.log(SPEND) if entry["year"] == year}
        alphas.pop(but, None)
        return math.fsum(alphas.values()), sum(alpha > 0 for alpha in alphas.values())

    def spend(self, case_id: str, alpha: float, year: int, budget: float, log: "Log | None" = None) -> bool:
        """Write down what a case spends, or 0 where the year's budget does not cover it; whether it does."""
        self._con.execute("UPDATE lake.meta SET value = value WHERE name = 'attempts'")  # two at once collide
        if there := [entry for entry in self.log(SPEND) if entry["case_id"] == case_id]:
            return bool(there[0]["alpha"] > 0)  # a commit that was reported lost, but was not
        covered = self.spent(year, but=case_id)[0] + alpha <= budget * (1 + 1e-9)
        spent = alpha if covered else 0.0
        if log is not None:
            self.enter_log(SPEND, case_id, {"alpha": spent, "year": year, **self._unsigned()}, log)
        self._con.execute("UPDATE lake.cases SET alpha = ? WHERE case_id = ?", [spent, case_id])
        return covered

    def _unsigned(self) -> dict[str, Any]:
        """For the first entry of what a trace spends: what was spent before such entries were made."""
        if self.log(SPEND):
            return {}
        row = self._con.execute("SELECT count(alpha), coalesce(sum(alpha), 0) FROM lake.cases").fetchone()
        return {"unsigned": list(row)} if row else {}

    def spent_on(self, sample_digest: str, attempt: int) -> float | None:
        """What one attempt at a sample spent; None when it spent nothing, or before such things were written down."""
        row = self._con.execute(
            "SELECT alpha FROM lake.cases WHERE sample_digest = ? AND attempt = ?", [sample_digest, attempt]
        ).fetchone()
        return row[0] if row else None

    def add_to_pool(self, batch: Mapping[str, Any]) -> None:
        """Coded canaries, and the chain's entry that says so; RegistryError where they are not next.

        The lock of the pool keeps others away, but where it lives in a database it can be lost with its connection.
        """
        dataset, first = batch["dataset"], batch["first"]
        entered = [(note["dataset"], note["first"], note["sha256"]) for note in self.notes("pool")]
        if (dataset, first, batch["sha256"]) in entered:
            return  # a commit that was reported lost, but was not
        row = self._con.execute(
            "SELECT coalesce(sum(people), 0) FROM lake.pool WHERE dataset = ?", [dataset]
        ).fetchone()
        if row is None or row[0] != first:
            raise RegistryError("another command has just made coded canaries for this dataset; run this one again")
        self._insert("pool", [{name: batch[name] for name in TABLES["pool"].names}])
        self.note("pool", "", {name: batch[name] for name in ("dataset", "first", "people", "sha256")})

    def enter_log(self, kind: str, case_id: str, facts: Mapping[str, Any], log: "Log") -> dict[str, Any]:
        """One more entry of the log of traces, signed by the examiner."""
        last = self._con.execute("SELECT number, entry FROM lake.log ORDER BY number DESC LIMIT 1").fetchone()
        number, previous = (last[0] + 1, digest(json.loads(last[1]))) if last else (1, GENESIS)
        begun = {} if last else {"earlier": self._traces() - (kind == TRACE)}
        body = {"number": number, "kind": kind, "case_id": case_id, "operator": log.operator, **begun, **facts}
        entry = log.sign({**body, "at": time_text(self._clock()), "previous": previous})
        self._insert("log", [{"number": number, "kind": kind, "case_id": case_id, "entry": canonical(entry).decode()}])
        # Two entries at once would both take this number; the counter is one row, so the second is tried again.
        self._con.execute("UPDATE lake.meta SET value = value WHERE name = 'attempts'")
        return entry

    def log(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Every entry of the log of traces, or those of a kind, in order."""
        query = "SELECT entry FROM lake.log WHERE $1 IS NULL OR kind = $1 ORDER BY number"
        return [json.loads(row[0]) for row in self._con.execute(query, [kind]).fetchall()]

    def _traces(self) -> int:
        row = self._con.execute("SELECT count(*) FROM lake.cases").fetchone()
        return int(row[0]) if row else 0

    def head(self) -> dict[str, Any]:
        """Number and digest of the last entry of the chain."""
        row = self._con.execute("SELECT number, digest FROM lake.head").fetchone()
        if row is None:
            raise RegistryError("the registry has lost the head of its chain; restore it from a backup")
        return {"number": row[0], "digest": row[1]}

    def _next_place(self) -> Place:
        head = self.head()
        return Place(head["number"] + 1, head["digest"], time_text(self._clock()))

    def _after(self, entry: Mapping[str, Any]) -> Place:
        return Place(entry["number"] + 1, digest(entry), time_text(self._clock()))

    def _move_head(self, last: Mapping[str, Any]) -> None:
        self._con.execute("UPDATE lake.head SET number = ?, digest = ?", [last["number"], digest(last)])

    def _insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            self._con.register("new_rows", pa.Table.from_pylist(list(rows), schema=TABLES[table]))
            self._con.execute(f"INSERT INTO lake.{table} BY NAME SELECT * FROM new_rows")  # noqa: S608 - one of our own names

    def set_state(self, export_ids: Sequence[str], state: str) -> None:
        """Prepared exports become issued or void."""
        self._con.execute(
            "UPDATE lake.exports SET state = $1 "
            "WHERE state = 'prepared' AND export_id IN (SELECT unnest($2::VARCHAR[]))",
            [state, list(export_ids)],
        )

    def states(self, export_ids: Sequence[str]) -> dict[str, str]:
        """The state of each export that was ever entered."""
        found = self._con.execute(
            "SELECT export_id, state FROM lake.exports WHERE export_id IN (SELECT unnest($1::VARCHAR[]))",
            [list(export_ids)],
        )
        return dict(found.fetchall())

    def _signer(self) -> Ed25519PrivateKey:
        if self._issuer is None:
            raise RegistryError("no issuer key is open, so no receipt can be signed; give --keys with issuer.key")
        return self._issuer
