"""Rows of tables without identifiers beside record versions: every attribute is compared, a column at a time.

Which versions a row is compared with, tokens tell that few versions share: of one attribute, or of all but the one with
most marks together. What agrees says what `agreement` says of it; here tokens are small numbers, versions lie in a
table of them, and no line is made for an agreement. Only mark-free parts take part.
"""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watermarking.agreement import ALMOST_COSTS, F64, Pairs, against, bits_said
from watermarking.attributes import ATTRIBUTE
from watermarking.distinct import distinct, is_in
from watermarking.keys import U64
from watermarking.readings import I64
from watermarking.tokens import Field, TokenColumn, TokenKind

BoolArray = npt.NDArray[np.bool_]
_AT_ONCE = 2_000_000  # pairs compared at once: some 100 MiB
DESCRIBING = frozenset((TokenKind.ATTRIBUTE, TokenKind.ATTRIBUTES))  # what only such tables have
_KINDS = DESCRIBING | {TokenKind.ID, TokenKind.CATEGORY}  # and what their keys may have


@dataclass(frozen=True)
class Described:
    """What the registry knows of a sample's tokens in tables without identifiers.

    token: uint64[t], sorted; frequency: int64[t], versions with it in all; finds: bool[t], where they are few enough to
    be compared with all rows that have it. version, record: uint64[v], dataset: int64[v], a code: every version with
    such a token, sorted by dataset and version. line_token, line_version: int64[n], places of a token and of a version
    that has it. code: by column of the sample, from `codes_of`.
    """

    token: U64
    frequency: I64
    finds: BoolArray
    version: U64
    record: U64
    dataset: I64
    line_token: I64
    line_version: I64
    code: Sequence[I64]


def describing(columns: Sequence[TokenColumn]) -> list[TokenColumn]:
    """The tokens of a sample that versions of such tables may have."""
    return [column for column in columns if column.kind in _KINDS]


def described_pairs(
    fields: Sequence[Field],
    columns: Sequence[TokenColumn],
    known: Described,
    readable: I64,
    versions: Sequence[int],
    kinds: Sequence[frozenset[str]],
    margin: float,
) -> Pairs:
    """Each row beside the versions that tokens find for it and that are at most `margin` bits behind the best of them.

    columns: from `describing`; readable: int64[rows], as bits of fields; versions, kinds: by dataset code.
    """
    both = zip(columns, known.code, strict=True)
    singles = [(column, code) for column, code in both if len(column.fields) == 1 and (code >= 0).any()]
    agree = [_comparing(known, column, code) for column, code in singles]
    size = np.log2(np.maximum(np.asarray(versions, dtype=float), 1.0))
    parts = [tuple(np.zeros(0, dtype=kind) for kind in ("i8", "i8", "u8", "u8", "i8", "f8"))]
    for row, at in _found(known, len(readable)):
        agreed, bits = np.zeros(len(row), dtype=np.int64), np.zeros(len(row))
        for (column, code), same_in in zip(singles, agree, strict=True):
            same = np.flatnonzero(same_in(at, code[row]))
            number, often = column.fields[0], known.frequency[code[row[same]]]
            said = bits_said(column.kind, fields[number], often, size[known.dataset[at[same]]], described=True)
            if column.whole:
                agreed[same] |= np.int64(1) << number
            else:  # a neighbouring block: it agrees no further
                said = np.maximum(said - ALMOST_COSTS, 0.0)
            bits[same] += said
        bits -= against(readable[row], agreed, agreed, known.dataset[at], fields, kinds)
        kept = bits >= _best(row, bits) - margin
        row, at = row[kept], at[kept]
        parts.append((row, known.dataset[at], known.version[at], known.record[at], agreed[kept], bits[kept]))
    return Pairs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def indistinguishable(
    fields: Sequence[Field],
    columns: Sequence[TokenColumn],
    known: Described,
    readable: I64,
    pairs: Pairs,
    versions: Sequence[int],
    blocks: Set[str],
    margin: float,
) -> tuple[BoolArray, BoolArray, U64]:
    """Rows that one record agrees with in all attributes that they show, and another nearly: no block beside helps.

    Such a block says at most its rarity less ALMOST_COSTS, where the row's own says its rarity. So a version that has
    it, or any other, is ahead of the one that agrees in all by no more than the log2 of how many have the row's own
    block, less that, and by what keys say. Where this is below the margin, and a second record is as near to what could
    be best then, none is ever alone; nor where it is as near to the first and that has no other version.

    blocks: names of attributes with neighbouring blocks; pairs: from `described_pairs`, as the others. Which rows these
    are, bool[rows]; which more where the first record has but one version, bool[rows]; and that record, uint64[rows].
    """
    ahead, keys = np.full(len(readable), -ALMOST_COSTS), np.zeros(len(readable))
    size = np.full(len(readable), np.log2(max(1, *versions)))
    for column, code in zip(columns, known.code, strict=True):
        field, often = fields[column.fields[0]], np.append(known.frequency, 1)[code]
        if field.kind == ATTRIBUTE and column.whole and field.name in blocks:
            ahead += np.log2(often)
        elif field.kind != ATTRIBUTE:
            keys += np.where(code >= 0, bits_said(column.kind, field, often, size, described=True), 0.0)
    ahead = np.maximum(ahead, 0.0) + keys
    mask = np.int64(sum(1 << n for n, field in enumerate(fields) if field.kind == ATTRIBUTE))
    shown = (readable & mask)[pairs.row]
    whole = np.flatnonzero((shown != 0) & (pairs.agreed & mask == shown))
    bits, record = np.full(len(readable), np.inf), np.zeros(len(readable), dtype=np.uint64)
    bits[pairs.row[whole]], record[pairs.row[whole]] = pairs.bits[whole], pairs.record[whole]
    other = pairs.record != record[pairs.row]
    out = []
    for lead in (ahead, np.zeros(len(ahead))):
        near = np.zeros(len(readable), dtype=bool)
        near[pairs.row[other & (pairs.bits > (bits + lead - margin)[pairs.row])]] = True
        out.append(near & (ahead < margin))
    return out[0], out[1], record


