"""Digests of the values that no canary may share with a row: identifiers, keys and whatever else is unique.

A column that has a token of its own is told by that, so that no cell is digested twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from schemas.contract import Column, Contract
from watermarking.canaries.generate import MUST_BE_NEW
from watermarking.embed import one_array
from watermarking.keys import U64, IndexKey
from watermarking.normalise import normalise
from watermarking.tokens import SINGLE, Field, TokenColumn, forgets_marks, purpose_of


@dataclass(frozen=True)
class HeldValues:
    """Values of one column: their kind, what they are digested for, and the digests; uint64[values], in no order."""

    kind: str
    purpose: str
    digests: U64


def asked_columns(contract: Contract) -> tuple[Column, ...]:
    """The columns of each kind that a canary must have a new value of."""
    kinds = {column.kind for column in contract.columns if column.key or column.unique or column.kind in MUST_BE_NEW}
    return tuple(column for column in contract.columns if column.kind in kinds)


def held_values(
    table: pa.Table, contract: Contract, fields: Sequence[Field], tokens: Sequence[TokenColumn], key: IndexKey
) -> tuple[HeldValues, ...]:
    """What the rows of a chunk hold in `asked_columns`; fields, tokens: of these rows."""
    whole = {fields[token.fields[0]].name: token for token in tokens if token.whole}
    found = []
    for column in asked_columns(contract):
        token = whole.get(column.name)
        if token is not None and token.kind == SINGLE.get(column.kind, (None,))[0] and forgets_marks(column):
            digests = token.values if token.there.all() else token.values[token.there]
            found.append(HeldValues(column.kind, purpose_of(token.kind), digests))
        else:
            purpose = f"held/{column.kind}"
            forms = normalise(column.kind, one_array(table[column.name])).drop_null()
            found.append(HeldValues(column.kind, purpose, key.digest(purpose, forms)))
    return tuple(found)
