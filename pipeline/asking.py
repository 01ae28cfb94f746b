"""Tokens of a sample as the index is asked for them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.resolve import most_versions
from watermarking.tokens import TokenColumn, TokenKind


def token_table(tokens: Sequence[TokenColumn | None], *, everybody: bool = False) -> pa.Table:
    """Distinct (token, kind) pairs of a sample, by token, with how many versions may have each that is looked up."""
    asked = [t for t in tokens if t is not None]
    values = [pc.unique(pa.array(t.values[t.there])).to_numpy() for t in asked]
    kinds = [np.full(len(v), int(t.kind), dtype=np.uint8) for t, v in zip(asked, values, strict=True)]
    token = np.concatenate(values) if values else np.zeros(0, dtype=np.uint64)
    kind = np.concatenate(kinds) if kinds else np.zeros(0, dtype=np.uint8)
    token, first = np.unique(token, return_index=True)
    kind = kind[first]
    limits = np.array([np.iinfo(np.int64).max if everybody else most_versions(k) for k in TokenKind])
    most = limits[np.searchsorted(np.array([int(k) for k in TokenKind]), kind)]
    return pa.table({"token": pa.array(token, pa.uint64()), "kind": pa.array(kind, pa.uint8()), "most": most})