def codes_of(token: U64, column: TokenColumn) -> I64:
    """The place of each row's token among those that the registry knows, else -1; int64[rows]."""
    if not len(token):
        return np.full(len(column.values), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(token, column.values), len(token) - 1)
    return np.where(column.there & (token[place] == column.values), place, -1)


def _comparing(known: Described, column: TokenColumn, code: I64) -> Callable[[I64, I64], BoolArray]:
    """Tells for pairs of a version and a token's code whether the version has it in this column."""
    asked = np.zeros(len(known.token) + 1, dtype=bool)
    asked[code] = True  # -1 is the last place, which no token has
    mine = np.flatnonzero(asked[known.line_token])
    token, version = known.line_token[mine], known.line_version[mine]
    if column.kind == TokenKind.ATTRIBUTE:  # a version has one of each
        table = np.full(len(known.version), -2, dtype=np.int64)
        table[version] = token
        return lambda at, code: table[at] == code
    lines = np.sort(version * len(known.token) + token)
    return lambda at, code: (code >= 0) & is_in(lines, at * len(known.token) + code)


def _found(known: Described, rows: int) -> Iterator[tuple[I64, I64]]:
    """Rows and places of the versions that any token finds for them, each pair once, sorted; some rows at a time."""
    line = known.line_version[np.argsort(known.line_token, kind="stable")]
    many = np.bincount(known.line_token, minlength=len(known.token))
    start = np.cumsum(many) - many
    finds = [np.flatnonzero((code >= 0) & np.append(known.finds, False)[code]) for code in known.code]
    each = np.zeros(rows, dtype=np.int64)
    for code, row in zip(known.code, finds, strict=True):
        each[row] += many[code[row]]
    block = np.cumsum(each) // _AT_ONCE
    for one in distinct(block[each > 0]).tolist():
        words = [np.zeros(0, dtype=np.int64)]
        for code, row in zip(known.code, finds, strict=True):
            its = row[block[row] == one]
            count = many[code[its]]
            within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
            at = line[np.repeat(start[code[its]], count) + within]
            words.append(np.repeat(its, count) * len(known.version) + at)
        yield np.divmod(distinct(np.concatenate(words)), len(known.version))


def _best(row: I64, bits: F64) -> F64:
    """The most bits that any pair of the same row has, for sorted rows; float64[pairs]."""
    first = np.flatnonzero(np.concatenate([[True], row[1:] != row[:-1]]))
    return np.repeat(np.maximum.reduceat(bits, first), np.diff(np.append(first, len(row))))
