"""Which record each row of a sample is, and which exports held it: what is asked of the index, and how seldom.

Every question reads the whole index, so it is asked for several parts of a large sample at once. Rows that show a
record whole are found by one look-up of their version; of many others those that agree in all they show, by a strong
identifier or two. The rest are searched for: by tokens that few versions share, then common ones confirm what was
found.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.agreeing import agreeing_rows
from pipeline.asking import Ours, codes, hits_of, mixed, token_table
from pipeline.describing import described_of
from pipeline.index import IndexFiles
from pipeline.pinyin_names import names_compared
from pipeline.sample_part import SamplePart, joined
from schemas.contract import Contract
from watermarking.agreement import NO_HITS, Hits
from watermarking.attributes import replaceable
from watermarking.described import DESCRIBING, described_pairs, describing, indistinguishable
from watermarking.distinct import distinct, is_in, places_in
from watermarking.finders import finders
from watermarking.membership import Holders, Pattern, holders_of_rows
from watermarking.neighbours import with_neighbours
from watermarking.resolve import MARGIN, Resolved, most_versions, readable_fields, resolve
from watermarking.respelled import respelled
from watermarking.tokens import SHARED, Field, TokenColumn, TokenKind, tokens_of
from watermarking.whole_rows import WholeRows, held_whole, rows_between, unknown, whole_rows, with_rest

_MANY = 1_000  # rows from which two look-ups more are cheaper than searching for each
_TOGETHER = 65_536  # rows of several parts that are searched for one after another: their tokens must too
_ONE_AT_A_TIME = Lock()  # searches of a process's workers: what they find is the peak of memory


@dataclass(frozen=True)
class Holding:
    """Which exports hold versions, and which records have several.

    versions: uint64[n], sorted; number: int64[n], of the set that holds each; sets; records: uint64[m], sorted, those
    that the index was asked for; several: uint64[k], sorted, those of them that have more than one version.
    """

    versions: np.ndarray
    number: np.ndarray
    sets: Sequence[Pattern]
    records: np.ndarray
    several: np.ndarray

    @classmethod
    def of(cls, versions: np.ndarray, records: np.ndarray, index: IndexFiles) -> "Holding":
        """What the index knows of versions and records; both sorted, each once."""
        return cls(versions, *index.holders(versions), records, index.several_versions(records))


@dataclass(frozen=True)
class Found:
    """What the rows of a part are.

    at: int64[n], the rows that were searched for; tokens: every token of these; holding: of versions, as far as the
    index was asked already.
    """

    part: SamplePart
    resolved: Resolved
    at: np.ndarray
    tokens: Sequence[TokenColumn]
    holding: Holding

    def every_token(self) -> list[TokenColumn]:
        """Tokens of the part's rows: single ones of every row, all others of rows that were searched for."""
        if not len(self.at):
            return list(self.part.singles)
        every = iter(self.part.singles)
        return [next(every) if token.whole else _spread(token, self.at, self.part.rows) for token in self.tokens]


def resolve_parts(parts: Sequence[SamplePart], ours: Ours) -> Iterator[Found]:
    """What the rows of each part are, in order. The index is asked for all of them at once, as far as memory allows.

    What was given out is no longer held here.
    """
    held = _found_at_once(parts, ours)
    left = [np.flatnonzero(~one.found()) for one in held]
    agreed = np.bitwise_or.reduce([np.bitwise_or.reduce(one.agreed, initial=0) for one in held])
    others = int(agreed), sum(part.rows for part in parts) - sum(map(len, left))
    many = len(parts) > 1  # of one part, all are asked for when all is known
    found = [one.found() if many else np.zeros(0, dtype=np.int64) for one in held]
    versions, records = (
        distinct(np.concatenate([getattr(one, name)[at] for one, at in zip(held, found, strict=True)]))
        for name in ("version", "record")
    )
    holding = Holding.of(versions, records, ours.index)
    del found, versions, records
    batches, anew = _batches(parts, left), [part.mapped_anew() for part in parts]
    waiting = deque(zip(anew, held, left, strict=True))
    del parts, anew, held, left
    for batch in batches:
        those, start = deque(waiting.popleft() for _ in range(batch)), 0
        rest, tokens = _searched([part.mapped_anew().at(rows) for part, _, rows in those if len(rows)], ours, others)
        while those:
            part, resolved, rows = those.popleft()
            end = start + len(rows)
            resolved = with_rest(resolved, rows_between(rest, start, end), rows) if len(rows) else resolved
            its = [replace(token, values=token.values[start:end], there=token.there[start:end]) for token in tokens]
            yield Found(part, resolved, rows, its, holding)
            start = end


