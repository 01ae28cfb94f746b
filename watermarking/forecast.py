"""How small a sample still identifies: power of a contract's marks and canaries, computed before anything is issued.

For a leak of n rows the score of an innocent has, given the sample, the cumulant function K(t) = sum over the readings
of log E exp(t w(X)); its tail at s = K'(t) is exp(K - t K') / (t sqrt(2 pi K'')) (Bahadur and Rao 1960; used for
Tardos codes by Furon and Desoubeaux 2014). The score that an innocent reaches with probability alpha / N follows, and
the chance that a source's own score, whose mean and variance are sums over the readings too, is above it. Readings
of one position repeat one bit, so positions are counted once. `examine` of a real trace computes exact tails; this is
an approximation of the power, and tests hold it against simulated leaks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import erf, exp, log, pi, sqrt

import numpy as np

from watermarking.attacks import STRATEGIES
from watermarking.fingerprint_code import F64
from watermarking.scoring import Channel, Hypothesis, hypotheses

CHANCES = (0.5, 0.9, 0.99)
MOST_ROWS = 100_000
_PAID = 0.75 * 0.9  # of alpha: the first trace of a sample, single copies
_QUANTILES = (-1.645, -0.674, 0.0, 0.674, 1.645)  # of how many readings a sample has, each for a fifth of the samples


@dataclass(frozen=True)
class SiteGroup:
    """Sites that share positions: `per_row` symbols a row on average among `size` positions with biases `p`.

    p: float64[kinds], share: float64[kinds], how many of the positions have each bias; `shared`: with all other groups
    that are (the positions of the code's design).
    """

    column: str
    per_row: float
    size: int
    p: F64
    share: F64
    shared: bool = False


@dataclass(frozen=True)
class Scenario:
    """What the leaker does: how many copies take part, how they answer, what is taken away."""

    name: str
    copies: int = 1
    answer: str = "own"  # own, row (each row from one copy), or a strategy of `attacks` by cell
    dropped: str | None = None
    normalised: bool = False


@dataclass(frozen=True)
class Layout:
    """What a dataset offers: its sites, which of them a change of spelling removes, canaries a row."""

    groups: tuple[SiteGroup, ...]
    spelled: frozenset[str]
    canaries: float
    exports: int
    alpha: float

    def left(self, scenario: Scenario) -> tuple[SiteGroup, ...]:
        """The sites that a scenario leaves readable; those that share positions as one group."""
        left = [
            group
            for group in self.groups
            if group.column != scenario.dropped and not (scenario.normalised and group.column in self.spelled)
        ]
        shared = [group for group in left if group.shared]
        merged = [replace(shared[0], per_row=sum(group.per_row for group in shared))] if shared else []
        return (*merged, *(group for group in left if not group.shared))


@dataclass(frozen=True)
class Rows:
    """Rows that identify with each of CHANCES; None: more than MOST_ROWS, or never."""

    random: tuple[int | None, ...]
    head: tuple[int | None, ...]
    block: tuple[int | None, ...]
    marks_only: tuple[int | None, ...]


def scenarios(columns: Sequence[str]) -> tuple[Scenario, ...]:
    """Those of the forecast: verbatim, each column dropped, values normalised, colluders."""
    return (
        Scenario("verbatim"),
        *(Scenario(f"without {column}", dropped=column) for column in columns),
        Scenario("values normalised", normalised=True),
        Scenario("two copies mixed by row", 2, "row"),
        Scenario("two copies mixed by cell", 2, "random"),
        Scenario("three copies mixed by cell", 3, "random"),
        Scenario("three copies, minority", 3, "minority"),
        Scenario("three who know p", 3, "likelier"),
    )


def forecast(layout: Layout, scenario: Scenario) -> Rows:
    """The rows that are needed in a scenario."""
    canaries = layout.canaries if scenario.copies == 1 else 0.0  # found by comparing copies, and removed

    def scattered(rows: int) -> float:
        return (1 - canaries) ** rows

    def together(rows: int) -> float:  # every stretch of 1 / density rows holds one
        return max(0.0, 1 - canaries * rows)

    marks = _Marks(layout, scenario)
    scattered_rows = tuple(_fewest(lambda n: 1 - (1 - marks.chance(n)) * scattered(n), c) for c in CHANCES)
    block = tuple(_fewest(lambda n: 1 - (1 - marks.chance(n)) * together(n), c) for c in CHANCES)
    return Rows(scattered_rows, block, block, tuple(_fewest(marks.chance, c) for c in CHANCES))


def chance_of(layout: Layout, scenario: Scenario, rows: int) -> float:
    """The chance that `rows` rows identify by marks alone."""
    return _Marks(layout, scenario).chance(rows)


class _Marks:
    """The chance that marks name a source, by the number of rows; values are kept."""

    def __init__(self, layout: Layout, scenario: Scenario) -> None:
        self._groups = layout.left(scenario)
        self._scenario, self._known = scenario, dict[int, float]()
        self._log_target = log(layout.alpha * _PAID / max(layout.exports, 1))
        self._models = [h for h in hypotheses() if (scenario.copies == 1) == (h.name.startswith("one"))]
        self._truth = {(bias): shown_by(scenario, bias) for g in self._groups for bias in g.p.tolist()}

    def chance(self, rows: int) -> float:
        """That at least one of the copies is named."""
        if rows not in self._known:
            by_model = max((self._by_model(model, rows) for model in self._models), default=0.0)
            one = 1 - (1 - by_model) ** self._scenario.copies
            self._known[rows] = by_model if self._scenario.copies == 1 else one
        return self._known[rows]

    def _by_model(self, model: Hypothesis, rows: int) -> float:
        parts = [self._reached(self._terms(model, rows, z)) for z in _QUANTILES]
        cost = -log(model.prior)
        return float(np.mean([self._above(*part, cost) for part in parts]))

    def _terms(self, model: Hypothesis, rows: int, z: float) -> list[tuple[float, float, F64, F64]]:
        terms = []
        for group in self._groups:
            read = group.per_row * rows
            read = max(read + z * sqrt(min(read, rows * group.per_row * max(1 - group.per_row, 0.05))), 0.0)
            distinct = group.size * (1 - exp(-read / group.size))
            for bias, share in zip(group.p.tolist(), group.share.tolist(), strict=True):
                weight = weights_of(model, bias)
                terms.append((distinct * share, bias, self._truth[bias], weight))
        return terms

    def _reached(self, terms: Sequence[tuple[float, float, F64, F64]]) -> tuple[F64, F64, F64, F64]:
        """Counts, biases, weights and truths as arrays over (term, symbol)."""
        count = np.array([t[0] for t in terms for _ in (0, 1)])
        p = np.array([t[1] for t in terms for _ in (0, 1)])
        truth = np.array([[t[2][0, y], t[2][1, y]] for t in terms for y in (0, 1)]).reshape(-1, 2)
        weight = np.array([t[3][y] for t in terms for y in (0, 1)])
        return count, p, truth, weight

    def _above(self, count: F64, p: F64, truth: F64, weight: F64, cost: float) -> float:
        """P(a source's score passes what an innocent's passes with the target probability)."""
        if not len(count) or count.sum() < 1:
            return 0.0
        seen = count * ((1 - p) * truth[:, 0] + p * truth[:, 1])  # readings of each symbol
        with np.errstate(divide="ignore", invalid="ignore"):
            own = np.where(seen > 0, count * p * truth[:, 1] / seen, p)
        threshold = _threshold(seen, p, weight, self._log_target - cost)
        mean = float((seen * own * weight).sum())
        variance = float((seen * own * (1 - own) * weight**2).sum()) + float(_mixed(seen, count, own, p, weight))
        return _normal((mean - threshold) / sqrt(variance + 1e-9))


def _mixed(seen: F64, count: F64, own: F64, p: F64, weight: F64) -> float:
    """The part of the spread that comes from which symbols are read: the threshold moves with them, so half of it."""
    gain = (own - p) * weight
    pairs = gain.reshape(-1, 2)
    share = (seen / np.maximum(count, 1e-300)).reshape(-1, 2)
    mean = (pairs * share).sum(axis=1)
    return float(0.5 * (count.reshape(-1, 2)[:, 0] * ((pairs - mean[:, None]) ** 2 * share).sum(axis=1)).sum())


def _threshold(seen: F64, p: F64, weight: F64, log_target: float) -> float:
    """The score that an innocent reaches with probability exp(log_target)."""

    def moments(t: float) -> tuple[float, float, float]:
        tilted = p * np.exp(t * weight) / (1 - p + p * np.exp(t * weight))
        cumulant = (seen * np.log(1 - p + p * np.exp(t * weight))).sum()
        first, second = (seen * weight * tilted).sum(), (seen * weight**2 * tilted * (1 - tilted)).sum()
        return float(cumulant), float(first), float(second)

    low, high = 1e-3, 60.0
    for _ in range(50):
        middle = (low + high) / 2
        cumulant, first, second = moments(middle)
        told = cumulant - middle * first - log(max(middle * sqrt(2 * pi * max(second, 1e-12)), 1.0))
        low, high = (middle, high) if told > log_target else (low, middle)
    if high > 59.0:  # not even a copy that agrees everywhere is so rare
        return float(np.inf)
    return moments(high)[1]


def weights_of(model: Hypothesis, bias: float) -> F64:
    """What a copy's bit 1 adds to its score where symbol 0, symbol 1 is read once; float64[2]."""
    p, one, none = np.array([bias]), np.ones(1), np.zeros(1)
    read = ((one, none), (none, one))
    model = replace(model, channel=partial(_at_most_one, model.channel))
    return np.array([float((model.log_likelihood(1, p, *r) - model.log_likelihood(0, p, *r))[0]) for r in read])


def _at_most_one(channel: Channel, x: int, p: F64) -> F64:
    """A channel's probability, which as a sum may come out above 1 by a rounding error."""
    return np.minimum(channel(x, p), 1.0)


def shown_by(scenario: Scenario, bias: float) -> F64:
    """P(symbol y | a source's own bit x) of a scenario at a position; float64[2, 2], [x, y].

    A coalition's strategy is asked on every combination of its copies' bits; one that answers by chance is averaged.
    """
    c = scenario.copies
    if scenario.answer == "own":
        return np.eye(2)
    rng, shown = np.random.default_rng(0), np.zeros((2, 2))
    for bits in range(2**c):
        held = np.array([(bits >> k) & 1 for k in range(c)], dtype=np.uint8)
        chance = float(np.prod(np.where(held[1:] == 1, bias, 1 - bias)))
        if scenario.answer == "row":
            ones = float(held.mean())
        else:
            repeated = np.repeat(held[:, None], 2_000, axis=1)
            ones = float(STRATEGIES[scenario.answer](repeated, np.full(2_000, bias), rng).mean())
        shown[held[0]] += chance * np.array([1 - ones, ones])
    return shown


def _fewest(chance: Callable[[int], float], wanted: float) -> int | None:
    """The fewest rows with at least the wanted chance, to 2%."""
    high = 1
    while chance(high) < wanted:
        high *= 2
        if high > MOST_ROWS:
            return None
    low = high // 2
    while high - low > max(1, high // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= wanted else (middle, high)
    return high


def _normal(z: float) -> float:
    return 0.5 * (1 + erf(z / sqrt(2)))
