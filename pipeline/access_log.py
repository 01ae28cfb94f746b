"""Access logs: which employee looked at which records becomes membership, one export an employee and day.

For leaks by screenshot and by hand, where nothing was exported. A view carries no mark, so it can only narrow.
The contract's leaktraceAccessLog says which columns of the log are what; a record counts when the registry knows it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

from pipeline.copies import new_id
from pipeline.entries import NewExport
from pipeline.keystore import KeyStore
from pipeline.parents import VIEWS
from pipeline.parts import write_index
from pipeline.registry import Registry
from schemas.contract import Contract
from schemas.errors import ContractError, InputError
from watermarking.keys import IndexKey
from watermarking.tokens import normal_forms, records_of

_BLOCK = 8 << 20
_NO_TOKENS = pa.table(
    {"token": pa.array([], pa.uint64()), "kind": pa.array([], pa.uint8()), "version": pa.array([], pa.uint64())}
)
_DAY = r"^(\d{4}-\d{2}-\d{2})(?:[T ].*)?$"


@dataclass(frozen=True)
class Registered:
    """What an access log brought: lines read, broken and about unknown records; views entered, days known before."""

    lines: int
    broken: int
    unknown: int
    entered: int
    before: int


def register_access_log(
    path: Path, contract: Contract, text: bytes, purpose: str, registry: Registry, keys: KeyStore
) -> Registered:
    """Enter an access log (.jsonl, .json, .csv); a log that was entered before changes nothing.

    text: the contract's bytes. Raises ContractError when the contract maps no log, InputError when nothing of the log
    can be used.
    """
    columns = _mapped(contract)
    epoch = registry.epoch_of(contract.dataset)  # of the dataset's latest copies: their versions are what is viewed
    key = IndexKey(keys.index_key(epoch))
    lines, views = 0, []
    for block, found in read_log(path, list(columns.values())):
        lines += found
        views.append(_views(block, columns, contract, key))
    table = pa.concat_tables(views) if views else None
    if table is None or not table.num_rows:
        raise InputError(f"{path.name} has no line that can be used; check leaktraceAccessLog in the contract")
    distinct = table.group_by(["employee", "day", "record"]).aggregate([])
    known = registry.latest_versions(contract.dataset, distinct["record"].unique())
    held = distinct.join(known, "record", join_type="inner").sort_by([("employee", "ascending"), ("day", "ascending")])
    entered, before = _enter(held, contract, text, purpose, registry, epoch.number)
    unknown = pc.sum(pc.invert(pc.is_in(table["record"], value_set=known["record"].combine_chunks()))).as_py()
    return Registered(lines, lines - table.num_rows, unknown or 0, entered, before)


def read_log(path: Path, names: list[str]) -> Iterator[tuple[pa.Table, int]]:
    """The named columns of a log as text, part by part, with how many lines each part had; broken lines are missing."""
    try:
        if path.suffix.lower() == ".csv":
            yield from _read_csv(path, names)
        elif path.suffix.lower() in (".jsonl", ".json", ".ndjson", ".log"):
            yield from _read_json_lines(path, names)
        else:
            raise InputError(f"{path.name} has no suffix of a log that is known; use .jsonl or .csv")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or 'no such file'}); check the path") from error


def _read_csv(path: Path, names: list[str]) -> Iterator[tuple[pa.Table, int]]:
    skipped: list[int] = []

    def skip(_: pa_csv.InvalidRow) -> str:
        skipped.append(1)
        return "skip"

    convert = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), include_columns=names)
    try:
        reader = pa_csv.open_csv(
            path, pa_csv.ReadOptions(block_size=_BLOCK), pa_csv.ParseOptions(invalid_row_handler=skip), convert
        )
        for batch in reader:
            table = pa.Table.from_batches([batch])
            yield table, table.num_rows
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise InputError(
            f"{path.name} is no CSV with the columns that leaktraceAccessLog names; check its header and delimiter"
        ) from error
    if skipped:
        yield pa.table({name: pa.array([], pa.string()) for name in names}), len(skipped)


def _read_json_lines(path: Path, names: list[str]) -> Iterator[tuple[pa.Table, int]]:
    """Arrow reads a block at once; only a block with a broken line is read line by line."""
    schema = pa.schema([(name, pa.string()) for name in names])
    options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            block += file.readline()
            lines = sum(1 for line in block.splitlines() if line.strip())
            try:
                table = pa_json.read_json(pa.BufferReader(block), parse_options=options)
            except pa.ArrowInvalid:
                table = _line_by_line(block, schema)
            yield table.select(names), lines


def _line_by_line(block: bytes, schema: pa.Schema) -> pa.Table:
    rows = []
    for line in block.splitlines():
        try:
            body = json.loads(line)
        except ValueError:
            continue
        if isinstance(body, dict):
            rows.append({name: None if body.get(name) is None else str(body[name]) for name in schema.names})
    return pa.Table.from_pylist(rows, schema=schema)


def _mapped(contract: Contract) -> Mapping[str, str]:
    """employee, time and each key column -> the log's column."""
    if not contract.access_log:
        raise ContractError(
            f"the contract of {contract.dataset} does not say what an access log holds; add leaktraceAccessLog with "
            "employee, time and the key's columns"
        )
    return contract.access_log


