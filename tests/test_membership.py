"""Who held which rows, and how many, against the plain way of counting."""

from collections import Counter

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from watermarking.membership import Holders, holders_of_rows, mixed_words, patterns

_SETS = [("X-1",), ("X-1", "X-30"), (), ("X-2",), ("X-30", "X-4")]
_PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, len(_SETS) - 1)), max_size=60)


@given(_PAIRS)
@settings(deadline=None)
def test_rows_are_counted_by_the_exports_that_held_any_version_they_can_be(pairs: list[tuple[int, int]]) -> None:
    plain: dict[int, set[str]] = {}
    for row, number in pairs:
        plain.setdefault(row, set()).update(_SETS[number])
    row, number = (np.array([pair[n] for pair in pairs], dtype=np.int64) for n in (0, 1))
    held = holders_of_rows(row, number, _SETS, 13)
    assert {n: set(held.sets[k]) for n, k in enumerate(held.number.tolist()) if k >= 0} == plain
    found = patterns(held)
    assert found == Counter(tuple(sorted(exports)) for exports in plain.values() if exports)
    assert all(type(export) is str and type(count) is int for names, count in found.items() for export in names)


def test_equal_sets_under_two_numbers_are_counted_together() -> None:
    held = Holders(np.array([0, 1, -1]), (("X-1",), ("X-1",)))
    assert patterns(held) == {("X-1",): 2}


def test_sums_of_mixed_words_tell_sets_of_numbers_apart() -> None:
    rng = np.random.default_rng(3)
    sets = {tuple(np.flatnonzero(rng.random(40) < 0.5).tolist()) for _ in range(20_000)}
    assert len({int(mixed_words(np.array(one, dtype=np.int64)).sum(dtype=np.uint64)) for one in sets}) == len(sets)
