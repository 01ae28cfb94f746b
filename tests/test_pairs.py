"""A second copy beside an accused one: found more often, and no innocent with it."""

import numpy as np
import pytest
from scipy.stats import binom

from watermarking.attacks import leak_of, mixed_by_row
from watermarking.evidence import Examination, attempt_share, examine
from watermarking.fingerprint_code import biases, code_word
from watermarking.pairs import partners

P = biases(b"d" * 32, "mix50", 4096)
FAMILY = 2_000


def words_of(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([code_word(rng.bytes(32), P) for _ in range(count)])


def mixture(words: np.ndarray, rows: int, seed: int) -> Examination:
    leak = mixed_by_row(words, rows, 3, np.random.default_rng(seed))
    return examine(leak.readings(), P, family=FAMILY, attempt=1)


def test_the_other_of_two_copies_is_found_more_often_beside_the_first() -> None:
    """40 mixtures of two copies, 60 rows: too few for both of them alone."""
    alone = beside = 0
    for trial in range(40):
        words = words_of(2, seed=100 + trial)
        examination = mixture(words, 60, trial)
        single = examination.assess(words).log10_p_adjusted
        given = partners(examination, words, words[0])
        alone += single[1] <= -6
        beside += min(single[1], given[1]) <= -6
    assert beside >= alone + 4


@pytest.mark.parametrize("guilty", [True, False])
def test_an_innocent_beside_a_guilty_or_an_innocent_copy_has_a_fair_chance(guilty: bool) -> None:
    """4,000 innocents: the share with p <= a is below a (1e-6 quantile), before the family is paid."""
    words, innocents = words_of(3, seed=7), words_of(4_000, seed=8)
    examination = mixture(words[:2], 100, seed=9)
    given = partners(examination, innocents, words[0] if guilty else words[2])
    paid = 2 * np.log10(FAMILY) - np.log10(attempt_share(1) / 10)
    p_values = 10.0 ** np.where(given < 0, given - paid, 0.0)
    for a in (1e-7, 1e-8):  # what is left of it after N^2 and the share of pairs
        assert (p_values <= a).sum() <= binom.ppf(1 - 1e-6, 4_000, a)


def test_one_copy_alone_gives_nobody_a_partner() -> None:
    words, innocents = words_of(1, seed=10), words_of(2_000, seed=11)
    leak = leak_of(words[0], 100, 3, np.random.default_rng(12))
    examination = examine(leak.readings(), P, family=FAMILY, attempt=1)
    assert partners(examination, innocents, words[0]).min() > -2
