"""Distinct numbers are those of NumPy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watermarking.distinct import coded, distinct


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3)))
def test_distinct_words_are_sorted_and_each_there_once(words: list[int]) -> None:
    assert distinct(np.array(words, dtype=np.uint64)).tolist() == sorted(set(words))


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3)))
def test_coded_words_are_those_of_numpy(words: list[int]) -> None:
    numbers = np.array(words, dtype=np.uint64)
    values, first, which = coded(numbers)
    assert values.tolist() == sorted(set(words))
    assert first.tolist() == np.unique(numbers, return_index=True)[1].tolist()
    assert values[which].tolist() == words
