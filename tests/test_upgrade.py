"""A registry of an older version is brought up to this one where it lies, and says what it said."""

import hashlib
import json
import multiprocessing
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import upgrade as upgrading
from pipeline.registry import Registry
from pipeline.storage import attach
from pipeline.upgrade import create_tables, upgrade, version_of
from schemas import tables
from schemas.errors import RegistryError
from tests import version_1
from tests.conftest import World

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def old(tmp_path: Path) -> World:
    """What a user of version 1 has."""
    (tmp_path / "old").mkdir()
    version_1.unpack(tmp_path / "old")
    return World(tmp_path / "old")


def stored_version(world: World) -> str:
    con = attach(world.folder / "registry", read_only=True)
    (value,) = con.execute("SELECT value FROM lake.meta WHERE name = 'schema_version'").fetchone() or ("",)
    con.close()
    return str(value)


def recipients(world: World) -> list[str]:
    found = world.run("exports", "--json").json()
    return [line["recipient"] for line in (found["exports"] if isinstance(found, dict) else found)]


def open_at_once(registry: str, start: object) -> None:
    """What each of several processes does with an old registry."""
    start.wait()  # type: ignore[attr-defined]
    with Registry.open(registry) as opened:
        opened.exports()


def test_the_fixture_is_of_version_1(old: World) -> None:
    assert stored_version(old) == "1"


def test_an_old_registry_is_upgraded_by_the_first_command_and_holds(old: World) -> None:
    assert recipients(old) == ["E1", "E2", "E3"]
    assert stored_version(old) == str(tables.SCHEMA_VERSION)
    checked = old.run("registry", "check")
    assert (checked.code, checked.err) == (0, "")
    assert "3 exports: every signature, digest and link holds." in checked.out


def test_a_copy_issued_under_version_1_is_still_named(old: World) -> None:
    assert old.run("trace", old.folder / "sample.csv", "-o", old.folder / "case").code == 0
    verdict = json.loads((old.folder / "case" / "verdict.json").read_bytes())
    best = verdict["attribution"]["candidates"][0]
    assert (best["recipient"], best["strength"], best["coverage"]["rows"]) == ("E2", "conclusive", 30)
    assert verdict["attempt"] == 2, "the trace of version 1 was counted"


def test_an_upgraded_registry_takes_further_exports_and_compacts(old: World, fresh: World) -> None:
    answer = old.run(
        "tag", fresh.table, "--contract", fresh.contract, "--recipient", "E4", "--purpose", "more",
        "-o", old.folder / "E4.csv", "--no-quality",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert recipients(old) == ["E1", "E2", "E3", "E4"]
    assert old.run("registry", "compact").code == 0
    assert "4 exports" in old.run("registry", "check").out


def test_four_processes_may_open_an_old_registry_at_once(old: World) -> None:
    start = SPAWN.Event()
    location = str(old.folder / "registry")
    processes = [SPAWN.Process(target=open_at_once, args=(location, start)) for _ in range(4)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert old.run("registry", "check").code == 0


def test_missing_tables_and_columns_are_added(old: World, monkeypatch: pytest.MonkeyPatch) -> None:
    more = dict(tables.TABLES)
    more["exports"] = tables.EXPORTS.append(pa.field("note", pa.string()))
    more["tokens"] = tables.TOKENS.append(pa.field("weight", pa.uint8()))
    more["places"] = pa.schema([("export_id", pa.string()), ("size", pa.int64())])
    monkeypatch.setattr(upgrading, "TABLES", more)
    con = attach(old.folder / "registry")
    before = con.execute("SELECT count(*) FROM lake.tokens").fetchone() or ()
    create_tables(con)
    con.execute("BEGIN")
    upgrade(con, "here")
    con.execute("ROLLBACK")
    assert "note" not in con.execute("SELECT * FROM lake.exports").to_arrow_table().column_names
    assert version_of(con, "here") == 1, "an interrupted upgrade left the version"
    create_tables(con)
    con.execute("BEGIN")
    upgrade(con, "here")
    con.execute("COMMIT")
    assert con.execute("SELECT DISTINCT note FROM lake.exports").fetchall() == [(None,)]
    assert con.execute("SELECT DISTINCT weight, count(*) FROM lake.tokens GROUP BY 1").fetchall() == [(None, *before)]
    assert con.execute("SELECT count(*) FROM lake.places").fetchone() == (0,)
    assert version_of(con, "here") == tables.SCHEMA_VERSION


def without_what_came_late(world: World, version: str) -> None:
    """Leave the registry as a program of an early version 2 did: that number, and tables and columns missing."""
    assert world.run("exports").code == 0
    con = attach(world.folder / "registry")
    con.execute("DROP TABLE lake.sightings")
    con.execute("ALTER TABLE lake.cases DROP COLUMN alpha")
    con.execute("UPDATE lake.meta SET value = ? WHERE name = 'schema_version'", [version])
    con.close()


def test_a_registry_of_an_early_version_2_is_upgraded_and_the_command_says_what_was_added(old: World) -> None:
    without_what_came_late(old, "2")
    assert old.run("registry", "upgrade", "--json").json() == {
        "version": tables.SCHEMA_VERSION,
        "added": ["cases.alpha", "sightings"],
    }
    assert stored_version(old) == str(tables.SCHEMA_VERSION)
    assert old.run("registry", "upgrade").out == f"Version {tables.SCHEMA_VERSION}: nothing was missing.\n"
    assert old.run("trace", old.folder / "sample.csv", "-o", old.folder / "case").code == 0
    assert old.run("registry", "check").code == 0


def test_a_registry_that_lacks_what_its_version_has_is_told_to_upgrade_and_then_works(old: World) -> None:
    without_what_came_late(old, str(tables.SCHEMA_VERSION))
    answer = old.run("trace", old.folder / "sample.csv", "-o", old.folder / "case")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        "leaktrace: the registry lacks a table or column that this program needs; run leaktrace registry upgrade\n"
    )
    assert not (old.folder / "case").exists()
    assert old.run("registry", "upgrade").code == 0
    assert old.run("trace", old.folder / "sample.csv", "-o", old.folder / "case").code == 0


def test_a_change_of_the_tables_is_a_new_version() -> None:
    """When this fails, raise SCHEMA_VERSION, so that registries of today get what is new, and put both here."""
    said = "\n".join(f"{name} {field.name} {field.type}" for name, schema in tables.TABLES.items() for field in schema)
    assert (tables.SCHEMA_VERSION, hashlib.sha256(said.encode()).hexdigest()[:16]) == (3, "ff19732420ae1a68")


def test_a_new_column_goes_last(old: World) -> None:
    """Rows are written by position in places: an upgraded table must have the order of a new one."""
    old.run("exports")
    con = attach(old.folder / "registry", read_only=True)
    for name, schema in tables.TABLES.items():
        found = con.execute(f"SELECT * FROM lake.{name} LIMIT 0").to_arrow_table().column_names  # noqa: S608
        assert found == schema.names, name
    con.close()


def test_a_registry_of_a_newer_version_is_refused_with_one_sentence(old: World) -> None:
    con = attach(old.folder / "registry")
    con.execute("UPDATE lake.meta SET value = '99' WHERE name = 'schema_version'")
    con.close()
    with (
        pytest.raises(RegistryError, match=r"of a newer version \(99, this program knows \d+\); upgrade leaktrace"),
        Registry.open(str(old.folder / "registry")),
    ):
        pass
    answer = old.run("exports")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1
