"""One chunk of a sample against every epoch of the index, and the answers brought together.

Nearly every registry has one epoch; then nothing here costs anything. With several, each row is resolved under the key
of each epoch, and belongs to the one in which it fits best (the newest of equals). Exports of other epochs in which it
fits as well held it too. Symbols are kept by epoch, because each epoch has positions of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.epochs import mark_name
from pipeline.index import IndexFiles
from pipeline.rows import IDENTIFIERS, exports_column, trace_chunk
from schemas.contract import Contract
from watermarking.keys import IndexKey
from watermarking.membership import Holders, patterns
from watermarking.readings import Readings
from watermarking.resolve import RowClass
from watermarking.sample_column import SampleColumn
from watermarking.selection import Plan
from watermarking.trace_rows import Counts

_BEST_FIRST = (RowClass.HELD, RowClass.PARTIAL, RowClass.ALTERED, RowClass.RECOMBINED)
_FIELDS = 64  # more than a row has


@dataclass(frozen=True)
class EpochKeys:
    """The index key of one epoch, and the plan of each contract under it."""

    number: int
    key: IndexKey = field(repr=False)
    plans: tuple[Plan, ...] = ()


def trace_in_epochs(
    table: pa.Table,
    columns: Sequence[SampleColumn],
    contracts: Sequence[Contract],
    keys: Sequence[EpochKeys],
    index: IndexFiles,
) -> tuple[pa.Table, Counts]:
    """What `trace_chunk` gives, over all epochs; its lines get an `epoch`, that of their record.

    keys: by epoch, oldest first.
    """
    found = [trace_chunk(table, columns, contracts, one.plans, one.key, index) for one in keys]
    numbers = [one.number for one in keys]
    if len(keys) == 1:
        return of_epoch(*found[0], numbers[0])
    fits = np.stack([_fit(rows) for rows, _ in found])
    last = len(keys) - 1
    chosen = last - np.argmax(fits[::-1], axis=0)
    counts = Counts()
    for at, one in enumerate(keys):
        mine = np.flatnonzero(chosen == at)
        if len(mine) == table.num_rows:
            counts += found[at][1]
        elif len(mine):
            counts += trace_chunk(table.take(pa.array(mine)), columns, contracts, one.plans, one.key, index)[1]
    held = _held([rows for rows, _ in found], fits)
    readings: dict[str, Readings] = {}
    for number, (_, part) in zip(numbers, found, strict=True):
        readings |= _named(part, number).readings
    return (
        _assembled([rows for rows, _ in found], chosen, held, numbers),
        replace(counts, patterns=patterns(held), readings=readings),
    )


def of_epoch(rows: pa.Table, counts: Counts, epoch: int) -> tuple[pa.Table, Counts]:
    """What `traced` gives under the key of one epoch, with its number."""
    return _with_epoch(rows, np.full(rows.num_rows, epoch)), _named(counts, epoch)


def readings_of(counts: Counts, contracts: Sequence[Contract], epoch: int) -> Counts:
    """The counts with the symbols of one epoch alone, by dataset."""
    names = {contract.dataset: mark_name(contract.dataset, epoch) for contract in contracts}
    return replace(counts, readings={d: counts.readings[n] for d, n in names.items() if n in counts.readings})


def _named(counts: Counts, epoch: int) -> Counts:
    return replace(counts, readings={mark_name(name, epoch): part for name, part in counts.readings.items()})


def _fit(rows: pa.Table) -> np.ndarray:
    """How well each row fits its record; int64[rows], 0 where it has none."""
    place = pc.index_in(rows["class"], value_set=pa.array([str(name) for name in _BEST_FIRST]))
    rank = len(_BEST_FIRST) - pc.fill_null(place, len(_BEST_FIRST)).to_numpy().astype(np.int64)
    agreeing = np.asarray(rows["fields_agreeing"].to_numpy(), dtype=np.int64)
    return np.where(rank > 0, rank * _FIELDS + agreeing, 0)


def _held(tables: Sequence[pa.Table], fits: np.ndarray) -> Holders:
    """For each row the exports that held it, of every epoch in which it fits best."""
    best = fits.max(axis=0)
    out: list[set[str]] = [set() for _ in range(len(best))]
    for rows, fit in zip(tables, fits, strict=True):
        mine = np.flatnonzero((fit == best) & (best > 0))
        for row, exports in zip(mine, rows["exports"].take(pa.array(mine)).to_pylist(), strict=True):
            out[row].update(exports)
    held = [tuple(sorted(exports)) for exports in out]
    numbers = {exports: number for number, exports in enumerate(dict.fromkeys(held))}
    return Holders(np.array([numbers[exports] for exports in held], dtype=np.int64), tuple(numbers))


def _assembled(tables: Sequence[pa.Table], chosen: np.ndarray, held: Holders, numbers: Sequence[int]) -> pa.Table:
    """Each row's line from the epoch it belongs to; tokens of the newest, because canaries are looked for with them."""
    order = np.argsort(np.concatenate([np.flatnonzero(chosen == n) for n in range(len(tables))]), kind="stable")
    blank = [_set(rows, "exports", pa.nulls(rows.num_rows)) for rows in tables]
    parts = [rows.take(pa.array(np.flatnonzero(chosen == n))) for n, rows in enumerate(blank)]
    out = _set(pa.concat_tables(parts).take(pa.array(order)), "exports", exports_column(held))
    for kind in IDENTIFIERS:
        out = _set(out, f"token_{kind}", tables[-1][f"token_{kind}"])
    return _with_epoch(out, np.asarray(numbers)[chosen])


def _set(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _with_epoch(rows: pa.Table, numbers: np.ndarray) -> pa.Table:
    return rows.append_column("epoch", pa.array(numbers.astype(np.int32)))