def _views(block: pa.Table, columns: Mapping[str, str], contract: Contract, key: IndexKey) -> pa.Table:
    """employee, day and record of the usable lines of a block."""
    small = replace(contract, columns=contract.keys())
    cells = pa.table({name: block[source].combine_chunks() for name, source in columns.items()})
    days = pc.replace_substring_regex(cells["time"], _DAY, r"\1")
    good = pc.match_substring_regex(cells["time"], _DAY)
    good = pc.and_(good, pc.match_substring_regex(cells["employee"], r"^[^\s/\\\x00-\x1f\x7f]{1,128}$"))
    for column in contract.keys():
        good = pc.and_(good, pc.is_valid(cells[column.name]))
    good = pc.fill_null(good, False)
    cells, days = cells.filter(good), days.filter(good)
    if not cells.num_rows:
        empty = pa.array([], pa.string())
        return pa.table({"employee": empty, "day": empty, "record": pa.array([], pa.uint64())})
    records = records_of(normal_forms(cells, small), small, key)
    return pa.table({"employee": cells["employee"], "day": days, "record": pa.array(records)})


def _enter(
    held: pa.Table, contract: Contract, text: bytes, purpose: str, registry: Registry, epoch: int
) -> tuple[int, int]:
    """One export an employee and day, in transactions of their own; how many, and how many were there before."""
    done = set(registry.exports(dataset=contract.dataset)["idempotency_key"].to_pylist())
    groups = held.group_by(["employee", "day"], use_threads=False).aggregate([("record", "count")]).to_pylist()
    entered = before = first = 0
    for group in groups:
        rows = held.slice(first, group["record_count"])
        first += rows.num_rows
        records = np.sort(rows["record"].to_numpy())
        key = f"{VIEWS}{group['employee']} {group['day']} {hashlib.sha256(records.tobytes()).hexdigest()[:16]}"
        if key in done:
            before += 1
            continue
        export = _export(contract, group["employee"], f"{purpose}, {group['day']}", key, rows.num_rows, epoch)
        with registry.job([export.export_id], ()) as folder:
            versions = pa.table({"version": rows["version"], "record": rows["record"]}).combine_chunks()
            write_index(versions, _NO_TOKENS, epoch, folder, 0)
            registry.prepare([export], folder, text)
            registry.issue([export.export_id])
        entered += 1
    return entered, before


def _export(contract: Contract, employee: str, purpose: str, key: str, rows: int, epoch: int) -> NewExport:
    export_id = new_id()
    return NewExport(
        export_id=export_id, dataset=contract.dataset, recipient=employee, purpose=purpose, series_id=export_id,
        epoch=epoch, idempotency_key=key, rows_in=rows, rows_out=rows, canaries=0, marked_sites=0, output=None,
        contract_sha256=contract.sha256, quality="skipped", commitment="", sealed=None, temp_path=None, parent=None,
    )  # fmt: skip
