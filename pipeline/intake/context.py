"""What a reader is handed besides the bytes: where its rows go, what the user said, and how to read what is inside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.intake.sheet import Sheet, SheetWriter
from pipeline.intake.source import Source
from pipeline.intake.text import Text, text_of

DEEPEST = 3  # an archive in an archive in an e-mail


@dataclass(frozen=True)
class Said:
    """What the user said about the sample: a format and an encoding (None: guess), and kinds of columns from 1."""

    format: str | None = None
    encoding: str | None = None
    columns: Mapping[int, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For the case, so that a trace can be repeated."""
        return {
            "format": self.format,
            "encoding": self.encoding,
            "columns": {str(n): k for n, k in self.columns.items()},
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any] | None) -> "Said":
        """What `to_json` wrote; nothing said, when there is none."""
        body = body or {}
        columns = {int(n): kind for n, kind in body.get("columns", {}).items()}
        return cls(body.get("format"), body.get("encoding"), columns)


@dataclass(frozen=True)
class Intake:
    """One file being read. inside: "" or the place in an archive; notes: what was set aside and why, growing."""

    spool: Path
    said: Said
    file: str
    read: Callable[[Source, "Intake"], list[Sheet]] = field(repr=False)
    inside: str = ""
    depth: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        """The file and the place inside it, in words of ours."""
        return f"{self.file}, {self.inside}" if self.inside else self.file

    def sheet(self, number: int = 0) -> SheetWriter:
        """Takes the rows of one table."""
        return SheetWriter(self.spool, self.file, self.inside, number)

    def text(self, source: Source) -> Text | None:
        """The bytes as text; None when they are none."""
        return text_of(source, self.said.encoding)

    def inner(self, where: str, content: bytes | Path, *, is_text: bool = False) -> list[Sheet]:
        """The sheets of something inside this file; where: in words of ours ("member 3")."""
        inside = f"{self.inside}, {where}" if self.inside else where
        said = replace(self.said, encoding="utf-8") if is_text else self.said
        if self.depth >= DEEPEST:
            self.notes.append(f"{inside} lies too deep in other files and was not read; unpack it first")
            return []
        return self.read(Source(self.file, content), replace(self, inside=inside, depth=self.depth + 1, said=said))

    def set_aside(self, sentence: str) -> None:
        """Note that something was not read, and why; never a value of it."""
        self.notes.append(f"{self.inside}: {sentence}" if self.inside else sentence)
