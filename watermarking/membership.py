"""Which exports held the records of a sample.

Counts merge by addition: for every set of exports that holds exactly the same sample rows, the number of rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pattern = tuple[str, ...]  # sorted export ids that all hold a row


@dataclass(frozen=True)
class Coverage:
    """How much of a sample one export held: rows, and rows that no other export held."""

    export_id: str
    rows: int
    exclusive: int


def patterns(rows: npt.NDArray[np.int64], export_ids: Sequence[str]) -> Counter[Pattern]:
    """Rows counted by the set of exports that holds them.

    rows: int64[n], sample row of each (row, export) pair; export_ids: str[n].
    """
    held: dict[int, set[str]] = {}
    for row, export in zip(rows.tolist(), export_ids, strict=True):
        held.setdefault(row, set()).add(export)
    return Counter(tuple(sorted(exports)) for exports in held.values())


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


def fewest_exports(counts: Mapping[Pattern, int]) -> list[str]:
    """A small set of exports that together hold every held row (greedy cover, at most ln n times the least)."""
    left = dict(counts)
    chosen: list[str] = []
    while left:
        best = coverage(left)[0].export_id
        chosen.append(best)
        left = {pattern: count for pattern, count in left.items() if best not in pattern}
    return chosen
