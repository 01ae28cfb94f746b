"""Bytes to text, a block at a time: which encoding, which lines; what cannot be text is left out and counted.

The encoding is decided on the whole of a small file and on the beginning of a large one, by what most of the bytes
say: a damaged byte is replaced, it does not make the file another encoding.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from charset_normalizer import from_bytes

from pipeline.intake.source import Source
from schemas.errors import InputError
from schemas.wording import counted

_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"),
)  # fmt: skip
_LOOKED_AT = 1 << 20
_BLOCK = 1 << 22
LONGEST_LINE = 1 << 20
_HUGE_LINE = 1 << 16
MOST_WHOLE = 1 << 26
_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True)
class Block:
    """Whole lines in UTF-8; line: number of its first, from 1; byte: where it begins in the file, None if unknown."""

    line: int
    byte: int | None
    data: bytes

    def lines(self) -> Iterator[tuple[int, int | None, str]]:
        """Number, place in the file and text of each line, without its end."""
        start, number = 0, self.line
        for end in _END.finditer(self.data):
            yield number, self._at(start), self.data[start : end.start()].decode("utf-8", "replace")
            start, number = end.end(), number + 1
        if start < len(self.data):
            yield number, self._at(start), self.data[start:].decode("utf-8", "replace")

    def _at(self, start: int) -> int | None:
        return None if self.byte is None else self.byte + start


@dataclass
class Text:
    """A file as text. encoding: as Python calls it; head: its first 256 K characters; notes grow while it is read."""

    source: Source
    encoding: str
    head: str
    counted: dict[str, int] = field(default_factory=lambda: {"long": 0, "nul": 0, "bad": 0})

    @property
    def notes(self) -> list[str]:
        """What was left out so far, and why."""
        says = {
            "long": ("line", "lines", f"of more than {LONGEST_LINE >> 20} MiB", "left out"),
            "nul": ("NUL byte", "NUL bytes", "", "left out"),
            "bad": ("place", "places", f"not in {self.encoding}", "replaced"),
        }
        seen = [(count, *says[name]) for name, count in self.counted.items() if count]
        return [
            " ".join(filter(None, (counted(count, one, many), which, "was" if count == 1 else "were", done)))
            for count, one, many, which, done in seen
        ]

    def blocks(self) -> Iterator[Block]:
        """The whole file as blocks of whole lines; a line that is too long leaves an empty one."""
        decoder = codecs.getincrementaldecoder(self.encoding)("replace")
        exact, line, at, carry, skipping = self.encoding in ("utf-8", "utf-8-sig"), 1, 0, b"", False
        self.counted |= dict.fromkeys(self.counted, 0)
        with self.source.open() as file:
            if self.encoding == "utf-8-sig":
                at = len(file.read(3))
                decoder = codecs.getincrementaldecoder("utf-8")("replace")
            elif self.encoding.startswith("utf-16") and self.source.head(2) in (b"\xff\xfe", b"\xfe\xff"):
                file.read(2)
            while True:
                raw = file.read(_BLOCK)
                got, exact = self._decoded(raw, decoder, exact)
                data = carry + got
                if skipping:
                    end = _END.search(data)
                    if end is None and raw:
                        carry = b""
                        continue
                    data, skipping = data[end.start() :] if end else b"", False
                cut = len(data) if not raw else max(data.rfind(b"\n"), data[:-1].rfind(b"\r")) + 1
                if cut:
                    whole = self._bounded(data[:cut])
                    yield Block(line, at if exact and len(whole) == cut else None, whole)
                    line += _ends(whole)
                    at += cut
                    exact = exact and len(whole) == cut
                carry = data[cut:]
                if len(carry) > LONGEST_LINE:
                    self.counted["long"] += 1
                    carry, skipping, exact = b"", True, False
                if not raw:
                    return

    def lines(self) -> Iterator[tuple[int, int | None, str]]:
        """Number, byte and text of every line."""
        for block in self.blocks():
            yield from block.lines()

    def first_lines(self, most: int) -> list[str]:
        """Lines at the beginning by which a table is told, the last perhaps cut; none that fills all of the head."""
        lines = self.head.split("\n")[:most]
        if len(lines) == most or max(map(len, lines)) <= _HUGE_LINE:
            return lines
        short = (line for _, _, line in self.lines() if len(line) <= _HUGE_LINE)
        return [*islice(short, most)] or lines

    def whole(self, most: int = MOST_WHOLE) -> tuple[str, list[str]]:
        """The text as far as `most` bytes of the file, and a note when there is more."""
        with self.source.open() as file:
            raw = file.read(most)
            rest = bool(file.read(1))
        text = _decode(raw, self.encoding).replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
        text = text.removeprefix("\ufeff")
        return text, [f"only its first {most >> 20} MiB were read"] if rest else []

    def _decoded(self, raw: bytes, decoder: codecs.IncrementalDecoder, exact: bool) -> tuple[bytes, bool]:
        """What is read so far in UTF-8, but for a character that is cut; exact: whether that is what the file has."""
        before = decoder.getstate()[0]
        if exact and raw.isascii() and not before and b"\0" not in raw:
            return raw, True
        text = decoder.decode(raw, not raw)
        length = len(before) + len(raw) - len(decoder.getstate()[0])
        if exact and "\0" not in text and "\ufffd" not in text:
            return (before + raw)[:length], True
        if "\0" in text:
            self.counted["nul"] += text.count("\0")
            text = text.replace("\0", "")
        self.counted["bad"] += text.count("\ufffd")
        got = text.encode("utf-8", "replace")
        return got, exact and len(got) == length  # if not, places after this one are not known any more

    def _bounded(self, data: bytes) -> bytes:
        if len(data) <= LONGEST_LINE:
            return data
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
        if np.diff(ends, prepend=-1, append=len(data)).max() <= LONGEST_LINE:
            return data
        kept = [part if len(part) <= LONGEST_LINE else b"" for part in data.split(b"\n")]
        self.counted["long"] += sum(len(part) > LONGEST_LINE for part in data.split(b"\n"))
        return b"\n".join(kept)


def _ends(data: bytes) -> int:
    """How many line ends there are; counting one byte is fifteen times as fast as looking for three forms."""
    return len(_END.findall(data)) if b"\r" in data else data.count(b"\n")


def text_of(source: Source, encoding: str | None = None) -> Text | None:
    """The file as text, in the encoding that was said or else guessed; None when it is no text.

    Raises InputError for an encoding that does not exist.
    """
    if encoding is not None:
        try:
            name = codecs.lookup(encoding).name
            "".encode(name)
        except (LookupError, ValueError) as error:
            raise InputError("--encoding is none that is known; say utf-8, utf-16, gb18030, big5 or cp1252") from error
        if name == "utf-16":
            name = "utf-16-be" if source.head(2) == b"\xfe\xff" else "utf-16-le"
    else:
        if not source.guessed:
            source.guessed.append(guess(source.head(_LOOKED_AT)))
        if source.guessed[0] is None:
            return None
        name = source.guessed[0]
    head = _decode(source.head(_LOOKED_AT), name).replace("\0", "")[: 1 << 18]
    return Text(source, name, head.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))


def guess(data: bytes) -> str | None:
    """The encoding of bytes, None when they are no text."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    wide = _utf16(data)
    if wide:
        return wide
    if _binary(data):
        return None
    if data.isascii() or _mostly_utf8(data):
        return "utf-8"
    return _eight_bit(data)


