"""Reading and rewriting pieces of text cells in bulk.

Arrow keeps the cells of a column end to end in one buffer. A place in a cell is a byte range of that buffer,
so that edits in a million cells are one cut of the buffer into pieces and one join.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Bool = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
PIECE = 1 << 18  # bytes that are looked at in one go, so that what is made of them stays in the processor's cache
Made = TypeVar("Made")


@dataclass(frozen=True)
class Spans:
    """Byte ranges, at most one a cell: row, absolute start in the buffer, length; int64[n] each, by row."""

    rows: I64
    starts: I64
    lengths: I64

    def keep(self, chosen: Bool) -> "Spans":
        """The ranges of a mask; chosen: bool[n]."""
        return Spans(self.rows[chosen], self.starts[chosen], self.lengths[chosen])


def is_text(kind: pa.DataType) -> bool:
    """Whether cells of this type are text, dictionaries of text included."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))


def as_text(cells: pa.Array) -> pa.StringArray:
    """The cells as string[rows]; the same array if it is one already."""
    return cells if pa.types.is_string(cells.type) else cells.cast(pa.string())


def like(text: pa.StringArray, kind: pa.DataType) -> pa.Array:
    """Text brought back to the type of the column it came from."""
    if pa.types.is_dictionary(kind):
        words = text.dictionary_encode()
        indices = words.indices.cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, words.dictionary.cast(kind.value_type), ordered=kind.ordered)
    return text if text.type == kind else text.cast(kind)


def same_memory(one: pa.Array, other: pa.Array) -> bool:
    """Whether two arrays are the same cells in the same place; true for equal ones only while the first is held."""

    def place(cells: pa.Array) -> tuple[object, ...]:
        addresses = tuple(buffer.address if buffer else 0 for buffer in cells.buffers())
        return cells.type, cells.offset, len(cells), addresses

    return one is other or place(one) == place(other)


def kept(make: Callable[[pa.StringArray], Made]) -> Callable[[pa.StringArray], Made]:
    """The same function, of which a thread keeps its last answer: tagging asks for a column's forms, then its sites.

    The column is held, so that its memory holds no other meanwhile. Nobody may change the answer.
    """
    memory = threading.local()

    @wraps(make)
    def remembered(text: pa.StringArray) -> Made:
        last: tuple[pa.StringArray, Made] | None = getattr(memory, "last", None)
        if last is None or not same_memory(last[0], text):
            last = memory.last = text, make(text)
        return last[1]

    return remembered


def buffers(text: pa.StringArray) -> tuple[I64, Bytes]:
    """Offsets int64[rows + 1] and the bytes they point into, both read-only views where possible."""
    if len(text) == 0:
        return np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    _, offsets, data = text.buffers()
    all_offsets = np.frombuffer(offsets, dtype=np.int32)[text.offset : text.offset + len(text) + 1]
    view = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return all_offsets.astype(np.int64), view


def rebuild(like_this: pa.StringArray, offsets: I64, data: pa.Buffer | Bytes) -> pa.StringArray:
    """An array of the same length and nulls over other bytes; offsets: int64[rows + 1]."""
    nulls = pc.is_valid(like_this).buffers()[1] if like_this.null_count else None
    ends = pa.py_buffer(np.ascontiguousarray(offsets, dtype=np.int32))
    return pa.StringArray.from_buffers(len(like_this), ends, pa.py_buffer(data), nulls)


def small(text: pa.StringArray) -> pa.StringArray:
    """ASCII letters in lower case. Arrow's own kernel forgets the bytes of an array that begins behind its buffer's."""
    offsets, data = buffers(text)
    data, offsets = data[offsets[0] : offsets[-1]].copy(), offsets - offsets[0]
    data |= (data - np.uint8(ord("A")) < 26).view(np.uint8) << 5
    return rebuild(text, offsets, data)


