"""Bounds on naming an innocent. Claims 1 and 2, about one score, stand in `tails`.

Claim 3 (hypotheses). With weights u_h >= 0 that sum to 1 and do not depend on X, the event that
min_h p_h / u_h <= a has probability at most sum of a u_h = a (weighted Bonferroni, Genovese, Roeder and
Wasserman 2006). The weights are prior times the sample's own likelihood times what the model can achieve on a sample
of this size: a model that fits the sample badly, or could name nobody, has next to no weight and costs nothing.

Claim 4 (family). N copies searched and the k-th attempt on a sample: multiplied by N / v_k, where v_1 = 3/4 and
v_k = 2^-k / 2 from the second on, the probability that any innocent is named in any attempt is at most alpha times
the sum of v_k, which is 1. Nine tenths of that are spent here, one tenth on pairs (`pairs`, claim 5).

Everything of an `Examination` depends on the sample alone: it is made before any secret is opened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, log, log10, sqrt

import numpy as np
import numpy.typing as npt
from numpy import float32

from watermarking.fingerprint_code import F64
from watermarking.readings import I64, Readings
from watermarking.scoring import Score, SetAside, hypotheses, score, set_aside
from watermarking.tails import CanaryHits, HitColumns, Tail, null_tail, with_canaries

__all__ = ["Assessment", "Assessments", "CanaryHits", "Examination", "assess", "attempt_share", "examine"]
Words = npt.NDArray[np.uint8]
RATIO_CAP = 6.0  # log10: beyond it mix-ups, key compromise and program errors dominate
SINGLE_SHARE = 0.9  # of alpha; the rest pays for pairs
_LEAST_SHARE = 1e-9
_AT_ONCE = 512  # copies whose bits are multiplied at a time
_UNABLE = 0.02  # of its weight, what a model keeps that could hardly name anybody: leads are found with it


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
class Assessments:
    """What the sample says of many copies, as columns: float64[n], int64[n], and the number of the best model."""

    log10_p_adjusted: F64
    log10_ratio: F64
    log10_p_marks: F64
    agreeing: I64
    model: I64

    def __len__(self) -> int:
        """How many copies."""
        return len(self.log10_p_adjusted)

    @classmethod
    def joined(cls, parts: Sequence["Assessments"]) -> "Assessments":
        """Those of several batches, in their order."""
        names = ("log10_p_adjusted", "log10_ratio", "log10_p_marks", "agreeing", "model")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Examination:
    """A sample ready to be compared with code words: all that is fixed before a secret is opened.

    kept: the readings that count; gone: what was set aside; p: float64[positions]; scored: the models that have a
    share, shares: float64[models], tails: an innocent's score under each; log_paid: log10 of what the family and the
    attempt cost.
    """

    kept: Readings
    gone: tuple[SetAside, ...]
    p: F64
    scored: tuple[Score, ...]
    shares: F64
    tails: tuple[Tail, ...]
    family: int
    attempt: int
    alpha: float

    @property
    def log_paid(self) -> float:
        """Log10 of N / (v_k times the share of single copies)."""
        return log10(self.family) - log10(attempt_share(self.attempt) * SINGLE_SHARE)

    def assess(self, words: Words, hits: HitColumns | None = None) -> Assessments:
        """What the sample says of a batch of copies.

        words: uint8[copies, positions]; hits: their unique canaries. Memory grows with the batch: 8 bytes a copy and
        position read.
        """
        hits = hits or HitColumns.of([CanaryHits(0, 0, 0.0)] * len(words))
        sums, log_ratios, agree = self._sums(words)
        p = np.ones((len(self.scored), len(words)))
        p_marks = np.ones_like(p)
        for row, (each, share, tail) in enumerate(zip(self.scored, self.shares, self.tails, strict=True)):
            p_marks[row] = tail.at(sums[row]) / share
            p[row] = with_canaries(tail, sums[row], hits, hits.units(each.step)) / share
        log_ratio = np.logaddexp.reduce(log_ratios, axis=0) + hits.log_ratios()
        return Assessments(
            np.minimum(np.log10(p.min(axis=0)) + self.log_paid, 0.0),
            np.minimum(log_ratio / log(10), RATIO_CAP),
            np.minimum(np.log10(p_marks.min(axis=0)) + self.log_paid, 0.0),
            agree,
            log_ratios.argmax(axis=0).astype(np.int64),  # what explains the copy best
        )

    def _sums(self, words: Words) -> tuple[I64, F64, I64]:
        """S and log-ratio (plus log share) of each model and copy, [models, copies], and symbols agreeing.

        All are sums over the bits, so one product of matrices gives them; whole numbers below 2^24 are exact in it.
        """
        zeros = np.bincount(self.kept.position, self.kept.zeros, len(self.p))
        ones = np.bincount(self.kept.position, self.kept.ones, len(self.p))
        used, models = np.flatnonzero(zeros + ones), len(self.scored)
        columns: list[npt.NDArray[np.float64]] = [each.weights[used].astype(np.float64) for each in self.scored]
        columns += [(each.log_ratio_1 - each.log_ratio_0)[used] for each in self.scored]
        table = np.stack([*columns, (ones - zeros)[used]], axis=1).astype(float32)
        product = _product(words, used, table)
        start = np.array([each.log_ratio_0[used].sum() for each in self.scored])
        sums = np.rint(product[:, :models]).astype(np.int64).T
        ratios = product[:, models : 2 * models].T.astype(np.float64) + (start + np.log(self.shares))[:, None]
        return sums, ratios, np.rint(product[:, -1] + zeros.sum()).astype(np.int64)

    def one(self, found: Assessments, number: int) -> Assessment:
        """One copy's assessment."""
        return Assessment(
            float(found.log10_p_adjusted[number]),
            float(found.log10_ratio[number]),
            float(found.log10_p_marks[number]),
            self.kept.count(),
            int(found.agreeing[number]),
            self.scored[found.model[number]].hypothesis.name,
        )


