"""Which values a file holds: asked again and again while canaries are made, and read from the file once."""

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.files import Chunk, read_chunks, runs
from schemas.contract import Contract
from schemas.errors import OutputError
from watermarking.canaries.generate import MUST_BE_NEW
from watermarking.keys import U64, mac64
from watermarking.normalise import normalise

_RUN = 1_000_000  # digests that are sorted together
# A file of sorted runs of digests, and of each kind where its runs begin and how long they are.
_Digests = tuple[BinaryIO, dict[str, list[tuple[int, int]]]]


class TakenValues:
    """Says which values are present in the file, for one kind at a time.

    `begin` reads every column that may be asked about, in one pass, while its caller goes on; else the first question
    does. What stays is a 64-bit digest of each value, under a key that is forgotten with this object, sorted in runs on
    the disk: memory does not grow with the file. Two values share a digest with probability 2^-64: one is then taken to
    be there that is not, never the other way round.
    """

    def __init__(self, descriptors: Sequence[Chunk], contract: Contract, workers: int = 2) -> None:
        """Reads nothing yet; as many threads as `workers` will."""
        self._descriptors, self._workers = descriptors, workers
        kinds = {c.kind for c in contract.columns if c.key or c.unique or c.kind in MUST_BE_NEW}
        self._columns = {c.name: c.kind for c in contract.columns if c.kind in kinds}
        self._key = secrets.token_bytes(32)
        self._begun: Future[_Digests] | None = None

    def begin(self) -> None:
        """Start to read; what goes wrong is raised by the first question."""
        self._begun = ThreadPoolExecutor(1).submit(self._read)

    def __call__(self, kind: str, cells: pa.Array) -> npt.NDArray[np.bool_]:
        """cells: string[n], normalised; bool[n], true where the file holds it; never for null. OutputError: no room."""
        wanted = mac64(self._key, cells)
        order = np.argsort(wanted)  # so that neighbours are looked for in the same places
        ordered, there = wanted[order], np.zeros(len(cells), dtype=bool)
        for run in self._runs(kind):
            there |= run[np.minimum(np.searchsorted(run, ordered), len(run) - 1)] == ordered
        found = np.empty_like(there)
        found[order] = there
        return found & cells.is_valid().to_numpy(zero_copy_only=False)

    def _runs(self, kind: str) -> Iterator[U64]:
        file, places = self._digests
        for first, count in places[kind]:
            file.seek(first * 8)
            yield np.fromfile(file, dtype=np.uint64, count=count)

    @cached_property
    def _digests(self) -> _Digests:
        return self._begun.result() if self._begun else self._read()

    def _read(self) -> _Digests:
        places: dict[str, list[tuple[int, int]]] = {kind: [] for kind in self._columns.values()}
        waiting: dict[str, list[U64]] = {kind: [] for kind in places}

        def write(file: BinaryIO, least: int) -> None:
            for kind, parts in waiting.items():
                if (count := sum(map(len, parts))) >= least:
                    places[kind].append((file.tell() // 8, count))
                    np.sort(np.concatenate(parts)).tofile(file)
                    parts.clear()

        try:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - it goes with this object
            with ThreadPoolExecutor(self._workers) as pool:
                for found in pool.map(self._digested, runs(self._descriptors)):
                    for name, digests in found.items():
                        waiting[self._columns[name]].append(digests)
                    write(file, _RUN)
            write(file, 1)
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()} has no room for what is kept while canaries are made ({error.strerror}); "
                "free some space or set TMPDIR, then run the command again"
            ) from error
        return file, places

    def _digested(self, run: Sequence[Chunk]) -> dict[str, U64]:
        found: dict[str, list[U64]] = {name: [] for name in self._columns}
        for _, table in read_chunks(run, list(self._columns)):
            for name, kind in self._columns.items():
                found[name].append(mac64(self._key, normalise(kind, table[name].combine_chunks())))
        return {name: np.concatenate(parts) for name, parts in found.items()}
