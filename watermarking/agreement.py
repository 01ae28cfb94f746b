"""What agrees between sample rows and record versions, and how many bits that says.

The idea is that of Fellegi and Sunter ("A theory for record linkage", 1969) on keyed tokens: an agreement says
log2(1 / how probable it is for a stranger), rarer values say more, and fields add up. How rare a value is, the registry
itself shows. Only mark-free parts take part.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from watermarking.attributes import ATTRIBUTE
from watermarking.keys import U64
from watermarking.readings import I64
from watermarking.tokens import ALMOST, BITS, MASKED, STRONG, Field, TokenColumn, TokenKind

BoolArray = npt.NDArray[np.bool_]
F64 = npt.NDArray[np.float64]
# Kinds whose values people share: an agreement says no more than how rare the value is in the registry itself.
_SHARED = frozenset(("person_name", "given_name", "surname", "birth_date", "postcode", "category", ATTRIBUTE))
NAMES = frozenset(("given_name", "surname"))
# Bits that a kind takes away which can be read and differs, where no strong identifier agrees: log2 of how often the
# right record's own cell differs, which is oftener for what people shorten, move away from, or copy wrongly.
_DISAGREES = {"surname": 4.5, "given_name": 2.0, "birth_date": 3.0, "postcode": 1.0}
_EQUAL = 1e-6  # bits
_FAMILY = 6.0  # what a surname, a place and a postcode say too much, when they are shared by a family
# Bits that an agreement of the sound, year or area says less than its rarity: log2 of how often a right record agrees
# no further.
ALMOST_COSTS = 2.5
# Bits that the key says less where attributes tell rows apart: whoever numbers the rows anew hits others of ours.
_NUMBERED = 12.0


@dataclass(frozen=True)
class Hits:
    """Tokens of the sample that the registry knows: one line for each (row, token, version).

    row, column (number of the TokenColumn), dataset (a code), frequency (versions of the dataset with this
    token): int64[n]; version, record: uint64[n].
    """

    row: I64
    column: I64
    dataset: I64
    frequency: I64
    version: U64
    record: U64


NO_HITS = Hits(*(np.zeros(0, dtype=kind) for kind in ("i8", "i8", "i8", "i8", "u8", "u8")))


@dataclass(frozen=True)
class Agreements:
    """The hits that are the agreement of one field: index into the hits, field, bits that it says.

    exact: bool[n], false where only the sound, year or area agrees.
    """

    index: I64
    field: I64
    exact: BoolArray
    bits: F64


@dataclass(frozen=True)
class Pairs:
    """Sample rows beside record versions that agree with them in something; one entry a pair.

    row, dataset: int64[n]; version, record: uint64[n]; agreed: int64[n], bit f where field f agrees exactly; bits:
    float64[n], what all of it says for the pair.
    """

    row: I64
    dataset: I64
    version: U64
    record: U64
    agreed: I64
    bits: F64


def agreements(
    fields: Sequence[Field],
    columns: Sequence[TokenColumn],
    hits: Hits,
    versions: Sequence[int],
    attributive: BoolArray,
) -> Agreements:
    """Agreements of single fields; a masked form counts only where the whole value cannot be read.

    attributive: bool[datasets], whether attributes tell the rows of a dataset apart.
    """
    readable_whole = [field.whole.is_valid().to_numpy(zero_copy_only=False) for field in fields]
    size = np.log2(np.maximum(np.asarray(versions, dtype=float), 1.0))[hits.dataset]
    chosen = np.zeros(len(hits.row), dtype=bool)
    exact = np.ones(len(hits.row), dtype=bool)
    field = np.zeros(len(hits.row), dtype=np.int64)
    bits = np.zeros(len(hits.row))
    for number, column in enumerate(columns):
        if len(column.fields) > 1:
            continue
        mine = hits.column == number
        its = fields[column.fields[0]]
        nearly = its.kind in ALMOST and column.kind == ALMOST[its.kind][0]
        if nearly:
            exact[mine] = False
        elif not column.whole and its.kind in MASKED and column.kind == MASKED[its.kind][0]:
            mine &= ~readable_whole[column.fields[0]][hits.row]
        chosen |= mine
        field[mine] = column.fields[0]
        said = bits_said(column.kind, its, hits.frequency[mine], size[mine], described=attributive[hits.dataset[mine]])
        bits[mine] = np.maximum(said - (ALMOST_COSTS if nearly else 0.0), 0.0)
    index = np.flatnonzero(chosen)
    return Agreements(index, field[index], exact[index], bits[index])


def bits_said(kind: TokenKind, field: Field, frequency: I64, size: F64, *, described: BoolArray | bool) -> F64:
    """What agreements of a field's token say; float64[n], at least 0.

    frequency: int64[n], versions with the token; size: float64[n], log2 of the versions of the dataset; described:
    whether attributes tell its rows apart.
    """
    bound = np.minimum(BITS[kind], size) if field.kind in _SHARED else BITS[kind]
    said = bound - np.log2(np.maximum(frequency, 1)) - field.cost
    return np.maximum(said - np.where(described, _NUMBERED, 0.0) if field.kind == "id" else said, 0.0)


def weigh(
    line: Agreements, hits: Hits, fields: Sequence[Field], readable: I64, kinds: Sequence[frozenset[str]]
) -> Pairs:
    """Sum of what each (row, dataset, version) says; readable: int64[rows], kinds: by dataset code."""
    row, dataset = hits.row[line.index], hits.dataset[line.index]
    version, record = hits.version[line.index], hits.record[line.index]
    slot = _slots(fields)[line.field]
    order = np.lexsort((-line.bits, slot, version, dataset, row))
    row, dataset, version, record = row[order], dataset[order], version[order], record[order]
    field, slot, bits, exact = line.field[order], slot[order], line.bits[order], line.exact[order]
    new_pair = np.ones(len(row), dtype=bool)
    new_pair[1:] = (row[1:] != row[:-1]) | (dataset[1:] != dataset[:-1]) | (version[1:] != version[:-1])
    new_slot = new_pair.copy()
    new_slot[1:] |= slot[1:] != slot[:-1]  # two columns of a dataset may hold one value: count it once
    group = np.cumsum(new_pair) - 1
    first = np.flatnonzero(new_pair)
    said = np.where(new_slot, bits, 0.0)
    total = np.bincount(group, said, len(first)).astype(np.float64)
    total -= _said_twice(said, group, field, fields, len(first))
    agreed, alike = np.zeros(len(first), dtype=np.int64), np.zeros(len(first), dtype=np.int64)
    np.bitwise_or.at(agreed, group, np.where(exact, np.int64(1) << field, 0))
    np.bitwise_or.at(alike, group, np.int64(1) << field)
    total -= against(readable[row[first]], alike, agreed, dataset[first], fields, kinds)
    return Pairs(row[first], dataset[first], version[first], record[first], agreed, total)


def together(some: Pairs, more: Pairs) -> Pairs:
    """The pairs of both, in the order that `weigh` gives."""
    joined = [np.concatenate(both) for both in zip(astuple(some), astuple(more), strict=True)]
    order = np.lexsort((joined[2], joined[1], joined[0]))
    return Pairs(*(values[order] for values in joined))


def tied(pairs: Pairs, best: I64, strong: BoolArray) -> tuple[I64, U64, I64, U64]:
    """Rows, and versions that agree in the same fields as their best: of its record, or the one record elsewhere.

    strong: bool[pairs], whether they agree in an identifier, without which no record of another dataset counts.
    """
    at = np.full(int(pairs.row.max(initial=-1)) + 1, -1, dtype=np.int64)
    at[pairs.row[best]] = best
    its = at[pairs.row]
    alike = (its >= 0) & (pairs.agreed == pairs.agreed[its]) & (pairs.version != pairs.version[its])
    own = alike & (pairs.record == pairs.record[its]) & (pairs.bits >= pairs.bits[its] - _EQUAL)
    there = np.flatnonzero(alike & strong & (pairs.dataset != pairs.dataset[its]))
    _, place = np.unique(pairs.row[there] << 16 | pairs.dataset[there], return_inverse=True)
    least = np.full(len(there), np.iinfo(np.uint64).max, dtype=np.uint64)
    most = np.zeros(len(there), dtype=np.uint64)
    np.minimum.at(least, place, pairs.record[there])
    np.maximum.at(most, place, pairs.record[there])
    same = np.concatenate([np.flatnonzero(own), there[least[place] == most[place]]])
    return pairs.row[same], pairs.version[same], pairs.dataset[same], pairs.record[same]


def named_by_parts(fields: Sequence[Field], rows: I64, agreed: I64) -> I64:
    """`agreed`, and a name of two words that are the record's given name and surname: it leaves out a middle one.

    rows, agreed: int64[n], of pairs the row and the fields that agree.
    """
    both = np.logical_and(*(agrees_in(agreed, fields, frozenset((kind,))) for kind in ("given_name", "surname")))
    for number, field in enumerate(fields):
        if field.kind == "person_name":
            two = pc.match_substring_regex(field.whole.take(pa.array(rows)), r"^\S+ \S+$").fill_null(False)
            agreed = agreed | np.where(both & two.to_numpy(zero_copy_only=False), np.int64(1) << number, 0)
    return agreed


def is_strong(agreed: I64, fields: Sequence[Field]) -> BoolArray:
    """Pairs that agree in an identifier that hardly two people share; bool[n]."""
    return agrees_in(agreed, fields, STRONG | {"id"})


def agrees_in(agreed: I64, fields: Sequence[Field], kinds: frozenset[str]) -> BoolArray:
    """Pairs that agree in a field of these kinds; bool[n]."""
    return (agreed & _mask(fields, kinds)) != 0


def _mask(fields: Sequence[Field], kinds: frozenset[str]) -> int:
    return sum(1 << number for number, field in enumerate(fields) if field.kind in kinds)


def _slots(fields: Sequence[Field]) -> I64:
    """Where a field counts: readings of a name's part count once, as the best of them."""
    kinds = [field.kind for field in fields]
    return np.array([kinds.index(k) if k in NAMES else n for n, k in enumerate(kinds)] or [0], dtype=np.int64)


