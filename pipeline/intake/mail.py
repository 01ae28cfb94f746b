"""E-mail files: their text, as plain text or HTML, and what is attached."""

import re
from email import policy
from email.message import Message
from email.parser import BytesParser

from pipeline.intake.context import Intake
from pipeline.intake.sheet import Sheet
from pipeline.intake.source import Source

FORMAT = "email"
_HEADER = re.compile(
    rb"^(?:From|To|Subject|Date|MIME-Version|Received|Content-Type|Message-ID|Return-Path|Delivered-To|Reply-To|"
    rb"DKIM-Signature|X-[\w-]+):[ \t]?",
    re.IGNORECASE | re.MULTILINE,
)
_PARTS = 500


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """What an e-mail and its attachments hold; None when it is none."""
    head = source.head(1 << 16).removeprefix(b"\xef\xbb\xbf")
    top = re.split(rb"\r?\n\r?\n", head.lstrip(), maxsplit=1)[0]
    names = {m.group().strip(b": \t").lower() for m in _HEADER.finditer(top)}
    lines = [line for line in top.splitlines() if not line.startswith((b" ", b"\t"))]
    known = b"from" in names or b"received" in names or b"mime-version" in names
    if not (known and len(names) >= 2 and sum(bool(re.match(rb"[\w-]+:|From ", x)) for x in lines) == len(lines)):
        return None
    message = BytesParser(policy=policy.compat32).parsebytes(source.whole())
    parts = [part for part in message.walk() if not part.is_multipart()]
    if len(parts) > _PARTS:
        intake.set_aside(f"of its {len(parts):,} parts only the first {_PARTS} were read")
    bodies: list[list[Sheet]] = []
    sheets: list[Sheet] = []
    for number, part in enumerate(parts[:_PARTS], 1):
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes) or not content.strip():
            continue
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html") and not _attached(part):
            before = len(intake.notes)
            bodies.append(intake.inner(f"part {number}", _utf8(part, content), is_text=True))
            del intake.notes[before:]  # a letter around an attachment need hold no rows
        elif kind.startswith(("text/", "application/")) or _attached(part):
            sheets += intake.inner(f"part {number}", content)
    # The same letter stands there as text and as HTML: the one that gives more rows counts.
    best = max(bodies, key=lambda found: sum(sheet.rows for sheet in found), default=[])
    return best + sheets


def _attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None


def _utf8(part: Message, content: bytes) -> bytes:
    """A text in UTF-8, from the character set that the e-mail declares."""
    declared = part.get_content_charset() or "utf-8"
    declared = {"gb2312": "gb18030", "gbk": "gb18030", "us-ascii": "utf-8"}.get(declared, declared)
    try:
        return content.decode(declared, "replace").encode("utf-8")
    except (LookupError, ValueError):
        return content
