"""What a Beam worker does with one chunk of a sample: plain objects that hold paths and references, never a key.

`opened()` resolves the key reference on the worker; everything before it can be shown and stored by a cluster.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.asking import Ours
from pipeline.epoch_rows import EpochKeys, of_epoch, trace_in_epochs
from pipeline.epochs import FIRST, Epoch
from pipeline.index import IndexFiles
from pipeline.keystore import KeyStore
from pipeline.memory import give_back_arrays
from pipeline.parts import read_arrow, write_arrow, write_json
from pipeline.resolving import resolve_parts
from pipeline.rows import traced
from pipeline.sample_part import SamplePart, part_of
from schemas.contract import Contract
from watermarking.keys import IndexKey
from watermarking.sample_column import SampleColumn
from watermarking.selection import plan
from watermarking.trace_rows import Counts


@dataclass(frozen=True)
class SampleChunk:
    """Rows [first, first + rows) of one sheet of a sample, as they lie in the case's working folder."""

    number: int
    path: str
    sheet: int
    first: int


@dataclass(frozen=True)
class TraceTally:
    """Counts of sample rows; `+` adds."""

    counts: Counts = field(default_factory=Counts)

    def __add__(self, other: "TraceTally") -> "TraceTally":
        """The sum."""
        return TraceTally(self.counts + other.counts)


@dataclass(frozen=True)
class SampleTracer:
    """Resolves chunks of a sample against the index files; leaves a part of rows.parquet for each.

    columns: by sheet; contracts: of every dataset in the registry, their order is the dataset code.
    """

    columns: tuple[tuple[SampleColumn, ...], ...]
    contracts: tuple[Contract, ...]
    index: IndexFiles
    keys: str
    folder: str
    epochs: tuple[Epoch, ...] = (FIRST,)
    opened_keys: tuple[EpochKeys, ...] = field(default=(), repr=False)

    def opened(self) -> "SampleTracer":
        """The same with the index key of each epoch and the plans under it, on the worker."""
        give_back_arrays()
        made = []
        for epoch in self.epochs:
            key = IndexKey(KeyStore(Path(self.keys)).index_key(epoch))
            made.append(EpochKeys(epoch.number, key, tuple(plan(contract, key) for contract in self.contracts)))
        return replace(self, opened_keys=tuple(made))

    def trace(self, run: Sequence[SampleChunk]) -> TraceTally:
        """Trace chunks of one sheet; writes the rows of each and returns what it counted."""
        assert self.opened_keys  # noqa: S101 - opened() came first
        if len(run) == 1 or len(self.opened_keys) > 1:
            return reduce(add, (self._alone(chunk) for chunk in run), TraceTally())
        return reduce(add, self._together(run), TraceTally())

    def _alone(self, chunk: SampleChunk) -> TraceTally:
        part = read_arrow(Path(chunk.path))
        table = part.drop_columns(["line", "byte"])
        rows, counts = trace_in_epochs(table, self.columns[chunk.sheet], self.contracts, self.opened_keys, self.index)
        return self._write(chunk, part, rows, counts)

    def _together(self, run: Sequence[SampleChunk]) -> Iterator[TraceTally]:
        """The same for several chunks: what they show waits in files until the index was asked for all of them."""
        (of,) = self.opened_keys
        ours = Ours.of(self.contracts, of.key, self.index)
        files = {chunk.number: Path(self.folder) / f"fields-{chunk.number:05d}.arrow" for chunk in run}
        for chunk in run:
            table = read_arrow(Path(chunk.path)).drop_columns(["line", "byte"])
            part_of(table, self.columns[chunk.sheet], self.contracts, of.key).save(files[chunk.number])
            pa.default_memory_pool().release_unused()
        del table  # or the last one stays mapped
        found = resolve_parts([SamplePart.load(path) for path in files.values()], ours)
        for chunk, its in zip(run, found, strict=True):
            table = read_arrow(Path(chunk.path))
            rows, counts = traced(table, self.columns[chunk.sheet], its, of.plans, ours)
            yield self._write(chunk, table, *of_epoch(rows, counts, of.number))
            files[chunk.number].unlink()

    def _write(self, chunk: SampleChunk, part: pa.Table, rows: pa.Table, counts: Counts) -> TraceTally:
        rows = rows.append_column("sheet", pa.array(np.full(part.num_rows, chunk.sheet, dtype=np.int32)))
        rows = rows.append_column("line", part["line"]).append_column("byte", part["byte"])
        number = pa.array(np.arange(chunk.first + 1, chunk.first + 1 + part.num_rows))
        write_arrow(rows.append_column("row", number), Path(self.folder) / f"rows-{chunk.number:05d}.arrow")
        return TraceTally(counts)

    def remember(self, tally: TraceTally) -> None:
        """Leave the sum where the driver finds it (a runner returns no elements)."""
        write_json(tally.counts.to_json(), Path(self.folder) / "counts.json")

    def remembered(self) -> TraceTally:
        """The sum that `remember` left."""
        body = json.loads((Path(self.folder) / "counts.json").read_bytes())
        return TraceTally(Counts.from_json(body))
