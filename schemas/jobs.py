"""What a job file says, as frozen values: which tables go to whom, how often, and for which stretch of data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

_TIME = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class Interval:
    """A stretch of data, from `start` up to but without `end`; both None for a job that is done once."""

    start: datetime | None = None
    end: datetime | None = None

    def name(self) -> str:
        """How the interval stands in keys and tables: both ends in UTC."""
        if self.start is None or self.end is None:
            return "once"
        return f"{_utc(self.start)}/{_utc(self.end)}"

    def overlaps(self, other: "Interval") -> bool:
        """Whether the two share a moment; an interval without ends shares none."""
        if self.start is None or self.end is None or other.start is None or other.end is None:
            return False
        return self.start < other.end and other.start < self.end

    @classmethod
    def named(cls, name: str) -> "Interval":
        """What `name` gave; ValueError for any other text."""
        if name == "once":
            return cls()
        start, end = (datetime.strptime(part, _TIME + "Z").replace(tzinfo=UTC) for part in name.split("/"))
        return cls(start, end)


@dataclass(frozen=True)
class Assignment:
    """One recipient of a job, and the purpose that the copy is issued for."""

    recipient: str
    purpose: str


@dataclass(frozen=True)
class Source:
    """Where the rows come from: files by name or pattern, or a query; `postgres` names an environment variable."""

    files: str | None = None
    sql: str | None = None
    postgres: str | None = None


@dataclass(frozen=True)
class Job:
    """One tagging job; `lines` says where each of its settings stands."""

    name: str
    source: Source
    contract: str
    assignments: tuple[Assignment, ...]
    output: str
    schedule: str | None
    timezone: tzinfo
    since: datetime | None
    intervals: tuple[Interval, ...]
    quality: bool
    lines: Mapping[str, int] = field(default_factory=dict)

    def line(self, setting: str) -> int:
        """The line of a setting, or of the job where the setting is not given."""
        return self.lines.get(setting, self.lines["name"])


@dataclass(frozen=True)
class Witness:
    """Who gets the head of the chain once a day: a file that somebody outside keeps, a time-stamp server's URL."""

    file: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True)
class Problem:
    """Something wrong in a job file; `job` is None when it concerns the whole file. Lines count from 1."""

    line: int
    job: str | None
    message: str


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_TIME) + "Z"
