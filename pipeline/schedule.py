"""Which intervals of a job are due: the complete ones of its schedule, or those that it lists.

The cron text is read by cronsim: small, without dependencies, typed, kept up by the people who run cron monitoring
with it, and right about summer time (decision 0046).
"""

from datetime import datetime, timedelta
from itertools import islice

from schemas.errors import InputError
from schemas.jobs import Interval, Job

MOST = 10_000  # intervals that one run looks at


def due_intervals(job: Job, now: datetime) -> list[Interval]:
    """The intervals that have ended, oldest first.

    A schedule gives the last one, or with `since` all from the first tick at or after it. InputError for cron text
    that cannot be read, and for more than 10,000 intervals.
    """
    if job.schedule is None:
        listed = job.intervals or (Interval(),)
        return sorted((i for i in listed if i.end is None or i.end <= now), key=Interval.name)
    ticks = _since(job, now) if job.since else _last_two(job, now)
    if len(ticks) > MOST:
        raise InputError(f"line {job.line('since')}: more than {MOST:,} intervals lie after since; move since forward")
    return [Interval(start, end) for start, end in zip(ticks, ticks[1:], strict=False)]


def check_schedule(job: Job) -> None:
    """InputError with the line when the job's cron text cannot be read."""
    from cronsim import CronSim, CronSimError

    if job.schedule is None:
        return
    try:
        CronSim(job.schedule, datetime(2026, 1, 1, tzinfo=job.timezone))
    except CronSimError as error:
        what = str(error).removeprefix("Bad ").lower()
        raise InputError(
            f"line {job.line('schedule')}: the schedule is no cron text ({what}); write five fields, as in 0 6 * * 1-5"
        ) from error


def _last_two(job: Job, now: datetime) -> list[datetime]:
    from cronsim import CronSim

    # Just after `now`, so that a tick at this very second counts.
    local = now.astimezone(job.timezone) + timedelta(seconds=1)
    return list(islice(CronSim(str(job.schedule), local, reverse=True), 2))[::-1]


def _since(job: Job, now: datetime) -> list[datetime]:
    from cronsim import CronSim

    assert job.since is not None  # noqa: S101 - asked before
    ticks: list[datetime] = []
    for tick in CronSim(str(job.schedule), job.since.astimezone(job.timezone) - timedelta(seconds=1)):
        if tick > now or len(ticks) > MOST + 1:
            break
        ticks.append(tick)
    return ticks
