"""An Airflow DAG: one task a job. Airflow decides when, leaktrace what is due; a retry issues nothing twice.

Put it into the DAG folder beside jobs.yaml; the connection to the registry comes from the worker's environment
(LEAKTRACE_REGISTRY, LEAKTRACE_KEYS), so no key ever stands in a DAG, a variable or a log.
"""

from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import dag, task

JOBS = Path(__file__).with_name("jobs.yaml")


@dag(
    schedule="0 6 1 * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=10)},
)
def leaktrace_jobs() -> None:
    """Run each job of the file; the task fails when one of its units could not be issued."""

    @task
    def run(job: str) -> int:
        """Issue what is due of one job; how many copies were issued."""
        from pipeline import run_due_jobs

        outcomes = run_due_jobs(JOBS, only=job)
        failed = [sentence for outcome in outcomes for sentence in outcome.failed]
        if failed:
            raise RuntimeError("; ".join(failed))
        return sum(len(outcome.issued) for outcome in outcomes)

    run("crm-monthly")
    run("audit-once")


leaktrace_jobs()