def mask_of(flags: pa.Array) -> Bool:
    """A boolean array as numpy; null is False."""
    return np.asarray(flags.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def matching(text: pa.StringArray, pattern: str) -> Bool:
    """bool[rows]: where an RE2 pattern is found; False for null."""
    return mask_of(pc.match_substring_regex(text, pattern))


def find(text: pa.StringArray, pattern: str, guard: str | None = None, among: Bool | None = None) -> Spans:
    """Where group `s` of an RE2 pattern lies in each cell, first match; only cells that match `guard` too.

    among: bool[rows], the cells that are searched; all when None.
    """
    rows = None if among is None else np.flatnonzero(among)
    searched = text if rows is None else text.take(pa.array(rows))
    if guard is not None:
        kept = np.flatnonzero(matching(searched, guard))
        rows, searched = kept if rows is None else rows[kept], searched.take(pa.array(kept))
    hits = pc.extract_regex_span(searched, pattern)
    found = np.flatnonzero(hits.is_valid().to_numpy(zero_copy_only=False))
    places = hits.field(0).values.to_numpy().reshape(-1, 2)[found].astype(np.int64)
    kept = found if rows is None else rows[found]
    offsets, _ = buffers(text)
    return Spans(kept, offsets[kept] + places[:, 0], places[:, 1])


def find_in_head(text: pa.StringArray, pattern: str, reach: int, guard: str | None = None) -> Spans:
    """As `find`, for a pattern that starts with the cell and looks at no more than its first `reach` characters.

    A column has few different heads, so each of those is searched once. guard: a pattern that does not look at the end.
    """
    heads = _heads(text, reach)
    words = heads.dictionary
    hits = find(words, pattern)
    lengths = np.full(len(words), -1, dtype=np.int64)
    lengths[hits.rows] = hits.lengths
    skips = np.zeros(len(words), dtype=np.int64)
    skips[hits.rows] = hits.starts - buffers(words)[0][hits.rows]
    rows = np.flatnonzero(mask_of(heads.indices.is_valid()))
    which = heads.indices.fill_null(0).to_numpy()[rows]
    rows, which = rows[lengths[which] >= 0], which[lengths[which] >= 0]
    if guard is not None:  # it does not ask how a cell goes on, so what it finds in a head it finds in the cell
        there = matching(words, guard)[which]
        rest = np.flatnonzero(~there)
        there[rest] = matching(text.take(pa.array(rows[rest])), guard)
        rows, which = rows[there], which[there]
    return Spans(rows, buffers(text)[0][rows] + skips[which], lengths[which])


def _heads(text: pa.StringArray, reach: int) -> pa.DictionaryArray:
    """The first characters of each cell."""
    return pc.utf8_slice_codeunits(text, 0, reach).dictionary_encode()


def words_at(text: pa.StringArray, spans: Spans) -> pa.StringArray:
    """The text of each span; string[n]."""
    count = len(spans.rows)
    cuts = np.empty(2 * count, dtype=np.int32)
    cuts[0::2], cuts[1::2] = spans.starts, spans.starts + spans.lengths
    if count == 0:
        return pa.array([], pa.string())
    pieces = pa.StringArray.from_buffers(2 * count - 1, pa.py_buffer(cuts), text.buffers()[2])
    return pieces.take(pa.array(np.arange(0, 2 * count, 2)))


def eight_from(data: Bytes, places: I64) -> U64:
    """The eight bytes from each place on, at least so many from the end, as one word, the first in its lowest byte."""
    return np.ndarray((max(len(data) - 7, 0),), "<u8", data, strides=(1,))[places]


def eight_after(data: Bytes, places: I64, ends: I64) -> U64:
    """The eight bytes from each place on as one word, the nearest in its lowest byte; zeros from `ends` on."""
    data = _eight_at_least(data)
    here = np.minimum(places, len(data) - 8)
    before, foreign = (8 * np.clip(there, 0, 8).astype(np.uint64) for there in (places - here, 8 - (ends - places)))
    return eight_from(data, here) >> before << foreign >> foreign


def eight_before(data: Bytes, first: I64, places: I64) -> U64:
    """The eight bytes before each place as one word, the nearest in its highest byte; zeros before `first`."""
    data = _eight_at_least(data)
    lacks, foreign = (8 * np.maximum(8 - there, 0).astype(np.uint64) for there in (places, places - first))
    return eight_from(data, np.maximum(places - 8, 0)) << lacks >> foreign << foreign


def _eight_at_least(data: Bytes) -> Bytes:
    return data if len(data) >= 8 else np.concatenate([data, np.zeros(8, dtype=np.uint8)])


def rows_of(places: I64, offsets: I64) -> I64:
    """The cell that each byte belongs to."""
    return np.searchsorted(offsets, places, side="right") - 1


def splice(text: pa.StringArray, spans: Spans, words: pa.StringArray, which: I64) -> pa.StringArray:
    """The text with each span replaced by one of some words.

    words: string[k]; which: int64[n], the number of each span's word. Spans may come in any order, several a cell, as
    long as they do not overlap.
    """
    # An insertion at the end of one cell and a change at the start of the next share their place.
    order = np.argsort(spans.starts * 2 + (spans.lengths > 0), kind="stable")
    rows, starts, lengths = spans.rows[order], spans.starts[order], spans.lengths[order]
    offsets, _ = buffers(text)
    cuts = np.empty(2 * len(starts) + 2, dtype=np.int32)
    cuts[0], cuts[-1] = offsets[0], offsets[-1]
    cuts[1:-1:2], cuts[2:-1:2] = starts, starts + lengths
    pieces = pa.StringArray.from_buffers(len(cuts) - 1, pa.py_buffer(cuts), text.buffers()[2])
    which = which[order]
    taken = np.arange(len(pieces))
    taken[1::2] = len(pieces) + which
    joined = pa.concat_arrays([pieces, words]).take(pa.array(taken))
    growth = pc.binary_length(words).to_numpy()[which] - lengths
    by_row = np.bincount(rows, weights=growth, minlength=len(text)).astype(np.int64)
    ends = offsets - offsets[0]
    ends[1:] += np.cumsum(by_row)
    first, data = buffers(joined)
    return rebuild(text, ends + first[0], data)
