"""Scheduled tagging: every due unit (job, recipient, data interval) once, whoever runs it and however often.

    read the file → what is due → what the registry has already → tag the rest, a batch of recipients at a time

A unit's name is the idempotency key of its export, which the registry enters in the transaction that enters the
export; so a unit is done exactly when its export is issued, whatever crashed before. Two runs of one job on one
registry wait for each other. A unit that fails takes nothing with it but the units that were tagged in its batch,
and those are due again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc

from pipeline.checks import load_contract, refuse_existing
from pipeline.heads import keep_daily
from pipeline.job_sources import fill_in, source_file, source_files
from pipeline.keystore import KeyStore
from pipeline.registry import Registry
from pipeline.schedule import check_schedule, due_intervals
from pipeline.tagging import TagRequest, tag
from schemas.errors import InputError, IntegrityError, LeaktraceError, UsageError
from schemas.jobs import Assignment, Interval, Job, Witness
from schemas.jobs_reader import JobFileReader

_BATCH = 64  # recipients that are tagged at once: their parts lie on disk together, and fail together


@dataclass(frozen=True)
class RunRequest:
    """One `run`; `only` names the one job to do, `now` says what is due."""

    path: Path
    registry: str
    keys: Path
    now: datetime
    only: str | None = None
    dry_run: bool = False
    beam_args: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of the units of one job and interval.

    due: all of them; done: those issued before; issued: export ids of this run, by recipient; failed: sentences.
    """

    job: str
    interval: str
    due: int = 0
    done: int = 0
    issued: tuple[tuple[str, str], ...] = ()
    failed: tuple[str, ...] = ()
    exit_code: int = 0


@dataclass(frozen=True)
class Unit:
    """One recipient of a job and interval: its key, and where its copy goes."""

    assignment: Assignment
    key: str
    output: Path


def unit_key(job: str, recipient: str, interval: Interval) -> str:
    """The idempotency key of a unit; ids hold no space."""
    return f"run {job} {recipient} {interval.name()}"


def run_jobs(request: RunRequest, say: Callable[[str], None]) -> list[Outcome]:
    """Do everything in a job file that is due and not yet done; what is wrong with one job stops no other.

    Raises InputError when the file cannot be read, UsageError when `only` is not in it.
    """
    reader = JobFileReader()
    try:
        jobs = reader.read(request.path.read_bytes())
    except OSError as error:
        raise InputError(f"{request.path} cannot be read ({error.strerror}); give the job file's path") from error
    where = request.path.name
    named = {job.name for job in jobs} | {problem.job for problem in reader.problems}
    if request.only is not None and request.only not in named:
        raise UsageError(f"{where} has no job {request.only}; --job takes one of the names in it")
    outcomes = [
        Outcome(problem.job or "-", "-", failed=(f"{where}:{problem.line}: {problem.message}",), exit_code=1)
        for problem in reader.problems
        if request.only in (None, problem.job) or problem.job is None
    ]
    for job in jobs:
        if request.only in (None, job.name):
            outcomes += _run_job(request, job, say)
    if request.only is None and not request.dry_run and reader.witness != Witness():
        outcomes.append(_witnessed(request, reader.witness))
    return outcomes


def _witnessed(request: RunRequest, witness: Witness) -> Outcome:
    """Give the day's head to the witnesses; a server that is down stops no job and is tried again by the next run."""
    keys = KeyStore(request.keys)
    file = request.path.parent / witness.file if witness.file else None
    try:
        with Registry.open(request.registry, issuer=keys.issuer()) as registry, registry.alone("witness"):
            registry.recover()
            due = keep_daily(registry, keys, file, witness.timestamp)
    except LeaktraceError as error:
        return Outcome("witness", "today", 1, failed=(f"witness: {_one_line(error)}",), exit_code=error.exit_code)
    return Outcome("witness", "given today's head" if due else "has today's head")


