"""`leaktrace run`: every due unit once, whatever is wrong with others, crashes, or runs at the same time."""

import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from pipeline.jobs import RunRequest, run_jobs
from pipeline.schedule import due_intervals
from schemas.errors import InputError
from schemas.jobs import Interval
from schemas.jobs_reader import JobFileReader
from tests.conftest import World

ROOT = Path(__file__).parents[1]
JOB = """
  - name: {name}
    source: bank.parquet
    contract: bank.yaml
    recipients: [E1, E2]
    purpose: campaign
    output: out/{name}-{{start}}-{{recipient}}.parquet
    quality: false
    intervals:
      - {{start: 2026-01-01, end: 2026-02-01}}
"""


def job_file(world: World, *jobs: str, top: str = "") -> Path:
    path = world.folder / "jobs.yaml"
    path.write_text(top + "jobs:" + "".join(jobs), "utf-8")
    return path


def job(name: str = "crm", **changed: str) -> str:
    """One job; `changed` replaces settings, and None drops one."""
    text = JOB.format(name=name)
    for setting, value in changed.items():
        pattern = rf"(?m)^    {setting}:.*\n(?:      .*\n)*"
        text = re.sub(pattern, "", text) + (f"    {setting}: {value}\n" if value else "")
    return text


def exports_of(world: World) -> list[dict]:
    return world.run("exports", "--json").json()["exports"]


def read(text: str):
    reader = JobFileReader()
    return reader.read(text.encode()), reader.problems


# -- what is due --------------------------------------------------------------------------------------------------


def due(schedule: str, now: str, since: str | None = None, zone: str = "UTC") -> list[str]:
    settings = {"intervals": "", "schedule": f'"{schedule}"', "timezone": zone} | ({"since": since} if since else {})
    (one,), problems = read("jobs:" + job(**settings))
    assert not problems
    return [interval.name() for interval in due_intervals(one, datetime.fromisoformat(now))]


def test_a_schedule_makes_the_last_complete_interval_due() -> None:
    assert due("0 6 * * *", "2026-03-05T05:59:59+00:00") == ["2026-03-03T06:00Z/2026-03-04T06:00Z"]
    assert due("0 6 * * *", "2026-03-05T06:00:00+00:00") == ["2026-03-04T06:00Z/2026-03-05T06:00Z"]


def test_since_makes_every_interval_from_then_on_due() -> None:
    found = due("0 0 1 * *", "2026-04-02T00:00:00+00:00", since="2026-01-01")
    assert [name[:7] for name in found] == ["2026-01", "2026-02", "2026-03"]


def test_a_day_of_summer_time_is_an_hour_shorter() -> None:
    (name,) = due("0 0 * * *", "2026-03-30T12:00:00+02:00", zone="Europe/Berlin")
    assert name == "2026-03-28T23:00Z/2026-03-29T22:00Z"


def test_no_interval_is_due_before_it_has_ended() -> None:
    (one,), _ = read("jobs:" + job())
    assert due_intervals(one, datetime(2026, 1, 31, 23, tzinfo=UTC)) == []
    assert len(due_intervals(one, datetime(2026, 2, 1, tzinfo=UTC))) == 1


def test_a_minute_schedule_since_long_ago_is_refused_with_its_line() -> None:
    (one,), _ = read("jobs:" + job(intervals="", schedule='"* * * * *"', since="2020-01-01"))
    with pytest.raises(InputError, match=r"line \d+: more than 10,000 intervals"):
        due_intervals(one, datetime(2026, 1, 1, tzinfo=UTC))


def test_the_name_of_an_interval_says_all_of_it() -> None:
    interval = Interval(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=90))
    assert Interval.named(interval.name()) == interval
    assert Interval.named(Interval().name()) == Interval()


# -- what is wrong with a file ----------------------------------------------------------------------------------------

