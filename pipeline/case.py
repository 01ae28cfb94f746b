"""The case directory: all of it or nothing, under its name only when it is complete."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.intake import SampleFile, Sheet
from pipeline.parts import read_arrow, remove_folder
from schemas.errors import InputError, OutputError
from watermarking.readings import I64
from watermarking.resolve import RowClass
from watermarking.row_reasons import CANARY

_PLACES = ("line", "byte")  # in the file as received, where known
_SHOWN = (
    *("fields_agreeing", "fields_readable", "dataset", "record", "second_record", "elsewhere"),
    *("exports", "epoch"),
)
_AT_ONCE = 1 << 16  # values that are encoded at once


def refuse_existing(case_dir: Path) -> None:
    """OutputError when the case directory is already there."""
    if case_dir.exists() and (not case_dir.is_dir() or any(case_dir.iterdir())):
        raise OutputError(f"{case_dir} exists and is not empty; a case is never overwritten: choose another -o")


@contextmanager
def case_folder(case_dir: Path) -> Iterator[Path]:
    """A case under a temporary name beside its place; renamed when the block ends well, else removed.

    Raises OutputError when it cannot be written.
    """
    working = case_dir.with_name(f".{case_dir.name}.{secrets.token_hex(4)}")
    try:
        working.mkdir(mode=0o700)
        yield working
        if case_dir.is_dir():
            case_dir.rmdir()  # empty: checked at the start
        working.rename(case_dir)
    except OSError as error:
        raise OutputError(
            f"the case cannot be written to {case_dir} ({error.strerror or 'input/output error'}); free some space "
            "or choose another -o, then run the command again"
        ) from error
    finally:
        remove_folder(working)


@contextmanager
def spool_folder(case_dir: Path) -> Iterator[Path]:
    """A private folder beside the case for the rows of the sample; gone when the block ends.

    Raises OutputError when it cannot be made.
    """
    path = case_dir.with_name(f".{case_dir.name}.{secrets.token_hex(4)}.rows")
    try:
        path.mkdir(mode=0o700)
    except OSError as error:
        raise OutputError(
            f"the case cannot be written to {case_dir} ({error.strerror or 'input/output error'}); choose another -o"
        ) from error
    try:
        yield path
    finally:
        remove_folder(path)


@contextmanager
def work_folder(case: Path) -> Iterator[Path]:
    """A private folder inside the case for chunks of the sample; gone when the block ends."""
    path = case / "work"
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        remove_folder(path)


def sample_digest(files: Sequence[SampleFile]) -> str:
    """One digest for the sample's files, whatever their names and order."""
    joined = "\n".join(sorted(file.sha256 for file in files))
    return hashlib.sha256(joined.encode()).hexdigest()


def keep_sample(files: Sequence[SampleFile], case: Path) -> None:
    """The sample as received, byte for byte."""
    folder = case / "sample"
    folder.mkdir()
    for file in files:
        file.copy_to(folder / file.name)


def write_rows(
    folder: Path,
    case: Path,
    sheets: Sequence[Sheet],
    canaries: Mapping[tuple[int, int], str],
    sources: Sequence[str] = (),
) -> None:
    """rows.parquet: one line a sample row, no value of it.

    sources: the smallest set of exports that explains the rows; `only_source` is the one of them that explains the row,
    where no other does.
    """
    known = _word(*np.array([*canaries], dtype=np.int64).reshape(-1, 2).T)
    names = pa.array([sheet.file for sheet in sheets], pa.string())
    inside = pa.array([sheet.inside or None for sheet in sheets], pa.string())
    numbers = pa.array([sheet.number or None for sheet in sheets], pa.int32())
    writer = None
    for path in sorted(folder.glob("rows-*.arrow")):
        table = read_arrow(path)
        found = pa.array(np.isin(_word(table["sheet"].to_numpy(), table["row"].to_numpy()), known))
        held = table["exports"].combine_chunks()
        sets, number = held.dictionary, held.indices
        out = pa.table(
            {
                "file": names.take(table["sheet"].combine_chunks()),
                "row": table["row"],
                "class": pc.if_else(found, str(RowClass.CANARY), table["class"]),
                "reason": pc.if_else(found, CANARY, table["reason"]),
                **{name: table[name] for name in _SHOWN},
                "exports": _by_number(sets).take(number),
                "inside": inside.take(table["sheet"].combine_chunks()),
                "table": numbers.take(table["sheet"].combine_chunks()),
                **{name: table[name] for name in _PLACES},
                "only_source": _only_source(sets, sources).take(number),
            }
        )
        writer = writer or _writer(case / "rows.parquet", out.schema)
        writer.write_table(out)
    if writer is None:
        raise InputError("the sample has no rows")
    writer.close()


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Without Arrow's own schema in the file: a reader sees lists of plain strings, not of a dictionary."""
    return pq.ParquetWriter(path, schema, compression="zstd", store_schema=False, write_batch_size=_AT_ONCE)


def _word(sheet: I64, row: I64) -> I64:
    """One number for the place of a row in a sample."""
    return sheet.astype(np.int64) << 40 | row


def _by_number(lists: pa.ListArray) -> pa.ListArray:
    """The same lists with their few names as a dictionary: a hundred copies of one table hold every row of it."""
    return pa.ListArray.from_arrays(lists.offsets, lists.values.dictionary_encode())


def _only_source(lists: pa.ListArray, sources: Sequence[str]) -> pa.Array:
    """Of each list of exports the one among `sources`, null where there is none or more than one; string[n]."""
    row = pc.list_parent_indices(lists).to_numpy()
    one = pc.list_flatten(lists)
    chosen = pc.is_in(one, value_set=pa.array(sources, pa.string())).to_numpy(zero_copy_only=False)
    row, one = row[chosen], one.filter(pa.array(chosen))
    alone = np.bincount(row, minlength=len(lists))[row] == 1
    place = np.full(len(lists), -1, dtype=np.int64)
    place[row[alone]] = np.flatnonzero(alone)
    return one.take(pa.array(place, mask=place < 0))
