"""Heads of the chain as an outside witness noted them, and what they say of the chain that is here now.

A head is written `NUMBER:DIGEST ROOT`, with the time at which the witness received it before it; ROOT, that of the
hash tree over all entries so far (pipeline/merkle.py), may be missing. A chain cannot show by
itself that its end was cut off or rewritten by whoever holds the issuer's key; a head noted elsewhere can.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline import merkle
from pipeline.receipts import GENESIS
from schemas.errors import InputError

_HEAD = re.compile(r"(?:(\S+)\s+)?([0-9]{1,18}):([0-9a-f]{64})(?:\s+([0-9a-f]{64}))?")


@dataclass(frozen=True)
class Head:
    """One witnessed head; `at` is None when nobody noted when, `root` empty when the witness did not keep it."""

    number: int
    digest: str
    at: datetime | None
    root: str = ""

    @property
    def text(self) -> str:
        """The head without its time, as it is printed, stamped and noted."""
        return f"{self.number}:{self.digest} {self.root}".rstrip()

    @classmethod
    def parsed(cls, text: str, at: datetime | None) -> "Head":
        """What `text` gave; ValueError for anything else."""
        matched = _HEAD.fullmatch(text)
        if matched is None or matched[1]:
            raise ValueError("no head")
        return cls(int(matched[2]), matched[3], at, matched[4] or "")


def parse_time(text: str) -> datetime:
    """A moment with its zone (RFC 3339); ValueError for any other text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.astimezone(UTC)


def head_of(digests: Mapping[int, str]) -> Head:
    """The head of a chain; digests: of its entries by number, from 1."""
    last = max(digests, default=0)
    return Head(last, digests.get(last, GENESIS), None, merkle.root(leaves_of(digests, last)))


def leaves_of(digests: Mapping[int, str], last: int) -> list[bytes]:
    """The leaves of the hash tree over the entries up to a number."""
    return [merkle.leaf(digests[number]) for number in range(1, last + 1)]


def heads(given: str) -> list[Head]:
    """The heads in a file, a line each, or the one that is `given` itself; InputError when there are none."""
    if _HEAD.fullmatch(given.strip()):
        lines, where = [given], "--head"
    else:
        try:
            lines, where = Path(given).read_text("utf-8").splitlines(), given
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{given} is no head (NUMBER:DIGEST) and no file of heads that can be read") from error
    found = [_parsed(line, f"{where}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise InputError(
            f"{where} holds no head; a line is TIME NUMBER:DIGEST ROOT, as leaktrace registry head prints it"
        )
    return found


def _parsed(line: str, where: str) -> Head:
    matched = _HEAD.fullmatch(line.strip())
    try:
        if matched is None:
            raise ValueError
        return Head(int(matched[2]), matched[3], parse_time(matched[1]) if matched[1] else None, matched[4] or "")
    except ValueError as error:
        raise InputError(
            f"{where} is no head; expected TIME NUMBER:DIGEST ROOT, as leaktrace registry head prints"
        ) from error


def contradicted(witnessed: Sequence[Head], digests: Mapping[int, str]) -> Iterator[str]:
    """What witnessed heads contradict in a chain; digests: of its entries by number."""
    return (problem for _, problem in contradictions(witnessed, digests))


def contradictions(witnessed: Sequence[Head], digests: Mapping[int, str]) -> Iterator[tuple[Head, str]]:
    """What `contradicted` says, each with the head that says it."""
    last = max(digests, default=0)
    whole = next((number for number in range(1, last + 1) if number not in digests), last + 1) - 1
    rooted = {head.number for head in witnessed if head.root and head.number <= whole}
    roots = {0: merkle.root([])} | merkle.roots(leaves_of(digests, max(rooted, default=0)), rooted)
    for head in sorted(witnessed, key=lambda head: head.number):
        when = f" at {head.at:%Y-%m-%d %H:%M:%S} UTC" if head.at else ""
        if head.number > last:
            yield (
                head,
                (
                    f"chain: it ends at entry {last}, but entry {head.number} was witnessed{when}; "
                    f"{head.number - last} entries at least were cut off"
                ),
            )
        elif digests.get(head.number, GENESIS if head.number == 0 else "") != head.digest:
            yield head, f"chain entry {head.number}: it is not the one witnessed{when}; it or one before was rewritten"
        elif head.root and roots.get(head.number) != head.root:
            yield head, f"chain entry {head.number}: the root over the entries so far is not the one witnessed{when}"
