"""Where canaries go: one in each stratum, so that head, tail and any block hold their share."""

import numpy as np
import numpy.typing as npt

_SMALLEST = 20  # rows from which a table gets at least one canary


def positions(rows: int, density: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """The source row before which each canary goes; int64[count], sorted, from 0 to rows.

    The table is cut into as many equal strata as there are canaries, and each gets one at a random place in
    it, so any block of rows holds its share within one. density: canaries per row.
    """
    if rows < _SMALLEST or density <= 0:
        return np.zeros(0, dtype=np.int64)
    count = max(1, round(rows * density))
    edges = np.linspace(0, rows, count + 1)
    # A stratum's place is drawn once for all strata: blocks as long as a stratum then hold exactly one.
    shift = rng.random()
    jitter = (shift + rng.uniform(-0.1, 0.1, count)) % 1.0 if count < 3 else np.full(count, shift)
    return np.minimum((edges[:-1] + jitter * np.diff(edges)).astype(np.int64), rows)
