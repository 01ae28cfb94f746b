"""Records, versions and tokens: what the registry knows of a row.

A record is the keyed digest of a row's key columns, a version that of its identity columns, both free of
marks. A token is the keyed digest of one identifier, or of a few weak ones together; kinds of tokens are the
same for all datasets, so that one leaked phone is found in every one. At most 16 tokens a version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import product

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.contract import Column, Contract
from watermarking.attributes import ATTRIBUTE, attribute_cells, attributes, replaceable
from watermarking.carriers import carrier
from watermarking.embed import one_array
from watermarking.keys import U64, IndexKey
from watermarking.normalise import masked, normalise
from watermarking.sound import almost

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
    GIVEN_NAME = 17
    SURNAME = 18
    NAME_PHONE_MASKED = 19
    NAME_ID_MASKED = 20
    NAME_CARD_MASKED = 21
    CATEGORY = 22
    SURNAME_SOUND = 23
    SOUND_GIVEN_NAME = 24
    SOUND_BIRTH_DATE = 25
    GIVEN_NAME_BIRTH_DATE = 26
    SOUND_CATEGORY = 27
    GIVEN_NAME_SOUND = 28
    BIRTH_YEAR = 29
    POSTCODE_AREA = 30
    SOUND_SOUND = 31
    SOUND_BIRTH_YEAR = 32
    ATTRIBUTE = 33
    ATTRIBUTES = 34


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
    "category": (TokenKind.CATEGORY, 10.0),
    ATTRIBUTE: (TokenKind.ATTRIBUTE, 24.0),
}
STRONG = frozenset(("phone", "national_id", "email", "card", "account", "address"))
MASKED: Mapping[str, tuple[TokenKind, float]] = {
    "phone": (TokenKind.PHONE_MASKED, 17.0),
    "national_id": (TokenKind.NATIONAL_ID_MASKED, 20.0),
    "card": (TokenKind.CARD_MASKED, 15.0),
}
# What a misspelt cell most often still shares with the right one: a name its sound, a date its year, a postcode its
# area. Only where nothing in the table is stronger.
ALMOST: Mapping[str, tuple[TokenKind, float]] = {
    "surname": (TokenKind.SURNAME_SOUND, 10.0),
    "given_name": (TokenKind.GIVEN_NAME_SOUND, 8.0),
    "birth_date": (TokenKind.BIRTH_YEAR, 7.0),
    "postcode": (TokenKind.POSTCODE_AREA, 10.0),
}
# Pairs of weak fields that find a row together, best first; "*" marks the masked form, "~" what ALMOST has.
PAIRS: Sequence[tuple[TokenKind, tuple[str, ...]]] = (
    (TokenKind.SOUND_SOUND, ("surname~", "given_name~")),
    (TokenKind.SOUND_BIRTH_YEAR, ("surname~", "birth_date~")),
    (TokenKind.SOUND_CATEGORY, ("surname~", "category")),
    (TokenKind.NAME_BIRTH_DATE, ("person_name", "birth_date")),
    (TokenKind.NAME_PHONE_MASKED, ("person_name", "phone*")),
    (TokenKind.NAME_ID_MASKED, ("person_name", "national_id*")),
    (TokenKind.NAME_POSTCODE, ("person_name", "postcode")),
    (TokenKind.SURNAME_PHONE_MASKED, ("surname", "phone*")),
    (TokenKind.NAME_CARD_MASKED, ("person_name", "card*")),
    (TokenKind.SOUND_GIVEN_NAME, ("surname~", "given_name")),
    (TokenKind.SOUND_BIRTH_DATE, ("surname~", "birth_date")),
    (TokenKind.GIVEN_NAME_BIRTH_DATE, ("given_name", "birth_date")),
)
PAIRED = frozenset((TokenKind.ATTRIBUTES, *(kind for kind, _ in PAIRS)))
# Tokens that many share find a row only where the registry shows that these few do; else they confirm what others
# found.
SHARED = frozenset(
    (
        TokenKind.PERSON_NAME,
        TokenKind.GIVEN_NAME,
        TokenKind.SURNAME,
        TokenKind.BIRTH_DATE,
        TokenKind.POSTCODE,
        TokenKind.CATEGORY,
        TokenKind.ATTRIBUTE,
        *(kind for kind, _ in ALMOST.values()),
    )
)
# Carriers whose spellings `normalise` brings to one by itself (a law that the carriers' tests hold).
_FORGOTTEN = frozenset(("address_zh", "address_en", "address_width", "email_case"))
BITS: Mapping[TokenKind, float] = dict(SINGLE.values()) | dict(MASKED.values()) | dict(ALMOST.values())


@dataclass(frozen=True)
class Field:
    """One column of a table, as one kind, normalised.

    whole, part: string[rows]; `part` is the masked form. Null where it cannot be read. cost: bits that an agreement
    says less, for a reading of a sample's column as what it is not called (a surname in the column of given names).
    together: one of the attributes that find a row together; "" or the dataset. also: string[rows] each, other values
    that a sample's cells may stand for; null where there is none.
    """

    kind: str
    name: str
    whole: pa.Array
    part: pa.Array | None
    cost: float = 0.0
    together: str = ""
    also: tuple[pa.Array, ...] = ()


@dataclass(frozen=True)
class TokenColumn:
    """Tokens of one kind.

    values: uint64[rows]; there: bool[rows]; `fields` are the numbers of the fields that they digest, `whole`
    is false for masked forms, other values that a cell may stand for, and pairs.
    """

    kind: TokenKind
    fields: tuple[int, ...]
    values: U64
    there: npt.NDArray[np.bool_]
    whole: bool


def purpose_of(kind: TokenKind) -> str:
    """What the tokens of a kind are digested for."""
    return f"token/{int(kind)}"


def normal_forms(table: pa.Table, contract: Contract) -> dict[str, pa.Array]:
    """The mark-free normal form of every column that identifies a row, string[rows] by column name.

    Where names are all that identifies people, categories (a birth place, an occupation) help to tell them apart.
    """
    named = {column.name: column for column in (*contract.keys(), *contract.identity(), *_telling(contract))}
    return {name: mark_free(one_array(table[name]), column) for name, column in named.items()}


def fields_of(forms: Mapping[str, pa.Array], contract: Contract) -> tuple[Field, ...]:
    """The columns of an export that have tokens: identity columns and the key, in the contract's order.

    forms: from `normal_forms`. A column whose carrier swaps configured words has no token: only its contract
    knows the swapped forms.
    """
    described = attributes(contract)
    alone = replaceable(contract)
    fields = []
    for column in described:
        cells = attribute_cells(contract, column, forms[column.name])
        together = "" if column.name == alone else contract.dataset
        fields.append(Field(ATTRIBUTE, column.name, cells, None, together=together))
    for column in contract.columns:
        swaps = column.mark is not None and column.mark.carrier == "synonym"
        if column.kind not in SINGLE or column.name not in forms or (column.kind == "id" and not column.key) or swaps:
            continue
        if column in described:
            continue
        whole = forms[column.name]
        part = masked(column.kind, whole) if column.kind in MASKED else None
        fields.append(Field(column.kind, column.name, whole, part))
    return tuple(fields)


def single_tokens(fields: Sequence[Field], key: IndexKey) -> tuple[TokenColumn, ...]:
    """The token of each field by itself, whole; column n is field n."""
    return tuple(_token(key, SINGLE[f.kind][0], (n,), f.whole, whole=True) for n, f in enumerate(fields))


def tokens_of(
    fields: Sequence[Field],
    key: IndexKey,
    budget: int | None = BUDGET,
    singles: Sequence[TokenColumn] | None = None,
) -> tuple[TokenColumn, ...]:
    """Every token of a table's rows, at most `budget` a row (none for a sample: `budget=None`).

    Single identifiers first, then their masked forms, then pairs of weak ones. singles: the first, where they are
    known already.
    """
    columns = [*_together(fields, key), *(single_tokens(fields, key) if singles is None else singles)]
    for number, field in enumerate(fields):
        if field.part is not None and field.kind in MASKED:
            columns.append(_token(key, MASKED[field.kind][0], (number,), field.part, whole=False))
    weak = budget is None or not any(field.kind in STRONG for field in fields)
    for number, field in enumerate(fields):
        if field.kind in ALMOST and weak:
            columns.append(_token(key, ALMOST[field.kind][0], (number,), almost(field.kind, field.whole), whole=False))
    for number, field in enumerate(fields):
        columns += [_token(key, SINGLE[field.kind][0], (number,), cells, whole=False) for cells in field.also]
    for kind, needs in PAIRS:
        for numbers in _matching(fields, needs):
            choices = [_singles(columns, n, need) for n, need in zip(numbers, needs, strict=True)]
            for parts in product(*choices):
                there = np.logical_and.reduce([part.there for part in parts])
                values = key.combine(purpose_of(kind), [part.values for part in parts])
                columns.append(TokenColumn(kind, numbers, values, there, whole=False))
    return tuple(columns if budget is None else columns[:budget])


def records_of(forms: Mapping[str, pa.Array], contract: Contract, key: IndexKey) -> U64:
    """The record of each row, from its key columns; uint64[rows]."""
    purpose = f"record/{contract.dataset}"
    return key.combine(purpose, [_cell(forms[column.name], f"{purpose}/cell", key) for column in contract.keys()])


def versions_of(
    forms: Mapping[str, pa.Array],
    contract: Contract,
    key: IndexKey,
    fields: Sequence[Field],
    tokens: Sequence[TokenColumn],
) -> U64:
    """The version of each row, from its key and identity columns; uint64[rows].

    A column that has a token of its own goes in by that, so that no cell is digested twice; fields, tokens: of
    `fields_of` and `tokens_of`.
    """
    purpose = f"version/{contract.dataset}"
    single = {
        fields[token.fields[0]].name: token for token in tokens if token.whole and token.kind != TokenKind.ATTRIBUTE
    }
    names = dict.fromkeys(column.name for column in (*contract.keys(), *contract.identity()))
    return key.combine(
        purpose,
        [
            np.where(single[name].there, single[name].values, np.uint64(0))
            if name in single
            else _cell(forms[name], f"{purpose}/cell", key)
            for name in names
        ],
    )


def version_columns(contract: Contract) -> tuple[Column, ...]:
    """The columns whose single tokens, in this order, make a version; none where it takes more than tokens."""
    columns = tuple({c.name: c for c in (*contract.keys(), *contract.identity())}.values())
    tokens = all(c.kind in SINGLE and forgets_marks(c) for c in columns)
    return columns if tokens and len(columns) <= BUDGET else ()


def forgets_marks(column: Column) -> bool:
    """Whether `normalise` alone brings a column's cells to the form that its token is made of."""
    return column.mark is None or column.mark.carrier in _FORGOTTEN


