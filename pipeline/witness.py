"""Heads of the chain as an outside witness noted them, and what they say of the chain that is here now.

A head is written `NUMBER:DIGEST`, with the time at which the witness received it before it. A chain cannot show by
itself that its end was cut off or rewritten by whoever holds the issuer's key; a head noted elsewhere can.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.receipts import GENESIS
from schemas.errors import InputError

_HEAD = re.compile(r"(?:(\S+)\s+)?([0-9]{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True)
class Head:
    """One witnessed head; `at` is None when nobody noted when."""

    number: int
    digest: str
    at: datetime | None


def parse_time(text: str) -> datetime:
    """A moment with its zone (RFC 3339); ValueError for any other text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.astimezone(UTC)


def head_text(head: Mapping[str, object]) -> str:
    """A head in one word, as `heads` reads it."""
    return f"{head['number']}:{head['digest']}"


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
        raise InputError(f"{where} holds no head; a line is TIME NUMBER:DIGEST, as leaktrace registry head prints it")
    return found


def _parsed(line: str, where: str) -> Head:
    matched = _HEAD.fullmatch(line.strip())
    try:
        if matched is None:
            raise ValueError
        return Head(int(matched[2]), matched[3], parse_time(matched[1]) if matched[1] else None)
    except ValueError as error:
        raise InputError(
            f"{where} is no head; expected TIME NUMBER:DIGEST, as leaktrace registry head prints"
        ) from error


def contradicted(witnessed: Sequence[Head], digests: Mapping[int, str]) -> Iterator[str]:
    """What witnessed heads contradict in a chain; digests: of its entries by number."""
    last = max(digests, default=0)
    for head in sorted(witnessed, key=lambda head: head.number):
        when = f" at {head.at:%Y-%m-%d %H:%M:%S} UTC" if head.at else ""
        if head.number > last:
            yield (
                f"chain: it ends at entry {last}, but entry {head.number} was witnessed{when}; "
                f"{head.number - last} entries at least were cut off"
            )
        elif digests.get(head.number, GENESIS if head.number == 0 else "") != head.digest:
            yield f"chain entry {head.number}: it is not the one witnessed{when}; it or one before was rewritten"
