"""Leaks as the symbols that they hold: what a trace reads, without the tables around it.

Every attack takes a leak and gives another one, so they can be put together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from watermarking.attacks.strategies import U8, answer
from watermarking.fingerprint_code import F64
from watermarking.readings import I64, Readings, merge


@dataclass(frozen=True)
class Leak:
    """The symbols of a leak, one entry a cell's site.

    row, site, position: int64[n]; symbol: uint8[n].
    """

    row: I64
    site: I64
    position: I64
    symbol: U8

    def readings(self) -> Readings:
        """What a trace counts."""
        ones = self.symbol.astype(np.int64)
        return merge([Readings(self.site, self.position, 1 - ones, ones)])

    def keep(self, chosen: npt.NDArray[np.bool_]) -> "Leak":
        """The entries of a mask."""
        return Leak(self.row[chosen], self.site[chosen], self.position[chosen], self.symbol[chosen])


def leak_of(word: U8, rows: int, sites: int, rng: np.random.Generator) -> Leak:
    """`rows` verbatim rows of one copy with `sites` sites each, at positions drawn evenly; word: uint8[positions]."""
    return mixed_by_row(word[None], rows, sites, rng)


def mixed_by_row(words: U8, rows: int, sites: int, rng: np.random.Generator) -> Leak:
    """Each row is from one of several copies; words: uint8[copies, positions]."""
    row, site, position = _places(words.shape[1], rows, sites, rng)
    source = rng.integers(0, len(words), rows)
    return Leak(row, site, position, words[source[row], position])


def mixed_by_cell(words: U8, p: F64, strategy: str, rows: int, sites: int, rng: np.random.Generator) -> Leak:
    """Each cell is chosen among several copies by a strategy; words: uint8[copies, positions].

    The coalition answers once a position, as it does when a value's two spellings are all it sees.
    """
    row, site, position = _places(words.shape[1], rows, sites, rng)
    used, where = np.unique(position, return_inverse=True)
    return Leak(row, site, position, answer(words[:, used], p[used], strategy, rng)[where])


def changed(leak: Leak, share: float, rng: np.random.Generator) -> Leak:
    """A share of the symbols, drawn one by one, is the other one."""
    return replace(leak, symbol=leak.symbol ^ (rng.random(len(leak.symbol)) < share))


def rewritten(leak: Leak, sites: Sequence[int], symbol: int) -> Leak:
    """The values of some sites are brought to one form."""
    gone = np.isin(leak.site, list(sites))
    return replace(leak, symbol=np.where(gone, symbol, leak.symbol).astype(np.uint8))


def without_sites(leak: Leak, sites: Sequence[int]) -> Leak:
    """The columns of some sites are dropped."""
    return leak.keep(~np.isin(leak.site, list(sites)))


def _places(positions: int, rows: int, sites: int, rng: np.random.Generator) -> tuple[I64, I64, I64]:
    row, site = np.repeat(np.arange(rows), sites), np.tile(np.arange(sites), rows)
    return row, site, rng.integers(0, positions, rows * sites)