def _found_at_once(parts: Sequence[SamplePart], ours: Ours) -> list[Resolved]:
    """Rows that show a record whole, and where many are left those that agree in all they show; the others unknown."""
    whole = [whole_rows(p.fields, p.singles, ours.contracts, ours.versions, ours.kinds, ours.key) for p in parts]
    known = _known([one for its in whole for one in its], ours)
    held = [
        held_whole(part.fields, its, [known[one.dataset] for one in its], part.rows)
        for part, its in zip(parts, whole, strict=True)
    ]
    left = [np.flatnonzero(~one.found()) for one in held]
    if sum(map(len, left)) < _MANY:
        return held
    its = [part.mapped_anew().at(at) for part, at in zip(parts, left, strict=True)]
    rest = agreeing_rows(its, ours, _MANY)
    for number, one in enumerate(rest):
        held[number] = with_rest(held[number], one, left[number]) if len(left[number]) < parts[number].rows else one
    return held


def _batches(parts: Sequence[SamplePart], left: Sequence[np.ndarray]) -> list[int]:
    """How many parts in a row are searched together: alike, and of not too many rows that are left."""
    batches: list[list[int]] = []
    for number, part in enumerate(parts):
        batch = batches[-1] if batches else []
        rows = sum(len(left[n]) for n in (*batch, number))
        if batch and rows <= _TOGETHER and part.layout() == parts[batch[0]].layout():
            batch.append(number)
        else:
            batches.append([number])
    return [len(batch) for batch in batches]


def _searched(
    parts: Sequence[SamplePart], ours: Ours, others: tuple[int, int]
) -> tuple[Resolved, Sequence[TokenColumn]]:
    """Rows that were not found at once, of parts that are alike, one after another; and all their tokens.

    others: fields (bits) in which the sample's other rows agree, and how many rows.
    """
    if not parts:
        return unknown((), 0), ()
    wanted = joined(parts)
    wanted = replace(wanted, fields=respelled(wanted.fields))
    held, every, alike = unknown(wanted.fields, wanted.rows), [], np.zeros(wanted.rows, dtype=bool)
    for rows in ours.parts(np.arange(wanted.rows)):
        its = wanted.at(rows)
        every.append(tokens_of(its.fields, ours.key, budget=None, singles=its.singles))
        with _ONE_AT_A_TIME:
            found, alike[rows] = _search(its.fields, every[-1], its.rows, ours, others)
        held = with_rest(held, found, rows)
    held = _search_beside(held, alike, wanted, ours, others)
    return held, [_one_after_another(same) for same in zip(*every, strict=True)]


def _search(
    fields: Sequence[Field], tokens: Sequence[TokenColumn], rows: int, ours: Ours, others: tuple[int, int]
) -> tuple[Resolved, np.ndarray]:
    """Rows resolved by hits in tables with identifiers, and by all their attributes in tables without.

    And those (bool[rows]) of which attributes say no more than that they are one of several records.
    """
    alone = ours.alone()
    hits, pairs = NO_HITS, None
    alike, alike_if, record = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool), np.zeros(rows, dtype=np.uint64)
    if any(alone):
        its, readable = describing(tokens), readable_fields(fields, rows)
        without = [c if one else None for c, one in zip(ours.contracts, alone, strict=True)]
        known = described_of(its, without, ours.index)
        pairs = described_pairs(fields, its, known, readable, ours.versions, ours.kinds, MARGIN)
        blocks = {replaceable(contract) for contract in ours.contracts}
        alike, alike_if, record = indistinguishable(fields, its, known, readable, pairs, ours.versions, blocks, MARGIN)
    if not all(alone):
        its = finders(fields, tokens, rows, ours.versions, ours.kinds)
        hits = look_up([None if token.kind in DESCRIBING else token for token in its], ours.contracts, ours.index)
        mine = ~np.array(alone)[hits.dataset]
        hits = Hits(*(values[mine] for values in astuple(hits)))
    compare = partial(names_compared, key=ours.key, index=ours.index)
    found = resolve(fields, tokens, hits, rows, ours.versions, ours.kinds, others, compare, pairs)
    lost = ~found.found() & ~alike
    if lost.any() and not (lost & ~alike_if).any():  # worth asking: then nothing is searched for again
        alike |= lost & np.isin(record, _of_one_version(distinct(record[lost]), ours.index))
    return found, alike


def _of_one_version(records: np.ndarray, index: IndexFiles) -> np.ndarray:
    """Those of the records that have no second version."""
    its, versions = np.unique(index.versions_of(pa.array(records))["record"].to_numpy(), return_counts=True)
    return its[versions == 1]


