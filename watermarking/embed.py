"""Write a code word into a table.

What does not depend on the recipient (records, which sites exist, their positions) is found once; writing one
copy is then one pass of each carrier.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from watermarking.keys import U64, IndexKey
from watermarking.selection import MarkedColumn, Plan, positions

I8 = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Embeddable:
    """The sites of a table.

    For each marked column the symbols there (int8[rows, sites], -1 none) and the positions (int32[rows, sites
    in use]).
    """

    columns: tuple[tuple[MarkedColumn, I8, npt.NDArray[np.int32]], ...]

    def count(self) -> int:
        """How many sites exist, over all rows."""
        return sum(int((there[:, [s.index for s in m.sites]] >= 0).sum()) for m, there, _ in self.columns)


def find_sites(table: pa.Table, plan: Plan, key: IndexKey, records: U64) -> Embeddable:
    """Every site of a table; records: uint64[rows], one for each row."""
    found = []
    for marked in plan.columns:
        cells = one_array(table[marked.column.name])
        if not marked.sites:
            continue
        where = [positions(key, plan, marked.column.name, site, records) for site in marked.sites]
        found.append((marked, marked.carrier.read(cells), np.stack(where, axis=1)))
    return Embeddable(tuple(found))


def embed(table: pa.Table, sites: Embeddable, word: npt.NDArray[np.uint8]) -> pa.Table:
    """The table with one code word in it: same rows, same types; columns without a mark are the same arrays.

    word: uint8[positions]. Only sites that `find_sites` found are written.
    """
    for marked, there, where in sites.columns:
        symbols = np.full_like(there, -1)
        for number, site in enumerate(marked.sites):
            exists = there[:, site.index] >= 0
            symbols[:, site.index] = np.where(exists, word[where[:, number]].astype(np.int8), -1)
        name = marked.column.name
        written = marked.carrier.write(one_array(table[name]), symbols)
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), written)
    return table


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """A column of a table as a single array."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
