"""The traitor-tracing code: biases per position, code words per series.

Position i has a bias p_i, keyed per dataset; a series' code word has X_i = 1 with probability p_i, drawn
from its own secret. Designs (Nuida et al., "An improvement of discrete Tardos fingerprinting codes", 2009,
table 1): `pure2` all 1/2; `pure4` two biases; `pure6` three; `mix50` half of the positions 1/2 and half from
the distribution for coalitions of four. Probabilities are multiples of 2^-32, so the null distribution that
`evidence` computes is the one that was drawn from, not an approximation of it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from schemas.errors import ContractError
from watermarking.keys import keystream, keystreams

F64 = npt.NDArray[np.float64]
_SCALE = float(2**32)

# name -> biases with the share of positions that have them
DESIGNS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "mix50": ((0.5, 0.5), (0.21132, 0.25), (0.78868, 0.25)),
    "pure2": ((0.5, 1.0),),
    "pure4": ((0.21132, 0.5), (0.78868, 0.5)),
    "pure6": ((0.11270, 0.33201), (0.5, 0.33598), (0.88730, 0.33201)),
}


def representable(bias: float) -> float:
    """The multiple of 2^-32 that stands for `bias`."""
    return round(bias * _SCALE) / _SCALE


def biases(dataset_key: bytes, design: str, length: int) -> F64:
    """Bias of each position; float64[length], multiples of 2^-32.

    dataset_key: 32 bytes used for nothing else. Raises ContractError for an unknown design.
    """
    if design not in DESIGNS:
        known = ", ".join(sorted(DESIGNS))
        raise ContractError(f"code design is not known; expected one of {known}: correct leaktraceCodeDesign")
    values = np.array([representable(p) for p, _ in DESIGNS[design]])
    ends = np.cumsum([share for _, share in DESIGNS[design]])
    draw = keystream(dataset_key, length) / _SCALE
    return values[np.minimum(np.searchsorted(ends, draw, side="right"), len(values) - 1)]


def code_word(secret: bytes, p: F64) -> npt.NDArray[np.uint8]:
    """The code word of one series: X_i = 1 with probability exactly p_i, independent; uint8[len(p)].

    secret: 32 random bytes, drawn afresh for the series; nothing about the recipient enters.
    """
    return code_words([secret], p)[0]


def code_words(secrets: Sequence[bytes], p: F64) -> npt.NDArray[np.uint8]:
    """The code word of each secret; uint8[secrets, len(p)]. Nothing but the keystream costs time: 7 us at 2,048."""
    thresholds = (p * _SCALE).astype(np.uint32)  # every bias is below 1
    words = np.empty((len(secrets), len(p)), dtype=np.bool_)
    for word, stream in zip(words, keystreams(secrets, len(p)), strict=True):
        np.less(stream, thresholds, out=word)
    return words.view(np.uint8)