def _search_beside(
    held: Resolved, alike: np.ndarray, wanted: SamplePart, ours: Ours, others: tuple[int, int]
) -> Resolved:
    """The same with rows found by the block beside that of their most marked number, where nothing else found them.

    alike: bool[rows], those that a block cannot tell apart.
    """
    for rows in ours.parts(np.flatnonzero(~held.found() & ~alike)):
        its = wanted.at(rows)
        beside = with_neighbours(its.fields, ours.contracts) if len(rows) else None
        if beside is None:
            return held
        tokens, found = tokens_of(beside, ours.key, budget=None, singles=its.singles), held.found()
        agreed = others[0] | int(np.bitwise_or.reduce(held.agreed[found], initial=0))
        more, _ = _search(beside, tokens, its.rows, ours, (agreed, others[1] + int(found.sum())))
        held = with_rest(held, more, rows)
    return held


def _known(whole: Sequence[WholeRows], ours: Ours) -> list[tuple[np.ndarray, np.ndarray]]:
    """By dataset, of the rows' versions those that the registry has, sorted, and their records."""
    asked = [one.version[one.telling] for one in whole]
    if not sum(map(len, asked)):
        return [(np.empty(0, np.uint64), np.empty(0, np.uint64)) for _ in ours.contracts]
    found = ours.index.known(np.concatenate(asked)).sort_by("version")
    mine = [found.filter(pc.equal(found["dataset"], contract.dataset)) for contract in ours.contracts]
    return [(one["version"].to_numpy(), one["record"].to_numpy()) for one in mine]


def _spread(token: TokenColumn, at: np.ndarray, rows: int) -> TokenColumn:
    """A column of some rows as one of all rows, with nothing in the others."""
    values, there = np.zeros(rows, dtype=np.uint64), np.zeros(rows, dtype=bool)
    values[at], there[at] = token.values, token.there
    return replace(token, values=values, there=there)


def _one_after_another(same: Sequence[TokenColumn]) -> TokenColumn:
    values, there = (np.concatenate([getattr(token, name) for token in same]) for name in ("values", "there"))
    return replace(same[0], values=values, there=there)


def look_up(tokens: Sequence[TokenColumn | None], contracts: Sequence[Contract], index: IndexFiles) -> Hits:
    """Hits of the sample's tokens: rows are found by tokens that few share, and common ones confirm them."""
    found = index.lookup(token_table(tokens), confirming=SHARED)
    shared = pc.is_in(found["kind"], value_set=pa.array(sorted(map(int, SHARED)), pa.uint8()))
    common = pc.and_(shared, pc.greater(found["frequency"], most_versions(TokenKind.SURNAME)))
    finding = hits_of(tokens, found.filter(pc.invert(common)), codes(contracts))
    confirming = [token if token is not None and token.kind in SHARED else None for token in tokens]
    parts = (finding, _confirmed(confirming, found.filter(common), finding))
    return Hits(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def held_by(of: Found, index: IndexFiles) -> Holders:
    """Which exports held each row of a part: a version that it can be."""
    resolved = of.resolved
    found, tied = np.flatnonzero(resolved.found()), resolved.found()[resolved.tied_row]
    row = np.concatenate([found, resolved.tied_row[tied]])
    its = np.concatenate([resolved.version[found], resolved.tied_version[tied]])
    place, known = places_in(of.holding.versions, its)
    more = distinct(its[~known])
    theirs, sets = index.holders(more)
    number = np.empty(len(its), dtype=np.int64)
    number[known] = of.holding.number[place[known]]
    number[~known] = theirs[np.searchsorted(more, its[~known])] + len(of.holding.sets)
    return holders_of_rows(row, number, [*of.holding.sets, *sets], len(resolved.row_class))


def _confirmed(
    shared: Sequence[TokenColumn | None], known: pa.Table, finding: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, ...]:
    """Which pairs of a row and a version that were found also share a common token; lines as `_hits` has them.

    known: (token, kind, version, …) of the registry. Only pairs are looked at: half of a table may share a token.
    """
    row, _, dataset, _, version, record = finding
    mine = is_in(distinct(known["version"].to_numpy()), version)  # most of what is found has no common token asked for
    row, dataset, version, record = row[mine], dataset[mine], version[mine], record[mine]
    _, first = np.unique(mixed(version, row.astype(np.uint64)), return_index=True)
    row, dataset, version, record = row[first], dataset[first], version[first], record[first]
    there = mixed(known["token"].to_numpy(), known["version"].to_numpy())
    order = np.argsort(there)
    there, frequency = there[order], known["frequency"].to_numpy()[order]
    parts = []
    for number, column in enumerate(shared):
        if column is None or not len(there):
            continue
        wanted = mixed(column.values[row], version)
        at = np.minimum(np.searchsorted(there, wanted), len(there) - 1)
        mine = (there[at] == wanted) & column.there[row]
        place = np.full(int(mine.sum()), number)
        parts.append((row[mine], place, dataset[mine], frequency[at][mine], version[mine], record[mine]))
    if not parts:
        return tuple(array[:0] for array in finding)
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
