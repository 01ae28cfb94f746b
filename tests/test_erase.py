"""`registry erase` and `retain`: what is taken out is gone from tables and files, and the chain still holds."""

import csv
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.erase import retain_newer
from pipeline.keystore import KeyStore
from pipeline.registry import Registry
from pipeline.tiles import clear, held_numbers
from tests.conftest import World


def subject_file(world: World, rows: range) -> Path:
    path = world.folder / "subject.csv"
    numbers = pq.read_table(world.table)["customer_no"].to_pylist()
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["customer_no"], *([numbers[row]] for row in rows)])
    return path


def trace(world: World, rows: range, name: str, write_sample) -> dict:
    table = pq.read_table(world.table).take(pa.array(list(rows)))
    answer = world.run("trace", write_sample(table, world.folder / f"{name}.csv"), "-o", world.folder / name, "--json")
    assert answer.code == 0, answer.err
    return answer.json()


def stored(world: World, column: str) -> set[int]:
    """Every number of a column in every data file, whether the catalogue still refers to it or not."""
    found: set[int] = set()
    for path in (world.folder / "registry" / "data").rglob("*.parquet"):
        if column in pq.read_schema(path).names:
            found |= set(pq.read_table(path, columns=[column])[column].to_pylist())
    return found


def test_an_erased_person_is_found_no_more_and_the_others_are(issued: World, write_sample) -> None:
    before = trace(issued, range(10, 40), "before", write_sample)
    assert before["authenticity"]["rows"]["held"] == 30
    versions, tokens = stored(issued, "version"), stored(issued, "token")
    answer = issued.run("registry", "erase", "--subject-file", subject_file(issued, range(10, 13)), "--json")
    assert answer.code == 0, answer.err
    assert (answer.json()["versions"], answer.json()["members"]) == (3, 3)
    after = trace(issued, range(10, 40), "after", write_sample)["authenticity"]["rows"]
    assert after["held"] == 27
    assert after["unknown"] == 3
    assert len(versions - stored(issued, "version")) == 3, "gone from the files, too"
    assert len(tokens - stored(issued, "token")) >= 10


def words_left(world: World) -> set[int]:
    """The words of traced samples in every file, and in the catalogue, where few of them lie."""
    with closing(sqlite3.connect(world.folder / "registry" / "catalog.sqlite")) as con:
        tables = [name for (name,) in con.execute("SELECT name FROM sqlite_master WHERE name LIKE '%inlined_data_%'")]
        having = [name for name in tables if "word" in [row[1] for row in con.execute(f"PRAGMA table_info({name})")]]
        inlined = {int(word) for name in having for (word,) in con.execute(f"SELECT word FROM {name}")}  # noqa: S608
    return inlined | stored(world, "word")