def _run_job(request: RunRequest, job: Job, say: Callable[[str], None]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    try:
        check_schedule(job)
        intervals = due_intervals(job, request.now)
        outcomes += [_run_interval(request, job, interval, say) for interval in intervals]
    except LeaktraceError as error:
        outcomes.append(Outcome(job.name, "-", failed=(f"job {job.name}: {error}",), exit_code=error.exit_code))
    return outcomes or [Outcome(job.name, "nothing due")]


def _run_interval(request: RunRequest, job: Job, interval: Interval, say: Callable[[str], None]) -> Outcome:
    """All units of one interval; errors become sentences."""
    due, done, name = len(job.assignments), 0, interval.name()
    failed: list[LeaktraceError] = []
    issued: list[tuple[str, str]] = []
    try:
        if request.dry_run:
            waiting = _waiting(request, job, interval)
            _check_reachable(request, job, interval)
            return Outcome(job.name, name, due, due - len(waiting))
        # A run that is in the way may have done some of it, so what is left is asked once more behind the lock.
        if not _waiting(request, job, interval):
            return Outcome(job.name, name, due, due)
        issuer = KeyStore(request.keys).issuer()
        with Registry.open(request.registry, issuer=issuer) as registry, registry.alone(f"job-{job.name}"):
            registry.recover()
            waiting = _waiting(request, job, interval)
            done = due - len(waiting)
            ready, failed = _ready(waiting)
            with source_file(job, request.path.parent, interval, registry) as source:
                for batch in _batches(ready):
                    try:
                        receipts = tag(_tag_request(request, job, source, batch), say)
                        issued += [(receipt["recipient"], receipt["export_id"]) for receipt in receipts]
                    except LeaktraceError as error:
                        failed.append(error)
    except LeaktraceError as error:
        failed.append(error)
    except Exception as error:  # other jobs go on; the text could hold a customer's value
        failed.append(InputError(f"a fault of this program ({type(error).__name__}); report it"))
    where = f"job {job.name}, {name}: "
    return Outcome(
        job.name, name, due, done, tuple(issued), tuple(where + _one_line(error) for error in failed),
        _exit_code(failed),
    )  # fmt: skip


def _waiting(request: RunRequest, job: Job, interval: Interval) -> list[Unit]:
    """The units that no issued export stands for. InputError when an earlier interval overlaps this one."""
    with Registry.open(request.registry) as registry:
        exports = registry.exports()
    mine = exports.filter(pc.starts_with(exports["idempotency_key"], f"run {job.name} "))
    keys = dict(zip(mine["idempotency_key"].to_pylist(), mine["state"].to_pylist(), strict=True))
    for name in {key.split(" ")[3] for key in keys}:
        if name != interval.name() and Interval.named(name).overlaps(interval):
            raise InputError(
                f"the interval overlaps {name}, for which copies were issued: the schedule was changed; give the "
                "changed job a new name, or a since after that"
            )
    output = str(request.path.parent / fill_in(job.output, job.name, interval))
    units = [
        Unit(a, unit_key(job.name, a.recipient, interval), Path(output.replace("{recipient}", a.recipient)))
        for a in job.assignments
    ]
    return [unit for unit in units if keys.get(unit.key) != "issued"]


def _ready(units: Sequence[Unit]) -> tuple[list[Unit], list[LeaktraceError]]:
    """The units whose copy can have its name; the folders of copies are made."""
    ready, failed = [], []
    for unit in units:
        try:
            unit.output.parent.mkdir(parents=True, exist_ok=True)
            refuse_existing([unit.output])
            ready.append(unit)
        except LeaktraceError as error:
            failed.append(error)
        except OSError as error:
            failed.append(
                InputError(f"the folder {unit.output.parent} cannot be made ({error.strerror}); change output")
            )
    return ready, failed


def _check_reachable(request: RunRequest, job: Job, interval: Interval) -> None:
    """What a dry run can say without work: the contract can be read, and files of the source are there."""
    load_contract(request.path.parent / job.contract)
    if job.source.files is not None:
        source_files(job.source, request.path.parent, job.name, interval)


def _tag_request(request: RunRequest, job: Job, source: Path, units: Sequence[Unit]) -> TagRequest:
    return TagRequest(
        source=source,
        contract=request.path.parent / job.contract,
        recipients=tuple(unit.assignment.recipient for unit in units),
        purpose="",
        output=None,
        registry=request.registry,
        keys=request.keys,
        series=True,
        quality=job.quality,
        beam_args=request.beam_args,
        purposes=tuple(unit.assignment.purpose for unit in units),
        unit_keys=tuple(unit.key for unit in units),
        outputs=tuple(unit.output for unit in units),
    )


def _batches(units: Sequence[Unit]) -> Iterator[Sequence[Unit]]:
    for first in range(0, len(units), _BATCH):
        yield units[first : first + _BATCH]


def _exit_code(errors: Sequence[LeaktraceError]) -> int:
    if any(isinstance(error, IntegrityError) for error in errors):
        return IntegrityError.exit_code
    return 1 if errors else 0


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
