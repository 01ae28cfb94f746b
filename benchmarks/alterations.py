"""What benchmarks/tampering.py does to one registry: one alteration, drawn by chance, and what names its place."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import receipts, trace_log
from pipeline.entries import receipt_row
from pipeline.sealing import canonical
from pipeline.storage import Connection
from tests.registry_support import Place

Names = Callable[[str], bool]  # whether a message names the place
_TABLES = (
    "receipts", "exports", "datasets", "memberships", "member_sets", "sealed", "head", "versions", "tokens", "pool",
    "log", "cases",
)  # fmt: skip
_ACTS = (
    "value", "value", "remove", "double", "swap", "another key", "back-dated", "commitment", "insider", "file", "file",
    "statistics",
)  # fmt: skip
# How messages begin that name a line of these tables; the chain's last line cut off shows at its head.
_PLACES = {
    "receipts": ("chain entry", "head"), "tokens": ("tokens", "versions or tokens"), "cases": ("cases", "log", "meta"),
    "versions": ("versions", "tokens"), "member_sets": ("member_sets", "memberships"),
}  # fmt: skip
# Which prepared export is issued is no part of the evidence.
_UNSIGNED = {("exports", "state")}


def altered(con: Connection, registry: Path, place: Place, rng: np.random.Generator) -> tuple[str, str, Names]:
    """Alter one thing; its kind, what was done, and what tells a message that names the place."""
    act = str(rng.choice(_ACTS))
    if act == "file":
        return _file_altered(registry, rng)
    if act == "statistics":
        return _statistics_altered(con, rng)
    special = {"back-dated": _back_dated, "commitment": _commitment, "insider": _insider}
    if act in special:
        number = int(rng.integers(5))
        special[act](con, number, place)
        said = f"X-{number}: {act}"
        places = (f"chain entry {number + 1}", f"sealed, X-{number}")
        names: tuple[str, ...] = (
            (f"chain entry {number + 1}: it is not the one witnessed",) if act == "insider" else places
        )
        return act, said, lambda problem: problem.startswith(names)
    table = str(rng.choice(("receipts", "log") if act == "another key" else _TABLES))
    columns = [row[0] for row in con.execute(f"DESCRIBE lake.{table}").fetchall()]
    columns = [name for name in columns if (table, name) not in _UNSIGNED]
    ids = [row[0] for row in con.execute(f"SELECT rowid FROM lake.{table} ORDER BY rowid").fetchall()]  # noqa: S608
    at, column = int(rng.choice(ids)), str(rng.choice(columns))
    other = int(rng.choice([one for one in ids if one != at] or [at]))
    if act == "swap" and _equal(con, table, column, at, other):
        act = "value"
    if act == "remove":
        con.execute(f"DELETE FROM lake.{table} WHERE rowid = {at}")  # noqa: S608
    elif act == "double":
        con.execute(f"INSERT INTO lake.{table} SELECT * FROM lake.{table} WHERE rowid = {at}")  # noqa: S608
    elif act == "another key":
        _sign_anew(con, table, at)
    elif act == "swap":
        _swapped(con, table, column, at, other)
    else:
        con.execute(f"UPDATE lake.{table} SET {column} = {_other(con, table, column, at)} WHERE rowid = {at}")  # noqa: S608
    names = _PLACES.get(table, (table,))
    return f"{act} in {table}", f"{table}, line {at}: {act} {column}", lambda problem: problem.startswith(names)


def _equal(con: Connection, table: str, column: str, at: int, other: int) -> bool:
    query = f"SELECT count(DISTINCT coalesce({column}::VARCHAR, '')) FROM lake.{table} WHERE rowid IN ({at}, {other})"  # noqa: S608
    return bool(con.execute(query).fetchall()[0][0] < 2)


def _swapped(con: Connection, table: str, column: str, at: int, other: int) -> None:
    """Two lines exchange one value; for the chain and its kin, by number, that is two entries exchanged."""
    lines = f"SELECT rowid AS id, {column} AS v FROM lake.{table} WHERE rowid IN ({at}, {other})"  # noqa: S608
    con.execute(f"CREATE OR REPLACE TEMP TABLE two AS {lines}")
    for mine, theirs in ((at, other), (other, at)):
        con.execute(f"UPDATE lake.{table} SET {column} = (SELECT v FROM two WHERE id = {theirs}) WHERE rowid = {mine}")  # noqa: S608


def _sign_anew(con: Connection, table: str, at: int) -> None:
    column = "receipt" if table == "receipts" else "entry"
    (text,) = con.execute(f"SELECT {column} FROM lake.{table} WHERE rowid = {at}").fetchall()[0]  # noqa: S608
    body = {name: value for name, value in json.loads(text).items() if name != "signature"}
    key = Ed25519PrivateKey.generate()
    forged = receipts.sign(body, key) if table == "receipts" else trace_log.signer(key)(body)
    con.execute(f"UPDATE lake.{table} SET {column} = ? WHERE rowid = {at}", [canonical(forged).decode()])  # noqa: S608


def _other(con: Connection, table: str, column: str, at: int) -> str:
    """An expression for another value of the column's type."""
    kind = con.execute(f"SELECT typeof({column}) FROM lake.{table} WHERE rowid = {at}").fetchall()[0][0]  # noqa: S608
    if kind == "VARCHAR":
        return f"coalesce({column}, '') || 'x'"
    if kind == "BLOB":
        return f"{column} || 'x'::BLOB"
    return f"CASE WHEN coalesce({column}, 0) = 0 THEN 1 ELSE {column} - 1 END"


