"""Single alterations of a registry and of a case: how many are found with their place, and false alarms without any.

    python -m benchmarks.tampering [ALTERATIONS] [UNTOUCHED]

Each alteration is drawn with a fixed seed: in the registry a value of one line replaced, a line removed or doubled, two
lines' values swapped, or an entry signed anew by another key; in a case one bit of one file. Whoever alters has write
access to everything and no private key. Columns that no signature covers (audit.py names them) are left out.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import receipts
from pipeline.audit import check
from pipeline.bundle import verify_bundle, write_bundle
from pipeline.entries import receipt_row
from pipeline.storage import Connection, attach
from tests.registry_support import Place, enter, new_place

_TABLES = ("receipts", "exports", "datasets", "memberships", "member_sets", "sealed", "head", "versions", "tokens")
_EXAMINER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
# How messages begin that name a line of these tables; the chain's last line cut off shows at its head.
_PLACES = {"receipts": ("chain entry", "head"), "tokens": ("tokens", "versions or tokens")}
# Which prepared export is issued is no part of the evidence; a path that was temporary says nothing any more.
_UNSIGNED = {("exports", "state"), ("exports", "temp_path"), ("exports", "finished")}


def build(folder: Path) -> tuple[Place, Path]:
    """A registry with five exports, and a case."""
    place = new_place(folder)
    for number in range(5):
        enter(place, f"X-{number}", range(20 * number, 20 * number + 40), f"E{number}", idempotency_key=f"K{number}")
    case = folder / "case"
    (case / "sample").mkdir(parents=True)
    verdict: dict[str, Any] = {
        "schema": "leaktrace.verdict/1",
        "case_id": "C-1",
        "created_at": "2026-11-23T10:00:00+00:00",
    }
    verdict |= {"version": "0", "attempt": 1, "authenticity": {"verdict": "ours"}}
    (case / "verdict.json").write_text(json.dumps({**verdict, "attribution": {"verdict": "lead", "candidates": []}}))
    for name in ("report.html", "rows.parquet", "sample/post.txt"):
        (case / name).write_bytes(np.random.default_rng(1).bytes(500))
    write_bundle(case, _EXAMINER, {"number": 5, "digest": "ab" * 32})
    return place, case


def altered(con: Connection, rng: np.random.Generator) -> tuple[str, str]:
    """Alter one thing in an open registry; what was done, and the table it was done to."""
    table = str(rng.choice(_TABLES))
    columns = [row[0] for row in con.execute(f"DESCRIBE lake.{table}").fetchall()]
    columns = [name for name in columns if (table, name) not in _UNSIGNED]
    ids = [row[0] for row in con.execute(f"SELECT rowid FROM lake.{table} ORDER BY rowid").fetchall()]  # noqa: S608
    at, column, act = (
        int(rng.choice(ids)),
        str(rng.choice(columns)),
        str(rng.choice(("value", "remove", "double", "key"))),
    )
    if act == "remove":
        con.execute(f"DELETE FROM lake.{table} WHERE rowid = {at}")  # noqa: S608
    elif act == "double":
        con.execute(f"INSERT INTO lake.{table} SELECT * FROM lake.{table} WHERE rowid = {at}")  # noqa: S608
    elif act == "key" and table == "receipts":
        _sign_anew(con, at)
    else:
        act = f"{column} replaced"
        con.execute(f"UPDATE lake.{table} SET {column} = {_other(con, table, column, at)} WHERE rowid = {at}")  # noqa: S608
    return f"{table}, line {at}: {act}", table


def _sign_anew(con: Connection, at: int) -> None:
    (text,) = con.execute(f"SELECT receipt FROM lake.receipts WHERE rowid = {at}").fetchall()[0]  # noqa: S608
    body = {name: value for name, value in json.loads(text).items() if name != "signature"}
    forged = receipt_row(receipts.sign(body, Ed25519PrivateKey.generate()))["receipt"]
    con.execute(f"UPDATE lake.receipts SET receipt = ? WHERE rowid = {at}", [forged])  # noqa: S608


def _other(con: Connection, table: str, column: str, at: int) -> str:
    """An expression for another value of the column's type."""
    kind = con.execute(f"SELECT typeof({column}) FROM lake.{table} WHERE rowid = {at}").fetchall()[0][0]  # noqa: S608
    if kind == "VARCHAR":
        return f"coalesce({column}, '') || 'x'"
    if kind == "BLOB":
        return f"{column} || 'x'::BLOB"
    return f"CASE WHEN {column} = 0 THEN 1 ELSE {column} - 1 END"


def registry_alterations(place: Place, count: int, seed: int) -> Iterator[tuple[str, list[str]]]:
    """Each alteration, and what the check says of it; every one is made in a fresh copy."""
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "registry"
            shutil.copytree(place.registry, copy)
            con = attach(copy)
            said, table = altered(con, np.random.default_rng([seed, number]))
            con.close()
            problems = audit(Place(str(copy), place.keys))
        yield said, [problem for problem in problems if _names(problem, table)]


def _names(problem: str, table: str) -> bool:
    """Whether a message names the place that was altered."""
    return any(problem.startswith(word) for word in _PLACES.get(table, (table,)))


def audit(place: Place) -> list[str]:
    """What registry check says."""
    with place.open() as registry:
        return check(registry, place.store.issuer_public(), place.store.officer_private())


def case_alterations(case: Path, count: int, seed: int) -> Iterator[tuple[str, list[str]]]:
    """One bit of one file of the case flipped, and what verify says of it."""
    files = sorted(path for path in case.rglob("*") if path.is_file())
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        path = files[int(rng.integers(len(files)))]
        before = path.read_bytes()
        at, bit = int(rng.integers(len(before))), int(rng.integers(8))
        changed = bytearray(before)
        changed[at] ^= 1 << bit
        path.write_bytes(bytes(changed))
        name = path.relative_to(case).as_posix()
        problems = verify_bundle(case, _EXAMINER.public_key())
        path.write_bytes(before)
        yield f"{name}, byte {at}, bit {bit}", [problem for problem in problems if name in problem]


def measured(alterations: int, untouched: int) -> dict[str, Any]:
    """Counts of what was found, of what was not (by name), and of false alarms."""
    with tempfile.TemporaryDirectory() as folder:
        place, case = build(Path(folder))
        half = alterations // 2
        tried = [*registry_alterations(place, half, 6), *case_alterations(case, alterations - half, 6)]
        alarms = sum(bool(audit(place) or verify_bundle(case, _EXAMINER.public_key())) for _ in range(untouched))
    missed = [said for said, problems in tried if not problems]
    return {"alterations": len(tried), "missed": missed, "untouched": untouched, "false_alarms": alarms}


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    sys.stdout.write(json.dumps(measured(*given) if given else measured(320, 300), indent=1) + "\n")
