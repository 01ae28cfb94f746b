"""The example DAG in a real Airflow, which has an environment of its own (`make airflow-test` makes it)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pytest

from examples import bank_table
from tests.conftest import World

ROOT = Path(__file__).parents[1]
AIRFLOW = ROOT / ".venv-airflow" / "bin" / "airflow"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not AIRFLOW.exists(), reason="Airflow has no environment here; `make airflow-test` makes one"),
]


class Scheduler:
    """An Airflow with the example DAG, the example job file and a registry of its own."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the world's."""
        self.dags, self.world = folder / "dags", World(folder)
        self.dags.mkdir()
        for name in ("airflow_dag.py", "jobs.yaml"):
            shutil.copy(ROOT / "examples" / "schedule" / name, self.dags)
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "PYTHON", "COV_"))},
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "LEAKTRACE_PYTHON": sys.executable,
            "LEAKTRACE_REGISTRY": str(folder / "registry"),
            "LEAKTRACE_KEYS": str(folder / "keys"),
        }

    def airflow(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command of Airflow's."""
        command = [str(AIRFLOW), *arguments]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=300)

    def issued(self) -> list[str]:
        """The recipients of what was issued, in order."""
        return [export["recipient"] for export in self.world.run("exports", "--json").json()["exports"]]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Scheduler:
    folder = tmp_path_factory.mktemp("airflow")
    found = Scheduler(folder)
    table = folder / "dags" / "customers.csv"
    pa_csv.write_csv(bank_table.generate(3_000, 3), table)
    assert found.world.run("init").code == 0
    contract = folder / "dags" / "customers.odcs.yaml"
    assert found.world.run("contract", "infer", table, "-o", contract).code == 0
    migrated = found.airflow("db", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    return found


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON document of an Airflow command: its last line, behind warnings."""
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_airflow_reads_the_dag_without_an_error(scheduler: Scheduler) -> None:
    assert answer(scheduler.airflow("dags", "list-import-errors", "--local", "-o", "json")) == []
    listed = answer(scheduler.airflow("dags", "list", "--local", "-o", "json"))
    assert [dag["dag_id"] for dag in listed] == ["leaktrace_jobs"]


def test_a_run_issues_every_due_unit_and_a_second_one_nothing(scheduler: Scheduler) -> None:
    first = scheduler.airflow("dags", "test", "leaktrace_jobs", "2026-03-01")
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    assert sorted(scheduler.issued()) == ["E1003", "E1004", "E1007"]
    assert scheduler.airflow("dags", "test", "leaktrace_jobs", "2026-03-02").returncode == 0
    assert len(scheduler.issued()) == 3


def test_a_unit_that_cannot_be_issued_fails_its_task(scheduler: Scheduler) -> None:
    jobs, table = scheduler.dags / "jobs.yaml", scheduler.dags / "customers.csv"
    before = jobs.read_text("utf-8")
    jobs.write_text(before.replace("recipients: [E1003, {", "recipients: [E1003, E1004, {"), "utf-8")
    table.rename(table.with_suffix(".gone"))
    try:
        failed = scheduler.airflow("tasks", "test", "leaktrace_jobs", "crm-monthly", "2026-04-01")
    finally:
        table.with_suffix(".gone").rename(table)
        jobs.write_text(before, "utf-8")
    said = failed.stdout + failed.stderr
    assert "job crm-monthly" in said
    assert "new_state=up_for_retry" in said  # a failed task, with tries left
