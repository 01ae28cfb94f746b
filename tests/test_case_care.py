"""The log of who traced what and when, and the end of cases."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import World

from pipeline.storage import attach
from tests.test_erase import words_left

Write = Callable[[pa.Table, Path], Path]


@pytest.fixture(scope="module")
def _traced(_issued: World, write_sample: Write, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two traces of one sample by two people."""
    folder = tmp_path_factory.mktemp("traced") / "world"
    shutil.copytree(_issued.folder, folder)
    world = World(folder)
    sample = write_sample(pq.read_table(world.table).slice(0, 12), folder / "post.csv")
    (folder / "cases").mkdir()
    for number, name in enumerate(("anna", "bo"), 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LEAKTRACE_OPERATOR", name)
            assert world.run("trace", sample, "-o", folder / "cases" / f"post-{number}").code == 0
    return world


@pytest.fixture
def traced(_traced: World, tmp_path: Path) -> World:
    """A copy of its own."""
    shutil.copytree(_traced.folder, tmp_path / "world")
    return World(tmp_path / "world")


def test_the_budget_counts_what_was_signed_also_where_cases_say_less(traced: World) -> None:
    before = traced.run("registry", "budget", "--json").json()["spent"]
    con = attach(traced.folder / "registry")
    con.execute("UPDATE lake.cases SET alpha = 0")
    con.close()
    assert before > 0
    assert traced.run("registry", "budget", "--json").json()["spent"] == before


def listed(world: World) -> Any:
    return world.run("cases", "--json").json()["cases"]


def test_cases_says_who_traced_what_and_when(traced: World) -> None:
    found = listed(traced)
    assert [(one["operator"], one["attempt"], one["deleted"]) for one in found] == [("anna", 1, None), ("bo", 2, None)]
    assert found[0]["sample_digest"] == found[1]["sample_digest"]
    verdict = json.loads((traced.folder / "cases" / "post-1" / "verdict.json").read_bytes())
    assert found[0]["case_id"] == verdict["case_id"]
    assert traced.run("registry", "check").code == 0


def test_a_deleted_case_is_gone_and_the_log_says_why(traced: World) -> None:
    case = traced.folder / "cases" / "post-1"
    answer = traced.run("cases", "delete", case, "--reason", "closed")
    assert answer.code == 0, answer.err
    assert [path.name for path in case.parent.iterdir()] == ["post-2"]
    assert [bool(one["deleted"]) for one in listed(traced)] == [True, False]
    assert len(words_left(traced)) == 12
    assert traced.run("cases", "delete", case.with_name("post-2"), "--reason", "closed").code == 0
    assert words_left(traced) == set(), "the words of the samples are in no file and not in the catalogue"
    assert traced.run("registry", "check").code == 0


def test_a_policy_deletes_old_cases_only(traced: World) -> None:
    folder = traced.folder / "cases"
    (folder / "notes").mkdir()
    assert traced.run("cases", "retain", folder, "--older-than", "30").code == 0
    assert len(list(folder.iterdir())) == 3
    dry = traced.run("cases", "retain", folder, "--older-than", "0", "--dry-run", "--json").json()
    assert (len(dry["old"]), len(list(folder.iterdir()))) == (2, 3)
    done = traced.run("cases", "retain", folder, "--older-than", "0", "--json").json()
    assert (len(done["deleted"]), [path.name for path in folder.iterdir()]) == (2, ["notes"])
    assert traced.run("registry", "check").code == 0


def test_what_is_no_case_is_never_deleted(traced: World, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "verdict.json").write_text('{"schema": "another/9"}')
    answer = traced.run("cases", "delete", tmp_path / "mine", "--reason", "tidy")
    assert answer.code == 1
    assert "no case of this version" in answer.err
    assert (tmp_path / "mine").exists()
    assert not any(one["deleted"] for one in listed(traced))


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("DELETE FROM lake.log WHERE number = 1", "log, entry 2"),
        ("DELETE FROM lake.log WHERE number > 2", "log:"),
        ("DELETE FROM lake.log WHERE number = 4", "cases: 1 that spent of the budget are not in the log"),
        ("UPDATE lake.log SET entry = replace(entry, 'anna', 'bo') WHERE number = 1", "log, entry 1"),
        ("UPDATE lake.log SET case_id = 'C-0' WHERE number = 2", "log, entry 2"),
        ("UPDATE lake.cases SET created_at = '2020' WHERE attempt = 1", "cases, C-"),
        ("UPDATE lake.log SET number = 5 - number", "log, entry 1"),
        ("UPDATE lake.cases SET alpha = 0 WHERE attempt = 1", "cases, C-"),
        ("UPDATE lake.cases SET alpha = NULL", "cases, C-"),
    ],
)
def test_an_altered_log_is_found_with_its_place(traced: World, statement: str, place: str) -> None:
    con = attach(traced.folder / "registry")
    con.execute(statement)
    con.close()
    answer = traced.run("registry", "check")
    assert answer.code == 3
    assert any(part.strip().removeprefix("leaktrace: ").startswith(place) for part in answer.err.split(";"))
