"""Rows that agree in all they show with one version, in several parts of a sample at once: what the index is asked.

They are found by few strong identifiers. What they lack is then had of the versions found: a row made whole by it is
that version, or does not agree in all. Only of rows for which that tells nothing, the index is asked for all else that
they show.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.asking import Ours, codes, hits_of, mixed, token_table
from pipeline.sample_part import SamplePart
from watermarking.agreeing_rows import FEW, Candidates, agreeing, candidates, lookup_columns
from watermarking.agreement import Hits
from watermarking.completing import Completion, Theirs, completions, settled
from watermarking.distinct import distinct, is_in
from watermarking.resolve import BoolArray, Resolved
from watermarking.tokens import TokenColumn, TokenKind
from watermarking.whole_rows import unknown


def agreeing_rows(parts: Sequence[SamplePart], ours: Ours, many: int) -> Iterator[Resolved]:
    """Of each part the rows that agree with one version in all that can be read; all others unknown.

    many: rows of a part from which the index is asked for all else that they show.
    """
    looked_up = [lookup_columns(part.fields, part.singles, ours.versions) for part in parts]
    asked = token_table([column for columns in looked_up for column in columns])
    if not asked.num_rows:
        yield from (unknown(part.fields, part.rows) for part in parts)
        return
    found = ours.index.finding(asked.select(["token", "kind"]), FEW)
    whole = [completions(part.fields, ours.contracts, ours.kinds) for part in parts]
    pairs = [_candidates(part, columns, found, ours) for part, columns in zip(parts, looked_up, strict=True)]
    wanted = [one.wanted(its, part.singles) for part, its, of in zip(parts, pairs, whole, strict=True) for one in of]
    del asked, found
    theirs = _theirs(wanted, ours)
    for part, columns, of in zip(parts, looked_up, whole, strict=True):
        yield _agreeing(part, columns, of, pairs.pop(0), theirs, ours, many)


def _candidates(part: SamplePart, looked_up: Sequence[TokenColumn | None], found: pa.Table, ours: Ours) -> Candidates:
    """Versions that the rows of one part may be; found: of all parts' tokens."""
    its = distinct(np.concatenate([np.empty(0, np.uint64), *(t.values[t.there] for t in looked_up if t is not None)]))
    mine = found.filter(pa.array(is_in(its, found["token"].to_numpy())))
    return candidates(looked_up, Hits(*hits_of(looked_up, mine, codes(ours.contracts))), part.rows, ours.kinds)


def _theirs(wanted: Sequence[Mapping[TokenKind, np.ndarray]], ours: Ours) -> Theirs:
    """Of the versions found the tokens that make rows whole."""
    kinds = sorted({kind for those in wanted for kind in those})
    versions = {kind: distinct(np.concatenate([those[kind] for those in wanted if kind in those])) for kind in kinds}
    if not sum(map(len, versions.values())):
        return {kind: (np.empty(0, np.uint64), np.empty(0, np.uint64)) for kind in kinds}
    found = ours.index.tokens_of(versions).sort_by("version")
    parts = {kind: found.filter(pc.equal(found["kind"], pa.scalar(int(kind), pa.uint8()))) for kind in kinds}
    return {kind: (one["version"].to_numpy(), one["token"].to_numpy()) for kind, one in parts.items()}


def _agreeing(
    part: SamplePart,
    looked_up: Sequence[TokenColumn | None],
    whole: Sequence[Completion],
    pairs: Candidates,
    theirs: Theirs,
    ours: Ours,
    many: int,
) -> Resolved:
    """The rows of one part."""
    known, others = settled(pairs, part.singles, whole, theirs, ours.contracts, ours.key)
    open_rows = np.zeros(part.rows, dtype=bool)
    open_rows[pairs.row[~known]] = True
    left = open_rows[pairs.row]
    if open_rows.sum() >= many:
        more = _have(part, looked_up, pairs.at(left), open_rows, ours)
        for field, there in zip(others, more, strict=True):
            field[left] = there
    else:  # the search finds them as well
        pairs, others = pairs.at(~left), [field[~left] for field in others]
    return agreeing(part.fields, looked_up, pairs, others, ours.versions, ours.kinds, part.rows)


def _have(
    part: SamplePart,
    looked_up: Sequence[TokenColumn | None],
    pairs: Candidates,
    rows: BoolArray,
    ours: Ours,
) -> list[BoolArray]:
    """By field, for each pair whether the version has the row's token, where the row was not looked up by it.

    rows: bool[part.rows], those of the pairs.
    """
    rest = [
        replace(token, there=token.there & rows if by is None else token.there & rows & ~by.there)
        for by, token in zip(looked_up, part.singles, strict=True)
    ]
    found = ours.index.have(token_table(rest).select(["token", "kind"]), pa.array(distinct(pairs.version)))
    there = np.sort(mixed(found["token"].to_numpy(), found["version"].to_numpy()))
    return [token.there[pairs.row] & is_in(there, mixed(token.values[pairs.row], pairs.version)) for token in rest]
