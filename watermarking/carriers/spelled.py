"""A carrier made of sites that are each spelled in one of two ways."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.spellings import Pairs
from watermarking.carriers.protocol import Symbols
from watermarking.text import (
    Bool,
    Spans,
    as_text,
    find,
    find_in_head,
    is_text,
    like,
    same_memory,
    splice,
    words_at,
)


@dataclass(frozen=True)
class SpelledSite:
    """One site: where it is (RE2, group `s`; the guard must match too) and its spellings.

    The first spelling of a pair is symbol 0. Where a spelling stands in several pairs, the first counts. head: that the
    pattern starts with the cell and looks at so many characters only makes it faster to find.
    """

    label: str
    pattern: str
    pairs: Pairs
    guard: str | None = None
    head: int | None = None

    @cached_property
    def forms(self) -> tuple[str, ...]:
        """All spellings."""
        return tuple(dict.fromkeys(word for pair in self.pairs for word in pair))

    @cached_property
    def symbols(self) -> Symbols:
        """The symbol that each form stands for, int8[forms]."""
        firsts = {first for first, _ in self.pairs}
        return np.array([0 if form in firsts else 1 for form in self.forms], dtype=np.int8)

    @cached_property
    def partners(self) -> pa.StringArray:
        """What each form becomes when its symbol changes, string[forms]."""
        other: dict[str, str] = {}
        for first, second in self.pairs:
            other.setdefault(first, second)
            other.setdefault(second, first)
        return pa.array([other[form] for form in self.forms], pa.string())


@dataclass(frozen=True)
class Found:
    """A site in the cells of a column: where, and which of its forms stands there (int64[n])."""

    spans: Spans
    form: np.ndarray[tuple[int], np.dtype[np.int64]]


def locate(text: pa.StringArray, site: SpelledSite, among: Bool | None = None) -> Spans:
    """The cells that have a site; among: bool[rows], those that are searched."""
    if site.head is not None:
        return find_in_head(text, site.pattern, site.head, site.guard)
    return find(text, site.pattern, site.guard, among)


def read_forms(text: pa.StringArray, site: SpelledSite, spans: Spans) -> Found:
    """Which of a site's forms stand in some places; a place that holds none is left out."""
    form = pc.index_in(words_at(text, spans), value_set=pa.array(site.forms, pa.string()))
    known = form.is_valid().to_numpy(zero_copy_only=False)
    return Found(spans.keep(known), form.drop_null().to_numpy().astype(np.int64))


def forms_by_length(site: SpelledSite, spans: Spans) -> Found:
    """The same for places that hold forms of a site, no two of which are of one length."""
    lengths = [len(form.encode()) for form in site.forms]
    form = np.zeros(max(lengths) + 1, dtype=np.int64)
    form[lengths] = np.arange(len(lengths))
    return Found(spans, form[spans.lengths])


def both(one: Found, other: Found) -> Found:
    """What was found in different cells, by row."""
    if not len(other.form):
        return one
    order = np.argsort(np.concatenate([one.spans.rows, other.spans.rows]), kind="stable")  # sorted runs are merged
    pairs = zip(vars(one.spans).values(), vars(other.spans).values(), strict=True)
    spans = Spans(*(np.concatenate(pair)[order] for pair in pairs))
    return Found(spans, np.concatenate([one.form, other.form])[order])


# The cells that it knows (bool[rows]), and where in those each of some sites is, by label; these sites' forms differ in
# length.
Quick = Callable[[pa.StringArray], tuple[Bool, dict[str, Spans]]]


class Spelled:
    """Reads and writes any number of spelled sites that do not overlap."""

    def __init__(self, sites: tuple[SpelledSite, ...], quick: Quick | None = None) -> None:
        """sites: their order is the order of the labels; quick: finds some of them in some cells without a pattern."""
        self.sites = sites
        self.quick = quick
        self._last: tuple[pa.Array, pa.StringArray, tuple[Found, ...]] | None = None

    def __getstate__(self) -> dict[str, object]:
        """Without the cells seen last: a carrier travels to other workers, its customers' data does not."""
        return {"sites": self.sites, "quick": self.quick, "_last": None}

    def labels(self) -> tuple[str, ...]:
        """The sites' labels."""
        return tuple(site.label for site in self.sites)

    def read(self, cells: pa.Array) -> Symbols:
        """Symbols int8[rows, sites]."""
        symbols = np.full((len(cells), len(self.sites)), -1, dtype=np.int8)
        if len(cells) and is_text(cells.type):
            _, found = self._locate(cells)
            for column, (site, place) in enumerate(zip(self.sites, found, strict=True)):
                symbols[place.spans.rows, column] = site.symbols[place.form]
        return symbols

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with the symbols written; the same array where nothing changes."""
        if not len(cells) or not is_text(cells.type):
            return cells
        text, found = self._locate(cells)
        spans, which = [], []
        count = 0
        for column, (site, place) in enumerate(zip(self.sites, found, strict=True)):
            changed = _differs(symbols[place.spans.rows, column], site.symbols[place.form])
            spans.append(place.spans.keep(changed))
            which.append(place.form[changed] + count)
            count += len(site.forms)
        edits = Spans(
            np.concatenate([part.rows for part in spans]),
            np.concatenate([part.starts for part in spans]),
            np.concatenate([part.lengths for part in spans]),
        )
        if not len(edits.rows):
            return cells
        words = pa.concat_arrays([site.partners for site in self.sites])
        return like(splice(text, edits, words, np.concatenate(which)), cells.type)

    def mark_free(self, cells: pa.Array) -> pa.Array:
        """Text with every site spelled the first way."""
        return as_text(self.write(cells, np.zeros((len(cells), len(self.sites)), dtype=np.int8)))

    def _locate(self, cells: pa.Array) -> tuple[pa.StringArray, tuple[Found, ...]]:
        # One table is read once and then written for several recipients. The array is held, so its buffers
        # cannot be handed out again, and same buffers mean same cells.
        last = self._last
        if last is None or not same_memory(last[0], cells):
            text = as_text(cells)
            last = self._last = (cells, text, tuple(self._found(text)))
        return last[1], last[2]

    def _found(self, text: pa.StringArray) -> Iterator[Found]:
        """Each site."""
        cells, known = self.quick(text) if self.quick else (np.zeros(len(text), dtype=bool), {})
        for site in self.sites:
            if site.label in known:
                rest = read_forms(text, site, locate(text, site, ~cells))
                yield both(forms_by_length(site, known[site.label]), rest)
            else:
                yield read_forms(text, site, locate(text, site))


def _differs(wanted: Symbols, present: Symbols) -> Bool:
    return np.asarray((wanted >= 0) & (wanted != present), dtype=np.bool_)