def _product(words: Words, used: I64, table: npt.NDArray[float32]) -> npt.NDArray[float32]:
    """words[:, used] @ table, a few hundred copies at a time: as numbers of four bytes a batch leaves the cache."""
    product = np.empty((len(words), table.shape[1]), dtype=float32)
    numbers = np.empty((_AT_ONCE, len(used)), dtype=float32)
    for at in range(0, len(words), _AT_ONCE):
        some = words[at : at + _AT_ONCE]
        np.copyto(numbers[: len(some)], some if len(used) == words.shape[1] else some.take(used, axis=1))
        np.matmul(numbers[: len(some)], table, out=product[at : at + _AT_ONCE])
    return product


def examine(
    readings: Readings,
    p: F64,
    *,
    family: int,
    attempt: int,
    alpha: float = 1e-6,
    present_only: Sequence[int] = (),
) -> Examination:
    """Fix everything before a secret is opened.

    family: how many copies are searched; attempt: how often this sample was traced, from 1; present_only: sites whose
    symbols are read only where they are 1 (coded canaries), which a rewritten carrier must not be taken for.
    """
    kept, gone = set_aside(readings, p, present_only)
    scored = [score(kept, p, hypothesis) for hypothesis in hypotheses()]
    likely = [each for each, share in zip(scored, model_weights(scored), strict=True) if share >= _LEAST_SHARE]
    tails = [null_tail(each.weights, p) for each in likely]
    target = alpha * attempt_share(1) * SINGLE_SHARE / family  # the same for every attempt: later ones pay, no more
    able = [_able(each, tail, target) for each, tail in zip(likely, tails, strict=True)]
    shares = model_weights(likely, np.maximum(able, _UNABLE))
    return Examination(kept, gone, p, tuple(likely), shares, tuple(tails), family, attempt, alpha)


def assess(
    readings: Readings,
    p: F64,
    words: Words,
    canaries: Sequence[CanaryHits],
    *,
    family: int,
    attempt: int,
    alpha: float = 1e-6,
) -> list[Assessment]:
    """What the sample says of each copy of a small family: `examine` and `Examination.assess` in one."""
    examination = examine(readings, p, family=family, attempt=attempt, alpha=alpha)
    found = examination.assess(words, HitColumns.of(canaries))
    return [examination.one(found, number) for number in range(len(words))]


def attempt_share(attempt: int) -> float:
    """The share of alpha that the k-th trace of a sample has, from 1; over all k they sum to 1 (claim 4)."""
    return 0.75 if attempt == 1 else 2.0 ** -(attempt + 1)


def model_weights(scored: Sequence[Score], able: F64 | float = 1.0) -> F64:
    """Prior times likelihood of the sample times `able`, summing to 1 (claim 3); float64[models]."""
    logs = np.array([log(each.hypothesis.prior) + each.log_likelihood for each in scored]) + np.log(able)
    return np.exp(logs - np.logaddexp.reduce(logs))


def _able(each: Score, tail: Tail, target: float) -> float:
    """About how often a source's score passes `target` under a model, by the sample alone.

    Given the sample, the model says how likely a source's bit is 1, so mean and variance of its score follow.
    """
    used = np.flatnonzero(each.weights)
    weights, own = each.weights[used], each.own[used]
    mean, spread = float(weights @ own), float(np.sqrt((weights**2) @ (own * (1 - own)))) + 1e-9
    return _normal_tail((tail.quantile(target) - mean) / spread)


def _normal_tail(z: float) -> float:
    """P(Z >= z); only weights depend on it, so no bound is needed."""
    return 0.5 * erfc(z / sqrt(2))
