"""What a Beam worker does with one chunk of an export: plain objects that hold paths and references, never a key.

`opened()` resolves the key reference on the worker; everything before it can be shown and stored by a cluster.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.epochs import Epoch
from pipeline.files import Chunk, TableFile, open_writer, read_chunks
from pipeline.hashing import digest_of
from pipeline.keystore import KeyStore
from pipeline.memory import keep_arrays
from pipeline.parts import ahead, read_arrow, write_arrow, write_index, write_json
from pipeline.taken_values import leave
from schemas.contract import Contract
from watermarking.fingerprint_code import code_word
from watermarking.issue import Planted, analyse, marked, with_canaries
from watermarking.keys import IndexKey
from watermarking.selection import Plan, plan


@dataclass(frozen=True)
class TagTally:
    """What tagging counted, over chunks: source rows, and marked sites of each copy; `+` adds."""

    rows: int = 0
    sites: int = 0

    def __add__(self, other: "TagTally") -> "TagTally":
        """The sum."""
        return TagTally(self.rows + other.rows, self.sites + other.sites)


@dataclass(frozen=True)
class ChunkTagger:
    """Tags chunks for every copy of a job: parts of copies and of the index into the job's folder.

    The code words' secrets lie there, each in a file that only the owner can read.
    """

    contract: Contract
    keys: str
    folder: str
    copies: int
    epoch: Epoch
    key: IndexKey | None = field(default=None, repr=False)
    plan: Plan | None = None
    words: tuple[npt.NDArray[np.uint8], ...] = field(default=(), repr=False)

    def save(self, secrets: Sequence[bytes]) -> None:
        """Leave the secrets of the copies' code words, in their order."""
        for number, secret in enumerate(secrets):
            descriptor = os.open(self._secret(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secret)

    def opened(self) -> "ChunkTagger":
        """The same with keys, plan and code words, on the worker."""
        keep_arrays()
        key = IndexKey(KeyStore(Path(self.keys)).index_key(self.epoch))
        marks = plan(self.contract, key)
        words = tuple(code_word(self._secret(number).read_bytes(), marks.p) for number in range(self.copies))
        return replace(self, key=key, plan=marks, words=words)

    def tag(self, run: Sequence[Chunk]) -> TagTally:
        """Tag chunks that are read together; writes their parts and returns what it counted."""
        return reduce(add, (self._tag(chunk, table) for chunk, table in read_chunks(run)), TagTally())

    def _tag(self, chunk: Chunk, table: pa.Table) -> TagTally:
        assert self.key is not None and self.plan is not None  # noqa: S101, PT018 - opened() came first
        folder = Path(self.folder)
        found = analyse(table, self.contract, self.plan, self.key)
        for number, word in enumerate(self.words):
            write_arrow(marked(table, found, word), folder / f"part-{number}-{chunk.number:05d}.arrow")
        if self.words:
            leave(found.held, folder, chunk.number)
        write_index(found.versions, found.tokens, self.epoch.number, folder, chunk.number)
        return TagTally(table.num_rows, found.count())

    def _secret(self, number: int) -> Path:
        return Path(self.folder) / f"secret-{number}"

    def remember(self, tally: TagTally) -> None:
        """Leave the sum where the driver finds it (a runner returns no elements)."""
        write_json(asdict(tally), Path(self.folder) / "tally.json")

    def remembered(self) -> TagTally:
        """The sum that `remember` left."""
        return TagTally(**json.loads((Path(self.folder) / "tally.json").read_bytes()))


@dataclass(frozen=True)
class WrittenCopy:
    """One finished file, still under its temporary name."""

    number: int
    path: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class CopyWriter:
    """Puts the parts of each copy together, in order and with its canaries, under the copy's temporary path."""

    folder: str
    source: TableFile
    temporary: tuple[str, ...]
    chunks: int

    @property
    def copies(self) -> int:
        """How many copies the job writes."""
        return len(self.temporary)

    def save(self, planted: Sequence[Planted]) -> None:
        """Leave the canaries of the copies, in their order; the last column says where they go."""
        for number, one in enumerate(planted):
            slots = pa.array(one.slots, pa.int64())
            write_arrow(one.canaries.append_column("slot", slots), self._canaries(number))

    def _canaries(self, number: int) -> Path:
        return Path(self.folder) / f"canaries-{number}.arrow"

    def _planted(self, number: int) -> Planted:
        table = read_arrow(self._canaries(number))
        last = table.num_columns - 1
        return Planted(table.remove_column(last), table.column(last).to_numpy())

    def assemble(self, number: int) -> WrittenCopy:
        """Write one copy; its parts are deleted."""
        folder, path, rows = Path(self.folder), Path(self.temporary[number]), 0
        path.unlink(missing_ok=True)  # what a worker that died left under this name of our own
        parts = [folder / f"part-{number}-{chunk:05d}.arrow" for chunk in range(self.chunks)]
        with open_writer(path, self.source) as writer:
            for table in ahead(_whole(parts, self._planted(number))):
                rows += table.num_rows
                writer.write(table)
        for part in parts:
            part.unlink(missing_ok=True)
        return WrittenCopy(number, str(path), digest_of(path), path.stat().st_size, rows)

    def remember(self, copy: WrittenCopy) -> None:
        """Leave the numbers of a copy where the driver finds them (a runner returns no elements)."""
        write_json(asdict(copy), Path(self.folder) / f"written-{copy.number}.json")

    def written(self) -> list[WrittenCopy]:
        """All copies, by number."""
        bodies = [(Path(self.folder) / f"written-{n}.json").read_bytes() for n in range(self.copies)]
        return [WrittenCopy(**json.loads(body)) for body in bodies]


def _whole(parts: Sequence[Path], planted: Planted) -> Iterator[pa.Table]:
    """The parts of a copy with their canaries."""
    first = 0
    for part in parts:
        table = read_arrow(part)
        yield with_canaries(table, first, planted, last=part == parts[-1])
        first += table.num_rows
