"""Distinct numbers of an array, where most of them differ or few do, and which numbers are among them."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Number = TypeVar("Number", bound=np.generic)


def distinct(numbers: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The distinct numbers of a one-dimensional array, sorted: what `np.unique` gives.

    NumPy 2.4's hashes them first, which takes fifty times as long where most differ
    (runbooks/decisions/0210-distinct-words-by-sorting.md).
    """
    ordered = np.sort(numbers)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered


def coded(numbers: npt.NDArray[Number]) -> tuple[npt.NDArray[Number], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct numbers, sorted; where each first stands, int64[distinct]; which each is, int64[numbers].

    What `np.unique` gives with both indices; quicker where few differ.
    """
    found = pa.array(numbers).dictionary_encode()
    values = found.dictionary.to_numpy()
    order = np.argsort(values)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    which = rank[found.indices.to_numpy()]
    first = np.empty(len(order), dtype=np.int64)
    first[which[::-1]] = np.arange(len(which))[::-1]  # the last that is written stays
    return values[order], first, which


def is_in(ordered: npt.NDArray[Number], wanted: npt.NDArray[Number]) -> npt.NDArray[np.bool_]:
    """Which of some numbers are in a sorted array; bool[wanted]."""
    return places_in(ordered, wanted)[1]


def places_in(
    ordered: npt.NDArray[Number], wanted: npt.NDArray[Number]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where some numbers are in a sorted array, int64[wanted], and whether they are, bool[wanted]."""
    if not len(ordered):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return place, np.asarray(ordered[place] == wanted)
