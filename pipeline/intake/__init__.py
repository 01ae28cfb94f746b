"""Taking in a sample: whatever was found, as sheets of text with labels of our own.

A reader is one module with a `FORMAT` and `read(source, intake) -> list[Sheet] | None`; the first that recognises the
content takes it. To add one, write the file and put it in `READERS`, what is surest of itself first.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pipeline.intake import (
    aligned,
    archive,
    delimited,
    html_tables,
    json_text,
    mail,
    parquet,
    pdf_text,
    prose,
    spreadsheet,
    sql_dump,
)
from pipeline.intake.context import Intake, Said
from pipeline.intake.merged import taken_apart
from pipeline.intake.sheet import Sheet
from pipeline.intake.source import Source
from pipeline.intake.wrapped import unwrapped
from schemas.contract import KINDS
from schemas.errors import InputError, LeaktraceError, UsageError
from schemas.wording import counted
from watermarking.detect import hint_of

__all__ = ["FORMATS", "READERS", "Said", "SampleFile", "SampleFiles", "Sheet", "corrected", "read_sample"]

READERS: tuple[ModuleType, ...] = (
    parquet, spreadsheet, archive, pdf_text, mail, html_tables, sql_dump, json_text, prose, delimited, aligned,
)  # fmt: skip
_CONTAINERS = (archive, mail, pdf_text, html_tables)
FORMATS = tuple(reader.FORMAT for reader in READERS if reader is not archive)
_GUESSED_ON = 1 << 24


@dataclass(frozen=True)
class SampleFile:
    """One file of a sample as received; `name` is its name in the case.

    guessed: format and encoding that would have been taken if the user had not said another; else None.
    """

    name: str
    sha256: str
    size: int
    format: str
    encoding: str | None
    rows: int
    source: Path | bytes
    guessed: tuple[str, str | None] | None = None

    def copy_to(self, path: Path) -> None:
        """The file, byte for byte."""
        if isinstance(self.source, bytes):
            path.write_bytes(self.source)
        else:
            shutil.copyfile(self.source, path)


@dataclass(frozen=True)
class SampleFiles:
    """A whole sample: its files, their sheets, and what was not read and why."""

    files: tuple[SampleFile, ...]
    sheets: tuple[Sheet, ...]
    notes: tuple[str, ...]


def corrected(form: str | None, encoding: str | None, columns: Mapping[int, str]) -> Said:
    """What a user says of a sample; columns: kinds, or words that speak of one. UsageError when it makes no sense."""
    if form not in (None, *FORMATS):
        raise UsageError(f"leaktrace trace: --format is none that is read; say one of {', '.join(FORMATS)}")
    kinds = {number: word if word in KINDS else hint_of(word) for number, word in columns.items()}
    if not all(kind and number > 0 for number, kind in kinds.items()):
        raise UsageError(
            "leaktrace trace: --columns is a list such as 2=phone,3=name; the kinds are " + ", ".join(sorted(KINDS))
        )
    return Said(form, encoding, {number: str(kind) for number, kind in kinds.items()})


def read_sample(sample: Sequence[Path] | bytes, spool: Path, said: Said | None = None) -> SampleFiles:
    """Read files, directories, or the bytes of standard input; InputError when nothing can be read.

    spool: a private folder for the rows, which must last as long as the sheets. Memory does not grow with the sample.
    """
    said = said or Said()
    notes: list[str] = []
    if isinstance(sample, bytes):
        sources: list[tuple[str, Path | bytes]] = [("standard-input.txt", sample)]
    else:
        sources = [(path.name, path) for path in _expand(sample, notes)]
    files: list[SampleFile] = []
    sheets: list[Sheet] = []
    for name, content in sources:
        source = Source(_unique(name, [f.name for f in files]), content)
        found, kind, encoding = _read_file(source, spool, said, notes)
        sheets += found
        rows = sum(sheet.rows for sheet in found)
        guessed = _guess(source, spool, said) if said.format or said.encoding else None
        files.append(SampleFile(source.name, _digest(source), source.size, kind, encoding, rows, content, guessed))
    if not sheets:
        reason = notes[0] if notes else "no file was given"
        raise InputError(f"nothing in the sample can be read ({reason}); give it as text, CSV or Parquet")
    return SampleFiles(tuple(files), tuple(sheets), tuple(notes))


def _expand(paths: Sequence[Path], notes: list[str]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if not p.name.startswith("."))
            plain = [p for p in inside if p.is_file() and not p.is_symlink()]
            links = sum(p.is_symlink() for p in inside)
            if links:
                notes.append(
                    f"{counted(links, 'link in a folder was', 'links in a folder were')} not followed; "
                    "give what is pointed to by name"
                )
            if not plain:
                raise InputError(f"{path} is a folder without files; give the sample's files")
            found += plain
        elif path.is_file():
            found.append(path)
        elif path.exists():
            raise InputError(f"{path} is no file and no folder; copy what it gives into a file, or use -")
        else:
            raise InputError(f"{path} does not exist; check the path of the sample")
    return found


def _read_file(source: Source, spool: Path, said: Said, notes: list[str]) -> tuple[list[Sheet], str, str | None]:
    """The sheets of one file with its format and encoding; what was not read is added to the notes."""
    mine: list[str] = []
    taken: list[str] = []

    def read(inner: Source, intake: Intake) -> list[Sheet]:
        return _read_one(inner, intake, taken)

    left_alone = frozenset(number - 1 for number in said.columns)
    found = read(source, Intake(spool, said, source.name, read, notes=mine))
    sheets = [taken_apart(unwrapped(sheet), left_alone) for sheet in found]
    for sheet in sheets:
        place = ", ".join(filter(None, (sheet.inside, f"table {sheet.number}" if sheet.number else "")))
        mine += [f"{place}: {note}" if place else note for note in sheet.notes]
    notes += [note if note.startswith(source.name) else f"{source.name}: {note}" for note in mine]
    kind = next((s.format for s in sheets if not s.inside), taken[-1] if taken else "unknown")
    encoding = next((s.encoding for s in sheets if not s.inside), None)
    return sheets, kind if sheets else "unknown", encoding


def _read_one(source: Source, intake: Intake, taken: list[str]) -> list[Sheet]:
    if not source.size or not source.head(1 << 16).strip(b"\0 \t\r\n"):
        intake.set_aside("it is empty" if not source.size else "it is empty, or begins with 64 KiB of nothing")
        return []
    said = intake.said.format
    for reader in READERS:
        if said not in (None, reader.FORMAT) and reader not in _CONTAINERS:
            continue
        try:
            found = reader.read(source, intake)
        except InputError as error:
            intake.notes.append(str(error))
            return []
        except (LeaktraceError, KeyboardInterrupt):
            raise
        except (ValueError, LookupError, TypeError, RecursionError, MemoryError, OverflowError) as error:
            # A reader that trips over a file costs that file and no more; its text might hold a value.
            intake.set_aside(f"it could not be read as {reader.FORMAT} ({type(error).__name__}); save it as CSV")
            return []
        if found is not None:
            taken.append(reader.FORMAT)
            return found
    what = f"it is no {said}, as --format says" if said else "it holds no rows that can be recognised"
    intake.set_aside(what)
    return []


def _guess(source: Source, spool: Path, said: Said) -> tuple[str, str | None]:
    """The format and encoding that content alone suggests; of a large file by its beginning."""
    content: Path | bytes = source.content
    if source.size > _GUESSED_ON:
        content = source.head(_GUESSED_ON).rsplit(b"\n", 1)[0]
    with tempfile.TemporaryDirectory(dir=spool) as folder, suppress(InputError):
        _, kind, encoding = _read_file(Source(source.name, content), Path(folder), Said(), [])
        return kind, encoding
    return "unknown", None


def _digest(source: Source) -> str:
    with source.open() as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unique(name: str, taken: Sequence[str]) -> str:
    if name not in taken:
        return name
    return next(f"{n}-{name}" for n in range(2, len(taken) + 3) if f"{n}-{name}" not in taken)
