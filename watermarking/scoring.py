"""How well a code word explains the symbols of a sample, under each model of the leak.

A hypothesis says with which probability a symbol 1 is read where the copy's own bit is x and the position's
bias is p: one leaker with some symbols wrong, or a coalition that answers by a strategy (Skoric, Katzenbeisser
and Celik 2008; Furon and Desoubeaux 2014 for the single-decoder likelihoods). The score of a copy is
S = sum of w_i X_i with integer w_i that depend on the sample and the biases alone. A wrong model costs power,
never soundness: `evidence` takes the null distribution of whatever score is used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from watermarking.fingerprint_code import F64
from watermarking.readings import I64, Readings

Channel = Callable[[int, F64], F64]
GRID = 20_000  # steps that a score's range is divided into, at most
FINEST = 0.02  # nats a step, at least
_REWRITTEN_PRIOR = 0.05
_REWRITTEN_EXCEPTIONS = 0.01


@dataclass(frozen=True)
class Hypothesis:
    """A model of the leak; channel(x, p) is float64[n], the probability that the leak holds a 1.

    `wrong` is the share of symbols that are changed afterwards. `once`: the coalition answers once a position,
    so that several readings of it are copies of one answer; otherwise each reading is drawn anew.
    """

    name: str
    prior: float
    channel: Channel
    wrong: float
    once: bool = False

    def log_likelihood(self, x: int, p: F64, zeros: F64, ones: F64) -> F64:
        """Log P(readings of each position | own bit x); zeros, ones: counts of the readings."""
        one = np.clip(self.channel(x, p), 0.0, 1.0)  # sums of products may round to a little more
        good, bad = np.log1p(-self.wrong), np.log(self.wrong)
        if not self.once:
            shown = self.wrong + (1 - 2 * self.wrong) * one
            return ones * np.log(shown) + zeros * np.log1p(-shown)
        with np.errstate(divide="ignore"):  # a strategy may exclude a symbol: log 0 adds nothing
            answer_1 = np.log(one) + ones * good + zeros * bad
            answer_0 = np.log1p(-one) + ones * bad + zeros * good
        return np.logaddexp(answer_1, answer_0)


@dataclass(frozen=True)
class Score:
    """The score of one hypothesis.

    weights: int64[positions]; `step` nats a unit; log_likelihood of the sample (nats, over innocent code
    words); log_ratio_0, log_ratio_1: float64[positions], the log-likelihood ratio at X = 0 and at X = 1,
    normalised so that the ratio's expectation for an innocent is 1; own: float64[positions], how likely a source's
    bit is 1, given the sample.
    """

    hypothesis: Hypothesis
    weights: I64
    step: float
    log_likelihood: float
    log_ratio_0: F64
    log_ratio_1: F64
    own: F64


@dataclass(frozen=True)
class SetAside:
    """A site whose readings carry nothing, decided from the sample alone."""

    site: int
    symbol: int
    readings: int


def hypotheses() -> tuple[Hypothesis, ...]:
    """Every model that is tried; priors sum to 1.

    Each is paid for, so they are few: over innocents' bits a sample hardly tells how many of its symbols are wrong,
    and scores for 1% and 5% wrong rank copies alike. Small samples come from one copy and need the most; coalitions
    are told from samples large enough to pay for a smaller prior.
    """
    return (
        Hypothesis("one copy, hardly a symbol wrong", 0.65, _own, 0.03),
        Hypothesis("one copy, many symbols wrong", 0.15, _own, 0.25),
        Hypothesis("two copies, mixed", 0.06, _interleaving(2), 0.02),
        Hypothesis("four copies, mixed", 0.04, _interleaving(4), 0.02),
        Hypothesis("three copies, minority", 0.025, _counting(3, _minority), 0.02, once=True),
        Hypothesis("three copies, majority", 0.025, _counting(3, _majority), 0.02, once=True),
        Hypothesis("four copies, all ones", 0.025, _counting(4, _any_one), 0.02, once=True),
        Hypothesis("four copies, all zeros", 0.025, _counting(4, _all_one), 0.02, once=True),
    )


def set_aside(readings: Readings, p: F64, present_only: Sequence[int] = ()) -> tuple[Readings, tuple[SetAside, ...]]:
    """Readings without the sites that were rewritten to one form.

    A site goes when "always the same symbol" explains its readings better, prior included, than the models do, each
    weighed by how well it explains the other sites: a coalition that answers with all zeros would do so everywhere.
    The decision looks at the sample only, so the null stays exact. present_only: sites that are never set aside,
    because all that can be read of them is a 1 (coded canaries).
    """
    sites = np.setdiff1d(readings.site, list(present_only))
    models, logs = hypotheses(), np.zeros((len(hypotheses()), len(sites)))
    for number, site in enumerate(sites):
        mine = readings.site == site
        zeros, ones, bias = readings.zeros[mine], readings.ones[mine], p[readings.position[mine]]
        logs[:, number] = [_marginal(model, bias, zeros, ones)[2].sum() for model in models]
    prior = np.log([model.prior for model in models])
    gone = []
    for number, site in enumerate(sites):
        weights = prior + logs.sum(axis=1) - logs[:, number]
        by_code = np.logaddexp.reduce(weights + logs[:, number]) - np.logaddexp.reduce(weights)
        mine = readings.site == site
        zeros, ones = readings.zeros[mine].sum(), readings.ones[mine].sum()
        for symbol, same, other in ((1, ones, zeros), (0, zeros, ones)):
            rewritten = same * np.log1p(-_REWRITTEN_EXCEPTIONS) + other * np.log(_REWRITTEN_EXCEPTIONS)
            if rewritten + np.log(_REWRITTEN_PRIOR) > by_code:
                gone.append(SetAside(int(site), symbol, int(same + other)))
    kept = readings.keep(~np.isin(readings.site, [site.site for site in gone]))
    return kept, tuple(gone)


def score(readings: Readings, p: F64, hypothesis: Hypothesis) -> Score:
    """The integer weights of one hypothesis; p: float64[positions]."""
    zeros = np.bincount(readings.position, readings.zeros, len(p)).astype(np.float64)
    ones = np.bincount(readings.position, readings.ones, len(p)).astype(np.float64)
    read = np.flatnonzero(zeros + ones)
    log_0, log_1, marginal = _marginal(hypothesis, p[read], zeros[read], ones[read])
    step = max(FINEST, float(np.abs(log_1 - log_0).sum()) / GRID)
    weights = np.zeros(len(p), dtype=np.int64)
    weights[read] = np.rint((log_1 - log_0) / step).astype(np.int64)
    ratio_0, ratio_1 = np.zeros(len(p)), np.zeros(len(p))
    ratio_0[read], ratio_1[read] = log_0 - marginal, log_1 - marginal
    own = p * np.exp(ratio_1)
    return Score(hypothesis, weights, step, float(marginal.sum()), ratio_0, ratio_1, own)


def _marginal(model: Hypothesis, p: F64, zeros: F64, ones: F64) -> tuple[F64, F64, F64]:
    """Log P(readings | X = 0), log P(readings | X = 1), and log P(readings) over an innocent's X."""
    log_0, log_1 = (model.log_likelihood(x, p, zeros, ones) for x in (0, 1))
    return log_0, log_1, np.logaddexp(np.log1p(-p) + log_0, np.log(p) + log_1)


def _own(x: int, p: F64) -> F64:
    return np.full_like(p, float(x))


def _interleaving(copies: int) -> Channel:
    return lambda x, p: (x + (copies - 1) * p) / copies


def _counting(copies: int, strategy: Callable[[int, int], float]) -> Channel:
    """A strategy that depends on how many of the coalition's copies hold a 1."""

    def channel(x: int, p: F64) -> F64:
        others = range(copies)
        chances = [comb(copies - 1, k) * p**k * (1 - p) ** (copies - 1 - k) for k in others]
        return np.sum([chance * strategy(k + x, copies) for k, chance in zip(others, chances, strict=True)], axis=0)

    return channel


def _majority(ones: int, copies: int) -> float:
    return float(2 * ones > copies)


def _minority(ones: int, copies: int) -> float:
    return float(ones == copies or 0 < 2 * ones < copies)


def _any_one(ones: int, copies: int) -> float:
    return float(ones > 0)


def _all_one(ones: int, copies: int) -> float:
    return float(ones == copies)
