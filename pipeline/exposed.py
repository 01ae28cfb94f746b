"""Whom to notify: the rows of the dataset's own table whose records a traced sample holds.

The registry holds no value of a customer, so only who has the table can say who they are. A row is found by the
keyed digest of its key columns, which the case has for each row of the sample that is a record.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.bundle import known_of, verify_bundle
from pipeline.checks import load_contract, refuse_existing
from pipeline.files import chunks, describe, format_of, open_writer, read_chunks
from pipeline.keystore import KeyStore
from pipeline.table_file import TableFile
from schemas.contract import Contract
from schemas.errors import ContractError, InputError, IntegrityError, OutputError
from watermarking.keys import IndexKey
from watermarking.tokens import normal_forms, records_of

_ADDED = {"sample_file": pa.string(), "sample_row": pa.int64(), "class": pa.string()}


@dataclass(frozen=True)
class Exposed:
    """What was written: lines; people of the table; rows of the sample that are no record of this table now."""

    lines: int
    people: int
    not_in_table: int
    classes: Mapping[str, int]


def write_exposed(case: Path, source_path: Path, contract_path: Path, output: Path, keys: KeyStore) -> Exposed:
    """Write sample_file, sample_row (from 1), class and the table's columns for each sample row that is a record.

    Raises IntegrityError when the case is not as it was signed, InputError or ContractError when the table or the
    contract does not fit, OutputError when `output` exists or cannot be written; then nothing was written.
    """
    format_of(output)
    refuse_existing([output])
    contract, _ = load_contract(contract_path)
    problems = verify_bundle(case, keys.examiner_public(), known_of(keys))
    if problems:
        raise IntegrityError("; ".join(problems))
    source = _checked(describe(source_path), contract)
    held = _held(case / "rows.parquet", contract.dataset)
    small = replace(contract, columns=contract.keys())
    parts = [_rows_of(source, held, small, IndexKey(key)) for key in keys.every_index_key()]
    found = pa.concat_tables(parts).sort_by("place")
    _write(found, output, source)
    rows = found["place"].to_numpy()
    return Exposed(
        lines=found.num_rows,
        people=len(np.unique(found["record"].to_numpy())),
        not_in_table=len(np.unique(held["place"].to_numpy())) - len(np.unique(rows)),
        classes=dict(Counter(found["class"].to_pylist())),
    )


def _checked(source: TableFile, contract: Contract) -> TableFile:
    """The table, when it has the key's columns and none that OUT needs for itself."""
    name = Path(source.path).name
    missing = [column.name for column in contract.keys() if column.name not in source.schema.names]
    if missing:
        raise ContractError(
            f"{name} lacks column '{missing[0]}', of the key of {contract.dataset}; give the dataset's own table"
        )
    taken = [column for column in _ADDED if column in source.schema.names]
    if taken:
        raise InputError(f"{name} has a column '{taken[0]}', which the list needs for itself; rename it in a copy")
    return source


def _held(path: Path, dataset: str) -> pa.Table:
    """The sample's rows that are records of the dataset, by record: record, sample_file, sample_row, class, place.

    A recombined row stands twice, with both its records, and a row of people who are in two datasets is one of either.
    Cases of before have fewer records for a row.
    """
    rows = pq.read_table(path)
    people = [
        (np.arange(rows.num_rows), rows["dataset"].combine_chunks(), rows[record].combine_chunks())
        for record in ("record", "second_record")
        if record in rows.column_names
    ]
    if "elsewhere" in rows.column_names:
        lists = rows["elsewhere"].combine_chunks()
        people.append((pc.list_parent_indices(lists), *lists.flatten().flatten()))
    found = pa.concat_tables(pa.table(one, names=["place", "dataset", "record"]) for one in people)
    found = found.filter(pc.and_(pc.equal(found["dataset"], dataset), found["record"].is_valid()))
    found = found.sort_by("record")
    shown = rows.select(["file", "row", "class"]).take(found["place"]).rename_columns(list(_ADDED))
    return shown.append_column("record", found["record"]).append_column("place", found["place"])


def _rows_of(source: TableFile, held: pa.Table, contract: Contract, key: IndexKey) -> pa.Table:
    """Each row of the sample beside each row of the table that is its record, in the sample's order.

    held: sorted by record. Only what the sample holds is kept of the table.
    """
    wanted, parts = held["record"].to_numpy(), [_beside(held.slice(0, 0), source.schema.empty_table())]
    for _, table in read_chunks(chunks(source)):
        records = records_of(normal_forms(table, contract), contract, key)
        first = np.searchsorted(wanted, records, side="left")
        times = np.searchsorted(wanted, records, side="right") - first
        at = np.flatnonzero(times)
        times, first = times[at], first[at]
        starts = np.repeat(first - (np.cumsum(times) - times), times)
        parts.append(_beside(held.take(starts + np.arange(len(starts))), table.take(np.repeat(at, times))))
    return pa.concat_tables(parts).sort_by("place")


def _beside(held: pa.Table, table: pa.Table) -> pa.Table:
    columns = {name: held[name] for name in ("place", "record", *_ADDED)}
    return pa.table([*columns.values(), *table.columns], names=[*columns, *table.column_names])


def _write(found: pa.Table, output: Path, source: TableFile) -> None:
    """Under another name first, readable by its owner only: the list is all names and numbers of customers."""
    told = found.drop_columns(["place", "record"]).cast(
        pa.schema([*(pa.field(name, kind) for name, kind in _ADDED.items()), *source.schema])
    )
    dialect = replace(source.dialect, header=b"", quoted=frozenset(), last_end=True)
    try:
        private = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))  # a folder only we can look into
    except OSError as error:
        raise OutputError(f"the list cannot be written to {output} ({error.strerror}); choose another -o") from error
    try:
        working = private / output.name
        with open_writer(working, TableFile(str(output), format_of(output), told.schema, dialect)) as writer:
            writer.write(told.combine_chunks())
        working.chmod(0o600)
        working.rename(output)
    finally:
        shutil.rmtree(private, ignore_errors=True)
