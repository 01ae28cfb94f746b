"""Which exports held the records of a sample.

Counts merge by addition: for every set of exports that holds exactly the same sample rows, the number of rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watermarking.distinct import distinct

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
_MOST_TRIED = 5_000
_MOST_VISITED = 100_000_000  # memberships looked at, over all tries: a second or less
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
    row, number = np.divmod(distinct(row * len(sets) + number), len(sets))
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
    if not counts:
        return []
    table = _Holders.of(counts, preferred)
    best, tries = _greedy(table), max(1, min(_MOST_TRIED, _MOST_VISITED // len(table.export)))
    stack = [(list[int](), np.ones(len(table.weight), dtype=bool))]
    while stack and tries:
        chosen, left = stack.pop()
        if len(chosen) + 1 >= len(best):
            continue
        tries -= 1
        rows = table.rows_held(left)
        ranked = table.ranked(table.holders(int(left.argmax())), rows)
        if rows[ranked[0]] == int(table.weight[left].sum()):
            best = [*chosen, int(ranked[0])]
        elif len(chosen) + 2 < len(best):  # the one that explains most is tried first
            stack += [([*chosen, int(one)], left & ~table.held_by(int(one))) for one in reversed(ranked)]
    return [table.ids[one] for one in best]


def explained(counts: Mapping[Pattern, int], chosen: Sequence[str]) -> list[Coverage]:
    """Of each export of a set: rows it explains, and rows that only it explains among the set; most rows first."""
    within, among = Counter[Pattern](), frozenset(chosen)
    for pattern, count in counts.items():
        within[tuple(export for export in pattern if export in among)] += count
    return coverage(within)


@dataclass(frozen=True)
class _Holders:
    """Who holds what: a line for each pattern and export, exports by number.

    ids: of the exports, sorted; weight: rows of each pattern, those that fewest hold first; export: the holders of the
    patterns, one pattern after another, from `start` on; pattern: sorted by export, from `first` on; other: exports
    that are not preferred.
    """

    ids: Sequence[str]
    weight: I64
    export: I64
    start: I64
    pattern: I64
    first: I64
    other: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, counts: Mapping[Pattern, int], preferred: Set[str]) -> "_Holders":
        held = sorted(counts, key=lambda pattern: (len(pattern), pattern))
        sizes = np.array([len(pattern) for pattern in held])
        ids = sorted({one for pattern in held for one in pattern})
        number = {one: at for at, one in enumerate(ids)}
        export = np.fromiter((number[one] for pattern in held for one in pattern), np.int64, int(sizes.sum()))
        order = np.argsort(export, kind="stable")
        return cls(
            ids,
            np.array([counts[pattern] for pattern in held]),
            export,
            np.concatenate([[0], np.cumsum(sizes)]),
            np.repeat(np.arange(len(held)), sizes)[order],
            np.searchsorted(export[order], np.arange(len(ids) + 1)),
            np.array([one not in preferred for one in ids]),
        )

    def rows_held(self, left: npt.NDArray[np.bool_]) -> I64:
        """How many rows of the patterns that are left each export holds; int64[exports]."""
        lines = np.repeat(self.weight * left, np.diff(self.start))
        return np.bincount(self.export, lines, len(self.ids)).astype(np.int64)  # exact below 2^53

    def holders(self, pattern: int) -> I64:
        """The exports of a pattern."""
        return self.export[self.start[pattern] : self.start[pattern + 1]]

    def held_by(self, export: int) -> npt.NDArray[np.bool_]:
        """Which patterns an export is in; bool[patterns]."""
        out = np.zeros(len(self.weight), dtype=bool)
        out[self.pattern[self.first[export] : self.first[export + 1]]] = True
        return out

    def ranked(self, exports: I64, rows: I64) -> I64:
        """Exports by the rows that they hold (int64, of every export), most first, then preferred ones, then by id."""
        return exports[np.lexsort((exports, self.other[exports], -rows[exports]))]


def _greedy(table: _Holders) -> list[int]:
    left, chosen, every = np.ones(len(table.weight), dtype=bool), list[int](), np.arange(len(table.ids))
    while left.any():
        chosen.append(int(table.ranked(every, table.rows_held(left))[0]))
        left &= ~table.held_by(chosen[-1])
    return chosen
