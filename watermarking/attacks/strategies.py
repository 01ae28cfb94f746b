"""How a coalition answers where its copies differ (the marking assumption: where they agree, so does the answer)."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
Strategy = Callable[[U8, F64, np.random.Generator], U8]


def answer(bits: U8, p: F64, strategy: str, rng: np.random.Generator) -> U8:
    """The symbol that a coalition shows at each of n places; uint8[n].

    bits: uint8[copies, n], what each copy holds there; p: float64[n], the places' biases, which only `likelier` looks
    at (a coalition that knows them answers with the symbol that says least). KeyError for an unknown strategy.
    """
    return STRATEGIES[strategy](bits, p, rng)


def _random(bits: U8, p: F64, rng: np.random.Generator) -> U8:
    """One of the copies, drawn for each place."""
    return bits[rng.integers(0, len(bits), bits.shape[1]), np.arange(bits.shape[1])]


def _majority(bits: U8, p: F64, rng: np.random.Generator) -> U8:
    ones = bits.sum(axis=0, dtype=np.int64)
    return np.where(2 * ones == len(bits), _random(bits, p, rng), 2 * ones > len(bits)).astype(np.uint8)


def _minority(bits: U8, p: F64, rng: np.random.Generator) -> U8:
    """The rarer symbol, where both are there; by chance where they are level."""
    ones = bits.sum(axis=0, dtype=np.int64)
    differ = (ones > 0) & (ones < len(bits))
    rarer = np.where(2 * ones == len(bits), _random(bits, p, rng), 2 * ones < len(bits))
    return np.where(differ, rarer, bits[0]).astype(np.uint8)


def _ones(bits: U8, p: F64, rng: np.random.Generator) -> U8:
    return bits.max(axis=0)


def _zeros(bits: U8, p: F64, rng: np.random.Generator) -> U8:
    return bits.min(axis=0)


def _likelier(bits: U8, p: F64, rng: np.random.Generator) -> U8:
    """The symbol that an innocent copy holds more often; by chance where both are as likely."""
    differ = bits.max(axis=0) != bits.min(axis=0)
    usual = np.where(p == 0.5, _random(bits, p, rng), p > 0.5)
    return np.where(differ, usual, bits[0]).astype(np.uint8)


STRATEGIES: Mapping[str, Strategy] = {
    "random": _random,
    "majority": _majority,
    "minority": _minority,
    "all_ones": _ones,
    "all_zeros": _zeros,
    "likelier": _likelier,
}
