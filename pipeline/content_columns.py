"""Which columns of a sample are attributes of our tables without identifiers, where no header says so.

Asked once for a sample, before its rows are resolved, so that all of its parts are read alike.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from pipeline.index import IndexFiles
from pipeline.intake import Sheet
from schemas.contract import Contract
from watermarking.attribute_columns import alike_columns, enough, likenesses, named_columns
from watermarking.attributes import attributes
from watermarking.distinct import distinct
from watermarking.keys import IndexKey
from watermarking.sample_column import SampleColumn
from watermarking.tokens import TokenKind

_LOOKED_AT = 2_000  # rows


def with_likenesses(
    sheets: Sequence[Sheet],
    columns: Sequence[Sequence[SampleColumn]],
    contracts: Sequence[Contract],
    keys: Sequence[IndexKey],
    index: IndexFiles,
) -> tuple[tuple[SampleColumn, ...], ...]:
    """The columns of each sheet with the attributes that they are by their content; keys: by epoch, oldest first."""
    asked = [c for c in contracts if attributes(c) and index.version_count(c.dataset)]
    return tuple(_with_alike(*one, asked, keys, index) for one in zip(sheets, columns, strict=True))


def _with_alike(
    sheet: Sheet,
    columns: Sequence[SampleColumn],
    contracts: Sequence[Contract],
    keys: Sequence[IndexKey],
    index: IndexFiles,
) -> tuple[SampleColumn, ...]:
    alike: dict[int, list[tuple[str, str]]] = {}
    for contract in contracts:
        if not enough(len(named_columns(columns, contract)), contract):
            for name, place in _alike(sheet.selection(_LOOKED_AT), columns, contract, keys, index).items():
                alike.setdefault(place, []).append((contract.dataset, name))
    return tuple(replace(column, alike=tuple(alike.get(column.index, ()))) for column in columns)


def _alike(
    table: pa.Table, columns: Sequence[SampleColumn], contract: Contract, keys: Sequence[IndexKey], index: IndexFiles
) -> dict[str, int]:
    """The place of each attribute; under the newest key under which there are enough."""
    for key in reversed(keys):
        likely = likenesses(table, columns, contract, key)
        asked = distinct(np.concatenate([np.zeros(0, dtype=np.uint64), *(one.token for one in likely)]))
        kind = np.full(len(asked), int(TokenKind.ATTRIBUTE), dtype=np.uint8)
        often = index.frequencies(pa.table({"token": asked, "kind": kind})).sort_by("token")
        known, frequency = often["token"].to_numpy(), often["frequency"].to_numpy()
        found = alike_columns(likely, known, frequency, index.version_count(contract.dataset), contract)
        if found:
            return found
    return {}
