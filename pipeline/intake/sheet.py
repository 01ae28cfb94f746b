"""One table of a sample, all of it text."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Sheet:
    """Rows of one file as columns of text.

    table: string columns, named c0, c1, …; labels: a kind that each column's label suggests, or ""; headers:
    what the column was called, never printed (without a header it could be a customer); encoding None where
    it does not apply.
    """

    file: str
    table: pa.Table
    labels: tuple[str, ...]
    headers: tuple[str, ...]
    format: str
    encoding: str | None
    notes: tuple[str, ...] = ()
