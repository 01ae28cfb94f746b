"""Large member sets are packed at a bit a row, and everything that rests on them says what it said."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline import held
from pipeline import members as members_module
from pipeline import registry as registry_module
from pipeline.audit import check
from pipeline.members import added_by, members_of
from pipeline.places import place_of
from pipeline.registry import Registry
from pipeline.storage import Connection, attach, attached
from pipeline.tiles import pack
from tests import version_1
from tests.conftest import World
from tests.registry_support import Place, copied, enter, new_place, rows_of

ROWS = {f"X-{number}": range(700 * number, 700 * number + 5_000) for number in range(6)}
SMALL = {"X-small": range(2_000, 2_100)}


@pytest.fixture(scope="module", params=["packed as they came", "left by an older program"])
def made(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Place:
    """Six exports of 5,000 rows that overlap, and one that is too small to be packed."""
    made = new_place(tmp_path_factory.mktemp("made"))
    with pytest.MonkeyPatch.context() as older:
        if request.param == "left by an older program":
            older.setattr(members_module, "LEAST", 1_000_000)
        for name, rows in (ROWS | SMALL).items():
            enter(made, name, rows)
    return made


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """A copy of it."""
    return copied(made, tmp_path)


@pytest.fixture
def older(made: Place, request: pytest.FixtureRequest) -> bool:
    """Whether an older program entered the sets."""
    return bool(request.node.callspec.params["made"] == "left by an older program")


def compact(place: Place) -> None:
    with place.open() as registry:
        registry.compact(0, lambda size: None)


def problems(place: Place) -> list[str]:
    with place.open() as registry:
        return check(registry, place.store.issuer_public(), place.store.officer_private())


def holders_of(place: Place, numbers: Any) -> set[tuple[int, str]]:
    versions, _ = rows_of(numbers)
    with Registry.open(place.registry) as registry:
        found = registry.index_files().memberships(pa.array(versions))
    number_of = dict(zip(versions.tolist(), list(numbers), strict=True))
    return {(number_of[line["version"]], line["export_id"]) for line in found.to_pylist()}


def sets_of(place: Place, numbers: Any) -> set[tuple[int, str]]:
    versions, _ = rows_of(numbers)
    order = np.argsort(versions)
    with Registry.open(place.registry) as registry:
        held, sets = registry.index_files().holders(versions[order])
    its = np.asarray(numbers)[order].tolist()
    return {(number, name) for number, one in zip(its, held.tolist(), strict=True) for name in sets[one]}


def expected(numbers: Any) -> set[tuple[int, str]]:
    return {(n, name) for name, rows in (ROWS | SMALL).items() for n in numbers if n in rows}


def count(place: Place, query: str) -> int:
    con = attach(Path(place.registry), read_only=True)
    row = con.execute(query).fetchone()
    con.close()
    return int(row[0]) if row else -1


@pytest.mark.parametrize(
    "whole", [range(0), range(7, 4_096), range(4_096), range(4_095, 4_097), range(5_000, 30_000), range(8_192, 20_480)]
)
def test_numbers_one_after_the_other_are_packed_as_each_by_itself(place: Place, whole: range) -> None:
    others = [number for number in (3, 4_500, 40_000) if number not in whole]  # a number is of one version

    def tiles(con: Connection, numbers: list[int], *more: Any) -> list[Any]:
        con.register("packing", pa.table({"set_number": pa.array([9] * len(numbers), pa.int64()), "number": numbers}))
        con.execute("BEGIN")
        pack(con, "packing", *more)
        found = con.execute("SELECT tile, bits FROM lake.member_tiles WHERE set_number = 9 ORDER BY tile").fetchall()
        con.execute("ROLLBACK")
        return found

    with attached(place_of(place.registry)) as con:
        assert tiles(con, others, whole, 9) == tiles(con, [*others, *whole])


def test_large_sets_come_packed_or_are_packed_by_compaction_and_answers_stay(place: Place, older: bool) -> None:
    asked = range(0, 9_000, 13)
    assert holders_of(place, asked) == sets_of(place, asked) == expected(asked)
    assert problems(place) == []
    assert count(place, "SELECT count(*) FROM lake.members") == (30_100 if older else 100)
    compact(place)
    assert count(place, "SELECT count(*) FROM lake.members") == 100, "only the small set is left"
    assert count(place, "SELECT count(*) FROM lake.member_tiles") > 0
    assert holders_of(place, asked) == sets_of(place, asked) == expected(asked)
    assert problems(place) == []


def test_exports_entered_after_a_compaction_are_found_before_and_after_the_next(place: Place) -> None:
    compact(place)
    enter(place, "X-late", range(100, 9_900))
    enter(place, "X-again", ROWS["X-0"])
    assert {name for _, name in holders_of(place, [150])} == {"X-0", "X-late", "X-again"}
    compact(place)
    compact(place)
    assert count(place, "SELECT count(*) FROM lake.members") == 100
    assert {name for _, name in holders_of(place, [150])} == {"X-0", "X-late", "X-again"}
    assert problems(place) == []


def test_an_interrupted_compaction_changes_nothing(place: Place, older: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = count(place, "SELECT count(*) FROM lake.member_tiles")
    assert (tiles == 0) == older

    def broken(con: Any) -> bool:
        registry_module.pack_some_before(con)  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    monkeypatch.setattr(registry_module, "pack_some_before", registry_module.pack_some, raising=False)
    monkeypatch.setattr(registry_module, "pack_some", broken)
    with pytest.raises(KeyboardInterrupt):
        compact(place)
    monkeypatch.undo()
    assert count(place, "SELECT count(*) FROM lake.member_tiles") == tiles
    assert problems(place) == []
    compact(place)
    assert problems(place) == []


def test_the_digest_of_members_does_not_depend_on_packing(place: Place) -> None:
    def digests() -> dict[str, str]:
        con = attach(Path(place.registry), read_only=True)
        names = [name for (name,) in con.execute("SELECT set_id FROM lake.member_sets ORDER BY 1").fetchall()]
        found = {name: members_of(con, [name]) for name in names}
        con.close()
        return found

    before = digests()
    compact(place)
    assert digests() == before
    assert len(before) == 7


UNUSUAL = (
    "SELECT 1",
    "DELETE FROM lake.member_tiles WHERE set_number = 2",
    "UPDATE lake.versions SET number = 10_000_000 WHERE number = 2000",
    "INSERT INTO lake.versions SELECT * FROM lake.versions WHERE number = 2000",
    "INSERT INTO lake.member_tiles SELECT tile, 1, bits FROM lake.member_tiles LIMIT 1",
    "INSERT INTO lake.member_tiles SELECT -1, set_number, bits FROM lake.member_tiles LIMIT 1",
    "INSERT INTO lake.member_sets SELECT * FROM lake.member_sets LIMIT 2",
    "UPDATE lake.member_sets SET number = 1 WHERE number = 2",
    "INSERT INTO lake.members SELECT set_id, (SELECT min(version) FROM lake.versions) FROM lake.member_sets",
    "DELETE FROM lake.member_tiles",
)


def test_the_digests_of_many_sets_and_receipts_are_those_of_each(
    place: Place, older: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "_BITMAPS", 10_000)  # a few sets at once
    monkeypatch.setattr(held, "_TOKENS", 20_000)  # a few receipts
    con = attach(Path(place.registry))
    for unusual in UNUSUAL[:1] if older else UNUSUAL:
        con.execute("BEGIN")
        con.execute(unusual)
        names = [n for (n,) in con.execute("SELECT DISTINCT set_id FROM lake.member_sets ORDER BY 1").fetchall()]
        asked = [*((name,) for name in names), (), ("S-unknown",), tuple(names[:2])]
        assert held.digests_of(con, asked) == {some: members_of(con, some) for some in asked}, unusual
        if "versions WHERE" in unusual or unusual == "SELECT 1":
            receipts = [int(n) for (n,) in con.execute("SELECT DISTINCT added FROM lake.versions").fetchall()] + [999]
            added = list(held.added_by_each(con, dict.fromkeys(receipts, 9_000)))
            assert added == [(number, added_by(con, number)) for number in sorted(receipts)], unusual
        con.execute("ROLLBACK")
    con.close()


def test_a_flipped_bit_a_lost_tile_and_a_renumbered_version_are_found(place: Place) -> None:
    compact(place)
    damage = (
        "UPDATE lake.member_tiles SET bits = (bits::BIT # set_bit(bits::BIT & ~bits::BIT, 5, 1))::BLOB "
        "WHERE set_number = 1 AND tile = 0",
        "DELETE FROM lake.member_tiles WHERE set_number = 2 AND tile = (SELECT max(tile) FROM lake.member_tiles "
        "WHERE set_number = 2)",
        "UPDATE lake.versions SET number = number + 1 WHERE number = 2000",
        "INSERT INTO lake.member_tiles SELECT tile, 99, bits FROM lake.member_tiles LIMIT 1",
    )
    for one in damage:
        con = attach(Path(place.registry))
        con.execute("BEGIN")
        con.execute(one.replace("#", ",").replace("(bits::BIT ,", "xor(bits::BIT,"))
        found = _problems_inside(con, place)
        con.execute("ROLLBACK")
        con.close()
        assert found, one
    assert problems(place) == []


def _problems_inside(con: Any, place: Place) -> list[str]:
    from pipeline import audit

    read = audit._read(con)
    return [*audit._members(con, read), *audit._index(con, read)]


def test_persons_are_erased_from_packed_sets(issued: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    assert issued.run("registry", "compact", "--keep-minutes", "0").code == 0
    gone = pq.read_table(issued.table).slice(10, 3)
    pa_csv.write_csv(gone, issued.folder / "subject.csv")
    answer = issued.run("registry", "erase", "--subject-file", issued.folder / "subject.csv", "--json")
    assert answer.code == 0, answer.err
    assert (answer.json()["versions"], answer.json()["members"]) == (3, 3), "three copies share one packed set"
    assert issued.run("registry", "check").code == 0
    assert issued.run("registry", "retain", "--older-than", "0").code == 0
    con = attach(issued.folder / "registry", read_only=True)
    assert con.execute("SELECT count(*) FROM lake.member_tiles").fetchone() == (0,)
    assert con.execute("SELECT count(*) FROM lake.versions").fetchone() == (0,)
    con.close()
    assert issued.run("registry", "check").code == 0


def test_versions_of_an_older_program_get_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version_1.unpack(tmp_path)
    old = World(tmp_path)
    monkeypatch.setattr(registry_module, "pack_some", lambda con: _pack_all(con))
    assert old.run("registry", "compact").code == 0
    con = attach(tmp_path / "registry", read_only=True)
    found = con.execute("SELECT number FROM lake.versions ORDER BY number").to_arrow_table()["number"].to_numpy()
    assert con.execute("SELECT count(*) FROM lake.members").fetchone() == (0,)
    con.close()
    assert np.array_equal(found, np.arange(len(found)))
    assert old.run("registry", "check").code == 0


def _pack_all(con: Any) -> bool:
    from pipeline.tiles import pack_some

    return pack_some(con, least=1)
