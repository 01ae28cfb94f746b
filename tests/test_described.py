"""Attributes compared a column at a time come to what lines of single agreements add up to."""

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
from hypothesis import given, settings

from watermarking import described as described_module
from watermarking.agreement import Hits, agreements, weigh
from watermarking.attributes import ATTRIBUTE
from watermarking.described import Described, codes_of, described_pairs, describing
from watermarking.keys import IndexKey
from watermarking.resolve import most_versions, readable_fields
from watermarking.tokens import Field, TokenColumn, tokens_of

KEY, MARGIN = IndexKey(bytes(32)), 8.0
NAMES = ("age", "job", "town", "hours", "weight")
KINDS = [frozenset((ATTRIBUTE, "id")), frozenset(("phone",))]
VERSIONS = [900, 100]


def fields_of(table: np.ndarray, key: np.ndarray) -> list[Field]:
    """Five attributes, of which all but the weight find a row together, and a key."""
    fields = [
        Field(
            ATTRIBUTE, name, pa.array([f"t/{name}={v}" for v in cells]), None, together="" if name == "weight" else "t"
        )
        for name, cells in zip(NAMES, table.T, strict=True)
    ]
    return [Field("id", "key", pa.array([str(v) for v in key]), None), *fields]


def known_of(theirs: list[TokenColumn], mine: list[TokenColumn], records: int) -> Described:
    """What a registry with only these versions says, token by token."""
    holders: dict[tuple[int, int], set[int]] = {}
    for column in theirs:
        for version, value in enumerate(column.values.tolist()):
            holders.setdefault((value, int(column.kind)), set()).add(version)
    asked = {(value, int(column.kind)): column.kind for column in mine for value in column.values.tolist()}
    found = sorted(token for token in asked if token in holders)
    finds = [len(holders[token]) <= most_versions(asked[token]) for token in found]
    versions = sorted(set().union(*(holders[t] for t, rare in zip(found, finds, strict=True) if rare)))
    lines = [
        (n, versions.index(v)) for n, token in enumerate(found) for v in sorted(holders[token]) if v in set(versions)
    ]
    token, version = np.array(lines or np.zeros((0, 2)), dtype=np.int64).T
    values = np.array([value for value, _ in found], dtype=np.uint64)
    return Described(
        token=values,
        frequency=np.array([len(holders[token]) for token in found], dtype=np.int64),
        finds=np.array(finds, dtype=bool),
        version=np.array(versions, dtype=np.uint64),
        record=np.array(versions, dtype=np.uint64) % np.uint64(records),
        dataset=np.zeros(len(versions), dtype=np.int64),
        line_token=token,
        line_version=version,
        code=[codes_of(values, column) for column in mine],
    )


def plainly(fields: list[Field], mine: list[TokenColumn], known: Described, rows: int) -> set[tuple[object, ...]]:
    """The same by single lines: of every pair that some token finds, all that agree."""
    place = {int(token): n for n, token in enumerate(known.token)}
    has = {(int(t), int(v)) for t, v in zip(known.line_token, known.line_version, strict=True)}
    code = [[place.get(int(value), -1) for value in column.values] for column in mine]
    lines = [
        (row, n, 0, known.frequency[code[n][row]], v, known.record[v])
        for row in range(rows)
        for v in range(len(known.version))
        if any((code[n][row], v) in has and known.finds[code[n][row]] for n in range(len(mine)))
        for n in range(len(mine))
        if (code[n][row], v) in has
    ]
    table = np.array(lines or np.zeros((0, 6)), dtype=np.int64)
    version = known.version[table[:, 4]] if len(known.version) else table[:, 4].astype(np.uint64)
    hits = Hits(table[:, 0], table[:, 1], table[:, 2], table[:, 3], version, table[:, 5].astype(np.uint64))
    line = agreements(fields, mine, hits, VERSIONS, np.array([True, False]))
    pairs = weigh(line, hits, fields, readable_fields(fields, rows), KINDS)
    best = np.full(rows, -np.inf)
    np.maximum.at(best, pairs.row, pairs.bits)
    near = pairs.bits >= best[pairs.row] - MARGIN
    values = (pairs.row, pairs.dataset, pairs.version, pairs.record, pairs.agreed, pairs.bits.round(9))
    return set(zip(*(one[near].tolist() for one in values), strict=True))


@given(st.integers(1, 120), st.integers(0, 12), st.integers(0, 2**32 - 1), st.sampled_from([2, 40, 2_000_000]))
@settings(deadline=None, max_examples=60)
def test_comparing_by_columns_says_what_single_agreements_say(people: int, rows: int, seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    theirs = np.column_stack([rng.integers(0, size, people) for size in (3, 2, 9, 5, 400)])
    sample = theirs[rng.integers(0, people, rows)]
    changed = rng.random(sample.shape) < 0.3
    sample[changed] = rng.integers(0, 6, int(changed.sum()))
    key = rng.permutation(people)
    fields = fields_of(sample, key[rng.integers(0, people, rows)])
    mine = describing(tokens_of(fields, KEY, budget=None))
    known = known_of(list(tokens_of(fields_of(theirs, key), KEY, budget=None)), mine, people // 2 + 1)
    usual = described_module._AT_ONCE
    described_module._AT_ONCE = most
    try:
        pairs = described_pairs(fields, mine, known, readable_fields(fields, rows), VERSIONS, KINDS, MARGIN)
    finally:
        described_module._AT_ONCE = usual
    values = (pairs.row, pairs.dataset, pairs.version, pairs.record, pairs.agreed, pairs.bits.round(9))
    found = list(zip(*(one.tolist() for one in values), strict=True))
    assert len(set(found)) == len(found)
    assert set(found) == plainly(fields, mine, known, rows)
    assert (np.diff(pairs.row) >= 0).all()