def version_words(contract: Contract, key: IndexKey, tokens: Sequence[TokenColumn]) -> U64:
    """The version of each row from the tokens of `version_columns`, which `versions_of` gives too; uint64[rows]."""
    parts = [np.where(token.there, token.values, np.uint64(0)) for token in tokens]
    return key.combine(f"version/{contract.dataset}", parts)


def _cell(cells: pa.Array, purpose: str, key: IndexKey) -> U64:
    """The digest of each cell, 0 for null, which is another value than an empty cell."""
    return np.where(_there(cells), key.digest(purpose, cells), np.uint64(0))


def _there(cells: pa.Array) -> npt.NDArray[np.bool_]:
    return cells.is_valid().to_numpy(zero_copy_only=False)


def _telling(contract: Contract) -> tuple[Column, ...]:
    """The categories of a table in which people have a surname of its own and nothing stronger."""
    kinds = {column.kind for column in contract.columns}
    weak = "surname" in kinds and not kinds & STRONG
    return tuple(column for column in contract.columns if column.kind == "category" and weak)


def _together(fields: Sequence[Field], key: IndexKey) -> list[TokenColumn]:
    """The token of all attributes of a row together, for each dataset that has such."""
    columns = []
    for dataset in dict.fromkeys(field.together for field in fields if field.together):
        numbers = tuple(n for n, field in enumerate(fields) if field.together == dataset)
        ordered = sorted(numbers, key=lambda n: fields[n].name)
        purpose = purpose_of(TokenKind.ATTRIBUTES)
        parts = [_cell(fields[n].whole, f"{purpose}/cell", key) for n in ordered]
        values = key.combine(purpose, parts)
        columns.append(TokenColumn(TokenKind.ATTRIBUTES, numbers, values, np.ones(len(values), bool), whole=False))
    return columns


