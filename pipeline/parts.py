"""Part files of a running job: written under a temporary name, then renamed, so a retry is harmless."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


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


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table of digests as Parquet: random numbers do not compress, so no codec."""
    temporary = path.with_suffix(".tmp")
    pq.write_table(table, temporary, compression="NONE", use_dictionary=False, write_statistics=False)
    temporary.replace(path)
