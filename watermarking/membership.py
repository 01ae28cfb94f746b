"""Which exports held the records of a sample.

Counts merge by addition: for every set of exports that holds exactly the same sample rows, the number of rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
_MOST_TRIED = 5_000
Pattern = tuple[str, ...]  # sorted export ids that all hold a row


@dataclass(frozen=True)
class Holders:
    """Which exports held each sample row, by the set of them, because most rows of an export have the same.

    number: int64[rows], which of `sets`; -1 where nobody held it, or who is of no interest.
    """

    number: I64
    sets: tuple[Pattern, ...]


@dataclass(frozen=True)
class Coverage:
    """How much of a sample one export held: rows, and rows that no other export held."""

    export_id: str
    rows: int
    exclusive: int


def mixed_words(numbers: I64) -> U64:
    """One word a number, as if drawn at random; uint64[n]. Their sum tells sets of numbers apart (splitmix64)."""
    word = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def holders_of_rows(row: I64, number: I64, sets: Sequence[Pattern], rows: int) -> Holders:
    """Who held each sample row, where it can be several versions: whoever held any of them.

    row, number: int64[n], a row and one of the versions that it can be, by the set that held it; rows: of the sample.
    """
    out = np.full(rows, -1, dtype=np.int64)
    out[row] = number
    if (np.bincount(row, minlength=1) <= 1).all():
        return Holders(out, tuple(sets))
    row, number = np.divmod(np.unique(row * len(sets) + number), len(sets))
    word = np.zeros(rows, dtype=np.uint64)
    np.add.at(word, row, mixed_words(number))
    there = np.flatnonzero(out >= 0)
    _, first, out[there] = np.unique(word[there], return_index=True, return_inverse=True)
    start, end = (np.searchsorted(row, there[first], side=side) for side in ("left", "right"))
    joined = (frozenset().union(*(sets[n] for n in number[a:b])) for a, b in zip(start, end, strict=True))
    return Holders(out, tuple(tuple(sorted(exports)) for exports in joined))


def patterns(held: Holders) -> Counter[Pattern]:
    """Rows counted by the set of exports that holds them."""
    counts = np.bincount(held.number[held.number >= 0], minlength=len(held.sets))
    found: Counter[Pattern] = Counter()
    for exports, count in zip(held.sets, counts.tolist(), strict=True):
        if exports:
            found[exports] += count
    return +found


def coverage(counts: Mapping[Pattern, int]) -> list[Coverage]:
    """Coverage of each export, most rows first, then by id."""
    rows: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for pattern, count in counts.items():
        for export in pattern:
            rows[export] += count
        if len(pattern) == 1:
            alone[pattern[0]] += count
    found = [Coverage(export, count, alone[export]) for export, count in rows.items()]
    return sorted(found, key=lambda c: (-c.rows, c.export_id))


def fewest_exports(counts: Mapping[Pattern, int], preferred: Set[str] = frozenset()) -> list[str]:
    """The smallest set of exports that together hold every held row.

    preferred: exports that are taken before others which explain as many rows.

    Branches over the holders of the row that fewest hold. Where that takes too long (many exports that overlap in
    parts), the best set found, which is never larger than a greedy one: at most ln n times the smallest.
    """
    best, tried = _greedy(counts, preferred), 0
    stack: list[tuple[list[str], dict[Pattern, int]]] = [([], dict(counts))]
    while stack and tried < _MOST_TRIED:
        chosen, left = stack.pop()
        tried += 1
        if not left:
            best = chosen if len(chosen) < len(best) else best
            continue
        if len(chosen) + 1 >= len(best):
            continue
        holders = min(left, key=lambda pattern: (len(pattern), pattern))
        ranked = [export for export in _ranked(left, preferred) if export in holders]
        # The one that explains most is tried first.
        stack += [([*chosen, e], {p: n for p, n in left.items() if e not in p}) for e in reversed(ranked)]
    return best


def explained(counts: Mapping[Pattern, int], chosen: Sequence[str]) -> list[Coverage]:
    """Of each export of a set: rows it explains, and rows that only it explains among the set; most rows first."""
    within: Counter[Pattern] = Counter()
    for pattern, count in counts.items():
        within[tuple(export for export in pattern if export in chosen)] += count
    return coverage(within)


def _ranked(counts: Mapping[Pattern, int], preferred: Set[str]) -> list[str]:
    found = sorted(coverage(counts), key=lambda c: (-c.rows, c.export_id not in preferred, c.export_id))
    return [one.export_id for one in found]


def _greedy(counts: Mapping[Pattern, int], preferred: Set[str]) -> list[str]:
    left = dict(counts)
    chosen: list[str] = []
    while left:
        best = _ranked(left, preferred)[0]
        chosen.append(best)
        left = {pattern: count for pattern, count in left.items() if best not in pattern}
    return chosen
