"""Parquet samples."""

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.intake.labels import kind_of
from pipeline.intake.sheet import Sheet
from schemas.errors import InputError
from watermarking.normalise import spelled


def read(name: str, data: bytes) -> list[Sheet] | None:
    """A Parquet file as text; None when it is none."""
    if not data.startswith(b"PAR1"):
        return None
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{name}: it is no whole Parquet file (truncated?)") from error
    flat = [c for c in table.schema if not pa.types.is_nested(c.type)]
    columns = [spelled(table[field.name].combine_chunks()).cast(pa.string()) for field in flat]
    headers = tuple(field.name for field in flat)
    notes = () if len(flat) == len(table.schema) else (f"{len(table.schema) - len(flat)} nested columns were not read",)
    text = pa.table({f"c{n}": column for n, column in enumerate(columns)})
    return [Sheet(name, text, tuple(map(kind_of, headers)), headers, "parquet", None, notes)]