def _document(con: Connection, number: int) -> dict[str, Any]:
    query = f"SELECT receipt FROM lake.receipts WHERE export_id = 'X-{number}' AND kind = 'export'"  # noqa: S608
    return dict(json.loads(con.execute(query).fetchall()[0][0]))


def _put(con: Connection, entry: dict[str, Any]) -> None:
    values = [receipt_row(entry)["receipt"], entry["number"]]
    con.execute("UPDATE lake.receipts SET receipt = ? WHERE number = ?", values)


def _back_dated(con: Connection, number: int, place: Place) -> None:
    """An earlier time in the receipt and in the table, so that the two agree."""
    _put(con, {**_document(con, number), "issued_at": "2020-01-01T00:00:00.000Z"})
    con.execute("UPDATE lake.exports SET issued_at = '2020-01-01T00:00:00.000Z' WHERE export_id = ?", [f"X-{number}"])


def _commitment(con: Connection, number: int, place: Place) -> None:
    """Another commitment in the receipt and beside the sealed secret."""
    other = hashlib.sha256(str(number).encode()).hexdigest()
    _put(con, {**_document(con, number), "commitment": other})
    con.execute("UPDATE lake.sealed SET commitment = ? WHERE export_id = ?", [other, f"X-{number}"])


def _insider(con: Connection, number: int, place: Place) -> None:
    """Back-dated, signed with the issuer's own key, and every later entry signed anew after it."""
    signed_anew(con, place.store.issuer(), {number + 1: {"issued_at": "2020-01-01T00:00:00.000Z"}})
    con.execute("UPDATE lake.exports SET issued_at = '2020-01-01T00:00:00.000Z' WHERE export_id = ?", [f"X-{number}"])


def signed_anew(con: Connection, issuer: Ed25519PrivateKey, changes: Mapping[int, Mapping[str, Any]]) -> None:
    """Change entries of the chain, by number, and sign them and every later one anew, with a head to match."""
    previous = receipts.GENESIS
    for (text,) in con.execute("SELECT receipt FROM lake.receipts ORDER BY number").fetchall():
        entry = json.loads(text)
        if entry["number"] >= min(changes):
            body = {name: value for name, value in entry.items() if name != "signature"}
            entry = receipts.sign({**body, **changes.get(entry["number"], {}), "previous": previous}, issuer)
            _put(con, entry)
        previous = receipts.digest(entry)
    con.execute("UPDATE lake.head SET digest = ?", [previous])


def _statistics_altered(con: Connection, rng: np.random.Generator) -> tuple[str, str, Names]:
    """What the catalogue says of a column's values, in a file or a table, so that a look-up passes over all of them."""
    of, lake = str(rng.choice(("file", "file", "table"))), "__ducklake_metadata_lake.ducklake"
    where = f"FROM {lake}_{of}_column_stats s JOIN {lake}_table t USING (table_id) JOIN {lake}_column c "
    where += "USING (table_id, column_id) "
    file = f"JOIN {lake}_data_file f USING (data_file_id) " if of == "file" else ""
    query = f"SELECT table_name, column_name, table_id, column_id, max_value, {'f.path' if file else 'NULL'} "
    query += f"{where} {file} WHERE max_value IS NOT NULL AND column_type <> 'blob' ORDER BY ALL"
    found = con.execute(query).fetchall()
    table, column, table_id, column_id, most, path = found[int(rng.integers(len(found)))]
    more = str(int(most) + 1) if most.isdecimal() else f"{most}x"
    change = f"min_value = '{more}'" if of == "table" or rng.integers(2) else "value_count = 0"
    this = f" AND data_file_id = (SELECT data_file_id FROM {lake}_data_file WHERE path = '{path}')" if file else ""  # noqa: S608
    con.execute(
        f"UPDATE {lake}_{of}_column_stats SET {change} WHERE table_id = {table_id} AND column_id = {column_id}{this}"  # noqa: S608
    )
    place = f"data file {path.rsplit('/', 1)[-1]}" if file else f"catalogue, {table}"
    said = f"{place}: statistics of {column}"
    return f"statistics of a {of}", said, lambda problem: problem.startswith(place) and column in problem


def _file_altered(registry: Path, rng: np.random.Generator) -> tuple[str, str, Names]:
    """A data file removed, cut short, added, or one of its bits flipped."""
    files = sorted((registry / "data").rglob("*.parquet"))
    path = files[int(rng.integers(len(files)))]
    act = str(rng.choice(("removed", "cut short", "added", "bit", "bit", "bit")))
    name = path.name
    if act == "removed":
        path.unlink()
    elif act == "cut short":
        path.write_bytes(path.read_bytes()[: -int(rng.integers(1, 60))])
    elif act == "bit":
        body = bytearray(path.read_bytes())
        body[int(rng.integers(len(body)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(body))
    else:
        name = f"ducklake-{rng.bytes(8).hex()}.parquet"
        shutil.copy(path, path.with_name(name))
    return f"data file {act}", f"{name}: {act}", lambda problem: problem.startswith(f"data file {name}")
