"""The distribution of an innocent's score, exactly, and what canaries may add to it.

Setting. Fix the sample, the biases p and all other keys. An innocent copy's secret was drawn honestly and had
no part in the sample, so its bits X_i are independent of everything fixed, X_i = 1 with probability p_i, and
so are its unique canaries, each of which equals a given row in the fields read with probability at most q.

Claim 1 (one hypothesis). For S = sum w_i X_i, P(S >= s) is the sum of the products of the bits' own
probabilities: `null_tail` adds them all, with non-negative terms only, so nothing cancels and the relative
error is below 4 n 2^-53; the result is multiplied by 1 + 1e-9, which covers it. A coded canary is one more bit:
what is fixed is the sample with the pool's people in it, and whether an innocent copy holds one is its X_i.

Claim 2 (unique canaries). K, the number of an innocent's m canaries found among n sample rows, is stochastically at
most Binomial(m, n q) (union bound over the rows, canaries drawn independently), and independent of X. The
score S + d K with d >= 0 has, by summation by parts, P(S + d K >= s) = T(s) + sum over j >= 1 of P(K >= j)
(T(s - j d) - T(s - (j - 1) d)), T the tail of S; T does not increase, so putting the bound
C(m, j) (n q)^j for P(K >= j) can only enlarge it. The terms behind the J-th add at most P(K >= J + 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watermarking.fingerprint_code import F64
from watermarking.readings import I64

_ROUNDING = 1 + 1e-9
_UNDERFLOW = 1e-300  # added to every tail: what double precision may have dropped
_MOST_HITS = 40
_NEGLIGIBLE = 1e-60


@dataclass(frozen=True)
class CanaryHits:
    """The unique canaries of one copy against a sample.

    How many it has, how many were found, and `bound`, at most 1: the probability that a given one of an
    innocent's canaries is found among the rows (n q).
    """

    copies: int
    found: int
    bound: float


@dataclass(frozen=True)
class HitColumns:
    """`CanaryHits` of many copies: copies, found int64[n]; bound float64[n]."""

    copies: I64
    found: I64
    bound: F64

    @classmethod
    def of(cls, hits: Sequence[CanaryHits]) -> "HitColumns":
        """The same as columns."""
        count = len(hits)
        return cls(
            np.fromiter((one.copies for one in hits), np.int64, count),
            np.fromiter((one.found for one in hits), np.int64, count),
            np.fromiter((one.bound for one in hits), np.float64, count),
        )

    def take(self, rows: I64) -> "HitColumns":
        """Those of some copies; rows: int64[n], numbers that may repeat."""
        return HitColumns(self.copies[rows], self.found[rows], self.bound[rows])

    def chance(self) -> F64:
        """How often an innocent's canary is found, at most; 0 where canaries say nothing; float64[n]."""
        chance = self.copies * self.bound
        return np.where((chance > 0) & (chance < 0.5), chance, 0.0)

    def units(self, step: float) -> I64:
        """The score of one canary found, in steps: what half a chance of meeting a source's one says; int64[n]."""
        chance = self.chance()
        says = np.log(0.5 / np.where(chance > 0, chance, 0.5))
        return np.rint(says / step).astype(np.int64)

    def log_ratios(self) -> F64:
        """Natural log of a factor whose expectation for an innocent is at most 1; float64[n].

        A source's canary is met with probability 1/2, so a hit has the factor 1/2 over its chance, none has 1/2.
        """
        chance = self.chance()
        says = np.where(self.found > 0, np.log(0.5 / np.where(chance > 0, chance, 0.5)), np.log(0.5))
        return np.where(chance > 0, says, 0.0)


@dataclass(frozen=True)
class Tail:
    """P(S >= s) of an innocent's score, as an array: index s - lowest."""

    lowest: int
    tail: F64

    def at(self, scores: npt.NDArray[np.int64]) -> F64:
        """P(S >= s) for each s; 1 below the range, the underflow bound above it."""
        index = scores - self.lowest
        inside = self.tail[np.clip(index, 0, len(self.tail) - 1)]
        return np.where(index <= 0, 1.0, np.where(index >= len(self.tail), _UNDERFLOW, inside))

    def quantile(self, chance: float) -> int:
        """The least s with P(S >= s) <= chance; one above the range when there is none."""
        return self.lowest + int(np.searchsorted(-self.tail, -chance))


def null_tail(weights: I64, p: F64) -> Tail:
    """The exact tail of S = sum w_i X_i with independent X_i = 1 of probability p_i (claim 1).

    weights: int64[n]; p: float64[n]. Direct summation over the distribution of the sum.
    """
    used = np.flatnonzero(weights)
    size, chance = np.abs(weights[used]), np.where(weights[used] > 0, p[used], 1 - p[used])
    lowest = int(weights[weights < 0].sum())
    mass, span = np.zeros(int(size.sum()) + 1), 1
    mass[0] = 1.0
    for order in np.argsort(size, kind="stable"):
        width, one = int(size[order]), float(chance[order])
        lifted = mass[:span] * one
        mass[:span] *= 1 - one
        mass[width : width + span] += lifted
        span += width
    tail = np.cumsum(mass[::-1])[::-1] * _ROUNDING + _UNDERFLOW
    return Tail(lowest, np.minimum(tail, 1.0))


def with_canaries(tail: Tail, marks: I64, hits: HitColumns, units: I64) -> F64:
    """P(S + unit K >= marks + unit found) for an innocent, at most (claim 2); all int64[n], float64[n] back."""
    total = marks + units * hits.found
    p, reached, below = tail.at(total), np.ones(len(total)), tail.at(total)
    usable = hits.chance() > 0
    for j in range(1, _MOST_HITS + 1):
        reached = np.where(usable, reached * np.maximum(hits.copies - j + 1, 0) / j * hits.bound, 0.0)
        if reached.max(initial=0.0) < _NEGLIGIBLE:
            break
        here = tail.at(total - units * j)
        p += np.minimum(reached, 1.0) * (here - below)
        below = here
    else:
        reached = np.where(usable, reached * np.maximum(hits.copies - _MOST_HITS, 0) / (_MOST_HITS + 1) * hits.bound, 0)
    return np.minimum((p + reached) * _ROUNDING, 1.0)


def canaries_alone(hits: HitColumns) -> F64:
    """P(K >= found) for an innocent, at most: C(m, found) (n q)^found; 1 where canaries say nothing; float64[n]."""
    out = np.ones(len(hits.copies))
    for j in range(1, int(hits.found.max(initial=0)) + 1):
        out = np.where(j <= hits.found, out * (hits.copies - j + 1) / j * hits.bound, out)
    return np.where(hits.chance() > 0, np.minimum(out * _ROUNDING + _UNDERFLOW, 1.0), 1.0)
