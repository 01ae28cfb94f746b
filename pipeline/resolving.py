"""Which record each row of a chunk is, and which exports held it: what is asked of the index, and how seldom.

Rows that show a record whole are found by one look-up of their version; of many others those that agree in all they
show, by two of their strong identifiers. The rest are searched for: by tokens that few versions share, then common ones
confirm what was found.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.asking import token_table
from pipeline.describing import described_of
from pipeline.index import IndexFiles
from pipeline.pinyin_names import names_compared
from schemas.contract import Contract
from watermarking.agreeing_rows import FEW, agreeing, candidates, lookup_columns
from watermarking.agreement import NO_HITS, Hits
from watermarking.attributes import ATTRIBUTE, attributes, replaceable
from watermarking.described import DESCRIBING, described_pairs, describing, indistinguishable
from watermarking.distinct import distinct
from watermarking.keys import IndexKey
from watermarking.membership import Holders, holders_of_rows
from watermarking.neighbours import with_neighbours
from watermarking.resolve import MARGIN, Resolved, most_versions, readable_fields, resolve
from watermarking.respelled import respelled
from watermarking.tokens import SHARED, Field, TokenColumn, TokenKind, single_tokens, tokens_of
from watermarking.whole_rows import WholeRows, held_whole, unknown, whole_rows, with_rest

_MANY = 1_000  # rows from which two look-ups more are cheaper than searching for each
_SEARCHED = 20_000  # rows searched for at once: what common names find must fit into memory


def resolve_rows(
    fields: Sequence[Field], contracts: Sequence[Contract], key: IndexKey, index: IndexFiles, rows: int
) -> tuple[Resolved, list[TokenColumn]]:
    """What each row is, and its tokens: single ones of every row, all others of rows that were searched for."""
    kinds = [_kinds_of(contract) for contract in contracts]
    versions = [index.version_count(contract.dataset) for contract in contracts]
    singles = single_tokens(fields, key)
    whole = whole_rows(fields, singles, contracts, versions, kinds, key)
    held = held_whole(fields, whole, _known(whole, contracts, index), rows)
    left = np.flatnonzero(~held.found())
    if len(left) >= _MANY:
        its_fields, its_singles = _rows_of(fields, singles, left)
        held = with_rest(held, _agreeing(its_fields, its_singles, contracts, index, versions, kinds, len(left)), left)
        left = np.flatnonzero(~held.found())
    if not len(left):
        return held, list(singles)
    others = int(np.bitwise_or.reduce(held.agreed)), rows - len(left)
    spread: list[TokenColumn] = []
    alike = np.zeros(rows, dtype=bool)
    fields, wanted = _rows_of(fields, singles, left)
    fields, ours = respelled(fields), _Ours(contracts, key, index, versions, kinds)
    for part in ours.parts(np.arange(len(left))):
        at = left[part]
        its_fields, its_singles = _rows_of(fields, wanted, part)
        tokens = tokens_of(its_fields, key, budget=None, singles=its_singles)
        found, alike[at] = _search(its_fields, tokens, len(at), ours, others)
        held = with_rest(held, found, at)
        spread = spread or [_absent(token, rows) for token in tokens]
        for column, token in zip(spread, tokens, strict=True):
            column.values[at], column.there[at] = token.values, token.there
    held = _search_beside(held, left, alike[left], fields, wanted, ours)
    every = iter(singles)
    return held, [next(every) if column.whole else column for column in spread]


@dataclass(frozen=True)
class _Ours:
    """What rows are searched for in. versions, kinds: by dataset, as `resolve` has them."""

    contracts: Sequence[Contract]
    key: IndexKey
    index: IndexFiles
    versions: Sequence[int]
    kinds: Sequence[frozenset[str]]

    def alone(self) -> list[bool]:
        """By dataset, whether attributes tell its rows apart."""
        return [ATTRIBUTE in of for of in self.kinds]

    def parts(self, rows: np.ndarray) -> list[np.ndarray]:
        """The rows as they are searched for together; pairs with versions of attributes are bounded by themselves."""
        return np.array_split(rows, 1 if all(self.alone()) else -(-len(rows) // _SEARCHED) or 1)


def _search(
    fields: Sequence[Field], tokens: Sequence[TokenColumn], rows: int, ours: _Ours, others: tuple[int, int]
) -> tuple[Resolved, np.ndarray]:
    """Rows resolved by hits in tables with identifiers, and by all their attributes in tables without.

    And those (bool[rows]) of which attributes say no more than that they are one of several records.
    """
    alone = ours.alone()
    hits, pairs, alike = NO_HITS, None, np.zeros(rows, dtype=bool)
    if any(alone):
        its, readable = describing(tokens), readable_fields(fields, rows)
        without = [c if one else None for c, one in zip(ours.contracts, alone, strict=True)]
        known = described_of(its, without, ours.index)
        pairs = described_pairs(fields, its, known, readable, ours.versions, ours.kinds, MARGIN)
        blocks = {replaceable(contract) for contract in ours.contracts}
        alike = indistinguishable(fields, its, known, readable, pairs, ours.versions, blocks, MARGIN)
    if not all(alone):
        hits = look_up([None if token.kind in DESCRIBING else token for token in tokens], ours.contracts, ours.index)
        mine = ~np.array(alone)[hits.dataset]
        hits = Hits(*(values[mine] for values in astuple(hits)))
    compare = partial(names_compared, key=ours.key, index=ours.index)
    return resolve(fields, tokens, hits, rows, ours.versions, ours.kinds, others, compare, pairs), alike


def _search_beside(
    held: Resolved,
    left: np.ndarray,
    alike: np.ndarray,
    fields: Sequence[Field],
    singles: Sequence[TokenColumn],
    ours: _Ours,
) -> Resolved:
    """The same with rows found by the block beside that of their most marked number, where nothing else found them.

    left: the rows that were searched for; alike, fields, singles: of these, alike those that a block cannot tell apart.
    """
    lost = np.flatnonzero(~held.found()[left] & ~alike)
    for part in ours.parts(lost):
        its_fields, its_singles = _rows_of(fields, singles, part)
        beside = with_neighbours(its_fields, ours.contracts) if len(part) else None
        if beside is None:
            return held
        tokens, found = tokens_of(beside, ours.key, budget=None, singles=its_singles), held.found()
        others = int(np.bitwise_or.reduce(held.agreed[found], initial=0)), int(found.sum())
        held = with_rest(held, _search(beside, tokens, len(part), ours, others)[0], left[part])
    return held


def _kinds_of(contract: Contract) -> frozenset[str]:
    """The kinds of a dataset's fields."""
    more = (ATTRIBUTE,) if attributes(contract) else ()
    return frozenset((*(column.kind for column in contract.columns), *more))