def _said_twice(said: F64, group: I64, field: I64, fields: Sequence[Field], pairs: int) -> F64:
    """Bits that a full name and its parts say together: the less of the two; float64[pairs]."""
    kind = np.array([{"person_name": 1, "given_name": 2, "surname": 2}.get(f.kind, 0) for f in fields])[field]
    full, parts = (np.bincount(group, np.where(kind == which, said, 0.0), pairs) for which in (1, 2))
    return np.minimum(full, parts)


def _only_family(readable: I64, alike: I64, agreed: I64, fields: Sequence[Field]) -> BoolArray:
    """Pairs in which a given name can be read and neither it nor the birth date agrees: brothers live alike."""
    given, birth = _mask(fields, frozenset(("given_name",))), _mask(fields, frozenset(("birth_date",)))
    whole = _mask(fields, frozenset(("person_name",)))
    return (readable & given != 0) & (alike & given == 0) & (agreed & (birth | whole) == 0)


def against(
    readable: I64, alike: I64, agreed: I64, dataset: I64, fields: Sequence[Field], kinds: Sequence[frozenset[str]]
) -> F64:
    """Bits that speak against a pair; none where a strong identifier agrees, or for a part of an agreeing name."""
    out = np.zeros(len(agreed))
    named = agrees_in(agreed, fields, frozenset(("person_name",)))
    for kind, bits in _DISAGREES.items():
        mask = _mask(fields, frozenset((kind,)))
        if not mask:
            continue
        has = np.array([kind in of for of in kinds], dtype=bool)[dataset]
        speaks = has & (readable & mask != 0) & (alike & mask == 0) & ~(named & (kind in NAMES))
        out += np.where(speaks, bits, 0.0)
    out += np.where(_only_family(readable, alike, agreed, fields), _FAMILY, 0.0)
    return np.where(is_strong(agreed, fields), 0.0, out)
