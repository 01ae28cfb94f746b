"""The bound on naming an innocent, and that the guilty are found. Fixed seeds; flake rates are zero."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from watermarking.evidence import assess, attempt_share
from watermarking.fingerprint_code import biases, code_word
from watermarking.readings import Readings, merge
from watermarking.scoring import hypotheses, score, set_aside
from watermarking.tails import CanaryHits, HitColumns, Tail, null_tail, with_canaries

P = biases(b"d" * 32, "mix50", 4096)
NO_CANARIES = CanaryHits(0, 0, 0.0)


def words_of(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([code_word(rng.bytes(32), P) for _ in range(count)])


def sample_of(bits: np.ndarray, rows: int, sites: int, rng: np.random.Generator, wrong: float = 0.0) -> Readings:
    """Readings of `rows` x `sites` symbols of a code word at random positions."""
    position = rng.integers(0, len(P), rows * sites)
    symbols = bits[position] ^ (rng.random(len(position)) < wrong)
    site = np.tile(np.arange(sites), rows)
    ones = symbols.astype(np.int64)
    return merge([Readings(site, position, 1 - ones, ones)])


def test_the_null_tail_is_the_sum_over_all_code_words() -> None:
    weights, p = np.array([3, -2, 0, 5, 1]), np.array([0.5, 0.2, 0.9, 0.7, 0.1])
    exact: dict[int, float] = {}
    for bits in product((0, 1), repeat=5):
        chance = float(np.prod([q if b else 1 - q for b, q in zip(bits, p, strict=True)]))
        total = int(np.dot(bits, weights))
        exact[total] = exact.get(total, 0.0) + chance
    tail = null_tail(weights, p)
    for s in range(-4, 12):
        expected = sum(chance for total, chance in exact.items() if total >= s)
        assert expected <= tail.at(np.array([s]))[0] <= expected * (1 + 2e-9) + 1e-299


def test_the_null_tail_is_right_at_a_trillionth() -> None:
    weights, p = np.ones(60, dtype=np.int64), np.full(60, 0.5)
    claimed = null_tail(weights, p).at(np.array([57, 59]))
    exact = binom.sf(np.array([56, 58]), 60, 0.5)
    assert (claimed >= exact).all()
    assert claimed == pytest.approx(exact, rel=1e-6)
    assert exact[0] < 1e-12


def bound_of(tail: Tail, marks: int, hits: CanaryHits, unit: int) -> float:
    return float(with_canaries(tail, np.array([marks]), HitColumns.of([hits]), np.array([unit]))[0])


def test_canaries_only_add_to_the_tail_what_they_may() -> None:
    tail = null_tail(np.array([1, 1, 1]), np.full(3, 0.5))
    none = bound_of(tail, 3, CanaryHits(100, 0, 1e-6), unit=9)
    assert 0.125 <= none <= 0.125 + 100 * 1e-6 * 1.01
    one = bound_of(tail, 0, CanaryHits(100, 1, 1e-6), unit=9)
    assert 1e-4 <= one <= 1.01e-4


def test_p_values_of_innocents_are_never_too_small() -> None:
    """2,000 innocents against samples of 12 to 300 rows: the share with p <= a stays below a (1e-6 quantile)."""
    rng = np.random.default_rng(1)
    innocents = words_of(2_000, seed=2)
    for rows in (12, 60, 300):
        leaker = words_of(1, seed=rows)[0]
        readings = sample_of(leaker, rows, 4, rng, wrong=0.02)
        found = assess(readings, P, innocents, [NO_CANARIES] * 2_000, family=1, attempt=1)
        p_values = 10.0 ** np.array([one.log10_p_adjusted for one in found]) * attempt_share(1)
        for a in (0.1, 0.01, 0.001):
            assert (p_values <= a).sum() <= binom.ppf(1 - 1e-6, 2_000, a)


def test_likelihood_ratios_of_innocents_average_at_most_one() -> None:
    rng = np.random.default_rng(3)
    readings = sample_of(words_of(1, seed=4)[0], 4, 3, rng)
    found = assess(readings, P, words_of(20_000, seed=5), [NO_CANARIES] * 20_000, family=1, attempt=1)
    assert np.mean([10**one.log10_ratio for one in found]) < 1.2


@pytest.mark.parametrize(
    ("rows", "sites", "wrong", "at_least"), [(12, 4, 0.0, 18), (24, 3, 0.05, 17), (100, 3, 0.25, 18)]
)
def test_one_leaker_among_thousands_is_named(rows: int, sites: int, wrong: float, at_least: int) -> None:
    rng = np.random.default_rng(rows)
    words, named = words_of(200, seed=6), 0
    for trial in range(20):
        readings = sample_of(words[trial], rows, sites, rng, wrong)
        found = assess(readings, P, words, [NO_CANARIES] * 200, family=2_000, attempt=1)
        guilty = [n for n, one in enumerate(found) if one.log10_p_adjusted <= -6]
        assert set(guilty) <= {trial}
        named += len(guilty)
    assert named >= at_least


@pytest.mark.parametrize(
    ("copies", "strategy"),
    [
        (2, "rows"),
        (3, "minority"),
        (4, "ones"),
    ],
)
def test_a_coalition_loses_at_least_one_member(copies: int, strategy: str) -> None:
    rng = np.random.default_rng(copies)
    words, named = words_of(60, seed=7), 0
    for trial in range(10):
        members = words[trial * copies : (trial + 1) * copies]
        position = rng.integers(0, len(P), 300 if strategy == "rows" else 1500)
        counts = members[:, position].sum(axis=0)
        symbols = {
            "rows": members[rng.integers(0, copies, len(position)), position],
            "minority": ((counts == copies) | ((counts > 0) & (2 * counts < copies))).astype(np.uint8),
            "ones": (counts > 0).astype(np.uint8),
        }[strategy].astype(np.int64)
        readings = merge([Readings(np.zeros_like(position), position, 1 - symbols, symbols)])
        found = assess(readings, P, words, [NO_CANARIES] * 60, family=2_000, attempt=1)
        guilty = {n for n, one in enumerate(found) if one.log10_p_adjusted <= -6}
        assert guilty <= set(range(trial * copies, (trial + 1) * copies))
        named += bool(guilty)
    assert named >= 9


def test_a_carrier_rewritten_to_one_form_is_set_aside_and_the_rest_still_names() -> None:
    rng = np.random.default_rng(8)
    words = words_of(50, seed=9)
    good = sample_of(words[0], 60, 2, rng)
    position = rng.integers(0, len(P), 120)
    rewritten = Readings(np.full(120, 7), position, np.ones(120, dtype=np.int64), np.zeros(120, dtype=np.int64))
    both = merge([good, rewritten])
    kept, gone = set_aside(both, P)
    assert [(one.site, one.symbol) for one in gone] == [(7, 0)]
    assert kept.count() == good.count()
    found = assess(both, P, words, [NO_CANARIES] * 50, family=2_000, attempt=1)
    assert found[0].log10_p_adjusted <= -6
    assert all(one.log10_p_adjusted > -6 for one in found[1:])


def test_each_attempt_is_paid_for() -> None:
    rng = np.random.default_rng(10)
    words = words_of(3, seed=11)
    readings = sample_of(words[0], 20, 3, rng)
    first, third = (
        assess(readings, P, words, [NO_CANARIES] * 3, family=3, attempt=attempt)[0].log10_p_adjusted
        for attempt in (1, 3)
    )
    assert third == pytest.approx(first + np.log10(attempt_share(1) / attempt_share(3)))


def test_the_attempts_at_a_sample_share_one_alpha() -> None:
    shares = [attempt_share(attempt) for attempt in range(1, 1_000)]
    assert sum(shares) <= 1.0
    assert shares == sorted(shares, reverse=True)
    assert min(shares) > 0.0


@pytest.mark.parametrize(
    ("rows", "sites", "wrong", "family", "at_least"),
    [(12, 4, 0.0, 10_000, 54), (12, 4, 0.01, 10_000, 46), (20, 3, 0.05, 2_000, 44), (100, 3, 0.25, 2_000, 54)],
)
def test_small_and_damaged_samples_of_one_copy_name_it(
    rows: int, sites: int, wrong: float, family: int, at_least: int
) -> None:
    """60 trials each; the bars are below the rates of 400 trials (runbooks/decisions/0031) by two deviations."""
    named = 0
    for trial in range(60):
        rng = np.random.default_rng([31, trial, rows])
        word = code_word(rng.bytes(32), P)
        readings = sample_of(word, rows, sites, rng, wrong)
        (found,) = assess(readings, P, word[None], [NO_CANARIES], family=family, attempt=1)
        named += found.log10_p_adjusted <= -6.0
    assert named >= at_least


def test_a_wrong_model_is_paid_by_others_only() -> None:
    assert sum(h.prior for h in hypotheses()) == pytest.approx(1.0)
    rng = np.random.default_rng(12)
    readings = sample_of(words_of(1, seed=13)[0], 50, 3, rng)
    for hypothesis in hypotheses():
        each = score(readings, P, hypothesis)
        ratio = P * np.exp(each.log_ratio_1) + (1 - P) * np.exp(each.log_ratio_0)
        assert ratio == pytest.approx(np.ones_like(P))
