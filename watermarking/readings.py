"""Counts of the symbols that were read from a sample.

Readings are integers and merge by addition, so chunks can be read in any order, anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Readings:
    """Counts of symbols by (site, position), sorted, each pair once.

    site: int64[n], number in the plan; position: int64[n]; zeros, ones: int64[n], how often each was read.
    """

    site: I64
    position: I64
    zeros: I64
    ones: I64

    @classmethod
    def empty(cls) -> "Readings":
        """No symbol read."""
        none = np.zeros(0, dtype=np.int64)
        return cls(none, none, none, none)

    def count(self) -> int:
        """How many symbols were read."""
        return int(self.zeros.sum() + self.ones.sum())

    def keep(self, chosen: npt.NDArray[np.bool_]) -> "Readings":
        """The readings of a mask; chosen: bool[n]."""
        return Readings(self.site[chosen], self.position[chosen], self.zeros[chosen], self.ones[chosen])


def merge(parts: Sequence[Readings]) -> Readings:
    """Sum of readings; associative and commutative."""
    if not parts:
        return Readings.empty()
    site = np.concatenate([part.site for part in parts])
    position = np.concatenate([part.position for part in parts])
    width = int(position.max(initial=0)) + 1
    where = site * width + position  # a plan has few of both
    keys = np.flatnonzero(np.bincount(where))
    zeros, ones = (
        np.bincount(where, np.concatenate([getattr(part, name) for part in parts])).astype(np.int64)[keys]
        for name in ("zeros", "ones")
    )
    return Readings(keys // width, keys % width, zeros, ones)
