"""What a table in a file is: plain values that travel to workers."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    quoting: whether quotation marks mean anything in it. quoted: the columns whose cells all stand in quotation marks;
    in the others a cell does where it must. header: the first line as it stands, with its end.
    """

    delimiter: str = ","
    line_end: str = "\n"
    bom: bool = False
    quoting: bool = True
    quoted: frozenset[str] = frozenset()
    header: bytes = b""
    last_end: bool = True  # whether the last line has an end


@dataclass(frozen=True)
class TableFile:
    """A table in a file: its schema, and how it is written.

    compression and dictionary: of a Parquet file; the columns that are worth a dictionary, or true for all.
    """

    path: str
    format: str
    schema: pa.Schema
    dialect: Dialect = Dialect()
    compression: str = "snappy"
    dictionary: tuple[str, ...] | bool = True


@dataclass(frozen=True)
class Chunk:
    """A part of a file that one worker reads: `rows` rows from source row `first_row` on.

    Parquet: rows [start, start + rows) of a row group. CSV: `length` bytes from `start` on.
    """

    number: int
    file: TableFile
    first_row: int
    rows: int
    start: int
    length: int = 0
    group: int = 0
