"""Symbols as the low bits of numbers: replaced inside a block of 2^bits, never added."""

import numpy as np

from schemas.errors import ContractError
from watermarking.carriers.protocol import Symbols
from watermarking.text import I64


def checked_bits(carrier: str, bits: object, most: int) -> int:
    """The option `bits`; raises ContractError unless it is a whole number from 1 to `most`."""
    if not isinstance(bits, int) or isinstance(bits, bool) or not 1 <= bits <= most:
        raise ContractError(
            f"contract: carrier {carrier}, option 'bits' is not a whole number from 1 to {most}; "
            "expected how many low bits to replace; change leaktraceMark"
        )
    return bits


def to_symbols(values: I64, bits: int) -> Symbols:
    """Low bits of values >= 0, int8[rows, bits], lowest first."""
    return ((values[:, None] >> np.arange(bits)) & 1).astype(np.int8)


def from_symbols(values: I64, symbols: Symbols, bits: int) -> I64:
    """`v - v mod 2^bits + symbols`; -1 keeps the bit that is there."""
    kept = np.where(symbols < 0, to_symbols(values, bits), symbols).astype(np.int64)
    low: I64 = (kept << np.arange(bits)).sum(axis=1)
    return (values >> bits << bits) + low
