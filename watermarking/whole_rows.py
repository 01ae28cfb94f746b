"""Sample rows that show a record whole: their version is computed, so it need not be searched for.

A version is a digest of the tokens of a record's identity cells. Where a sample has a column for each of them, and no
other that any dataset could agree in, a row's own tokens give the version that it would be. If the registry has that
one, every field of the row agrees with it, and no other version can agree in more: resolving comes to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.contract import Column, Contract
from watermarking.keys import U64, IndexKey
from watermarking.readings import I64
from watermarking.resolve import CLASSES, MANY, MARGIN, Resolved, RowClass, hidden_rows, readable_fields
from watermarking.tokens import BITS, STRONG, Field, TokenColumn, version_columns, version_words

FREE = frozenset(("id", "category"))  # of these kinds a sample may have more columns: they never contradict
# One entry a pair, not a row.
_TIED = ("tied_row", "tied_version", "tied_dataset", "tied_record")
_SECOND = ("second_row", "second_dataset", "second_record")
_COMMONEST = float(np.log2(MANY))  # bits that an identifier says less at most, being shared


@dataclass(frozen=True)
class WholeRows:
    """What the rows of a sample would be as records of one dataset.

    dataset: its code; version: uint64[rows]; telling: bool[rows], rows that say enough to be held; mask: bits of the
    fields that take part.
    """

    dataset: int
    version: U64
    telling: npt.NDArray[np.bool_]
    mask: int


def whole_rows(
    sample: Sequence[Field],
    singles: Sequence[TokenColumn],
    contracts: Sequence[Contract],
    versions: Sequence[int],
    kinds: Sequence[frozenset[str]],
    key: IndexKey,
) -> list[WholeRows]:
    """For each dataset whose identity columns a sample has all.

    sample: its fields; singles: their tokens, from `single_tokens`; versions, kinds: by dataset, how many
    it has and the kinds of its fields.
    """
    if not sample:
        return []
    found, rows = [], len(sample[0].whole)
    ours = frozenset[str]().union(*kinds) - FREE
    hidden = hidden_rows(sample, rows)
    for code, contract in enumerate(contracts):
        places = _places(version_columns(contract), sample, ours)
        if not places:
            continue
        said = np.zeros(rows)
        for place in places:
            if sample[place].kind in STRONG:
                said += np.where(singles[place].there, BITS[singles[place].kind] - _COMMONEST, 0.0)
        telling = ~hidden & (said >= np.log2(max(versions[code], 1)) + MARGIN)
        words = version_words(contract, key, [singles[place] for place in places])
        found.append(WholeRows(code, words, telling, sum(1 << place for place in places)))
    return found


def _places(columns: Sequence[Column], sample: Sequence[Field], ours: frozenset[str]) -> list[int]:
    """Which field each column is, by its name, else by its kind and order; none when they are not one to one."""
    free = [number for number, one in enumerate(sample) if not one.cost and one.kind != "category"]
    places: dict[str, int] = {}
    for same in (_named, _alike):
        for column in columns:
            place = next((n for n in free if same(sample[n], column)), None)
            if column.name not in places and place is not None:
                places[column.name] = place
                free.remove(place)
    whole = len(places) == len(columns) and not any(sample[n].kind in ours for n in free)
    return [places[column.name] for column in columns] if whole else []


def _named(one: Field, column: Column) -> bool:
    return one.kind == column.kind and one.name.strip().casefold() == column.name.casefold()


def _alike(one: Field, column: Column) -> bool:
    return one.kind == column.kind


def held_whole(
    sample: Sequence[Field], whole: Sequence[WholeRows], known: Sequence[tuple[U64, U64]], rows: int
) -> Resolved:
    """The rows that are a version that the registry has, resolved; all others unknown, for `resolve`.

    known: for each of `whole`, its versions in the registry and their records, sorted by version. A row that is one of
    two datasets stays unknown.
    """
    out = unknown(sample, rows)
    times = np.zeros(rows, dtype=np.int64)
    for one, (version, record) in zip(whole, known, strict=True):
        place = np.minimum(np.searchsorted(version, one.version), max(len(version) - 1, 0))
        there = one.telling & (version[place] == one.version) if len(version) else np.zeros(rows, dtype=bool)
        times += there
        at = np.flatnonzero(there)
        out.dataset[at], out.version[at], out.record[at] = one.dataset, one.version[at], record[place[at]]
        out.agreed[at] = out.readable[at] & one.mask
        out.row_class[at] = CLASSES.index(RowClass.HELD)
    out.able[out.found()] = True
    if (times > 1).any():
        clear = times > 1
        for name in ("version", "record", "agreed"):
            getattr(out, name)[clear] = 0
        out.dataset[clear], out.row_class[clear] = -1, CLASSES.index(RowClass.UNKNOWN)
    return out


def with_rest(whole: Resolved, rest: Resolved, at: I64) -> Resolved:
    """The rows as they were found, and at `at` as they were found by searching (further)."""
    parts = {
        part.name: getattr(whole, part.name).copy() for part in fields(Resolved) if part.name not in _TIED + _SECOND
    }
    for name, values in parts.items():
        values[at] = getattr(rest, name)
    rest = replace(rest, tied_row=at[rest.tied_row], second_row=at[rest.second_row])
    pairs: dict[str, npt.NDArray[Any]] = {}
    for names in (_TIED, _SECOND):
        stays = ~np.isin(getattr(whole, names[0]), at)
        pairs |= {name: np.concatenate([getattr(whole, name)[stays], getattr(rest, name)]) for name in names}
    return replace(whole, **parts, **pairs)


def rows_between(resolved: Resolved, start: int, end: int) -> Resolved:
    """Rows start to end of what was resolved."""
    parts = {p.name: getattr(resolved, p.name)[start:end] for p in fields(Resolved) if p.name not in _TIED + _SECOND}
    for names in (_TIED, _SECOND):
        mine = (getattr(resolved, names[0]) >= start) & (getattr(resolved, names[0]) < end)
        parts |= {name: getattr(resolved, name)[mine] for name in names}
        parts[names[0]] = parts[names[0]] - start
    return replace(resolved, **parts)


def unknown(sample: Sequence[Field], rows: int) -> Resolved:
    """No row found yet."""
    none = {name: np.zeros(rows, dtype=np.int64) for name in ("agreed", "differs", "elsewhere")}
    return Resolved(
        row_class=np.full(rows, CLASSES.index(RowClass.UNKNOWN), dtype=np.int64),
        dataset=np.full(rows, -1, dtype=np.int64),
        version=np.zeros(rows, dtype=np.uint64),
        record=np.zeros(rows, dtype=np.uint64),
        readable=readable_fields(sample, rows),
        hidden=hidden_rows(sample, rows),
        bits=np.zeros(rows),
        able=np.zeros(rows, dtype=bool),
        second=np.zeros(rows, dtype=np.uint64),
        tied_row=np.zeros(0, dtype=np.int64),
        tied_version=np.zeros(0, dtype=np.uint64),
        tied_dataset=np.zeros(0, dtype=np.int64),
        tied_record=np.zeros(0, dtype=np.uint64),
        second_row=np.zeros(0, dtype=np.int64),
        second_dataset=np.zeros(0, dtype=np.int64),
        second_record=np.zeros(0, dtype=np.uint64),
        **none,
    )
