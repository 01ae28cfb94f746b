"""An Airflow DAG: one task a job. Airflow decides when, leaktrace what is due; a retry issues nothing twice.

Put it into the DAG folder beside jobs.yaml. leaktrace stays in an environment of its own, because its dependencies do
not go with Airflow's: LEAKTRACE_PYTHON names that environment's interpreter. Registry and keys come from the worker's
environment (LEAKTRACE_REGISTRY, LEAKTRACE_KEYS), so no key ever stands in a DAG, a variable or a log.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import dag, task

JOBS = Path(__file__).with_name("jobs.yaml")
PYTHON = os.environ.get("LEAKTRACE_PYTHON", "/opt/leaktrace/bin/python")


@dag(
    schedule="0 6 1 * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=10)},
)
def leaktrace_jobs() -> None:
    """Run each job of the file; the task fails when one of its units could not be issued."""

    @task.external_python(python=PYTHON, expect_airflow=False)
    def run(job: str, jobs: str) -> int:
        """Issue what is due of one job; how many copies were issued."""
        from pipeline import run_due_jobs

        outcomes = run_due_jobs(jobs, only=job)
        failed = [sentence for outcome in outcomes for sentence in outcome.failed]
        if failed:
            raise RuntimeError("; ".join(failed))
        return sum(len(outcome.issued) for outcome in outcomes)

    for job in ("crm-monthly", "audit-once"):
        run.override(task_id=job)(job, str(JOBS))


leaktrace_jobs()
