"""Somebody with write access to the registry alters one thing: the check finds it and names the place."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import file_digests, receipts
from pipeline.audit import check
from pipeline.entries import receipt_row
from pipeline.hashing import digest_of
from pipeline.registry import now
from pipeline.storage import Connection, attach
from schemas.errors import OutputError
from tests.registry_support import CONTRACT, Place, copied, enter, new_export, new_place, stage

Tampering = Callable[[Connection, Path], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Four exports of two datasets, one of them void, a shared member set, two traces."""
    place = new_place(tmp_path_factory.mktemp("made"))
    enter(place, "X-1", range(100), "E1")
    enter(place, "X-2", range(50, 150), "E2", idempotency_key="K")
    enter(place, "X-3", range(100), "E3")
    enter(place, "X-4", range(5_000, 5_050), "E1", dataset="people")
    with place.open() as registry:
        with pytest.raises(OutputError), registry.job(["X-5"], ()) as folder:  # noqa: PT012
            stage(folder, range(20))
            registry.prepare([new_export(place, "X-5", "E5")], folder, CONTRACT)
            raise OutputError("the name was taken")
        registry.begin_attempt("a" * 64, "C-1", now())
        registry.begin_attempt("a" * 64, "C-2", now())
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """A copy of it, to be altered."""
    return copied(made, tmp_path)


def problems(place: Place, *, officer: bool = True) -> list[str]:
    with place.open() as registry:
        return check(registry, place.store.issuer_public(), place.store.officer_private() if officer else None)


def sql(*statements: str) -> Tampering:
    def tamper(con: Connection, folder: Path) -> None:
        for statement in statements:
            con.execute(statement.replace("SWAP", _SWAP).replace("TAKEN", _TAKEN))

    return tamper


def another_issuer(con: Connection, folder: Path) -> None:
    """The last entry of the chain, signed anew with a key that is not the issuer's, with a head to match."""
    number, text = con.execute("SELECT number, receipt FROM lake.receipts ORDER BY number DESC LIMIT 1").fetchall()[0]
    body = {name: value for name, value in json.loads(text).items() if name != "signature"}
    forged = receipts.sign(body, Ed25519PrivateKey.generate())
    con.execute("UPDATE lake.receipts SET receipt = ? WHERE number = ?", [receipt_row(forged)["receipt"], number])
    con.execute("UPDATE lake.head SET digest = ?", [receipts.digest(forged)])


def the_last_entry_cut_off(con: Connection, folder: Path) -> None:
    (digest,) = con.execute("SELECT receipt::JSON->>'previous' FROM lake.receipts WHERE number = 5").fetchall()[0]
    con.execute("DELETE FROM lake.receipts WHERE number > 4")
    con.execute("UPDATE lake.head SET number = 4, digest = ?", [digest])


def data_file(name: str, act: Callable[[Path], object]) -> Tampering:
    def tamper(con: Connection, folder: Path) -> None:
        act(max((folder / "data").rglob(f"{name}/*.parquet"), key=lambda path: path.stat().st_size))

    return tamper


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def byte_changed(at: int) -> Callable[[Path], None]:
    """A bit flipped among the values: a page's header, with its statistics, ends before `at`."""

    def change(path: Path) -> None:
        body = bytearray(path.read_bytes())
        body[at] ^= 1
        path.write_bytes(bytes(body))

    return change


def footer_changed(path: Path) -> None:
    """The largest token, as the file's own footer has it, set to that of a file without any large one."""
    body = path.read_bytes()
    most = pc.max(pq.read_table(path)["token"]).as_py().to_bytes(8, "little")
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    assert most in body[footer:]
    path.write_bytes(body[:footer] + body[footer:].replace(most, (1 << 40).to_bytes(8, "little")))


def filter_emptied(path: Path) -> None:
    """The Bloom filter of a column set to that of a column without values."""
    chunk = next(c for c in chunks_of(path) if c.path_in_schema == "set_id")
    body, end = bytearray(path.read_bytes()), chunk.bloom_filter_offset + chunk.bloom_filter_length
    body[end - 32 : end] = bytes(32)
    path.write_bytes(bytes(body))


def digested(act: Callable[[Path], None]) -> Callable[[Path], None]:
    """With the digest beside it replaced, which nobody signs."""

    def change(path: Path) -> None:
        act(path)
        beside = path.with_name(path.name + file_digests.SUFFIX)
        beside.write_text(f"{digest_of(path)}  {path.name}\n")

    return change


