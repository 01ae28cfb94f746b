"""One chunk of an export: what the registry learns of it, and the chunk as one recipient gets it.

`analyse` is done once for all recipients of a tag command; `copy_for` once for each.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.contract import Contract
from watermarking.embed import Embeddable, embed, find_sites
from watermarking.keys import U64, IndexKey
from watermarking.selection import Plan
from watermarking.tokens import fields_of, normal_forms, records_of, tokens_of, versions_of


@dataclass(frozen=True)
class Analysed:
    """What a chunk holds, whoever gets it.

    versions: Arrow table (version uint64, record uint64), one line a row; tokens: Arrow table (token uint64,
    kind uint8, version uint64); sites: where marks can go (none when the export is only registered).
    """

    versions: pa.Table
    tokens: pa.Table
    sites: Embeddable


def analyse(table: pa.Table, contract: Contract, plan: Plan, key: IndexKey) -> Analysed:
    """Records, versions, tokens and sites of the rows of a chunk."""
    forms = normal_forms(table, contract)
    records, versions = records_of(forms, contract, key), versions_of(forms, contract, key)
    tokens = tokens_of(fields_of(forms, contract), key)
    parts = [_token_table(versions[c.there], c.values[c.there], int(c.kind)) for c in tokens]
    empty = _token_table(versions[:0], versions[:0], 0)
    return Analysed(
        pa.table({"version": pa.array(versions), "record": pa.array(records)}),
        pa.concat_tables([empty, *parts]),
        find_sites(table, plan, key, records),
    )


@dataclass(frozen=True)
class Copy:
    """What one recipient's copy has of its own: the code word and the canaries.

    word: uint8[positions]; canaries: table of the export's schema; slots: int64[canaries], sorted, canary k
    goes before source row slots[k].
    """

    word: npt.NDArray[np.uint8]
    canaries: pa.Table
    slots: npt.NDArray[np.int64]


def copy_for(table: pa.Table, first: int, sites: Embeddable, copy: Copy, *, last: bool) -> pa.Table:
    """The chunk as one recipient gets it.

    `first` is the source row of its first row, `last` whether the table ends with it: canaries behind the last
    row go there.
    """
    marked = embed(table, sites, copy.word)
    end = first + table.num_rows
    mine = (copy.slots >= first) & ((copy.slots < end) | last)
    pieces, at = [], 0
    for canary in np.flatnonzero(mine):
        slot = min(int(copy.slots[canary]), end) - first
        pieces += [marked.slice(at, slot - at), copy.canaries.slice(int(canary), 1)]
        at = slot
    return pa.concat_tables([*pieces, marked.slice(at)]).combine_chunks()


def _token_table(versions: U64, values: U64, kind: int) -> pa.Table:
    kinds = pa.array(np.full(len(values), kind, dtype=np.uint8))
    return pa.table({"token": pa.array(values, pa.uint64()), "kind": kinds, "version": pa.array(versions, pa.uint64())})
