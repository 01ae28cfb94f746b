"""Which values a table holds: left by the workers as digests, asked again and again while canaries are made."""

import tempfile
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.parts import read_arrow, write_arrow
from schemas.errors import OutputError
from watermarking.distinct import is_in
from watermarking.held_values import HeldValues
from watermarking.keys import U64, IndexKey

_RUN = 1_000_000  # digests that are sorted together
_EVERY = 0.2  # seconds
_Column = tuple[str, str]  # kind, and what its values are digested for


def leave(held: Sequence[HeldValues], folder: Path, number: int) -> None:
    """Leave what a chunk holds in the job's folder."""
    lists = pa.array([one.digests for one in held], pa.list_(pa.uint64()))
    names = {"kind": [one.kind for one in held], "purpose": [one.purpose for one in held]}
    write_arrow(pa.table(names | {"digests": lists}), folder / f"held-{number:05d}.arrow")


class TakenValues:
    """Says which values are present in a table, for one kind at a time; whoever asks waits for its last chunk.

    What stays is a 64-bit keyed digest of each value, sorted in runs on the disk: memory does not grow with the table.
    Two values share a digest with probability 2^-64: one is then taken to be there that is not, never the other way
    round.
    """

    def __init__(self, folder: Path, key: IndexKey) -> None:
        """folder: of the job, where `leave` puts what its chunks hold, under the same key."""
        self._folder, self._key = folder, key
        self._known: futures.Future[None] = futures.Future()
        self._read: set[Path] = set()
        self._waiting: dict[_Column, list[U64]] = {}
        self._runs: dict[_Column, list[tuple[int, int]]] = {}  # where they begin in the file, and how long they are

    @contextmanager
    def while_read(self) -> Iterator[None]:
        """A block in which all chunks are read. When it fails, so does whoever asked."""
        try:
            yield
        except BaseException as error:
            self._known.set_exception(error)
            raise
        self._known.set_result(None)

    def wait(self) -> None:
        """Return when all chunks are read; what they leave is sorted meanwhile. Raises what made reading fail."""
        while not self._known.done():
            self._sort(_RUN)
            futures.wait([self._known], _EVERY)
        self._known.result()
        self._sort(1)

    def __call__(self, kind: str, cells: pa.Array) -> npt.NDArray[np.bool_]:
        """cells: string[n], normalised; bool[n], true where the table holds it (not null). OutputError: no room."""
        self.wait()
        there = np.zeros(len(cells), dtype=bool)
        for (its, purpose), runs in self._runs.items():
            if its == kind:
                there |= _among(self._key.digest(purpose, cells), self._file, runs)
        return there & cells.is_valid().to_numpy(zero_copy_only=False)

    def _sort(self, least: int) -> None:
        """Sort what has been left since; of a column, when it is at least so many digests."""
        try:
            for part in sorted(set(self._folder.glob("held-*.arrow")) - self._read):
                for kind, purpose, digests in zip(*read_arrow(part).columns, strict=True):
                    self._waiting.setdefault((kind.as_py(), purpose.as_py()), []).append(digests.values.to_numpy())
                self._read.add(part)
                self._write(_RUN)
            self._write(least)
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()} has no room for what is kept while canaries are made ({error.strerror}); "
                "free some space or set TMPDIR, then run the command again"
            ) from error

    def _write(self, least: int) -> None:
        for column, parts in self._waiting.items():
            if (count := sum(map(len, parts))) >= least:
                self._runs.setdefault(column, []).append((self._file.tell() // 8, count))
                np.sort(np.concatenate(parts)).tofile(self._file)
                parts.clear()

    @cached_property
    def _file(self) -> BinaryIO:
        return tempfile.TemporaryFile()


def _among(wanted: U64, file: BinaryIO, runs: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Which digests are in any of the runs of a file; bool[wanted]."""
    order = np.argsort(wanted)  # so that neighbours are looked for in the same places
    ordered, there = wanted[order], np.zeros(len(wanted), dtype=bool)
    for first, count in runs:
        file.seek(first * 8)
        run = np.fromfile(file, dtype=np.uint64, count=count)
        there |= is_in(run, ordered)
    found = np.empty_like(there)
    found[order] = there
    return found