def maker_changed(path: Path) -> None:
    """A letter of the program's name in the footer, which nobody reads."""
    body = path.read_bytes()
    assert b"DuckDB version" in body
    path.write_bytes(body.replace(b"DuckDB version", b"DuckDB Version"))


def chunks_of(path: Path) -> list[Any]:
    group = pq.ParquetFile(path).metadata.row_group(0)
    return [group.column(number) for number in range(group.num_columns)]


def statistics(of: str, table: str, column: str, change: str) -> Tampering:
    """Of a file or a table, as the catalogue repeats them."""
    names = "__ducklake_metadata_lake.ducklake"
    return sql(  # the names are our own
        f"UPDATE {names}_{of}_column_stats SET {change} WHERE (table_id, column_id) IN (SELECT (table_id, column_id) "  # noqa: S608
        f"FROM {names}_column JOIN {names}_table USING (table_id) WHERE table_name = '{table}' "
        f"AND column_name = '{column}')"
    )


_SWAP = "CASE export_id WHEN 'X-1' THEN 'X-2' ELSE 'X-1' END"
_TAKEN = "(SELECT min(version) FROM lake.members)"
TAMPERINGS: dict[str, tuple[Tampering, str]] = {
    "a membership doubled": (
        sql("INSERT INTO lake.memberships SELECT * FROM lake.memberships WHERE export_id = 'X-4'"),
        "memberships, X-4: a line is there twice",
    ),
    # the chain
    "an entry removed": (sql("DELETE FROM lake.receipts WHERE number = 2"), "chain entry 3 (export X-3)"),
    "two entries swapped": (
        sql("UPDATE lake.receipts SET number = 5 - number WHERE number IN (2, 3)"),
        "chain entry 2 (export X-3)",
    ),
    "an entry's recipient replaced": (
        sql("UPDATE lake.receipts SET receipt = replace(receipt, '\"E2\"', '\"E9\"') WHERE number = 2"),
        "chain entry 2 (export X-2): it is not signed",
    ),
    "an export back-dated": (
        sql('UPDATE lake.receipts SET receipt = replace(receipt, \'"issued_at":"20\', \'"issued_at":"19\')'),
        "chain entry 1",
    ),
    "a space added to an entry": (
        sql("UPDATE lake.receipts SET receipt = receipt || ' ' WHERE number = 1"),
        "chain entry 1 (export X-1): it is not signed",
    ),
    "an entry that is no JSON": (sql("UPDATE lake.receipts SET receipt = 'x' WHERE number = 4"), "chain entry 4"),
    "an entry signed by another issuer": (another_issuer, "is not signed by this issuer"),
    "the end of the chain cut off": (the_last_entry_cut_off, "exports, X-5: no receipt speaks of it"),
    "the head set back": (sql("UPDATE lake.head SET number = 1"), "head"),
    "the head removed": (sql("DELETE FROM lake.head"), "head"),
    # what the tables say of exports
    "another recipient": (
        sql("UPDATE lake.exports SET recipient = 'E9' WHERE export_id = 'X-2'"),
        "exports, X-2: recip",
    ),
    "another purpose": (sql("UPDATE lake.exports SET purpose = 'x' WHERE export_id = 'X-2'"), "exports, X-2: purpose"),
    "another series": (
        sql("UPDATE lake.exports SET series_id = 'X-1' WHERE export_id = 'X-3'"),
        "exports, X-3: series",
    ),
    "another time": (sql("UPDATE lake.exports SET issued_at = '2020' WHERE export_id = 'X-1'"), "exports, X-1: issued"),
    "another idempotency key": (
        sql("UPDATE lake.exports SET idempotency_key = 'L' WHERE export_id = 'X-2'"),
        "exports, X-2: idempotency_key",
    ),
    "an export hidden as void": (
        sql("UPDATE lake.exports SET state = 'void' WHERE export_id = 'X-1'"),
        "exports, X-1: the state is 'void'",
    ),
    "a void export brought back": (
        sql("UPDATE lake.exports SET state = 'issued' WHERE export_id = 'X-5'"),
        "exports, X-5: the state is 'issued'",
    ),
    "an export removed": (sql("DELETE FROM lake.exports WHERE export_id = 'X-3'"), "exports, X-3: its line is missing"),
    "an export there twice": (
        sql("INSERT INTO lake.exports SELECT * FROM lake.exports WHERE number = 1"),
        "exports, X-1: it is there 2 times",
    ),
    "an export invented": (
        sql("INSERT INTO lake.exports SELECT * REPLACE ('X-9' AS export_id) FROM lake.exports WHERE number = 1"),
        "exports, X-9: no receipt speaks of it",
    ),
    "a contract altered": (
        sql("UPDATE lake.datasets SET contract = 'x'::BLOB WHERE dataset = 'bank'"),
        "datasets, bank",
    ),
    "a contract removed": (sql("DELETE FROM lake.datasets WHERE dataset = 'people'"), "datasets, people"),
    # members
    "a member removed": (sql("DELETE FROM lake.members WHERE version = TAKEN"), "its members are not those"),
    "a member added": (
        sql("INSERT INTO lake.members SELECT min(set_id), 7 FROM lake.members"),
        "its members are not those",
    ),
    "a member there twice": (
        sql("INSERT INTO lake.members SELECT * FROM lake.members LIMIT 1"),
        "its members are not those",
    ),
    "the members of two exports swapped": (
        sql("UPDATE lake.memberships SET export_id = SWAP WHERE export_id IN ('X-1', 'X-2')"),
        "memberships, X-1: its members are not those",
    ),
    "an export's membership removed": (
        sql("DELETE FROM lake.memberships WHERE export_id = 'X-3'"),
        "memberships, X-3: its line is missing",
    ),
    "a second set given to an export": (
        sql("INSERT INTO lake.memberships SELECT 'X-4', set_id FROM lake.memberships WHERE export_id = 'X-1'"),
        "memberships, X-4: its members are not those",
    ),
    "a set's size altered": (sql("UPDATE lake.member_sets SET rows = 7 WHERE dataset = 'people'"), "not 7"),
    "a set's digest altered": (
        sql("UPDATE lake.member_sets SET digest = 'x' WHERE dataset = 'people'"),
        "digest, dataset or epoch",
    ),
    # the index
    "a version removed": (sql("DELETE FROM lake.versions WHERE dataset = 'people'"), "versions: 50 that exports hold"),
    "a version given to another record": (
        sql("UPDATE lake.versions SET record = 1 WHERE dataset = 'people'"),
        "added by chain entry 4",
    ),
    "a version given to another dataset": (
        sql("UPDATE lake.versions SET dataset = 'bank' WHERE dataset = 'people'"),
        "added by chain entry 4: dataset",
    ),
    "a version of an invented export": (
        sql("INSERT INTO lake.versions VALUES (7, 7, 'bank', 1, 99, 0, NULL)"),
        "chain entry 99 added them, which it did not",
    ),
    "a token removed": (sql("DELETE FROM lake.tokens WHERE token = (SELECT min(token) FROM lake.tokens)"), "tokens: "),
    "a token redirected to another person": (
        sql("UPDATE lake.tokens SET version = TAKEN WHERE token = (SELECT max(token) FROM lake.tokens)"),
        "added by chain entry",
    ),
    "a token's kind altered": (
        sql("UPDATE lake.tokens SET kind = 9 WHERE token = (SELECT max(token) FROM lake.tokens)"),
        "added by chain entry",
    ),
    "a token of no version": (sql("INSERT INTO lake.tokens VALUES (1, 1, 1, 1)"), "tokens: there are 601"),
    "a token of another epoch": (
        sql("UPDATE lake.tokens SET epoch = 2 WHERE token = (SELECT max(token) FROM lake.tokens)"),
        "of another epoch",
    ),
    # secrets
    "a sealed secret removed": (sql("DELETE FROM lake.sealed WHERE export_id = 'X-1'"), "sealed, X-1: its line"),
    "a commitment replaced": (
        sql("UPDATE lake.sealed SET commitment = repeat('0', 64) WHERE export_id = 'X-1'"),
        "sealed, X-1: series, epoch or commitment",
    ),
    "a sealed secret altered": (
        sql("UPDATE lake.sealed SET sealed = 'abc'::BLOB WHERE export_id = 'X-2'"),
        "sealed, X-2: officer.key does not open",
    ),
    "two sealed secrets swapped": (
        sql("UPDATE lake.sealed SET export_id = SWAP WHERE export_id IN ('X-1', 'X-2')"),
        "sealed, X-1",
    ),
    # cases
    "an attempt removed": (sql("DELETE FROM lake.cases WHERE attempt = 1"), "cases, sample aaaaaaaaaaaa"),
    "the last attempt removed": (sql("DELETE FROM lake.cases WHERE attempt = 2"), "meta: the number of traces"),
    "the count of traces set back": (
        sql("UPDATE lake.meta SET value = '0' WHERE name = 'attempts'"),
        "meta: the number of traces",
    ),
    # files
    "a data file removed": (data_file("tokens", Path.unlink), "is missing"),
    "a data file cut short": (data_file("members", cut_short), "bytes, the catalogue says"),
    "a byte of the tokens changed": (data_file("tokens", byte_changed(100)), "added by chain entry"),
    "a byte of the members changed": (data_file("members", byte_changed(40)), "its members are not those"),
    # what a look-up skips by
    "a file's largest value": (
        statistics("file", "tokens", "token", "max_value = '1000'"),
        "the catalogue's statistics of token leave out",
    ),
    "a file's smallest value": (
        statistics("file", "members", "version", "min_value = '18446744073709551615'"),
        "the catalogue's statistics of version leave out",
    ),
    "a file's values counted as none": (
        statistics("file", "tokens", "token", "value_count = 0"),
        "the catalogue's statistics of token leave out",
    ),
    "a file's nulls": (
        statistics("file", "versions", "number", "null_count = value_count"),
        "the catalogue's statistics of number leave out",
    ),
    "a table's bounds": (
        statistics("table", "exports", "state", "min_value = 'a', max_value = 'b'"),
        "catalogue, exports: its statistics of state leave out",
    ),
    "bounds that are no values": (
        statistics("file", "tokens", "token", "max_value = 'zz'"),
        "the catalogue's statistics of token leave out",
    ),
    "a file's number of rows": (
        sql("UPDATE __ducklake_metadata_lake.ducklake_data_file SET record_count = 7"),
        "rows, the catalogue says 7",
    ),
    "a footer's statistics": (data_file("tokens", digested(footer_changed)), "its own statistics of token leave out"),
    "a Bloom filter": (data_file("members", digested(filter_emptied)), "its Bloom filter of set_id denies 1 values"),
    "a byte that says nothing": (data_file("members", maker_changed), "its bytes are not those whose digest"),
    "a partition": (
        sql("UPDATE __ducklake_metadata_lake.ducklake_data_file SET partition_id = 7"),
        "its footer or its partition",
    ),
    "a data file added": (
        data_file("tokens", lambda path: shutil.copy(path, path.with_name("ducklake-added.parquet"))),
        "data file ducklake-added.parquet: it belongs to nothing",
    ),
}