def _utf16(data: bytes) -> str | None:
    """UTF-16 without a mark: the zero bytes stand on one side, and what is read has lines or digits."""
    pairs = np.frombuffer(data[: len(data) // 2 * 2], np.uint8).reshape(-1, 2)
    if len(pairs) < 4:
        return None
    first, second = (int((pairs[:, n] == 0).sum()) for n in (0, 1))
    for mine, other, encoding in ((second, first, "utf-16-le"), (first, second, "utf-16-be")):
        # Bytes that are UTF-8 with zeros among them are damaged; of Latin text in UTF-16 every second one is zero.
        damaged = mine < 0.4 * len(pairs) and _mostly_utf8(data)
        if mine >= max(2, 0.03 * len(pairs)) and other <= 0.05 * mine and not damaged:
            text = data.decode(encoding, "replace")
            if sum(c == "\ufffd" or (ord(c) < 32 and c not in "\t\r\n") for c in text[:5000]) <= len(text[:5000]) / 50:
                return encoding
    return None


def _binary(data: bytes) -> bool:
    octets = np.frombuffer(data, np.uint8)
    control = (octets < 32) & ~np.isin(octets, (1, 2, 9, 10, 12, 13, 27, 28, 29, 30, 31))
    text = int(((octets >= 32) & (octets != 127)).sum())
    # A run of zeros is damage as long as there is as much text around it; so are other control characters in text.
    strange = int((control & (octets != 0)).sum())
    return text < len(data) / 2 or strange > len(data) / (10 if _mostly_utf8(data) else 50)


def _mostly_utf8(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    bad = text[: -1 if len(text) > 1 else None].count("\ufffd")
    good = int((np.frombuffer(text.encode("utf-32-le"), np.uint32) > 0x7F).sum()) - bad
    return bad == 0 or good >= 4 * bad


def _eight_bit(data: bytes) -> str:
    """GB18030 or Big5 when what they give are mostly common characters; else what charset-normalizer finds."""
    data = data[: 1 << 17]
    scores = {
        "gb18030": _common(data, "gb18030", "gb2312", 0xB0, 0xD7),
        "big5": _common(data, "big5", "big5", 0xA4, 0xC6),
    }
    best = max(scores, key=lambda name: scores[name])
    if scores[best] >= 0.5:
        return best
    high = sum(octet >= 0x80 for octet in data)
    letters = sum(chr(octet).isalpha() for octet in data if octet < 0x80)
    if high > letters / 2:
        found = from_bytes(data).best()
        if found is not None:
            return str(found.encoding)
    return "cp1252"


def _common(data: bytes, encoding: str, level: str, first: int, last: int) -> float:
    """Share of what is not ASCII that decodes to characters of the level in daily use."""
    text = [c for c in data.decode(encoding, "replace") if c > "\x7f"]
    octets = ("".join(c for c in text if "\u4e00" <= c <= "\u9fff")).encode(level, "ignore")
    daily = sum(first <= octet <= last for octet in octets[::2])
    marks = sum("\u3000" <= c <= "\u303f" or "\uff00" <= c <= "\uffef" for c in text)
    return (daily + marks) / max(1, len(text))


def _decode(raw: bytes, encoding: str) -> str:
    return raw.decode(encoding, "replace")
