"""Reads a job file by its YAML nodes, which keep their lines; a job that is wrong does not hide the others."""

import re
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from schemas.jobs import Assignment, Interval, Job, Problem, Source, Witness

_TOP = ("version", "jobs", "recipients", "witness")
_WITNESS = ("file", "timestamp")
_JOB = (
    "name", "source", "contract", "recipients", "purpose", "output", "schedule", "timezone", "since", "intervals",
    "quality",
)  # fmt: skip
_SOURCE = ("sql", "postgres")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_RECIPIENT = re.compile(r"[^\s/\\\x00-\x1f\x7f]{1,128}")
_PLACES = re.compile(r"\{([^{}]*)\}")
_KNOWN_PLACES = ("recipient", "start", "end", "job")


class JobFileReader:
    """Collects jobs and what is wrong with the others."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self.problems: list[Problem] = []
        self.witness = Witness()
        self._job: str | None = None
        self._listed: dict[str, str] | None = None

    def read(self, text: bytes) -> list[Job]:
        """The jobs that are in order; `problems` has the rest, in the order of their lines."""
        jobs = self._jobs(text)
        self.problems.sort(key=lambda problem: problem.line)
        return jobs

    def _jobs(self, text: bytes) -> list[Job]:
        try:
            root = yaml.compose(text.decode("utf-8"), Loader=yaml.SafeLoader)
        except UnicodeDecodeError:
            self._note(1, "the file is not UTF-8; save it as UTF-8")
            return []
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            self._note(mark.line + 1 if mark else 1, "this is not YAML; check indentation and quotes here")
            return []
        if not isinstance(root, yaml.MappingNode):
            self._note(1, "the file is empty or no mapping; it begins with jobs:")
            return []
        top = self._entries(root, _TOP, "at the top")
        if "recipients" in top:
            self._listed = {a.recipient: a.purpose for a in self._assignments(top["recipients"], "", None)}
        if "witness" in top:
            said = self._entries(top["witness"], _WITNESS, "of witness")
            self.witness = Witness(self._text(said, "file"), self._text(said, "timestamp"))
        listed = top.get("jobs")
        if not isinstance(listed, yaml.SequenceNode) or not listed.value:
            self._note(_line(listed or root), "jobs is missing or no list; write jobs: and under it - name: …")
            return []
        jobs: dict[str, Job] = {}
        for node in listed.value:
            before = len(self.problems)
            job = self._read_job(node)
            if job is not None and job.name in jobs:
                self._note(_line(node), f"a second job is called {job.name}; give each a name of its own")
            elif job is not None and len(self.problems) == before:
                jobs[job.name] = job
            self._job = None
        return list(jobs.values())

    def _read_job(self, node: yaml.Node) -> Job | None:
        name_node = _value_of(node, "name")
        self._job = str(name_node.value) if isinstance(name_node, yaml.ScalarNode) else None
        entries = self._entries(node, _JOB, "of a job")
        lines = {name: _line(value) for name, value in entries.items()} | {"name": _line(node)}
        if self._job is None or not _NAME.fullmatch(self._job):
            self._note(_line(node), "the job has no name of letters, digits, dots and dashes; add name:")
            return None
        missing = [name for name in ("source", "contract", "recipients", "output") if name not in entries]
        for name in missing:
            self._note(_line(node), f"{name} is missing; every job says source, contract, recipients and output")
        if missing:
            return None
        purpose = self._text(entries, "purpose") or ""
        zone = self._zone(entries)
        job = Job(
            name=self._job,
            source=self._source(entries["source"]),
            contract=self._text(entries, "contract") or "",
            assignments=self._assignments(entries["recipients"], purpose, self._listed),
            output=self._text(entries, "output") or "",
            schedule=self._text(entries, "schedule"),
            timezone=zone,
            since=self._moment(entries["since"], zone) if "since" in entries else None,
            intervals=self._intervals(entries.get("intervals"), zone),
            quality=self._flag(entries),
            lines=lines,
        )
        self._check(job, entries)
        return job

    def _check(self, job: Job, entries: dict[str, yaml.Node]) -> None:
        """What must hold between settings."""
        if job.schedule and "intervals" in entries:
            self._note(job.line("intervals"), "schedule and intervals exclude each other; keep one")
        if job.since and not job.schedule:
            self._note(job.line("since"), "since needs a schedule; add schedule:, or remove since")
        for text, line in ((job.output, job.line("output")), (job.source.sql or job.source.files, job.line("source"))):
            for place in _PLACES.findall(text or ""):
                if place not in _KNOWN_PLACES and text == job.output:
                    self._note(line, f"{{{place}}} is not filled in; use {{recipient}}, {{start}}, {{end}} or {{job}}")
        if "{recipient}" not in job.output and len(job.assignments) > 1:
            self._note(job.line("output"), "output lacks {recipient}, so several copies would get one name; add it")
        timed = bool(job.schedule or len(job.intervals) > 1)
        if timed and "{start}" not in job.output and "{end}" not in job.output:
            self._note(
                job.line("output"), "output lacks {start}, so copies of two intervals would get one name; add it"
            )
        if not timed and not job.intervals and re.search(r"\{(start|end)\}", job.output):
            self._note(job.line("output"), "{start} has no meaning without a schedule or intervals; add one of them")

    def _source(self, node: yaml.Node) -> Source:
        if isinstance(node, yaml.ScalarNode) and node.value:
            return Source(files=str(node.value))
        entries = self._entries(node, _SOURCE, "of a source")
        sql = self._text(entries, "sql")
        if not sql:
            self._note(_line(node), "source is neither a path nor has sql:; give a file, a pattern, or sql: SELECT …")
        return Source(sql=sql, postgres=self._text(entries, "postgres"))

    def _assignments(self, node: yaml.Node, purpose: str, listed: dict[str, str] | None) -> tuple[Assignment, ...]:
        """The recipients; with a list at the top of the file, each must stand in it."""
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self._note(_line(node), "recipients is no list of ids; write recipients: [E1003, E1004]")
            return ()
        top = self._job is None
        found: dict[str, Assignment] = {}
        for item in node.value:
            entries = {"id": item} if isinstance(item, yaml.ScalarNode) else {}
            entries = entries or self._entries(item, ("id", "purpose"), "of a recipient")
            who = self._text(entries, "id") or ""
            why = self._text(entries, "purpose") or purpose or (listed or {}).get(who, "")
            if not _RECIPIENT.fullmatch(who) or who in (".", ".."):
                self._note(_line(item), "a recipient has no id, or one with a space or slash; give the employee's id")
            elif who in found:
                self._note(_line(item), f"recipient {who} is named twice; keep one")
            elif listed is not None and who not in listed:
                self._note(
                    _line(item), f"recipient {who} is missing in the list at the top; add it there, or remove it"
                )
            elif not why and not top:
                self._note(_line(item), f"recipient {who} has no purpose; add purpose: to the job or to the recipient")
            else:
                found[who] = Assignment(who, why)
        return tuple(found.values())

    def _intervals(self, node: yaml.Node | None, zone: tzinfo) -> tuple[Interval, ...]:
        if node is None:
            return ()
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self._note(_line(node), "intervals is no list; write - {start: 2026-01-01, end: 2026-02-01}")
            return ()
        found: list[Interval] = []
        for item in node.value:
            entries = self._entries(item, ("start", "end"), "of an interval")
            ends = [self._moment(entries[name], zone) if name in entries else None for name in ("start", "end")]
            interval = Interval(*ends)
            if interval.start is None or interval.end is None or interval.start >= interval.end:
                self._note(_line(item), "an interval needs a start before its end, as in {start: 2026-01-01, end: …}")
            elif any(interval.overlaps(other) for other in found):
                self._note(
                    _line(item), f"interval {interval.name()} overlaps another one; let one end where the next starts"
                )
            else:
                found.append(interval)
        return tuple(found)

    def _moment(self, node: yaml.Node, zone: tzinfo) -> datetime | None:
        try:
            moment = datetime.fromisoformat(str(node.value))
        except ValueError:
            self._note(_line(node), "this is no time; write 2026-01-31 or 2026-01-31T06:00")
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)

    def _zone(self, entries: dict[str, yaml.Node]) -> tzinfo:
        name = self._text(entries, "timezone")
        if name is None:
            return UTC
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            self._note(_line(entries["timezone"]), "this time zone is not known; write one like Europe/Berlin")
            return UTC

    def _flag(self, entries: dict[str, yaml.Node]) -> bool:
        """The setting `quality`: true, unless it says false."""
        text = self._text(entries, "quality")
        if text not in (None, "true", "false"):
            self._note(_line(entries["quality"]), "quality is neither true nor false")
        return text != "false"

    def _entries(self, node: yaml.Node, known: tuple[str, ...], where: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._note(_line(node), f"a mapping of name: value is expected here ({', '.join(known)})")
            return {}
        entries: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in known:
                self._note(_line(key), f"{name} is no setting {where}; use {', '.join(known)}")
            elif name in entries:
                self._note(_line(key), f"{name} is said twice here; keep one")
            else:
                entries[name] = value
        return entries

    def _text(self, entries: dict[str, yaml.Node], name: str) -> str | None:
        node = entries.get(name)
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode) or not str(node.value).strip():
            self._note(_line(node), f"{name} is no text; write it on one line")
            return None
        return str(node.value).strip()

    def _note(self, line: int, message: str) -> None:
        self.problems.append(Problem(line, self._job, message))


def _value_of(node: yaml.Node, name: str) -> Any:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for key, value in pairs if key.value == name), None)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
