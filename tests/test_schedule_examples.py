"""The examples for schedulers are right: what they call exists."""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

from cronsim import CronSim

from pipeline.cli import build_parser
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


def test_the_dag_names_every_job_of_the_file() -> None:
    """That a real Airflow runs it is tests/test_airflow.py's matter."""
    (named,) = re.findall(r"for job in \((.*)\):", (FOLDER / "airflow_dag.py").read_text("utf-8"))
    assert [name.strip(' "') for name in named.split(",")] == jobs()
