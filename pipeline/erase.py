"""Taking things out of the registry: a person's tokens and memberships, or those of exports older than a policy says.

The receipts stay, because the chain must. What they said of members and index no longer holds then, so a signed entry
of the chain (a tombstone) says what holds instead: digests before and after, and never who was erased. `registry
check` reads receipts together with the tombstones after them. Words by which traced samples are known again go where
they are a record or a token of whoever is erased; no receipt speaks of them. Files with what was erased are rewritten
and deleted, and older snapshots given up.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.entries import time_text
from pipeline.files import chunks, describe, read_chunks
from pipeline.held import digests_of
from pipeline.keystore import KeyStore
from pipeline.members import added_by, members_of
from pipeline.registry import Registry
from pipeline.sightings import BEST_FIRST
from pipeline.storage import Connection
from pipeline.tiles import clear, held_numbers, holders
from schemas.contract import Contract, parse
from schemas.errors import InputError
from watermarking.distinct import distinct
from watermarking.keys import IndexKey
from watermarking.tokens import fields_of, normal_forms, records_of, single_tokens

KIND = "erasure"


@dataclass(frozen=True)
class Erased:
    """What was erased: record versions, tokens, and memberships of exports in versions; `entry`: the tombstone's.

    words: of traced samples (pipeline/sightings.py).
    """

    versions: int
    tokens: int
    members: int
    entry: int | None
    words: int = 0


def erase_subjects(path: Path, registry: Registry, keys: KeyStore) -> Erased:
    """Erase everybody in a file that has the key columns of a dataset, from every dataset whose key it has.

    What else the file shows of them finds the words of rows that were traced and resolved to nobody. InputError when it
    has no dataset's key. Whoever is not in the registry changes nothing.
    """
    index_keys = [IndexKey(keys.index_key(epoch)) for epoch in registry.epochs()]
    file = describe(path)
    contracts = [parse(text, f"contract of {name}") for name, _, text in registry.datasets()]
    fitting = [c for c in contracts if {column.name for column in c.keys()} <= set(file.schema.names)]
    if not fitting:
        needed = "; ".join(f"{c.dataset}: {', '.join(k.name for k in c.keys())}" for c in contracts)
        raise InputError(f"{path.name} has no dataset's key columns ({needed or 'the registry is empty'}); add them")
    asked = [_records(file, contract, key) for contract in fitting for key in index_keys]
    table = pa.concat_tables(asked)
    said = pa.concat_arrays([_words(file, contract, key) for contract in fitting for key in index_keys])
    words: list[int] = []

    def work(con: Connection) -> dict[str, Any] | None:
        con.register("asked", table)
        con.register("said", pa.table({"word": pa.chunked_array([said, table["record"].combine_chunks()])}))
        con.execute(
            "CREATE OR REPLACE TEMP TABLE gone AS SELECT DISTINCT version, added, number FROM lake.versions "
            "SEMI JOIN asked USING (dataset, record)"
        )
        words[:] = [_forget_words(con, "bool_or", "SELECT word FROM said")]
        return _erase(con)

    return replace(_done(registry.rewrite(KIND, work)), words=words[0])


def retain_newer(cutoff: datetime, registry: Registry) -> Erased:
    """Erase the memberships of exports issued before a moment, and what only they held."""
    words: list[int] = []
    done = _done(registry.rewrite(KIND, lambda con: _retain(con, time_text(cutoff), words)))
    return replace(done, words=sum(words))


def with_tombstones(receipts: Mapping[str, dict[str, Any]], documents: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """The receipts of exports with the members and index that hold now, after each tombstone of the chain."""
    current = dict(receipts)
    for stone in (d for d in documents if d.get("kind") == KIND):
        for export, receipt in current.items():
            if receipt["number"] < stone["number"]:
                members = stone["exports"].get(export) or stone["members"].get(receipt["members"], receipt["members"])
                index = stone["index"].get(str(receipt["number"]), receipt["index"])
                current[export] = {**receipt, "members": members, "index": index}
    return current


def _records(file: Any, contract: Contract, key: IndexKey) -> pa.Table:
    """The dataset and record of every row of a file."""
    small = replace(contract, columns=contract.keys())
    names = [column.name for column in small.columns]
    parts = [records_of(normal_forms(table, small), small, key) for _, table in read_chunks(chunks(file), names)]
    records = pa.concat_arrays([pa.array(part) for part in parts])
    return pa.table({"dataset": pa.array([contract.dataset] * len(records)), "record": records})


def _words(file: Any, contract: Contract, key: IndexKey) -> pa.Array:
    """The words that rows about the people in a file can have: tokens of their identifiers; uint64[n]."""
    columns = [c for c in contract.identity() if c.kind in BEST_FIRST and c.name in file.schema.names]
    small = replace(contract, columns=tuple(replace(column, key=False) for column in columns))
    parts = [pa.array([], pa.uint64())]
    for _, table in read_chunks(chunks(file) if columns else (), [column.name for column in columns]):
        forms = normal_forms(table, small)
        tokens = single_tokens(fields_of(forms, small), key)
        parts += [pa.array(distinct(token.values[token.there])) for token in tokens]
    return pa.concat_arrays(parts)


def _forget_words(con: Connection, whose: str, others: str = "SELECT 0 WHERE false") -> int:
    """Forget the words of samples that are a record or token of versions in `gone`; how many.

    whose: bool_or, of any of them; bool_and, of no version that stays; others: a query of words that go as well.
    """
    con.execute(
        "CREATE OR REPLACE TEMP TABLE forgotten AS WITH known AS ("  # noqa: S608 - our own words
        "SELECT record AS word, version FROM lake.versions UNION ALL SELECT token, version FROM lake.tokens), "
        "going AS (SELECT DISTINCT version, true AS goes FROM gone) "
        "SELECT word FROM known SEMI JOIN lake.sightings USING (word) LEFT JOIN going USING (version) "
        f"GROUP BY word HAVING {whose}(coalesce(goes, false)) UNION {others}"
    )
    words = _count(con, "SELECT count(*) FROM lake.sightings SEMI JOIN forgotten USING (word)")
    con.execute("DELETE FROM lake.sightings WHERE word IN (SELECT word FROM forgotten)")
    con.execute("DROP TABLE forgotten")
    return words


def _erase(con: Connection) -> dict[str, Any] | None:
    """The inside of the transaction that erases the versions in `gone`; None when there are none."""
    con.register("packed", holders(con, con.execute("SELECT version FROM gone").to_arrow_table()["version"]))
    packed = _column(
        con, "SELECT DISTINCT set_id FROM lake.member_sets WHERE number IN (SELECT set_number FROM packed)"
    )
    sets = _column(con, "SELECT DISTINCT set_id FROM lake.members SEMI JOIN gone USING (version)") + packed
    if not _count(con, "SELECT count(*) FROM gone"):
        return None
    before = digests_of(con, _unions(con, sets))
    members = _count(con, "SELECT count(*) FROM lake.members SEMI JOIN gone USING (version)")
    numbers = con.execute("SELECT number FROM gone WHERE number IS NOT NULL").to_arrow_table()["number"].to_numpy()
    members += clear(con, numbers)
    after = _without_gone(con, sets, list(before))
    changed = {digest: after[together] for together, digest in before.items()}
    return _finish(con, members, {"members": changed, "exports": {}})


def _without_gone(
    con: Connection, sets: Sequence[str], together: Sequence[tuple[str, ...]]
) -> dict[tuple[str, ...], str]:
    """Write sets anew without what is erased, under names of their own; an export with the old members is another.

    Returns the digests of the members of combinations of sets, as they are now, by their old names.
    """
    renamed = {name: f"S-{secrets.token_hex(32)}" for name in sets}
    con.register("renamed", pa.table({"set_id": list(renamed), "name": list(renamed.values())}))
    con.execute(
        "INSERT INTO lake.members SELECT name, version FROM lake.members JOIN renamed USING (set_id) "
        "ANTI JOIN gone USING (version) ORDER BY ALL"
    )
    con.execute("DELETE FROM lake.members WHERE set_id IN (SELECT set_id FROM renamed)")
    con.execute("UPDATE lake.memberships SET set_id = r.name FROM renamed r WHERE memberships.set_id = r.set_id")
    con.register("counted", con.execute(_ROWS).to_arrow_table())
    con.execute(
        "UPDATE lake.member_sets SET set_id = c.name, rows = c.rows FROM counted c WHERE member_sets.set_id = c.set_id"
    )
    now = {its: tuple(sorted(renamed.get(name, name) for name in its)) for its in together}
    found = digests_of(con, {*now.values(), *((name,) for name in renamed.values())})
    alone = [found[(name,)] for name in renamed.values()]
    con.register("digested", pa.table({"set_id": list(renamed.values()), "digest": alone}))
    con.execute("UPDATE lake.member_sets SET digest = d.digest FROM digested d WHERE member_sets.set_id = d.set_id")
    return {its: found[names] for its, names in now.items()}


def _retain(con: Connection, before: str, words: list[int]) -> dict[str, Any] | None:
    """The inside of the transaction that gives up old exports' memberships; how many words went goes into `words`."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE old AS SELECT DISTINCT export_id, dataset, e.epoch FROM lake.exports e "
        "JOIN lake.memberships USING (export_id) JOIN lake.member_sets s USING (set_id, dataset) "
        "WHERE issued_at < ? AND rows > 0",
        [before],
    )
    exports = _column(con, "SELECT export_id FROM old")
    if not exports:
        return None
    con.execute("DELETE FROM lake.memberships WHERE export_id IN (SELECT export_id FROM old)")
    empty = members_of(con, [])
    for dataset, epoch in con.execute("SELECT DISTINCT dataset, epoch FROM old").fetchall():
        name = f"S-{secrets.token_hex(32)}"
        con.execute("INSERT INTO lake.member_sets VALUES (?, ?, ?, ?, 0, NULL)", [name, dataset, epoch, empty])
        con.execute(
            "INSERT INTO lake.memberships SELECT export_id, ? FROM old WHERE dataset = ? AND epoch = ?",
            [name, dataset, epoch],
        )
    unused = "set_id NOT IN (SELECT set_id FROM lake.memberships)"
    members = _count(con, f"SELECT count(*) FROM lake.members WHERE {unused}")  # noqa: S608 - our own words
    con.execute(f"DELETE FROM lake.members WHERE {unused}")  # noqa: S608 - our own words
    con.execute(f"DELETE FROM lake.member_sets WHERE {unused}")  # noqa: S608 - our own words
    left = "set_number NOT IN (SELECT number FROM lake.member_sets WHERE number IS NOT NULL)"
    members += _count(con, f"SELECT coalesce(sum(bit_count(bits::BIT)), 0) FROM lake.member_tiles WHERE {left}")  # noqa: S608
    con.execute(f"DELETE FROM lake.member_tiles WHERE {left}")  # noqa: S608 - our own words
    con.register("still_held", pa.table({"number": held_numbers(con)}))
    con.execute(
        "CREATE OR REPLACE TEMP TABLE gone AS SELECT DISTINCT version, added FROM lake.versions "
        "ANTI JOIN lake.members USING (version) ANTI JOIN still_held USING (number)"
    )
    words[:] = [_forget_words(con, "bool_and")]
    return _finish(con, members, {"members": {}, "exports": dict.fromkeys(exports, empty)})


