"""Records, versions and tokens: what the registry knows of a row.

A record is the keyed digest of a row's key columns, a version that of its identity columns, both free of
marks. A token is the keyed digest of one identifier, or of a few weak ones together; kinds of tokens are the
same for all datasets, so that one leaked phone is found in every one. At most 16 tokens a version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Column, Contract
from watermarking.carriers import carrier
from watermarking.embed import one_array
from watermarking.keys import U64, IndexKey
from watermarking.normalise import masked, normalise

BUDGET = 16


class TokenKind(IntEnum):
    """What a token is the digest of. Numbers are stored: never reuse one."""

    PHONE = 1
    PHONE_MASKED = 2
    NATIONAL_ID = 3
    NATIONAL_ID_MASKED = 4
    EMAIL = 5
    CARD = 6
    CARD_MASKED = 7
    ACCOUNT = 8
    PERSON_NAME = 9
    ADDRESS = 10
    POSTCODE = 11
    BIRTH_DATE = 12
    ID = 13
    NAME_BIRTH_DATE = 14
    SURNAME_PHONE_MASKED = 15
    NAME_POSTCODE = 16
    NAME_ADDRESS = 17
    GIVEN_NAME = 18
    SURNAME = 19
    NAME_PHONE_MASKED = 20
    NAME_ID_MASKED = 21
    NAME_CARD_MASKED = 22


# Columns of these kinds have a token of their own. `bits` bounds how much one agreement can say: the log2 of
# how many values a stranger's field could have had; what the registry shows of rarer and commoner values
# lowers it (resolve.py).
SINGLE: Mapping[str, tuple[TokenKind, float]] = {
    "phone": (TokenKind.PHONE, 30.0),
    "national_id": (TokenKind.NATIONAL_ID, 44.0),
    "email": (TokenKind.EMAIL, 36.0),
    "card": (TokenKind.CARD, 44.0),
    "account": (TokenKind.ACCOUNT, 36.0),
    "address": (TokenKind.ADDRESS, 28.0),
    "person_name": (TokenKind.PERSON_NAME, 16.0),
    "given_name": (TokenKind.GIVEN_NAME, 9.0),
    "surname": (TokenKind.SURNAME, 12.0),
    "birth_date": (TokenKind.BIRTH_DATE, 14.0),
    "postcode": (TokenKind.POSTCODE, 14.0),
    "id": (TokenKind.ID, 20.0),
}
MASKED: Mapping[str, tuple[TokenKind, float]] = {
    "phone": (TokenKind.PHONE_MASKED, 17.0),
    "national_id": (TokenKind.NATIONAL_ID_MASKED, 20.0),
    "card": (TokenKind.CARD_MASKED, 15.0),
}
# Pairs of weak fields that find a row together, best first; "*" marks the masked form.
PAIRS: Sequence[tuple[TokenKind, tuple[str, ...]]] = (
    (TokenKind.NAME_BIRTH_DATE, ("person_name", "birth_date")),
    (TokenKind.NAME_PHONE_MASKED, ("person_name", "phone*")),
    (TokenKind.NAME_ID_MASKED, ("person_name", "national_id*")),
    (TokenKind.NAME_POSTCODE, ("person_name", "postcode")),
    (TokenKind.SURNAME_PHONE_MASKED, ("surname", "phone*")),
    (TokenKind.NAME_CARD_MASKED, ("person_name", "card*")),
    (TokenKind.NAME_ADDRESS, ("person_name", "address")),
)
# Tokens too common to find rows by; they only confirm a row that another token found.
CONFIRMING = frozenset(
    (TokenKind.PERSON_NAME, TokenKind.GIVEN_NAME, TokenKind.SURNAME, TokenKind.BIRTH_DATE, TokenKind.POSTCODE)
)
BITS: Mapping[TokenKind, float] = dict(SINGLE.values()) | dict(MASKED.values())


@dataclass(frozen=True)
class Field:
    """One column of a table, as one kind, normalised.

    whole, part: string[rows]; `part` is the masked form. Null where it cannot be read.
    """

    kind: str
    name: str
    whole: pa.Array
    part: pa.Array | None


@dataclass(frozen=True)
class TokenColumn:
    """Tokens of one kind.

    values: uint64[rows]; there: bool[rows]; `fields` are the numbers of the fields that they digest, `whole`
    is false for masked forms and pairs.
    """

    kind: TokenKind
    fields: tuple[int, ...]
    values: U64
    there: npt.NDArray[np.bool_]
    whole: bool


def fields_of(table: pa.Table, contract: Contract) -> tuple[Field, ...]:
    """The columns of an export that have tokens: identity columns and the key, in the contract's order.

    A column whose carrier swaps configured words has none: only its contract knows the swapped forms.
    """
    chosen = [c for c in contract.columns if c.kind in SINGLE and (c.kind != "id" or c.key)]
    fields = []
    for column in chosen:
        if column.mark is not None and column.mark.carrier == "synonym":
            continue
        whole = normalise(column.kind, one_array(table[column.name]))
        part = masked(column.kind, whole) if column.kind in MASKED else None
        fields.append(Field(column.kind, column.name, whole, part))
    return tuple(fields)


def tokens_of(fields: Sequence[Field], key: IndexKey, budget: int | None = BUDGET) -> tuple[TokenColumn, ...]:
    """Every token of a table's rows, at most `budget` a row (none for a sample: `budget=None`).

    Single identifiers first, then their masked forms, then pairs of weak ones.
    """
    columns = []
    for number, field in enumerate(fields):
        kind, _ = SINGLE[field.kind]
        columns.append(_token(key, kind, (number,), field.whole, whole=True))
    for number, field in enumerate(fields):
        if field.part is not None:
            columns.append(_token(key, MASKED[field.kind][0], (number,), field.part, whole=False))
    for kind, needs in PAIRS:
        for numbers in _matching(fields, needs):
            values = [
                fields[number].part if need.endswith("*") else fields[number].whole
                for number, need in zip(numbers, needs, strict=True)
            ]
            columns.append(_token(key, kind, numbers, join_cells(values), whole=False))
    return tuple(columns if budget is None else columns[:budget])


def records_of(table: pa.Table, contract: Contract, key: IndexKey) -> U64:
    """The record of each row, from its key columns; uint64[rows]."""
    cells = [_mark_free(table, column) for column in contract.keys()]
    return key.digest(f"record/{contract.dataset}", join_cells([pc.fill_null(c, "") for c in cells]))


def versions_of(table: pa.Table, contract: Contract, key: IndexKey) -> U64:
    """The version of each row, from its key and identity columns; uint64[rows]."""
    named = {column.name: column for column in (*contract.keys(), *contract.identity())}
    cells = [pc.fill_null(_mark_free(table, column), "") for column in named.values()]
    return key.digest(f"version/{contract.dataset}", join_cells(cells))


def join_cells(cells: Sequence[pa.Array]) -> pa.Array:
    """One string for several, null where one is null; unambiguous because cells lose the separator."""
    clean = [pc.replace_substring(cell.cast(pa.large_string()), "\x1f", " ") for cell in cells]
    return clean[0] if len(clean) == 1 else pc.binary_join_element_wise(*clean, pa.scalar("\x1f", pa.large_string()))


def _mark_free(table: pa.Table, column: Column) -> pa.Array:
    cells = one_array(table[column.name])
    if column.mark is not None:
        cells = carrier(column.mark).mark_free(cells)
    return normalise(column.kind, cells)


def _token(key: IndexKey, kind: TokenKind, numbers: tuple[int, ...], cells: pa.Array, *, whole: bool) -> TokenColumn:
    there = cells.is_valid().to_numpy(zero_copy_only=False)
    return TokenColumn(kind, numbers, key.digest(f"token/{int(kind)}", cells), there, whole)


def _matching(fields: Sequence[Field], needs: Sequence[str]) -> list[tuple[int, ...]]:
    """Numbers of the fields that a pair can be made of; all combinations when a kind occurs twice."""
    combinations: list[tuple[int, ...]] = [()]
    for need in needs:
        kind = need.removesuffix("*")
        numbers = [n for n, f in enumerate(fields) if f.kind == kind and (f.part is not None or need == kind)]
        combinations = [(*head, n) for head in combinations for n in numbers]
    return combinations
