"""Which exports held the records of a sample.

Counts merge by addition: for every set of exports that holds exactly the same sample rows, the number of rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
_MOST_TRIED = 5_000
Pattern = tuple[str, ...]  # sorted export ids that all hold a row


@dataclass(frozen=True)
class Coverage:
    """How much of a sample one export held: rows, and rows that no other export held."""

    export_id: str
    rows: int
    exclusive: int


def patterns(rows: I64, exports: I64, ids: Sequence[str]) -> Counter[Pattern]:
    """Rows counted by the set of exports that holds them.

    rows, exports: int64[n], sample row and number of the export of each pair; ids: of the exports, each once.
    """
    if not len(rows):
        return Counter()
    names = np.sort(np.asarray(ids, dtype=np.str_))
    code = np.searchsorted(names, np.asarray(ids, dtype=np.str_))[exports]
    pairs = np.unique(rows * len(names) + code)  # by row, then by export
    _, first, sizes = np.unique(pairs // len(names), return_index=True, return_counts=True)
    found: Counter[Pattern] = Counter()
    for size in np.unique(sizes):
        places = first[sizes == size][:, None] + np.arange(size)
        sets, counts = np.unique(pairs[places] % len(names), axis=0, return_counts=True)
        found.update({tuple(names[one].tolist()): int(n) for one, n in zip(sets, counts, strict=True)})
    return found


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