def _known(
    whole: Sequence[WholeRows], contracts: Sequence[Contract], index: IndexFiles
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each dataset's rows the versions that the registry has, sorted, and their records."""
    asked = [one.version[one.telling] for one in whole]
    if not sum(map(len, asked)):
        return [(np.empty(0, np.uint64), np.empty(0, np.uint64)) for _ in whole]
    found = index.known(np.concatenate(asked)).sort_by("version")
    mine = [found.filter(pc.equal(found["dataset"], contracts[one.dataset].dataset)) for one in whole]
    return [(one["version"].to_numpy(), one["record"].to_numpy()) for one in mine]


def _agreeing(
    fields: Sequence[Field],
    singles: Sequence[TokenColumn],
    contracts: Sequence[Contract],
    index: IndexFiles,
    versions: Sequence[int],
    kinds: Sequence[frozenset[str]],
    rows: int,
) -> Resolved:
    """The rows that agree with one version in all that can be read: two look-ups for all of them."""
    looked_up = lookup_columns(fields, singles, versions)
    asked = token_table(looked_up)
    asked = asked.set_column(2, "most", pa.array(np.full(asked.num_rows, FEW)))
    if not asked.num_rows:
        return unknown(fields, rows)
    pairs = candidates(looked_up, Hits(*_hits(looked_up, index.lookup(asked), _codes(contracts))), rows, kinds)
    rest = [
        token if by is None else replace(token, there=token.there & ~by.there)
        for by, token in zip(looked_up, singles, strict=True)
    ]
    found = index.have(token_table(rest).select(["token", "kind"]), pa.array(distinct(pairs.version)))
    there = np.sort(_mixed(found["token"].to_numpy(), found["version"].to_numpy()))
    others = [token.there[pairs.row] & _in(there, _mixed(token.values[pairs.row], pairs.version)) for token in rest]
    return agreeing(fields, looked_up, pairs, others, versions, kinds, rows)


def _in(ordered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which words are in a sorted array; bool[n]."""
    if not len(ordered):
        return np.zeros(len(wanted), dtype=bool)
    return np.asarray(ordered[np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)] == wanted)


def _codes(contracts: Sequence[Contract]) -> dict[str, int]:
    return {contract.dataset: code for code, contract in enumerate(contracts)}


def _rows_of(
    fields: Sequence[Field], singles: Sequence[TokenColumn], at: np.ndarray
) -> tuple[list[Field], list[TokenColumn]]:
    """Fields and tokens of some rows."""
    place = pa.array(at)
    return (
        [_taken(field, place) for field in fields],
        [replace(token, values=token.values[at], there=token.there[at]) for token in singles],
    )


def _taken(field: Field, place: pa.Array) -> Field:
    part = None if field.part is None else field.part.take(place)
    return replace(field, whole=field.whole.take(place), part=part, also=tuple(a.take(place) for a in field.also))


def _absent(token: TokenColumn, rows: int) -> TokenColumn:
    """A column like this one for all rows, with nothing in it yet."""
    return replace(token, values=np.zeros(rows, dtype=np.uint64), there=np.zeros(rows, dtype=bool))


def look_up(tokens: Sequence[TokenColumn | None], contracts: Sequence[Contract], index: IndexFiles) -> Hits:
    """Hits of the sample's tokens: rows are found by tokens that few share, then common ones confirm them."""
    found = index.lookup(token_table(tokens))
    finding = _hits(tokens, found, _codes(contracts))
    candidates = pc.unique(found["version"].combine_chunks())
    shared = [token if token is not None and token.kind in SHARED else None for token in tokens]
    known = index.lookup(token_table(shared, everybody=True), versions=candidates)
    known = known.filter(pc.greater(known["frequency"], most_versions(TokenKind.SURNAME)))
    parts = (finding, _confirmed(shared, known, finding))
    return Hits(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def held_by(resolved: Resolved, index: IndexFiles) -> Holders:
    """Which exports held each row: a version that it can be."""
    found, tied = np.flatnonzero(resolved.found()), resolved.found()[resolved.tied_row]
    row = np.concatenate([found, resolved.tied_row[tied]])
    its = np.concatenate([resolved.version[found], resolved.tied_version[tied]])
    versions, place = np.unique(its, return_inverse=True)
    number, sets = index.holders(versions)
    return holders_of_rows(row, number[place], sets, len(resolved.row_class))


def _confirmed(
    shared: Sequence[TokenColumn | None], known: pa.Table, finding: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, ...]:
    """Which pairs of a row and a version that were found also share a common token; lines as `_hits` has them.

    known: (token, kind, version, …) of the registry. Only pairs are looked at: half of a table may share a token.
    """
    row, _, dataset, _, version, record = finding
    _, first = np.unique(_mixed(version, row.astype(np.uint64)), return_index=True)
    row, dataset, version, record = row[first], dataset[first], version[first], record[first]
    there = _mixed(known["token"].to_numpy(), known["version"].to_numpy())
    order = np.argsort(there)
    there, frequency = there[order], known["frequency"].to_numpy()[order]
    parts = []
    for number, column in enumerate(shared):
        if column is None or not len(there):
            continue
        wanted = _mixed(column.values[row], version)
        at = np.minimum(np.searchsorted(there, wanted), len(there) - 1)
        mine = (there[at] == wanted) & column.there[row]
        place = np.full(int(mine.sum()), number)
        parts.append((row[mine], place, dataset[mine], frequency[at][mine], version[mine], record[mine]))
    if not parts:
        return tuple(array[:0] for array in finding)
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def _mixed(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """One word for a pair of words; uint64[n]. Two pairs have the same with probability 2^-64."""
    mixed = (left ^ (right * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xFF51AFD7ED558CCD)
    return mixed ^ (mixed >> np.uint64(32))


def _hits(tokens: Sequence[TokenColumn | None], found: pa.Table, codes: dict[str, int]) -> tuple[np.ndarray, ...]:
    """Join what the index returned back to sample rows; one line a (row, token column, version)."""
    order = np.argsort(found["token"].to_numpy(), kind="stable")
    found = found.take(pa.array(order))
    token, kind = found["token"].to_numpy(), found["kind"].to_numpy()
    version, record = found["version"].to_numpy(), found["record"].to_numpy()
    frequency = found["frequency"].to_numpy()
    names = found["dataset"].combine_chunks().dictionary_encode()
    of_name = np.array([codes[name] for name in names.dictionary.to_pylist()], dtype=np.int64)
    dataset = of_name[names.indices.to_numpy()]
    distinct, first, counts = np.unique(token, return_index=True, return_counts=True)
    parts = []
    for number, column in enumerate(tokens):
        if column is None:
            continue
        row = np.flatnonzero(column.there)
        place = np.minimum(np.searchsorted(distinct, column.values[row]), max(len(distinct) - 1, 0))
        known = distinct[place] == column.values[row] if len(distinct) else np.zeros(len(row), dtype=bool)
        row, place = row[known], place[known]
        start, stop = first[place], first[place] + counts[place]
        lines = np.repeat(row, stop - start)
        ends = np.cumsum(stop - start)
        at = np.arange(len(lines)) - np.repeat(ends - (stop - start), stop - start) + np.repeat(start, stop - start)
        mine = kind[at] == int(column.kind)
        parts.append(
            (
                lines[mine],
                np.full(int(mine.sum()), number, dtype=np.int64),
                dataset[at][mine],
                frequency[at][mine],
                version[at][mine],
                record[at][mine],
            )
        )
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return none, none, none, none, none.astype(np.uint64), none.astype(np.uint64)
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
