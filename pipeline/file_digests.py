"""The SHA-256 of each data file beside it, as `sha256sum --check` reads it: which file a disk or a copy has damaged.

Nobody signs these digests, because compaction writes files anew and holds no key: they are for accidents, also in bytes
that no value and no statistic stands in. Whoever alters a file on purpose can alter its digest; what that could change
is found by the signed digests of its values and by pipeline/data_files.py. They are made where one machine alone writes
to a folder; an object store keeps digests of its own.
"""

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.hashing import digest_of
from pipeline.storage import Connection, known_files

SUFFIX = ".sha256"
_AT_ONCE = 2  # files that are digested, which takes a core each


def record(con: Connection, folder: Path, done: set[str], known: Mapping[str, str]) -> None:
    """Write the digests that are missing.

    done: names that are known to have one, which grows; known: digests of files, by their names, that were made with
    the files.
    """
    fresh = known_files(con).keys() - done
    if not fresh:
        return
    without = [path for path in _found(folder, fresh) if not _beside(path).exists()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        digests = pool.map(lambda path: known.get(path.name) or digest_of(path), without)
        for path, digest in zip(without, digests, strict=True):
            making = path.with_name(f"{path.name}{SUFFIX}.{os.getpid()}")
            making.write_text(f"{digest}  {path.name}\n")
            making.replace(_beside(path))
    done |= fresh


def tidy(folder: Path) -> None:
    """Remove the digests of files that are gone."""
    for path in folder.rglob(f"*.parquet{SUFFIX}*"):
        if not path.with_name(path.name.partition(".parquet")[0] + ".parquet").exists():
            path.unlink(missing_ok=True)


def recorded(path: Path) -> str | None:
    """The digest that was recorded of a file; None when there is none."""
    try:
        return _beside(path).read_text().partition(" ")[0]
    except (OSError, UnicodeDecodeError):
        return None


def _beside(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def _found(folder: Path, names: Iterable[str]) -> list[Path]:
    """Where files lie: in the folder of their table."""
    tables = [path for path in (folder / "main").iterdir() if path.is_dir()] if (folder / "main").is_dir() else []
    return [path for name in names for table in tables if (path := table / name).is_file()]
