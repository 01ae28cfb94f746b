"""Random digits and numbers for one value after the other."""

import numpy as np

_AT_ONCE = 16_384


class Draws:
    """Drawn some thousand at a time: to ask NumPy for each by itself takes longer than all else that makes a canary."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Draws nothing yet."""
        self._rng = rng
        self._digits, self._at = "", 0
        self._numbers: list[int] = []

    def digits(self, count: int) -> str:
        """So many decimal digits; none for a negative count."""
        end = self._at + max(count, 0)
        if end > len(self._digits):
            drawn = self._rng.integers(48, 58, max(_AT_ONCE, count), dtype=np.uint8)
            self._digits, self._at, end = drawn.tobytes().decode(), 0, max(count, 0)
        out, self._at = self._digits[self._at : end], end
        return out

    def below(self, bound: int) -> int:
        """A number from 0 to bound - 1; none is likelier than another by more than a part of 2^62 / bound."""
        if not self._numbers:
            self._numbers = self._rng.integers(0, 2**62, _AT_ONCE).tolist()
        return self._numbers.pop() % bound
