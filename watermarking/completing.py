"""A row that lacks columns, beside a version found for it: made whole by what that has there, it is that version.

A version is a digest of the tokens of a record's identity cells, its key among them. Of a leak without the key, the
row's own tokens and the version's token of the key give one digest: it is the version where the row agrees with it in
all, which so takes one small token of each version instead of every token of each row. Two digests that differ are the
same with probability 2^-64.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from schemas.contract import Contract
from watermarking.agreeing_rows import Candidates
from watermarking.attributes import ATTRIBUTE
from watermarking.keys import U64, IndexKey
from watermarking.readings import I64
from watermarking.resolve import BoolArray
from watermarking.tokens import SINGLE, Field, TokenColumn, TokenKind, version_columns, version_words
from watermarking.whole_rows import FREE

Theirs = Mapping[TokenKind, tuple[U64, U64]]  # tokens of a kind that versions have: versions, sorted, and tokens


@dataclass(frozen=True)
class Completion:
    """What makes up a version of one dataset, beside a sample.

    dataset: its code; kinds: of the tokens that make it up, in order; fields: the sample's for each, None where it
    lacks it (or never contradicts by it); free: the sample's fields that never contradict, with the kind of each;
    strange: its fields that no version of this dataset can agree in.
    """

    dataset: int
    kinds: tuple[TokenKind, ...]
    fields: tuple[int | None, ...]
    free: tuple[tuple[int, TokenKind], ...]
    strange: tuple[int, ...]

    def wanted(self, pairs: Candidates, singles: Sequence[TokenColumn]) -> dict[TokenKind, U64]:
        """Which versions' token of which kind makes the rows whole; uint64[n] by kind, some more than once."""
        mine = pairs.at(pairs.dataset == self.dataset)
        every = {kind: mine.version for kind, field in zip(self.kinds, self.fields, strict=True) if field is None}
        some = {
            kind: mine.version[~singles[field].there[mine.row]]
            for kind, field in zip(self.kinds, self.fields, strict=True)
            if field is not None
        }
        return every | {kind: versions for kind, versions in some.items() if len(versions)}


def completions(
    sample: Sequence[Field], contracts: Sequence[Contract], kinds: Sequence[frozenset[str]]
) -> list[Completion]:
    """For each dataset whose versions can be made up so: of each kind one column at most, in it and in the sample.

    Of two columns of a kind, a row may agree with either. kinds: by dataset, those of its fields.
    """
    ours = frozenset[str]().union(*kinds) - FREE
    shown = [number for number, one in enumerate(sample) if one.kind in ours and not one.cost]
    place = {sample[number].kind: number for number in shown}
    if len(place) < len(shown) or ATTRIBUTE in ours:
        return []
    out = []
    for code, contract in enumerate(contracts):
        of = [column.kind for column in version_columns(contract)]
        if not of or len(set(of)) < len(of):
            continue
        free = [(n, SINGLE[one.kind][0]) for n, one in enumerate(sample) if one.kind in FREE and one.kind in of]
        fields, strange = tuple(map(place.get, of)), tuple(n for n in shown if sample[n].kind not in of)
        out.append(Completion(code, tuple(SINGLE[kind][0] for kind in of), fields, tuple(free), strange))
    return out


def settled(
    pairs: Candidates,
    singles: Sequence[TokenColumn],
    whole: Sequence[Completion],
    theirs: Theirs,
    contracts: Sequence[Contract],
    key: IndexKey,
) -> tuple[BoolArray, list[BoolArray]]:
    """Of which pairs that tells whether they agree in all, bool[pairs]; and by field in which pairs it does.

    singles: tokens of the rows, column n is field n; theirs: of each kind what was `wanted`. An empty cell of a row is
    made whole as a column that is not there: it does not contradict.
    """
    known, fields = np.zeros(len(pairs.row), dtype=bool), [np.zeros(len(pairs.row), dtype=bool) for _ in singles]
    for one in whole:
        at = np.flatnonzero(pairs.dataset == one.dataset)
        row, version = pairs.row[at], pairs.version[at]
        have = {kind: _theirs_at(theirs[kind], version, kind) for kind in one.kinds if kind in theirs}
        own = {kind: _at(singles[n], row) for kind, n in zip(one.kinds, one.fields, strict=True) if n is not None}
        tokens = [_or_else(own.get(kind), have.get(kind)) for kind in one.kinds]
        same = version_words(contracts[one.dataset], key, tokens) == version
        for number in one.strange:
            same &= ~singles[number].there[row]
        known[at] = True
        for kind, shown in zip(one.kinds, one.fields, strict=True):
            if shown is not None:
                fields[shown][at] = same & own[kind].there
        for number, kind in one.free:
            its = _at(singles[number], row)
            fields[number][at] = its.there & have[kind].there & (its.values == have[kind].values)
    return known, fields


def _or_else(own: TokenColumn | None, theirs: TokenColumn | None) -> TokenColumn:
    """The row's own token, and the version's where it has none; one of the two is there."""
    if own is None:
        assert theirs is not None  # noqa: S101 - a column that is lacking is always wanted
        return theirs
    if theirs is None:
        return own
    return replace(own, values=np.where(own.there, own.values, theirs.values), there=own.there | theirs.there)


def _at(token: TokenColumn, rows: I64) -> TokenColumn:
    return replace(token, values=token.values[rows], there=token.there[rows])


def _theirs_at(known: tuple[U64, U64], version: U64, kind: TokenKind) -> TokenColumn:
    """The token of a kind of each version; known: versions, sorted, and their tokens."""
    versions, tokens = known
    place = np.minimum(np.searchsorted(versions, version), max(len(versions) - 1, 0))
    there = versions[place] == version if len(versions) else np.zeros(len(version), dtype=bool)
    values = np.where(there, tokens[place], np.uint64(0)) if len(versions) else np.zeros(len(version), dtype=np.uint64)
    return TokenColumn(kind, (), values, there, whole=True)
