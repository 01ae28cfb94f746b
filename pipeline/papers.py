"""The papers of a case: its report, and what `--emit` and `--with-values` add; in a new case, or drawn again later.

What `trace` writes stands in the case and is signed with it. A signed case is never changed: what `report` draws again
goes elsewhere, and only from a case whose signatures hold. `report.html` never holds a customer's value; with
`--with-values` a second page does, readable by its owner only.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.bundle import verify_bundle
from pipeline.case import spool_folder
from pipeline.emitters import emit
from pipeline.intake import Said, Sheet, read_sample
from pipeline.keystore import KeyStore
from pipeline.report import Background, Values, background_of, language, render
from schemas.errors import InputError, IntegrityError, OutputError

VALUES = "report-with-values.html"
_MOST_VALUES = 500  # rows that a page with values shows
_LONGEST_CELL = 200


@dataclass(frozen=True)
class Papers:
    """What is wanted: the report's language, forms of pipeline.emitters, and a second page with values."""

    lang: str = "en"
    forms: tuple[str, ...] = ()
    with_values: bool = False


PLAIN = Papers()


def write_papers(
    case: Path, verdict: dict[str, Any], background: Background, wanted: Papers, sheets: Sequence[Sheet]
) -> None:
    """Write the papers into a case that is being made; OSError when it cannot be written.

    background: its rows are those of this case. sheets: of the sample, in the order of its rows.
    """
    lang = language(wanted.lang)
    (case / "report.html").write_text(render(verdict, lang, background), "utf-8")
    for name, text in emit(wanted.forms, verdict, background).items():
        (case / name).write_text(text, "utf-8")
    if wanted.with_values:
        shown = replace(background, values=_values(case / "rows.parquet", sheets))
        _private(case / VALUES, render(verdict, lang, shown))


def redraw(case: Path, keys: KeyStore, output: Path, wanted: Papers) -> list[Path]:
    """Write the report of a case again, or its emitted forms; the files written.

    output: a file for the report, or for a single form; a folder for several files. Raises IntegrityError when the
    case is not as it was signed, InputError when it is of another version, OutputError when `output` exists, lies in
    the case or cannot be written; then nothing was written.
    """
    if output.resolve().is_relative_to(case.resolve()):
        raise OutputError(f"{output} lies in the case, which is signed as it is; choose an -o outside {case}")
    if output.exists():
        raise OutputError(f"{output} exists; nothing is overwritten: choose another -o")
    problems = verify_bundle(case, keys.examiner_public())
    if problems:
        raise IntegrityError("; ".join(problems))
    verdict, background = read_verdict(case), background_of(case)
    if wanted.forms:
        return _write(output, emit(wanted.forms, verdict, background))
    if wanted.with_values:
        with spool_folder(output) as spool:
            said = Said.from_json(verdict["sample"].get("said"))
            sheets = read_sample((case / "sample",), spool, said).sheets
            background = replace(background, values=_values(case / "rows.parquet", sheets))
    return _write(output, {output.name: render(verdict, language(wanted.lang), background)})


def read_verdict(case: Path) -> dict[str, Any]:
    """The verdict of a case; InputError when it is of another version of this program's format."""
    verdict: dict[str, Any] = json.loads((case / "verdict.json").read_bytes())
    if verdict.get("schema") != "leaktrace.verdict/1":
        raise InputError(
            f"{case} is a case of another version; use the program that made it, or trace its sample again"
        )
    return verdict


def _write(output: Path, files: dict[str, str]) -> list[Path]:
    """One file under the name of `output`, several in a folder of that name; all or none, for their owner only."""
    working = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        if len(files) == 1:
            _private(working, next(iter(files.values())))
            working.rename(output)
            return [output]
        working.mkdir(mode=0o700)
        for name, text in files.items():
            _private(working / name, text)
        working.rename(output)
    except OSError as error:
        raise OutputError(f"{output} cannot be written ({error.strerror}); choose another -o") from error
    return [output / name for name in files]


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, "utf-8")


def _values(rows: Path, sheets: Sequence[Sheet]) -> Values:
    """The first rows of the sample beside their classes: rows.parquet has a line for each, in the sheets' order."""
    file = pq.ParquetFile(rows)
    total = file.metadata.num_rows
    head = next(file.iter_batches(batch_size=_MOST_VALUES, columns=["file", "row", "class"]))
    width = max(len(sheet.headers) for sheet in sheets)
    lines = []
    for cells, one in zip(islice(_cells(sheets, width), _MOST_VALUES), head.to_pylist(), strict=False):
        lines.append((one["file"], one["row"], one["class"], cells))
    return Values(tuple(str(number) for number in range(1, width + 1)), tuple(lines), total - len(lines))


def _cells(sheets: Sequence[Sheet], width: int) -> Any:
    """The cells of every row as text, cut where they are long, padded to the widest sheet."""
    for sheet in sheets:
        for row in sheet.table.slice(0, _MOST_VALUES).to_pylist():
            cells = ["" if cell is None else str(cell)[:_LONGEST_CELL] for cell in row.values()]
            yield (*cells, *[""] * (width - len(cells)))
