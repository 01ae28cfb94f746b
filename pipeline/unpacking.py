"""Tables that cannot be read in parts where they lie (`.csv.gz`, `.jsonl`, `.xlsx`), as a working copy that can.

A working copy is plain CSV or Parquet, in a folder that only this user can read and that goes when the process ends;
a killed process leaves it in the system's folder for temporary files. On a cluster that folder (TMPDIR) has to be one
that the workers see.
"""

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pipeline import jsonl_files, xlsx_files
from schemas.errors import InputError, OutputError


def unpacked(path: Path, kind: str) -> tuple[Path, str]:
    """The working copy of a table and its format; the table itself when it needs none.

    The copy has the table's name, so that a message about it is right. Each state of a file is unpacked once.
    Raises InputError when the table is broken, OutputError when there is no room for the copy.
    """
    if kind not in _UNPACKERS:
        return path, kind
    status = path.stat()
    unpack, form = _UNPACKERS[kind]
    return _copy(unpack, path.absolute(), status.st_mtime_ns, status.st_size), form


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="leaktrace-", ignore_cleanup_errors=True)


@cache
def _copy(unpack: Callable[[Path, Path], None], path: Path, _modified: int, _size: int) -> Path:
    target = Path(tempfile.mkdtemp(dir=_folder().name)) / path.name
    try:
        unpack(path, target)
    except OSError as error:
        raise OutputError(
            f"{path.name} cannot be unpacked in {tempfile.gettempdir()} ({error.strerror or 'input/output error'}); "
            "free some space, or set TMPDIR to a folder with room for it"
        ) from error
    return target


def _gunzip(path: Path, target: Path) -> None:
    try:
        with gzip.open(path) as packed, target.open("xb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path.name} is no whole gzip file (truncated?); export the table again") from error


_UNPACKERS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "csv.gz": (_gunzip, "csv"),
    "jsonl": (jsonl_files.to_parquet, "parquet"),
    "xlsx": (xlsx_files.to_parquet, "parquet"),
}
