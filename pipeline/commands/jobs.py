"""`leaktrace run` and `sweep`: what a scheduler starts, every time once."""

import logging
from argparse import Namespace
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.alerts import LEVELS
from pipeline.commands.common import Result, command, keys_of, registry_of, talker
from pipeline.logs import log_event


def add(commands: Any) -> None:
    """The parsers of these commands."""
    example = "leaktrace run jobs.yaml --dry-run"
    run = command(commands, "run", "issue the copies that a job file says are due, each once", example, _run)
    run.add_argument("jobs", metavar="JOBS.yaml")
    run.add_argument("--job", metavar="NAME", help="only this job")
    run.add_argument("--dry-run", action="store_true", help="say what is due; change nothing")
    example = "leaktrace sweep inbox -o cases --alert-url https://hooks.example.org/leaks --alert-level lead"
    sweep = command(commands, "sweep", "trace every new file of a folder, once", example, _sweep)
    sweep.add_argument("inbox", metavar="INBOX")
    sweep.add_argument("-o", "--output", metavar="CASES", required=True)
    sweep.add_argument("--settle", metavar="SECONDS", type=float, default=0.0, help="leave files changed since")
    sweep.add_argument("--alert-url", metavar="URL", help="a webhook that is told of cases")
    sweep.add_argument(
        "--alert-command",
        metavar="COMMAND",
        help="a command, started without a shell, that gets the message on standard input",
    )
    sweep.add_argument("--alert-level", default="lead", choices=LEVELS, help="from which verdict on")


def _sweep(arguments: Namespace) -> Result:
    import time

    from pipeline.alerts import Alarm
    from pipeline.sweep import OUTCOMES, SweepRequest, sweep_inbox

    told = arguments.alert_url or arguments.alert_command
    request = SweepRequest(
        inbox=Path(arguments.inbox),
        cases=Path(arguments.output),
        registry=registry_of(arguments),
        keys=keys_of(arguments),
        alarm=Alarm(arguments.alert_level, arguments.alert_url, arguments.alert_command) if told else None,
        settle=arguments.settle,
        beam_args=arguments.beam_args,
    )
    swept = sweep_inbox(request, talker(arguments), time.time())
    lines = [f"{one.outcome:<10} {one.file:<40} {one.case or '':<20} {one.verdict}" for one in swept]
    lines += [f"leaktrace: {one.file}: {one.message}" for one in swept if one.message]
    code = max((one.exit_code for one in swept), default=0)
    counts = {f"samples_{name.replace(' ', '_')}": sum(s.outcome == name for s in swept) for name in OUTCOMES}
    for one in swept:
        log_event("sample", outcome=one.outcome, case=one.case, verdict=one.verdict, problem=one.message or None)
    return Result({"samples": [asdict(one) for one in swept]}, lines or ["The inbox is empty."], code, counts)


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
    counts = {"units_due": sum(o.due for o in outcomes), "units_done_before": sum(o.done for o in outcomes)}
    counts |= {"units_issued": sum(len(o.issued) for o in outcomes), "problems": sum(len(o.failed) for o in outcomes)}
    for o in outcomes:
        log_event("job", job=o.job, interval=o.interval, due=o.due, before=o.done, issued=len(o.issued))
        for problem in o.failed:
            log_event("problem", level=logging.ERROR, job=o.job, problem=problem)
    code = max((o.exit_code for o in outcomes), default=0)
    return Result({"units": [asdict(o) for o in outcomes]}, lines, code, counts)