def test_an_untouched_registry_has_no_problem(made: Place) -> None:
    assert problems(made) == []
    assert problems(made, officer=False) == []


@pytest.fixture
def tampered(place: Place) -> Callable[[Tampering], list[str]]:
    def tamper_and_check(tampering: Tampering) -> list[str]:
        con = attach(Path(place.registry))
        tampering(con, Path(place.registry))
        con.close()
        return problems(place)

    return tamper_and_check


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampering_is_found_and_its_place_named(name: str, tampered: Callable[[Tampering], list[str]]) -> None:
    tampering, expected = TAMPERINGS[name]
    found = tampered(tampering)
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    "name",
    ["a file's largest value", "a file's values counted as none", "a table's bounds"],
)
def test_what_a_lookup_skips_by_does_hide_rows_when_it_is_altered(name: str, place: Place) -> None:
    """So that it is worth finding: no value of the registry changes, and the look-up misses what is there."""
    largest = max((Path(place.registry) / "data").rglob("tokens/*.parquet"), key=lambda path: path.stat().st_size)
    some = pq.read_table(largest).sort_by("token").slice(100, 40)

    def looked_up() -> list[int]:
        with place.open() as registry:
            index = registry.index_files()
            found = index.lookup(some.select(["token", "kind"]))
            return [found.num_rows, index.memberships(found["version"].combine_chunks().unique()).num_rows]

    before = looked_up()
    con = attach(Path(place.registry))
    TAMPERINGS[name][0](con, Path(place.registry))
    con.close()
    after = looked_up()
    assert min(before) > 0
    assert after < before
    assert any("statistics" in problem for problem in problems(place))


def test_another_issuers_public_key_finds_every_entry_unsigned(made: Place) -> None:
    with made.open() as registry:
        found = check(registry, Ed25519PrivateKey.generate().public_key(), None)
    assert len(found) == 6
    assert all("not signed by this issuer" in problem for problem in found)


def test_files_written_anew_in_another_layout_are_no_tampering(place: Place) -> None:
    con = attach(Path(place.registry))
    for table in ("tokens", "members", "versions"):
        con.execute(f"CALL ducklake_merge_adjacent_files('lake', '{table}')")
    con.execute("CALL ducklake_flush_inlined_data('lake')")
    con.close()
    assert problems(place) == []
