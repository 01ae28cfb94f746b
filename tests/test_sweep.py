"""`leaktrace sweep`: each sample once, bad files set aside, alarms that arrive once and never hold anything up."""

import json
import re
import socket
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.alerts import LEVELS, Alarm, level_of, reaches
from tests.conftest import World
from tests.webhook_support import webhook

PHONE = "13800138000"


@pytest.fixture
def inbox(issued: World, write_sample) -> Path:
    """An inbox with one sample of E1's copy."""
    folder = issued.folder / "inbox"
    folder.mkdir()
    write_sample(pq.read_table(issued.folder / "E1.parquet").slice(100, 40), folder / "post.csv")
    return folder


def sweep(world: World, *more: str):
    return world.run("sweep", world.folder / "inbox", "-o", world.folder / "cases", "--json", *more)


def outcomes(answer) -> list[tuple[str, str]]:
    return [(one["file"], one["outcome"]) for one in answer.json()["samples"]]


def cases_of(world: World) -> list[Path]:
    return [path.parent for path in (world.folder / "cases").glob("*/verdict.json")]


def test_each_sample_is_traced_once_by_its_content(issued: World, inbox: Path) -> None:
    assert outcomes(sweep(issued)) == [("post.csv", "traced")]
    (inbox / "the-same-again.csv").write_bytes((inbox / "post.csv").read_bytes())
    answer = sweep(issued)
    assert answer.code == 0
    assert outcomes(answer) == [("post.csv", "known"), ("the-same-again.csv", "known")]
    (case,) = cases_of(issued)
    verdict = json.loads((case / "verdict.json").read_bytes())
    assert verdict["attempt"] == 1
    assert verdict["attribution"]["verdict"] == "identified"


def test_a_bad_file_is_set_aside_with_a_reason_and_the_rest_is_traced(issued: World, inbox: Path) -> None:
    (inbox / "a-broken.xlsx").write_bytes(b"PK\x03\x04 no sheet " + PHONE.encode())
    (inbox / "b-empty.csv").write_bytes(b"")
    answer = sweep(issued)
    assert answer.code == 1
    found = dict(outcomes(answer))
    assert found["post.csv"] == "traced"
    assert {found["a-broken.xlsx"], found["b-empty.csv"]} == {"set aside"}
    reasons = [json.loads(p.read_bytes()) for p in (issued.folder / "cases" / "set-aside").glob("*/reason.json")]
    assert sorted(reason["file"] for reason in reasons) == ["a-broken.xlsx", "b-empty.csv"]
    assert PHONE not in answer.out + answer.err + json.dumps(reasons)
    assert sweep(issued).code == 0, "a file that was set aside is not tried again"


def test_files_that_are_still_being_written_wait(issued: World, inbox: Path) -> None:
    (inbox / "big.csv.part").write_bytes(b"x")
    answer = sweep(issued, "--settle", "3600")
    assert outcomes(answer) == [("post.csv", "waiting")]
    assert cases_of(issued) == []


def test_what_a_killed_sweep_left_is_removed_and_the_sample_traced(issued: World, inbox: Path) -> None:
    assert sweep(issued).code == 0
    (case,) = cases_of(issued)
    case.rename(case.with_name(f".{case.name}.0a1b2c3d"))
    assert outcomes(sweep(issued)) == [("post.csv", "traced")]
    assert not list((issued.folder / "cases").glob(".*.0a1b2c3d"))


def test_without_keys_nothing_is_set_aside(issued: World, inbox: Path) -> None:
    (issued.folder / "keys" / "index.key").rename(issued.folder / "index.key")
    answer = sweep(issued)
    assert answer.code == 1
    assert outcomes(answer) == [("post.csv", "failed")]
    assert not (issued.folder / "cases" / "set-aside").exists()


def test_an_inbox_that_is_not_there_is_said(issued: World) -> None:
    answer = sweep(issued)
    assert answer.code == 1
    assert "the inbox" in answer.err


# -- alarms -----------------------------------------------------------------------------------------------------------


def verdict(attribution: str, authenticity: str = "ours") -> dict:
    return {
        "case_id": "C-1", "created_at": "2026-01-01T00:00:00+00:00", "sample": {"rows": 3}, "exposed": {"people": 2},
        "authenticity": {"verdict": authenticity},
        "attribution": {"verdict": attribution, "candidates": [{"strength": "lead", "recipient": "E1"}]},
    }  # fmt: skip


def test_a_case_is_told_once_without_names_and_values(issued: World, inbox: Path) -> None:
    with webhook() as (url, received):
        for _ in range(2):
            assert sweep(issued, "--alert-url", url, "--alert-level", "identified").code == 0
    (body,) = received
    told = json.loads(body)
    assert told["attribution"] == "identified"
    assert told["strength"] == "conclusive"
    row = pq.read_table(issued.folder / "E1.parquet").slice(100, 1).to_pylist()[0]
    for value in [str(cell) for cell in row.values() if len(str(cell)) > 5] + ["post.csv"]:
        assert value not in body.decode()
    assert not re.search(r"\bE1\b", body.decode())  # an export's id may well hold E1


def test_an_alarm_that_failed_is_tried_again_by_the_next_sweep(issued: World, inbox: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    first = sweep(issued, "--alert-url", closed)
    assert first.code == 1
    assert "did not take the alarm" in first.json()["samples"][0]["message"]
    with webhook() as (url, received):
        assert sweep(issued, "--alert-url", url).code == 0
    assert len(received) == 1


def test_a_webhook_that_fails_twice_is_told_the_third_time() -> None:
    with webhook(500, 503) as (url, received):
        assert Alarm("lead", url, pause=0.01).raise_for(verdict("lead"), "abc") == ""
    assert len(received) == 3
    assert len(set(received)) == 1


def test_a_webhook_that_never_answers_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        alarm = Alarm("lead", f"http://127.0.0.1:{silent.getsockname()[1]}/", patience=0.3, pause=0.01)
        begun = time.monotonic()
        problem = alarm.raise_for(verdict("lead"), "abc")
    assert "no answer within 0.3 s" in problem or "no connection" in problem
    assert time.monotonic() - begun < 5


def test_a_command_gets_the_message_and_one_that_hangs_is_ended(tmp_path: Path) -> None:
    script = f"import sys; open({str(tmp_path / 'got')!r}, 'wb').write(sys.stdin.buffer.read())"
    command = f"{sys.executable} -c {json.dumps(script)}"
    assert Alarm("lead", command=command).raise_for(verdict("lead"), "abc") == ""
    assert json.loads((tmp_path / "got").read_bytes())["case"] == "abc"
    hangs = Alarm("lead", command="sleep 60", patience=0.2, pause=0.01)
    assert "did not end" in hangs.raise_for(verdict("lead"), "abc")
    assert "it ended with 1" in Alarm("lead", command="false", pause=0.01).raise_for(verdict("lead"), "abc")


def test_levels_are_ordered_and_a_weaker_verdict_raises_no_alarm() -> None:
    weak, strong = verdict("insufficient"), verdict("identified")
    assert level_of(weak) == "ours"
    assert level_of(verdict("not_applicable", "not_ours")) == "any"
    assert not reaches(level_of(weak), "lead")
    assert all(reaches(level_of(strong), level) for level in LEVELS)
