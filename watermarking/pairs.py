"""A second copy beside an accused one.

Claim 5 (pairs). Fix a copy `a` that is accused. For an innocent b != a the bits X_b are independent of the sample and
of X_a, so the score of b may use both: S = sum w_i X_b,i with weights that depend on the sample, p and X_a alone, and
the null distribution over X_b is exact (claim 1), whether or not `a` is guilty. There are at most N (N - 1) ordered
pairs: multiplied by N^2 / (v_k / 10), the probability that any innocent is named by any pair is at most a tenth of what
attempt k may spend. A pair's score names only b; `a` stands accused by itself. (Decoding with those already accused as
side information: Meerwald and Furon, "Toward practical joint decoding of binary Tardos fingerprinting codes", 2012;
the bound is the union over pairs.)
"""

from math import log10

import numpy as np

from watermarking.evidence import SINGLE_SHARE, Examination, Words, attempt_share
from watermarking.fingerprint_code import F64
from watermarking.readings import I64
from watermarking.scoring import FINEST, GRID
from watermarking.tails import null_tail

_WRONG = 0.02
_OTHERS = ((0, 0.7), (2, 0.3))  # how many unknown copies are in the mix besides the two, with the prior of that


def partners(examination: Examination, words: Words, accused: Words) -> F64:
    """Log10 of the family-wise bound for each copy, given one accused copy; float64[copies].

    words: uint8[copies, positions]; accused: uint8[positions], the code word of the accused one (whose own entry means
    nothing).
    """
    read, zeros, ones = _readings(examination)
    bits, p = accused[read].astype(np.float64), examination.p[read]
    logs, weights, tails = [], [], []
    for others, prior in _OTHERS:
        log_0, log_1 = (_likelihood(x, bits, p, zeros, ones, others) for x in (0.0, 1.0))
        logs.append(np.log(prior) + float(np.logaddexp(np.log1p(-p) + log_0, np.log(p) + log_1).sum()))
        step = max(FINEST, float(np.abs(log_1 - log_0).sum()) / GRID)
        weights.append(np.rint((log_1 - log_0) / step).astype(np.int64))
        tails.append(null_tail(weights[-1], p))
    shares = np.exp(np.array(logs) - np.logaddexp.reduce(logs))
    sums = np.rint(words[:, read].astype(np.float32) @ np.stack(weights, axis=1).astype(np.float32)).astype(np.int64)
    p_values = np.stack([t.at(sums[:, h]) / max(s, 1e-300) for h, (t, s) in enumerate(zip(tails, shares, strict=True))])
    spent = attempt_share(examination.attempt) * (1 - SINGLE_SHARE)
    paid = 2 * log10(examination.family) - log10(spent)
    return np.minimum(np.log10(p_values.min(axis=0)) + paid, 0.0)


def _readings(examination: Examination) -> tuple[I64, F64, F64]:
    kept, size = examination.kept, len(examination.p)
    counts = [np.bincount(kept.position, part, size).astype(np.float64) for part in (kept.zeros, kept.ones)]
    read = np.flatnonzero(counts[0] + counts[1]).astype(np.int64)
    return read, counts[0][read], counts[1][read]


def _likelihood(x: float, accused: F64, p: F64, zeros: F64, ones: F64, others: int) -> F64:
    """Log P(readings of each position) where a row is as likely from either copy or from any of the others."""
    one = (x + accused + others * p) / (2 + others)
    shown = _WRONG + (1 - 2 * _WRONG) * one
    return ones * np.log(shown) + zeros * np.log1p(-shown)
