"""Configured synonyms: the contract names pairs of words that mean the same in this column."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from schemas.errors import ContractError
from schemas.spellings import Pairs
from watermarking.carriers.protocol import Symbols
from watermarking.carriers.spelled import Spelled, SpelledSite, locate, read_forms
from watermarking.text import I64, as_text, buffers, is_text


class Synonym:
    """One site a cell: the first place where a spelling of a pair stands as a word of its own.

    Pairs are the owner's and may overlap in any way, so a cell is a site only if both of its spellings read
    back from the same place.
    """

    name = "synonym"

    def __init__(self, pairs: Sequence[Sequence[str]]) -> None:
        """pairs: [[first, second], ...]; raises ContractError unless all spellings differ, none empty."""
        self._site = SpelledSite("synonym", _pattern(checked_pairs(pairs)), checked_pairs(pairs))
        self._spelled = Spelled((self._site,))

    def labels(self) -> tuple[str, ...]:
        """One site."""
        return ("synonym",)

    def read(self, cells: pa.Array) -> Symbols:
        """int8[rows, 1]: 0 the first spelling of a pair, 1 the second."""
        symbols = self._spelled.read(cells)
        if not (symbols >= 0).any():
            return symbols
        start, pair = self._places(cells)
        for symbol in (0, 1):
            spelled = self._spelled.write(cells, np.where(symbols >= 0, symbol, -1).astype(np.int8))
            other_start, other_pair = self._places(spelled)
            same = (other_start == start) & (other_pair == pair)
            symbols[~(same[:, None] & (self._spelled.read(spelled) == symbol))] = -1
        return symbols

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with the wanted spelling."""
        there = self.read(cells) >= 0
        return self._spelled.write(cells, np.where(there, symbols, -1).astype(np.int8))

    def mark_free(self, cells: pa.Array) -> pa.Array:
        """Text with the first spelling of each pair."""
        return as_text(self.write(cells, np.zeros((len(cells), 1), dtype=np.int8)))

    def distortion(self) -> str:
        """What a data owner should know."""
        return f"A word is replaced by its synonym: one of the {len(self._site.pairs)} pairs of the contract."

    def _places(self, cells: pa.Array) -> tuple[I64, I64]:
        """Where in each cell the word begins, in bytes, and the number of its pair; -1 without a word."""
        start = np.full(len(cells), -1, dtype=np.int64)
        pair = start.copy()
        if is_text(cells.type):
            text = as_text(cells)
            found = read_forms(text, self._site, locate(text, self._site))
            start[found.spans.rows] = found.spans.starts - buffers(text)[0][found.spans.rows]
            pair[found.spans.rows] = found.form // 2  # forms stand pair by pair, each spelling once
        return start, pair


def checked_pairs(pairs: object) -> Pairs:
    """The option `pairs` as tuples; raises ContractError if it is not a list of pairs of different words."""
    told = (
        "contract: carrier synonym, option 'pairs' is not a list of pairs of different words; expected for "
        'instance [["Ltd", "Limited"]], each spelling once; change leaktraceMark'
    )
    if not isinstance(pairs, list | tuple) or not pairs:
        raise ContractError(told)
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise ContractError(told)
    words = [word for pair in pairs for word in pair]
    if not all(isinstance(word, str) and word.strip() for word in words) or len(set(words)) < len(words):
        raise ContractError(told)
    return tuple((pair[0], pair[1]) for pair in pairs)


def _pattern(pairs: Pairs) -> str:
    """RE2, group `s`: whole words.

    A boundary is asked for at ASCII letters and digits only: between Han characters nothing shows where a
    word ends.
    """
    words = sorted({word for pair in pairs for word in pair}, key=len, reverse=True)
    return f"(?P<s>{'|'.join(_bounded(word) for word in words)})"


def _bounded(word: str) -> str:
    before, after = (r"\b" if re.match(r"[0-9A-Za-z_]", edge) else "" for edge in (word[0], word[-1]))
    return f"{before}{re.escape(word)}{after}"
