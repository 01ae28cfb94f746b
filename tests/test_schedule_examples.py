"""The examples for schedulers are right: what they call exists, and a failed unit fails the task."""

import importlib.util
import re
import shlex
import sys
import types
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cronsim import CronSim

from pipeline.cli import build_parser
from pipeline.jobs import Outcome
from schemas.jobs_reader import JobFileReader

FOLDER = Path(__file__).parents[1] / "examples" / "schedule"


def jobs() -> list[str]:
    reader = JobFileReader()
    found = reader.read((FOLDER / "jobs.yaml").read_bytes())
    assert reader.problems == []
    return [job.name for job in found]


def test_every_line_of_the_crontab_is_a_time_and_a_command_of_ours() -> None:
    lines = [line for line in (FOLDER / "leaktrace.cron").read_text().splitlines() if "leaktrace " in line]
    lines = [line for line in lines if not line.startswith("#")]
    assert len(lines) == 3
    for line in lines:
        *fields, command = line.split(maxsplit=5)
        CronSim(" ".join(fields), datetime(2026, 1, 1, tzinfo=UTC))
        assert build_parser().parse_args(shlex.split(command)[1:]).run


def test_the_unit_starts_a_command_of_ours_and_the_timer_starts_the_unit() -> None:
    service = (FOLDER / "leaktrace-run.service").read_text()
    (command,) = re.findall(r"^ExecStart=\S+/leaktrace (.*)$", service, re.MULTILINE)
    assert build_parser().parse_args(shlex.split(command)).run
    assert (FOLDER / "leaktrace-run.timer").exists()


@pytest.fixture
def dag(monkeypatch):
    """The DAG file, with a stand-in for Airflow that keeps its tasks: (run function, jobs that are run)."""
    tasks, called = [], []

    def task(function):
        tasks.append(function)
        return called.append

    stand_in = types.ModuleType("airflow.sdk")
    stand_in.task, stand_in.dag = task, lambda **_: lambda function: function
    monkeypatch.setitem(sys.modules, "airflow", types.ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", stand_in)
    spec = importlib.util.spec_from_file_location("example_dag", FOLDER / "airflow_dag.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return tasks[0], called


def test_the_dag_runs_every_job_of_the_file(dag) -> None:
    assert dag[1] == jobs()


def test_a_unit_that_failed_fails_the_task(dag, monkeypatch) -> None:
    run, _ = dag
    monkeypatch.setattr("pipeline.api.run_due_jobs", lambda *_, **__: [Outcome("a", "b", 2, 1, (("E1", "X"),))])
    assert run("a") == 1
    monkeypatch.setattr("pipeline.api.run_due_jobs", lambda *_, **__: [Outcome("a", "b", failed=("why",))])
    with pytest.raises(RuntimeError, match="why"):
        run("a")