WRONG = {
    "an unknown setting": (job(retries="3"), "retries is no setting of a job"),
    "no recipient": (job(recipients="[]"), "recipients is no list of ids"),
    "recipients left out": (job(recipients=""), "recipients is missing"),
    "the same recipient twice": (job(recipients="[E1, E1]"), "recipient E1 is named twice"),
    "a recipient without a purpose": (job(purpose=""), "recipient E1 has no purpose"),
    "a source that is nothing": (job(source="{table: x}"), "table is no setting of a source"),
    "intervals that overlap": (
        job(intervals="[{start: 2026-01-01, end: 2026-02-01}, {start: 2026-01-31, end: 2026-03-01}]"),
        "overlaps another one",
    ),
    "an interval turned round": (job(intervals="[{start: 2026-02-01, end: 2026-01-01}]"), "before its end"),
    "a time that is none": (job(intervals="[{start: soon, end: 2026-02-01}]"), "this is no time"),
    "a time zone that is none": (job(timezone="Mars/Olympus"), "time zone is not known"),
    "one name for several copies": (job(output="out.parquet"), "output lacks {recipient}"),
    "an unknown place": (job(output="'{recipient}-{team}.parquet'"), "{team} is not filled in"),
    "one name for two intervals": (
        job(output="'{recipient}.csv'", intervals="", schedule='"0 0 * * *"'), "output lacks {start}",
    ),
    "schedule and intervals": (job(schedule='"0 0 * * *"'), "exclude each other"),
    "the same job twice": (job("crm") + job("crm"), "a second job is called crm"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_in_one_sentence_with_its_line(text: str, said: str) -> None:
    _, problems = read("jobs:" + text)
    assert any(said in problem.message for problem in problems), problems
    assert all(1 < problem.line <= text.count("\n") + 1 and "\n" not in problem.message for problem in problems)


def test_a_job_in_order_has_nothing_said_about_it() -> None:
    jobs, problems = read("jobs:" + job("one") + job("two"))
    assert [one.name for one in jobs] == ["one", "two"]
    assert not problems


def test_a_recipient_must_stand_in_the_list_at_the_top_when_there_is_one() -> None:
    jobs, problems = read("recipients: [E1]\njobs:" + job("crm") + job("other", recipients="[E1]"))
    assert [one.name for one in jobs] == ["other"]
    assert ["recipient E2 is missing in the list at the top" in problem.message for problem in problems] == [True]


@pytest.mark.parametrize("text", ["", "jobs", "jobs: {", "jobs: []", "\xff"])
def test_a_file_that_is_no_job_file_is_refused_without_a_traceback(fresh: World, text: str) -> None:
    path = fresh.folder / "jobs.yaml"
    path.write_bytes(text.encode("latin-1"))
    answer = fresh.run("run", path)
    assert answer.code == 1
    assert re.search(r"jobs\.yaml:\d+: ", answer.out)


# -- doing it ---------------------------------------------------------------------------------------------------------


def test_each_unit_is_issued_once_however_often_the_file_is_run(fresh: World) -> None:
    path = job_file(fresh, job())
    first = fresh.run("run", path)
    assert first.code == 0, first.out + first.err
    copies = {p.name: p.read_bytes() for p in (fresh.folder / "out").iterdir()}
    assert sorted(copies) == ["crm-2026-01-01-E1.parquet", "crm-2026-01-01-E2.parquet"]
    again = fresh.run("run", path)
    assert again.code == 0
    assert {p.name: p.read_bytes() for p in (fresh.folder / "out").iterdir()} == copies
    assert sorted(e["recipient"] for e in exports_of(fresh)) == ["E1", "E2"]


def test_a_recipient_added_later_gets_a_copy_and_the_others_no_second_one(fresh: World) -> None:
    assert fresh.run("run", job_file(fresh, job(recipients="[E1]"))).code == 0
    assert fresh.run("run", job_file(fresh, job(recipients="[E1, {id: E2, purpose: audit}]"))).code == 0
    assert [(e["recipient"], e["purpose"]) for e in exports_of(fresh)] == [("E1", "campaign"), ("E2", "audit")]


def test_the_copies_of_one_recipient_form_a_series(fresh: World) -> None:
    two = "[{start: 2026-01-01, end: 2026-02-01}, {start: 2026-02-01, end: 2026-03-01}]"
    assert fresh.run("run", job_file(fresh, job(intervals=two))).code == 0
    series = {e["recipient"]: set() for e in exports_of(fresh)}
    for export in exports_of(fresh):
        series[export["recipient"]].add(export["series_id"])
    assert {name: len(found) for name, found in series.items()} == {"E1": 1, "E2": 1}
    assert len(exports_of(fresh)) == 4


def test_a_dry_run_says_what_is_due_and_changes_nothing(fresh: World) -> None:
    answer = fresh.run("run", job_file(fresh, job()), "--dry-run", "--json")
    assert answer.code == 0
    assert answer.json()["units"][0]["due"] == 2
    assert not (fresh.folder / "out").exists()
    assert exports_of(fresh) == []


def test_jobs_that_cannot_be_done_do_not_stop_the_others(fresh: World) -> None:
    bad = [
        job("cron", intervals="", schedule='"61 * * * *"'),
        job("gone", source="nothing-here.csv"),
        job("variable", source="{sql: SELECT 1, postgres: LEAKTRACE_NO_SUCH_VARIABLE}"),
        job("typo", shedule="daily"),
        job("contract", contract="missing.yaml"),
    ]
    answer = fresh.run("run", job_file(fresh, *bad, job("good")))
    assert answer.code == 1
    assert "cron text (minute)" in answer.out
    assert "nothing-here.csv does not exist" in answer.out
    assert "LEAKTRACE_NO_SUCH_VARIABLE is not set" in answer.out
    assert "shedule is no setting" in answer.out
    assert "missing.yaml cannot be read" in answer.out
    assert len(exports_of(fresh)) == 2


def test_only_the_named_job_is_done(fresh: World) -> None:
    path = job_file(fresh, job("one"), job("two"))
    assert fresh.run("run", path, "--job", "two").code == 0
    assert {p.name.split("-")[0] for p in (fresh.folder / "out").iterdir()} == {"two"}
    assert fresh.run("run", path, "--job", "three").code == 2


def test_a_name_that_is_taken_fails_its_unit_alone(fresh: World) -> None:
    (fresh.folder / "out").mkdir()
    (fresh.folder / "out" / "crm-2026-01-01-E1.parquet").write_bytes(b"mine")
    answer = fresh.run("run", job_file(fresh, job()))
    assert answer.code == 1
    assert [e["recipient"] for e in exports_of(fresh)] == ["E2"]
    assert (fresh.folder / "out" / "crm-2026-01-01-E1.parquet").read_bytes() == b"mine"


def test_a_changed_schedule_that_would_issue_the_same_days_again_is_refused(fresh: World) -> None:
    assert fresh.run("run", job_file(fresh, job())).code == 0
    answer = fresh.run("run", job_file(fresh, job(intervals="[{start: 2026-01-15, end: 2026-02-15}]")))
    assert answer.code == 1
    assert "overlaps 2026-01-01T00:00Z/2026-02-01T00:00Z" in answer.out
    assert len(exports_of(fresh)) == 2


def test_a_query_on_parquet_is_a_source(fresh: World) -> None:
    sql = "{sql: \"SELECT * FROM read_parquet('bank.parquet') ORDER BY customer_no LIMIT 100\"}"
    answer = fresh.run("run", job_file(fresh, job(source=sql, recipients="[E1]")))
    assert answer.code == 0, answer.out
    (export,) = exports_of(fresh)
    assert 100 <= export["rows_out"] <= 110
    assert not [p for p in (fresh.folder / "registry" / "staging").iterdir() if not p.name.startswith(".")]


def test_what_a_query_gets_wrong_is_said_without_a_value(fresh: World) -> None:
    jobs = [job("a", source="{sql: SELEC}"), job("b", source="{sql: SELECT * FROM nowhere}")]
    jobs.append(job("c", source="{sql: \"SELECT CAST('13800138000x' AS INT)\"}"))
    answer = fresh.run("run", job_file(fresh, *jobs))
    assert answer.code == 1
    assert "not one SELECT" in answer.out
    assert "a table or column that is not there" in answer.out
    assert "13800138000" not in answer.out + answer.err


def test_a_pattern_joins_files_cell_for_cell(fresh: World) -> None:
    table = pq.read_table(fresh.table)
    for number in range(2):
        pq.write_table(table.slice(200 * number, 200), fresh.folder / f"part-{number}.parquet")
    answer = fresh.run("run", job_file(fresh, job(source='"part-*.parquet"', recipients="[E1]")))
    assert answer.code == 0, answer.out
    copy = pq.read_table(fresh.folder / "out" / "crm-2026-01-01-E1.parquet")
    known = set(table["customer_no"].to_pylist())
    assert [n for n in copy["customer_no"].to_pylist() if n in known] == table["customer_no"].to_pylist()


def test_a_pattern_over_files_of_two_forms_is_refused(fresh: World) -> None:
    table = pq.read_table(fresh.table)
    pq.write_table(table, fresh.folder / "part-0.parquet")
    pq.write_table(table.drop_columns(["email"]), fresh.folder / "part-1.parquet")
    answer = fresh.run("run", job_file(fresh, job(source='"part-*.parquet"')))
    assert "part-1.parquet has other columns" in answer.out
    assert exports_of(fresh) == []


# -- crashes and company ----------------------------------------------------------------------------------------------


def start(world: World, path: Path) -> subprocess.Popen:
    roots = ["--registry", world.folder / "registry", "--keys", world.folder / "keys"]
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *map(str, roots), "run", str(path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_two_runs_at_once_issue_each_unit_once(fresh: World) -> None:
    path = job_file(fresh, job())
    both = [start(fresh, path) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert sorted(e["recipient"] for e in exports_of(fresh)) == ["E1", "E2"]


def test_a_run_that_was_killed_is_made_good_by_the_next(fresh: World) -> None:
    path = job_file(fresh, job("one"), job("two"))
    for _ in range(2):
        process = start(fresh, path)
        time.sleep(3.0)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    answer = fresh.run("run", path)
    assert answer.code == 0, answer.out
    issued = exports_of(fresh)
    assert sorted((e["recipient"], e["state"]) for e in issued) == [("E1", "issued")] * 2 + [("E2", "issued")] * 2
    assert len(list((fresh.folder / "out").glob("*.parquet"))) == 4
    assert not list((fresh.folder / "out").glob(".*"))


def test_what_is_due_depends_on_the_moment_given(fresh: World) -> None:
    path = job_file(fresh, job(intervals="", schedule='"0 0 1 * *"'))
    for month in (3, 3, 4):
        now = datetime(2026, month, 2, tzinfo=UTC)
        request = RunRequest(path, str(fresh.folder / "registry"), fresh.folder / "keys", now)
        (outcome,) = run_jobs(request, lambda _: None)
        assert not outcome.failed
    assert len(exports_of(fresh)) == 4


def test_csv_parts_join_too(fresh: World) -> None:
    table = pq.read_table(fresh.table)
    pa_csv.write_csv(table, fresh.folder / "all.csv")
    pa_csv.write_csv(table.slice(0, 150), fresh.folder / "p0.csv")
    pa_csv.write_csv(table.slice(150), fresh.folder / "p1.csv")
    assert fresh.run("contract", "infer", fresh.folder / "all.csv", "-o", fresh.folder / "csv.yaml").code == 0
    text = job(source='"p?.csv"', contract="csv.yaml", recipients="[E1]", output="out/{recipient}-{start}.csv")
    answer = fresh.run("run", job_file(fresh, text))
    assert answer.code == 0, answer.out
    (export,) = exports_of(fresh)
    assert export["rows_out"] >= 400
