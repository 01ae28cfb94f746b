"""The rows of a job: one file as it is; several files, or a query's answer, put into one file for the time of a run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import pyarrow as pa

from pipeline.checks import load_contract
from pipeline.copies import new_id
from pipeline.files import chunks, describe, open_writer, read_chunks
from pipeline.registry import Registry
from pipeline.storage import query_to_parquet
from schemas.contract import Contract
from schemas.errors import ContractError, InputError
from schemas.jobs import Interval, Job, Source


def fill_in(text: str, job: str, interval: Interval, recipient: str = "{recipient}") -> str:
    """A path or query with {job}, {start}, {end} and {recipient} filled in; times as 2026-01-31, or 20260131T0600."""
    for place, moment in (("{start}", interval.start), ("{end}", interval.end)):
        if moment is not None:
            midnight = (moment.hour, moment.minute, moment.second) == (0, 0, 0)
            text = text.replace(place, moment.strftime("%Y-%m-%d" if midnight else "%Y%m%dT%H%M"))
    return text.replace("{job}", job).replace("{recipient}", recipient)


def source_files(source: Source, folder: Path, job: str, interval: Interval) -> list[Path]:
    """The files that a path or pattern means, relative to the job file's folder; InputError when there are none."""
    pattern = str(folder / fill_in(source.files or "", job, interval))
    found = sorted(Path(name) for name in glob(pattern, recursive=True) if Path(name).is_file())
    if not found and not Path(pattern).exists():
        raise InputError(f"the source {pattern} does not exist; check the path, or wait until it has been delivered")
    return found or [Path(pattern)]


@contextmanager
def source_file(job: Job, folder: Path, interval: Interval, registry: Registry) -> Iterator[Path]:
    """One file with the job's rows. What has to be made lies in a private folder of the registry, and is removed.

    After a crash the next command removes it.
    """
    source = job.source
    if source.files is not None:
        files = source_files(source, folder, job.name, interval)
        if len(files) == 1:
            yield files[0]
            return
    with registry.job([new_id()], ()) as private:  # it enters nothing
        if source.sql is not None:
            path = private / "source.parquet"
            contract, _ = load_contract(folder / job.contract)
            query = fill_in(source.sql, job.name, interval)
            query_to_parquet(query, path, folder, _connection_text(source), _times(contract))
        else:
            path = _joined(files, private)
        yield path


def _joined(files: list[Path], folder: Path) -> Path:
    """The rows of several files of one form, in the order of their names, cell for cell."""
    tables = [describe(path) for path in files]
    first = tables[0]
    path = folder / f"source{files[0].suffix.lower()}"
    for table, file in zip(tables, files, strict=True):
        if table.format != first.format or not table.schema.equals(first.schema):
            raise ContractError(
                f"{file.name} has other columns than {files[0].name}; a pattern joins files of one form"
            )
    with open_writer(path, first) as writer:
        for table in tables:
            for _, part in read_chunks(chunks(table)):
                writer.write(part)
    return path


def _times(contract: Contract) -> dict[str, pa.DataType]:
    """The columns whose contract says in which unit time is counted."""
    units = {f"timestamp[{unit}]": pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")}
    return {c.name: units[c.physical_type] for c in contract.columns if c.physical_type in units}


def _connection_text(source: Source) -> str | None:
    """How to reach the database; it holds a password, so it is never in the job file."""
    if source.postgres is None:
        return None
    text = os.environ.get(source.postgres)
    if not text:
        raise InputError(
            f"the environment variable {source.postgres} is not set; it says how to reach the database, as in "
            "host=db dbname=bank user=reader"
        )
    return text
