"""Values that go together as they do in real rows, and of which no two come from one real row.

A canary's columns are filled one after the other, each with the value of a real row (its *donor*). The donor is
drawn among rows that resemble the canary in the columns already filled on which this one depends most, so that
balance and limit, branch and district, age and date go together as in the data; and never a row that gave the
canary another value, so no real person's combination is copied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

I64 = npt.NDArray[np.int64]
_BINS = 48
_PARENTS = 3
_CELLS = 2_000_000  # distances that a draw computes
_AT_ONCE = 32_768  # of them, so that they stay in the processor's cache
_LEAST = 0.01  # nats of dependence that are worth following


@dataclass(frozen=True)
class Attribute:
    """One property of the profile's rows.

    values: float64[rows], ranks in [0, 1] of a number, or codes of a category; -1 where there is none.
    """

    values: npt.NDArray[np.float64]
    categorical: bool

    @cached_property
    def bins(self) -> I64:
        """int64[rows]: a coarse class of each row, from 0 to below _BINS."""
        if not self.categorical:
            return np.where(self.values < 0, 0, 1 + (self.values * (_BINS - 2)).astype(np.int64))
        codes, inverse, counts = np.unique(self.values, return_inverse=True, return_counts=True)
        place = np.empty(len(codes), dtype=np.int64)
        place[np.argsort(-counts, kind="stable")] = np.arange(len(codes))
        return np.minimum(place[inverse], _BINS - 1)


def category(cells: pa.Array) -> Attribute:
    """A column as classes: equal text is one class, empty cells are their own."""
    codes = pc.dictionary_encode(cells.cast(pa.string()))
    return Attribute(np.asarray(pc.fill_null(codes.indices, -1).to_numpy(zero_copy_only=False), np.float64), True)


def ranked(numbers: npt.NDArray[np.float64]) -> Attribute:
    """Numbers (nan: none) as ranks; equal numbers have equal ranks."""
    there = ~np.isnan(numbers)
    different, inverse = np.unique(numbers[there], return_inverse=True)
    before = np.searchsorted(np.sort(numbers[there]), different, side="left")
    values = np.full(len(numbers), -1.0)
    values[there] = before[inverse] / max(int(there.sum()), 1)
    return Attribute(values, False)


def dependence(first: I64, second: I64) -> float:
    """Mutual information of two rows of classes in nats, less what chance alone would show."""
    table = np.zeros((int(first.max()) + 1, int(second.max()) + 1))
    np.add.at(table, (first, second), 1)
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    count, free = table.sum(), (table.shape[0] - 1) * (table.shape[1] - 1)
    share, rows, columns = table / count, table.sum(axis=1) / count, table.sum(axis=0) / count
    with np.errstate(divide="ignore", invalid="ignore"):
        told = np.nansum(share * np.log(share / np.outer(rows, columns)))
    return float(told - (free + 4 * np.sqrt(2 * free)) / (2 * count))


class Deck:
    """Draws donors for one set of canaries; donors are row numbers of the profile."""

    def __init__(self, attributes: Mapping[str, Attribute], count: int, rng: np.random.Generator) -> None:
        """Nothing is drawn yet; `count` canaries."""
        self._attributes, self._count, self._rng = attributes, count, rng
        self._bins = {name: attribute.bins for name, attribute in attributes.items()}
        self._donors: dict[str, I64] = {}
        self._used: list[I64] = []

    def root(self, names: Sequence[str], rows: I64) -> I64:
        """A donor for each canary, uniform among `rows`; it is the donor of all of these attributes."""
        donors = self._rng.choice(rows, self._count)
        self._donors |= dict.fromkeys((name for name in names if name in self._attributes), donors)
        self._used.append(donors)
        return donors

    def draw(self, name: str, rows: I64) -> tuple[I64, bool]:
        """A donor among `rows` for each canary, like it in what was drawn; and whether it depends on anything.

        Without a dependence the donor is uniform among the rows (but for those that gave another value).
        """
        parents = self._parents(name, rows)
        if not parents:
            donors = self._rng.choice(rows, self._count)
            for _ in range(3):
                again = np.flatnonzero(np.any([used == donors for used in self._used] or [donors < 0], axis=0))
                if not len(again) or len(rows) <= len(self._used):
                    break
                donors[again] = self._rng.choice(rows, len(again))
        else:
            donors = self._alike(parents, rows)
        if name in self._attributes:
            self._donors[name] = donors
        self._used.append(donors)
        return donors, bool(parents)

    def _parents(self, name: str, rows: I64) -> dict[str, float]:
        if name not in self._attributes:
            return {}
        mine = self._bins[name][rows]
        told = {other: dependence(mine, self._bins[other][rows]) for other in self._donors}
        best = sorted((other for other in told if told[other] > _LEAST), key=lambda other: -told[other])
        return {other: told[other] for other in best[:_PARENTS]}

    def _alike(self, parents: Mapping[str, float], rows: I64) -> I64:
        """Of some hundred rows drawn for each canary the one that is most like it."""
        donors = np.empty(self._count, dtype=np.int64)
        drawn = int(np.clip(_CELLS // max(self._count, 1), min(300, len(rows)), min(3_000, len(rows))))
        step = max(1, _AT_ONCE // drawn)
        heaviest = max(parents.values())
        for start in range(0, self._count, step):
            part = slice(start, min(start + step, self._count))
            candidates = rows[self._rng.integers(0, len(rows), (part.stop - start, drawn))]
            far = np.zeros(candidates.shape)
            for parent, weight in parents.items():
                attribute = self._attributes[parent]
                mine = attribute.values[self._donors[parent][part]][:, None]
                theirs = attribute.values[candidates]
                apart = (mine != theirs) if attribute.categorical else np.abs(mine - theirs)
                far += (weight / heaviest) * apart
            donors[part] = _nearest(candidates, far, np.stack([used[part] for used in self._used]))
        return donors


def _nearest(candidates: I64, far: npt.NDArray[np.float64], used: I64) -> I64:
    """Of each line of candidates the first nearest that was not used; used: int64[times, lines]. Changes `far`."""
    lines = np.arange(len(candidates))
    chosen = candidates[lines, far.argmin(axis=1)]
    # A used one is nearest in few lines: only those are looked through.
    again = np.flatnonzero((used == chosen).any(axis=0))
    for one in used[:, again]:
        far[again] = np.where(candidates[again] == one[:, None], np.inf, far[again])
    chosen[again] = candidates[again, far[again].argmin(axis=1)]
    return chosen
