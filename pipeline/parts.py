"""Part files of a running job: written under a temporary name, then renamed, so a retry is harmless."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.hashing import digest_of

_AT_ONCE = 4_000_000  # rows of parts whose words are in memory at once
_TRIES = 50  # at removing a folder: workers find it gone after that of the parts that they write


def write_arrow(table: pa.Table, path: Path) -> None:
    """Write a table as an Arrow IPC file, readable by the owner only (parts hold customers' values)."""
    temporary = path.with_suffix(".tmp")
    temporary.touch(mode=0o600)
    with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    temporary.replace(path)


def read_arrow(path: Path) -> pa.Table:
    """A table that `write_arrow` wrote, mapped rather than read."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def ahead(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same tables; the next is made in another thread while one is used."""
    with ThreadPoolExecutor(1) as other:
        coming = other.submit(next, tables, None)
        while (table := coming.result()) is not None:
            coming = other.submit(next, tables, None)
            yield table


def remove_folder(folder: Path) -> None:
    """Remove a folder with its parts, also where workers of a command that was interrupted put a last one there."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def in_shares(
    parts: Sequence[Path], rows: int, read: Callable[[Path], Sequence[np.ndarray]]
) -> Iterator[list[np.ndarray]]:
    """Columns of all parts, joined, a share of the rows at a time: first those with the smallest words.

    rows: how many there are about; read: a part's columns, the first of them keyed words (uint64[n]). However many
    rows there are, memory is that of some millions; each part is read once for each share.
    """
    count = -(-rows // _AT_ONCE)
    for number in range(count):
        kept = [_share(read(part), number, count) for part in parts]
        yield [np.concatenate(columns) for columns in zip(*kept, strict=True)]


def _share(columns: Sequence[np.ndarray], number: int, count: int) -> list[np.ndarray]:
    if count == 1:
        return list(columns)
    mine = columns[0] // np.uint64(-(-(1 << 64) // count)) == number
    return [column[mine] for column in columns]


def rows_of(parts: Sequence[Path]) -> int:
    """How many rows parts have that `write_arrow` wrote."""
    return sum(read_arrow(part).num_rows for part in parts)


@dataclass(frozen=True)
class TokenPart:
    """The sorted tokens of one part of an export, in a file of the registry's own table, and their digests.

    sha256: of the columns token, kind and version as little-endian words; file: of the file's bytes; all in hex.
    """

    number: int
    path: str
    rows: int
    sha256: tuple[str, ...]
    file: str


def write_index(versions: pa.Table, tokens: pa.Table, epoch: int, folder: Path, number: int) -> None:
    """Write what the registry learns of one chunk.

    versions: (version uint64, record uint64), which is written sorted by version; tokens: (token uint64, kind uint8,
    version uint64), sorted by all three. The token file is such that the registry can adopt it as it is: random
    numbers do not compress, but sorted ones differ by less than they hold.
    """
    order = np.argsort(versions["version"].to_numpy())
    columns = [pa.array(np.full(len(order), number, dtype=np.int32)), *versions.take(order).columns]
    table = pa.table(columns, names=["part", "version", "record"])
    write_parquet(table, folder / f"versions-{number:05d}.parquet", use_dictionary=["part"])
    path = folder / f"tokens-{number:05d}.parquet"
    epochs = pa.array(np.full(tokens.num_rows, epoch, dtype=np.int32))
    stamped = tokens.append_column(pa.field("epoch", pa.int32(), nullable=False), epochs)
    encoding = {"token": "DELTA_BINARY_PACKED"}
    write_parquet(stamped, path, use_dictionary=["kind", "epoch"], column_encoding=encoding)
    part = TokenPart(number, path.name, tokens.num_rows, column_digests(tokens), digest_of(path))
    write_json(asdict(part), folder / f"tokens-{number:05d}.json")


def token_parts(folder: Path) -> list[TokenPart]:
    """What `write_index` left in a folder, by number."""
    bodies = [json.loads(path.read_bytes()) for path in sorted(folder.glob("tokens-*.json"))]
    return [TokenPart(**b | {"path": str(folder / b["path"]), "sha256": tuple(b["sha256"])}) for b in bodies]


def column_digests(table: pa.Table) -> tuple[str, ...]:
    """SHA-256 of each column of numbers as little-endian words, in hex."""
    hashers = [hashlib.sha256() for _ in table.columns]
    for batch in table.to_batches():
        for hasher, column in zip(hashers, batch.columns, strict=True):
            hasher.update(little_endian(column))
    return tuple(hasher.hexdigest() for hasher in hashers)


def little_endian(column: pa.Array | np.ndarray) -> memoryview:
    """The bytes of a column of numbers, the same on every machine."""
    cells = np.asarray(column)
    return np.ascontiguousarray(cells, dtype=cells.dtype.newbyteorder("<")).data


def write_json(body: Any, path: Path) -> None:
    """Write a small document under a temporary name, then rename it."""
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(json.dumps(body).encode())
    temporary.replace(path)


def write_parquet(table: pa.Table, path: Path, **options: Any) -> None:
    """Write numbers that hardly compress under a temporary name, then rename the file."""
    temporary = path.with_suffix(".tmp")
    pq.write_table(table, temporary, compression="NONE", store_schema=False, **options)
    temporary.replace(path)
