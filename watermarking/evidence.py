"""Bounds on naming an innocent.

Setting. Fix the sample, the biases p and all other keys. An innocent copy's secret was drawn honestly and had
no part in the sample, so its bits X_i are independent of everything fixed, X_i = 1 with probability p_i, and
so are its unique canaries, each of which equals a given row in the fields read with probability at most q.

Claim 1 (one hypothesis). For S = sum w_i X_i, P(S >= s) is the sum of the products of the bits' own
probabilities: `null_tail` adds them all, with non-negative terms only, so nothing cancels and the relative
error is below 4 n 2^-53; the result is multiplied by 1 + 1e-9, which covers it.

Claim 2 (canaries). K, the number of an innocent's m canaries found among n sample rows, is stochastically at
most Binomial(m, n q) (union bound over the rows, canaries drawn independently), and independent of X. The
score S + d K with d >= 0 has, by summation by parts, P(S + d K >= s) = T(s) + sum over j >= 1 of P(K >= j)
(T(s - j d) - T(s - (j - 1) d)), T the tail of S; T does not increase, so putting the bound
C(m, j) (n q)^j for P(K >= j) can only enlarge it.

Claim 3 (hypotheses). With weights u_h >= 0 that sum to 1 and do not depend on X, the event that
min_h p_h / u_h <= a has probability at most sum of a u_h = a (weighted Bonferroni, Genovese, Roeder and
Wasserman 2006). The weights are prior times the sample's own likelihood: a model that fits the sample badly
has weight zero and costs nothing.

Claim 4 (family). N copies searched and the k-th attempt on a sample: multiplied by N / v_k, where v_1 = 3/4 and
v_k = 2^-k / 2 from the second on, the probability that any innocent is named in any attempt is at most alpha times
the sum of v_k, which is 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, log, log10

import numpy as np
import numpy.typing as npt

from watermarking.fingerprint_code import F64
from watermarking.readings import I64, Readings
from watermarking.scoring import Score, agreeing, hypotheses, score, scores_of, set_aside

_ROUNDING = 1 + 1e-9
_UNDERFLOW = 1e-300  # added to every tail: what double precision may have dropped
_RATIO_CAP = 6.0  # log10: beyond it mix-ups, key compromise and program errors dominate
_MOST_HITS = 40


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
class Assessment:
    """What the sample says of one copy. Logarithms to base 10; `p_adjusted` is family-wise, an upper bound."""

    log10_p_adjusted: float
    log10_ratio: float
    log10_p_marks: float
    sites_read: int
    sites_agreeing: int
    hypothesis: str


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


def with_canaries(tail: Tail, marks: int, hits: CanaryHits, unit: int) -> float:
    """P(S + unit K >= marks + unit found) for an innocent, at most (claim 2)."""
    total = marks + unit * hits.found
    steps = np.arange(min(hits.copies, _MOST_HITS) + 1)
    tails = tail.at(total - unit * steps)
    reached = np.array([min(1.0, comb(hits.copies, int(j)) * hits.bound ** int(j)) for j in steps])
    rest = reached[-1] * (1.0 - tails[-1]) if hits.copies > _MOST_HITS else 0.0
    return float(min(1.0, (tails[0] + (reached[1:] * np.diff(tails)).sum() + rest) * _ROUNDING))


def assess(
    readings: Readings,
    p: F64,
    words: npt.NDArray[np.uint8],
    canaries: Sequence[CanaryHits],
    *,
    family: int,
    attempt: int,
) -> list[Assessment]:
    """What the sample says of each copy.

    words: uint8[copies, positions], the code words of the copies; canaries: one entry a copy; family: how
    many copies are searched; attempt: how often this sample was traced, from 1.
    """
    kept, _ = set_aside(readings, p)
    scored = [score(kept, p, hypothesis) for hypothesis in hypotheses()]
    shares = model_weights(scored)
    log_paid = log10(family) - log10(attempt_share(attempt))
    p_values, p_marks = np.ones((len(scored), len(words))), np.ones((len(scored), len(words)))
    ratios = np.full((len(scored), len(words)), -np.inf)
    for row, (each, share) in enumerate(zip(scored, shares, strict=True)):
        if share < 1e-9:
            continue
        tail, sums = null_tail(each.weights, p), scores_of(words, each.weights)
        p_marks[row] = np.minimum(tail.at(sums) / share, 1.0)
        found = (_canary_p(tail, int(s), c, each.step) for s, c in zip(sums, canaries, strict=True))
        p_values[row] = np.minimum(np.fromiter(found, float, len(words)) / share, 1.0)
        ratios[row] = log(share) + _log_ratios(words, each)
    best = p_values.argmin(axis=0)
    log_ratio = np.logaddexp.reduce(ratios, axis=0) / log(10)
    return [
        Assessment(
            log10_p_adjusted=min(0.0, log10(p_values[best[n], n]) + log_paid),
            log10_ratio=min(_RATIO_CAP, float(log_ratio[n]) + _log10_canary_ratio(canaries[n])),
            log10_p_marks=min(0.0, log10(p_marks[:, n].min()) + log_paid),
            sites_read=kept.count(),
            sites_agreeing=agreeing(kept, words[n]),
            hypothesis=scored[ratios[:, n].argmax()].hypothesis.name,  # what explains this copy best
        )
        for n in range(len(words))
    ]


def attempt_share(attempt: int) -> float:
    """The share of alpha that the k-th trace of a sample has, from 1; over all k they sum to 1 (claim 4)."""
    return 0.75 if attempt == 1 else 2.0 ** -(attempt + 1)


def model_weights(scored: Sequence[Score]) -> F64:
    """Prior times likelihood of the sample, summing to 1 (claim 3); float64[hypotheses]."""
    logs = np.array([log(each.hypothesis.prior) + each.log_likelihood for each in scored])
    return np.exp(logs - np.logaddexp.reduce(logs))


def _canary_p(tail: Tail, marks: int, hits: CanaryHits, step: float) -> float:
    """P-value of marks and canaries together; a canary weighs what half a chance of meeting one says."""
    chance = hits.copies * hits.bound
    if not 0 < chance < 0.5:
        return float(tail.at(np.array([marks]))[0])
    return with_canaries(tail, marks, hits, round(log(0.5 / chance) / step))


def _log10_canary_ratio(hits: CanaryHits) -> float:
    """A source's canary is met with probability 1/2: the factor's expectation for an innocent is at most 1."""
    chance = hits.copies * hits.bound
    if not 0 < chance < 0.5:
        return 0.0
    return log10(0.5 / chance) if hits.found else log10(0.5)


def _log_ratios(words: npt.NDArray[np.uint8], each: Score) -> F64:
    used = np.flatnonzero((each.log_ratio_0 != 0) | (each.log_ratio_1 != 0))
    own = words[:, used].astype(bool)
    return np.where(own, each.log_ratio_1[used], each.log_ratio_0[used]).sum(axis=1)
