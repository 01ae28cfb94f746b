"""`registry compact`: smaller and quicker, and what the registry says stays the same."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline import compaction
from pipeline.audit import check
from pipeline.compaction import Size
from pipeline.registry import Registry
from pipeline.storage import MEMORY, attach
from tests.conftest import World
from tests.registry_support import Place, copied, enter, enter_many, new_place, rows_of, tokens_of

FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A registry with twelve exports that overlap."""
    made = new_place(tmp_path_factory.mktemp("made"))
    for number in range(12):
        enter(made, f"X-{number}", range(300 * number, 300 * number + 900))
    return made


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """A copy of it."""
    return copied(made, tmp_path)


def answers(place: Place) -> tuple[list[tuple[int, ...]], list[tuple[int, str]]]:
    """What the index says of some rows."""
    versions, _ = rows_of(range(0, 4_000, 37))
    with Registry.open(place.registry) as registry:
        index = registry.index_files()
        found = index.lookup(tokens_of(versions).select(["token", "kind"]))
        held = index.memberships(pa.array(versions))
    columns = ("token", "kind", "version", "record", "frequency")
    rows = zip(*(found[name].to_pylist() for name in columns), strict=True)
    return sorted(rows), sorted(zip(held["version"].to_pylist(), held["export_id"].to_pylist(), strict=True))


def problems(place: Place) -> list[str]:
    """What `registry check` finds after a command has cleaned up."""
    with place.open() as registry:
        registry.recover()
        return check(registry, place.store.issuer_public(), place.store.officer_private())


def compact(place: Place) -> Size:
    """Compact, and delete at once what was replaced."""
    with place.open() as registry:
        return registry.compact(0, lambda size: None)


def compact_again_and_again(place: Place) -> None:
    """Until somebody ends the process."""
    while True:
        compact(place)


def test_the_answers_the_receipts_and_the_checks_stay_the_same(place: Place) -> None:
    before = answers(place)
    with Registry.open(place.registry) as registry:
        files = registry.size().files
    after = compact(place)
    assert after.files < files
    assert after.waiting == 0
    assert answers(place) == before
    assert problems(place) == []
    enter(place, "X-new", range(100, 5_000))
    assert problems(place) == []


def test_a_second_compaction_finds_nothing_to_do(place: Place) -> None:
    assert compact(place) == compact(place)


def test_replaced_files_stay_for_those_who_still_read_them(place: Place) -> None:
    with Registry.open(place.registry) as reader:
        versions, _ = rows_of([700])
        index = reader.index_files()
        tokens = tokens_of(versions).select(["token", "kind"])
        before = index.lookup(tokens)
        with place.open() as registry:
            size = registry.compact(3_600, lambda size: None)
        assert size.waiting > 0
        assert index.lookup(tokens).num_rows == before.num_rows


def test_tags_go_on_while_two_compactions_run(place: Place) -> None:
    before = answers(place)
    compactions = [FORK.Process(target=compact_again_and_again, args=(place,)) for _ in range(2)]
    writer = FORK.Process(target=enter_many, args=(place, 50, 8))
    for process in (*compactions, writer):
        process.start()
    writer.join(timeout=240)
    assert writer.exitcode == 0
    for process in compactions:
        assert process.is_alive()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    assert problems(place) == []
    with Registry.open(place.registry) as registry:
        assert registry.exports().num_rows == 20
    assert [hit for hit in answers(place)[1] if not hit[1].startswith("X-50-")] == before[1]


def test_a_compaction_killed_at_any_moment_changes_nothing(place: Place) -> None:
    before, moments = answers(place), random.Random(3)
    for trial in range(6):
        enter(place, f"Y-{trial}", range(20_000 + 50 * trial, 20_100 + 50 * trial))
        process = FORK.Process(target=compact_again_and_again, args=(place,))
        process.start()
        time.sleep(moments.uniform(0.05, 0.6))
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        assert problems(place) == []
    assert answers(place) == before


def test_the_command_says_what_it_saved_and_what_waits(issued: World) -> None:
    for recipient in ("E7", "E8"):
        assert issued.tag(recipient, issued.folder / f"{recipient}.parquet").code == 0
    answer = issued.run("registry", "compact")
    assert answer.code == 0, answer.err
    assert "files of" in answer.out
    assert issued.run("registry", "check").code == 0
    assert issued.run("registry", "compact", "--keep-minutes", "-1").code == 2


def test_tiles_that_memory_does_not_hold_are_merged_and_written_anew(tmp_path: Path) -> None:
    con = attach(Path(new_place(tmp_path).registry))
    con.execute("SET memory_limit = '1GB'")  # to make them at once; in use they come export by export
    rows, rng = 135_000, np.random.default_rng(1)
    for first in (0, rows):
        bits = pa.FixedSizeBinaryArray.from_buffers(pa.binary(512), rows, [None, pa.py_buffer(rng.bytes(512 * rows))])
        tile = pa.array(np.sort(rng.integers(0, 300, rows)), pa.int32())
        made = pa.table({"tile": tile, "set_number": np.arange(first, first + rows), "bits": bits.cast(pa.binary())})
        con.register("made", made)
        con.execute("INSERT INTO lake.member_tiles SELECT * FROM made")
    con.execute(f"SET memory_limit = '{MEMORY}'")
    assert compaction.merge_once(con, "member_tiles")
    con.execute("DELETE FROM lake.member_tiles WHERE tile = 7")
    compaction.drop_deleted(con, "member_tiles")
    files = con.execute("SELECT data_file FROM ducklake_list_files('lake', 'member_tiles')").fetchall()
    assert len(files) == 1
    left = con.execute("SELECT count(*), count(*) FILTER (tile = 7) FROM read_parquet(?)", [files[0][0]]).fetchone()
    assert left is not None
    assert 0 < left[0] < 2 * rows
    assert left[1] == 0
    con.close()