def _singles(columns: Sequence[TokenColumn], number: int, need: str) -> list[TokenColumn]:
    """The token columns of field `number` by itself, whole, masked ("*") or nearly ("~")."""
    kind = need.rstrip("*~")
    wanted = ALMOST[kind][0] if need.endswith("~") else MASKED[kind][0] if need.endswith("*") else SINGLE[kind][0]
    return [c for c in columns if c.fields == (number,) and c.kind == wanted]


def mark_free(cells: pa.Array, column: Column) -> pa.Array:
    """The normal form of a column's cells, string[n].

    Normalising forgets the marks of its kind's own carriers; what others swap is brought back first.
    """
    if column.mark is not None and not forgets_marks(column):
        cells = carrier(column.mark).mark_free(cells)
    return normalise(column.kind, cells)


def _token(key: IndexKey, kind: TokenKind, numbers: tuple[int, ...], cells: pa.Array, *, whole: bool) -> TokenColumn:
    return TokenColumn(kind, numbers, key.digest(purpose_of(kind), cells), _there(cells), whole)


def _matching(fields: Sequence[Field], needs: Sequence[str]) -> list[tuple[int, ...]]:
    """Numbers of the fields that a pair can be made of; all combinations when a kind occurs twice."""
    combinations: list[tuple[int, ...]] = [()]
    for need in needs:
        kind, hidden = need.rstrip("*~"), need.endswith("*")
        numbers = [n for n, f in enumerate(fields) if f.kind == kind and (f.part is not None or not hidden)]
        combinations = [(*head, n) for head in combinations for n in numbers]
    return combinations