def test_words_of_traced_samples_go_with_the_person_also_of_rows_that_resolved_to_nobody(issued: World) -> None:
    shown = ("customer_no", "name", "national_id")
    ours = [[row[name] for name in shown] for row in pq.read_table(issued.table).slice(10, 4).to_pylist()]
    stranger = ["", "Ann Lee", "110101199003070011"]
    rows = [shown, *ours, ["", ours[0][1], ""], stranger]  # a name alone resolves to nobody
    for name, lines in (("leak", rows), ("first", [shown, ours[0]]), ("stranger", [shown, stranger])):
        with (issued.folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(lines)
    answer = issued.run("trace", issued.folder / "leak.csv", "-o", issued.folder / "case", "--json")
    assert answer.json()["authenticity"]["rows"]["unknown"] == 2
    assert len(words_left(issued)) == 6
    erase = ("registry", "erase", "--json", "--subject-file")
    assert issued.run(*erase, issued.folder / "first.csv").json()["words"] == 2
    assert len(words_left(issued)) == 4
    done = issued.run(*erase, issued.folder / "stranger.csv").json()
    assert (done["words"], done["entry"]) == (1, None)
    assert len(words_left(issued)) == 3
    assert issued.run("registry", "check").code == 0


def test_the_chain_holds_after_an_erasure_and_says_nothing_of_the_person(issued: World) -> None:
    path = subject_file(issued, range(5, 6))
    assert issued.run("registry", "erase", "--subject-file", path).code == 0
    checked = issued.run("registry", "check")
    assert checked.code == 0, checked.err
    person = {str(v) for v in pq.read_table(issued.table).slice(5, 1).to_pylist()[0].values() if len(str(v)) > 4}
    with Registry.open(str(issued.folder / "registry")) as registry:
        (stone,) = registry.notes("erasure")
    assert not [value for value in person if value in str(stone)]


def test_a_registry_altered_beside_an_erasure_fails_the_check(issued: World) -> None:
    assert issued.run("registry", "erase", "--subject-file", subject_file(issued, range(5, 6))).code == 0
    with Registry.open(str(issued.folder / "registry")) as registry:
        assert clear(registry._con, held_numbers(registry._con)[:1]) == 1  # of one set, which three copies share
    assert issued.run("registry", "check").code == 3


def test_somebody_who_comes_back_in_a_later_export_is_found_again(issued: World, write_sample) -> None:
    assert issued.run("registry", "erase", "--subject-file", subject_file(issued, range(10, 13))).code == 0
    assert issued.tag("E7", issued.folder / "E7.parquet").code == 0
    verdict = trace(issued, range(10, 40), "again", write_sample)
    assert verdict["authenticity"]["rows"]["held"] == 30
    exports = {e["recipient"]: e["export_id"] for e in issued.run("exports", "--json").json()["exports"]}
    coverage = {c["export_id"]: c["coverage"]["rows"] for c in verdict["attribution"]["candidates"]}
    assert coverage[exports["E7"]] == 30
    assert coverage[exports["E1"]] == 27
    checked = issued.run("registry", "check")
    assert checked.code == 0, checked.err
    assert issued.run("registry", "erase", "--subject-file", subject_file(issued, range(10, 13))).code == 0
    checked = issued.run("registry", "check")
    assert checked.code == 0, checked.err


def test_somebody_unknown_changes_nothing(issued: World) -> None:
    path = issued.folder / "subject.csv"
    path.write_text("customer_no\nnobody\n")
    answer = issued.run("registry", "erase", "--subject-file", path)
    assert answer.code == 0
    assert "nothing was changed" in answer.out
    with Registry.open(str(issued.folder / "registry")) as registry:
        assert registry.notes("erasure") == []


def test_a_file_without_a_key_says_which_columns_are_needed(issued: World) -> None:
    path = issued.folder / "subject.csv"
    path.write_text("name\nSomebody\n")
    answer = issued.run("registry", "erase", "--subject-file", path)
    assert answer.code == 1
    assert "customer_no" in answer.err


def test_old_exports_give_up_what_only_they_held(issued: World, write_sample) -> None:
    moment = datetime.now(UTC)
    assert trace(issued, range(990, 1_010), "whole", write_sample)["authenticity"]["rows"]["held"] == 20
    part = issued.folder / "part.parquet"
    pq.write_table(pq.read_table(issued.table).slice(0, 1_000), part)
    assert issued.tag("E7", issued.folder / "E7.parquet", source=part).code == 0
    with Registry.open(str(issued.folder / "registry"), issuer=KeyStore(issued.folder / "keys").issuer()) as registry:
        erased = retain_newer(moment, registry)
    assert (erased.versions, erased.members, erased.words) == (2_000, 3_000, 10)
    assert len(words_left(issued)) == 10
    checked = issued.run("registry", "check")
    assert checked.code == 0, checked.err
    verdict = trace(issued, range(990, 1_010), "half", write_sample)
    assert verdict["authenticity"]["rows"]["held"] == 10
    listed = {e["recipient"] for e in issued.run("exports", "--json").json()["exports"]}
    assert listed == {"E1", "E2", "E3", "E7"}, "who received what when stays in the chain"


def test_an_erasure_that_was_killed_before_it_reached_the_files_is_finished_by_the_next(
    issued: World, monkeypatch
) -> None:
    versions, command = stored(issued, "version"), ["registry", "erase", "--subject-file"]
    with monkeypatch.context() as killed:
        killed.setattr("pipeline.compaction.drop_deleted", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert issued.run(*command, subject_file(issued, range(10, 13))).code == 1
    assert stored(issued, "version") == versions
    assert "nothing was changed" in issued.run(*command, subject_file(issued, range(10, 13))).out
    assert len(versions - stored(issued, "version")) == 3


def test_a_policy_that_nothing_is_old_enough_for_changes_nothing(issued: World) -> None:
    assert "nothing was changed" in issued.run("registry", "retain", "--older-than", "30").out
    assert issued.run("registry", "retain", "--older-than", "-1").code == 2
    assert issued.run("registry", "check").code == 0


@pytest.mark.parametrize("word", ["erase", "retain"])
def test_without_the_issuers_key_nothing_is_erased(issued: World, word: str) -> None:
    (issued.folder / "keys" / "issuer.key").unlink()
    before = stored(issued, "version")
    options = {"erase": ["--subject-file", subject_file(issued, range(3))], "retain": ["--older-than", "0"]}
    assert issued.run("registry", word, *options[word]).code == 1
    assert stored(issued, "version") == before