def _finish(con: Connection, members: int, changed: dict[str, Any]) -> dict[str, Any]:
    """Delete the versions in `gone` and their tokens; the tombstone's facts."""
    counts = {
        "versions": _count(con, "SELECT count(*) FROM gone"),
        "tokens": _count(con, "SELECT count(*) FROM lake.tokens SEMI JOIN gone USING (version)"),
        "memberships": members,
    }
    numbers = _column(con, "SELECT DISTINCT added FROM gone")
    con.execute("DELETE FROM lake.tokens WHERE version IN (SELECT version FROM gone)")
    con.execute("DELETE FROM lake.versions WHERE version IN (SELECT version FROM gone)")
    con.execute("DROP TABLE gone")
    return {**changed, "index": {str(number): added_by(con, number) for number in sorted(numbers)}, "counts": counts}


_ROWS = (
    "SELECT r.set_id, name, (coalesce(l.rows, 0) + coalesce(t.rows, 0))::BIGINT AS rows FROM renamed r "
    "JOIN lake.member_sets s USING (set_id) "
    "LEFT JOIN (SELECT set_id, count(*) AS rows FROM lake.members GROUP BY ALL) l ON l.set_id = name "
    "LEFT JOIN (SELECT set_number, sum(bit_count(bits::BIT)) AS rows FROM lake.member_tiles GROUP BY ALL) t "
    "ON t.set_number = s.number"
)


def _unions(con: Connection, sets: Sequence[str]) -> list[tuple[str, ...]]:
    """Each combination of sets that some export has, of those that change."""
    found = con.execute(
        "SELECT DISTINCT list_sort(list(set_id)) FROM lake.memberships GROUP BY export_id "
        "HAVING bool_or(set_id IN (SELECT unnest($1::VARCHAR[])))",
        [list(sets)],
    )
    return [tuple(names) for (names,) in found.fetchall()]


def _done(entry: dict[str, Any] | None) -> Erased:
    if entry is None:
        return Erased(0, 0, 0, None)
    counts = entry["counts"]
    return Erased(counts["versions"], counts["tokens"], counts["memberships"], entry["number"])


def _count(con: Connection, query: str, values: Sequence[Any] = ()) -> int:
    row = con.execute(query, list(values)).fetchone()
    return int(row[0]) if row else 0


def _column(con: Connection, query: str) -> list[Any]:
    return [row[0] for row in con.execute(query).fetchall()]
