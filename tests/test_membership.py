"""Counting rows by the set of exports that held them, against the plain way of counting."""

from collections import Counter

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from watermarking.membership import patterns

_PAIRS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["X-1", "X-2", "X-30", "X-4"])), max_size=60)


@given(_PAIRS)
@settings(deadline=None)
def test_rows_are_counted_by_their_set_of_exports(pairs: list[tuple[int, str]]) -> None:
    held: dict[int, set[str]] = {}
    for row, export in pairs:
        held.setdefault(row, set()).add(export)
    plain = Counter(tuple(sorted(exports)) for exports in held.values())
    ids = sorted({export for _, export in pairs})[::-1]
    rows, exports = (
        np.array(one, dtype=np.int64) for one in ([row for row, _ in pairs], [ids.index(export) for _, export in pairs])
    )
    found = patterns(rows, exports, ids)
    assert found == plain
    assert all(type(export) is str and type(count) is int for names, count in found.items() for export in names)
