"""Taking in a sample: whatever was found, as sheets of text with labels of our own.

A reader is one file with `read(name, data) -> list[Sheet] | None`; the first that recognises the content takes
it. To add one, write the file and put it in `READERS`.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.intake import delimited, parquet, prose
from pipeline.intake.sheet import Sheet
from schemas.errors import InputError

__all__ = ["READERS", "SampleFile", "SampleFiles", "Sheet", "read_sample"]

Reader = Callable[[str, bytes], "list[Sheet] | None"]
READERS: tuple[Reader, ...] = (parquet.read, prose.read, delimited.read)


@dataclass(frozen=True)
class SampleFile:
    """One file of a sample as received; `name` is its name in the case."""

    name: str
    sha256: str
    size: int
    format: str
    encoding: str | None
    rows: int
    source: Path | bytes

    def content(self) -> bytes:
        """The file, byte for byte."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


@dataclass(frozen=True)
class SampleFiles:
    """A whole sample: its files, their sheets, and what was not read and why."""

    files: tuple[SampleFile, ...]
    sheets: tuple[Sheet, ...]
    notes: tuple[str, ...]


def read_sample(sample: Sequence[Path] | bytes) -> SampleFiles:
    """Read files, directories, or the bytes of standard input; InputError when nothing can be read."""
    if isinstance(sample, bytes):
        sources: list[tuple[str, Path | bytes]] = [("standard-input.txt", sample)]
    else:
        sources = [(path.name, path) for path in _expand(sample)]
    files: list[SampleFile] = []
    sheets: list[Sheet] = []
    notes: list[str] = []
    for name, source in sources:
        shown = _unique(name, [f.name for f in files])
        data = _bytes_of(source)
        found = _read_one(shown, data, notes)
        sheets += found
        rows = sum(sheet.table.num_rows for sheet in found)
        kind, encoding = (found[0].format, found[0].encoding) if found else ("unknown", None)
        files.append(SampleFile(shown, hashlib.sha256(data).hexdigest(), len(data), kind, encoding, rows, source))
        notes += [f"{shown}: {note}" for sheet in found for note in sheet.notes]
    if not sheets:
        reason = notes[0] if notes else "no file was given"
        raise InputError(f"nothing in the sample can be read ({reason}); give it as text, CSV or Parquet")
    return SampleFiles(tuple(files), tuple(sheets), tuple(notes))


def _expand(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
            if not inside:
                raise InputError(f"{path} is a folder without files; give the sample's files")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"{path} does not exist; check the path of the sample")
    return found


def _read_one(name: str, data: bytes, notes: list[str]) -> list[Sheet]:
    if not data.strip():
        notes.append(f"{name}: it is empty")
        return []
    for reader in READERS:
        try:
            found = reader(name, data)
        except InputError as error:
            notes.append(str(error))
            return []
        if found:
            return found
    notes.append(f"{name}: it holds no rows that can be recognised")
    return []


def _bytes_of(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise InputError(f"{source} cannot be read ({error.strerror}); check its rights") from error


def _unique(name: str, taken: Sequence[str]) -> str:
    if name not in taken:
        return name
    return next(f"{n}-{name}" for n in range(2, len(taken) + 3) if f"{n}-{name}" not in taken)
