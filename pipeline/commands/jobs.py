"""`leaktrace run` and `sweep`: what a scheduler starts, every time once."""

from argparse import Namespace
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.commands.common import Result, command, keys_of, registry_of, talker


def add(commands: Any) -> None:
    """The parsers of these commands."""
    example = "leaktrace run jobs.yaml --dry-run"
    run = command(commands, "run", "issue the copies that a job file says are due, each once", example, _run)
    run.add_argument("jobs", metavar="JOBS.yaml")
    run.add_argument("--job", metavar="NAME", help="only this job")
    run.add_argument("--dry-run", action="store_true", help="say what is due; change nothing")


def _run(arguments: Namespace) -> Result:
    from pipeline.jobs import RunRequest, run_jobs

    request = RunRequest(
        path=Path(arguments.jobs),
        registry=registry_of(arguments),
        keys=keys_of(arguments),
        now=datetime.now(UTC),
        only=arguments.job,
        dry_run=arguments.dry_run,
        beam_args=arguments.beam_args,
    )
    outcomes = run_jobs(request, talker(arguments))
    lines = [f"{'job':<24} {'interval':<36} {'due':>6} {'before':>6} {'issued':>6} {'left':>6}"]
    for o in outcomes:
        left = o.due - o.done - len(o.issued)
        lines.append(f"{o.job:<24} {o.interval:<36} {o.due:>6} {o.done:>6} {len(o.issued):>6} {left:>6}")
    lines += [f"leaktrace: {sentence}" for o in outcomes for sentence in o.failed]
    return Result({"units": [asdict(o) for o in outcomes]}, lines, max((o.exit_code for o in outcomes), default=0))
