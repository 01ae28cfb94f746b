"""Parquet samples, a batch at a time."""

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.extractors import MOST_COLUMNS
from pipeline.intake.context import Intake
from pipeline.intake.sheet import Sheet
from pipeline.intake.source import Source
from schemas.errors import InputError
from schemas.wording import counted
from watermarking.normalise import spelled

FORMAT = "parquet"


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """A Parquet file as text; None when it is none."""
    if source.head(4) != b"PAR1":
        return None
    writer = intake.sheet()
    try:
        with source.open() as file, pq.ParquetFile(file) as parquet:
            schema = parquet.schema_arrow
            flat = [field.name for field in schema if not pa.types.is_nested(field.type)][:MOST_COLUMNS]
            seen = 0
            for batch in parquet.iter_batches(16_384, columns=flat):
                text = pa.table({f"c{n}": _text(batch[name]) for n, name in enumerate(flat)})
                line = pa.array(range(seen + 1, seen + 1 + batch.num_rows), pa.int64())
                writer.add_table(text, line, pa.nulls(batch.num_rows, pa.int64()))
                seen += batch.num_rows
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise InputError(f"{intake.place}: it is no whole Parquet file (truncated?); get it again") from error
    left = len(schema) - len(flat)
    notes = [f"{counted(left, 'nested column was', 'nested columns were')} not read"] if left else []
    return writer.finish(flat, FORMAT, None, notes) or None


def _text(cells: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    return spelled(cells).cast(pa.string())
