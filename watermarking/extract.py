"""Read the symbols of resolved sample rows."""

import numpy as np
import pyarrow as pa

from watermarking.distinct import distinct
from watermarking.keys import U64, IndexKey
from watermarking.readings import Readings, merge
from watermarking.selection import MarkedColumn, Plan, positions


def read_column(marked: MarkedColumn, cells: pa.Array, records: U64, plan: Plan, key: IndexKey) -> Readings:
    """Symbols of one marked column; cells: array[rows], records: uint64[rows], what each row resolved to.

    A record that occurs twice counts once (its first row): repeating a row adds no evidence.
    """
    if len(distinct(records)) < len(records):
        _, first = np.unique(records, return_index=True)
        cells, records = cells.take(pa.array(first)), records[first]
    symbols = marked.carrier.read(cells)
    parts = []
    for site in marked.sites:
        there = np.flatnonzero(symbols[:, site.index] >= 0)
        where = positions(key, plan, marked.column.name, site, records[there]).astype(np.int64)
        ones = symbols[there, site.index].astype(np.int64)
        parts.append(Readings(np.full(len(there), site.number, dtype=np.int64), where, 1 - ones, ones))
    return merge(parts)
