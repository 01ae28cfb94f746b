"""Looks for the sealed unique canaries of the copies searched among the rows that are no record of ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.parts import read_arrow
from pipeline.rows import IDENTIFIERS
from pipeline.sealing import OpenedSecret
from schemas.contract import Contract
from watermarking.evidence import CanaryHits
from watermarking.keys import IndexKey
from watermarking.resolve import RowClass
from watermarking.tokens import SINGLE, fields_of, normal_forms, tokens_of
from watermarking.trace_rows import Counts

Place = tuple[int, int]  # sheet, row


def find_canaries(
    folder: Path,
    opened: Mapping[str, OpenedSecret],
    datasets: Mapping[str, str],
    contracts: Sequence[Contract],
    key: IndexKey,
    counts: Counts,
) -> tuple[dict[str, CanaryHits], dict[Place, str]]:
    """Unique canaries in the sample: hits of each series, and the rows that are one (sheet, row) -> series.

    opened: secret by series; datasets: dataset by series. A row is a canary when every identifier that can be
    read whole in it is the canary's. The bound sums, over the rows, the product of the largest probabilities
    that the generator gives to those fields, which it draws independently.
    """
    by_name = {contract.dataset: contract for contract in contracts}
    unknown = unknown_rows(folder)
    hits: dict[str, CanaryHits] = {}
    rows: dict[Place, str] = {}
    for series, secret in opened.items():
        if not secret.canaries:
            continue
        found = matching_rows(unknown, canary_tokens(secret, by_name[datasets[series]], key))
        bound = sum(
            count * float(np.prod([largest_bound(secret, kind) for kind in kinds.split("+")]))
            for kinds, count in counts.field_sets.items()
            if kinds
        )
        hits[series] = CanaryHits(len(secret.canaries), len(set(found.values())), min(1.0, bound))
        rows |= dict.fromkeys(found, series)
    return hits, rows


def largest_bound(secret: OpenedSecret, kind: str) -> float:
    """The largest q of one field over a copy's canaries; 1 where it is not known."""
    return max((float(canary["bounds"].get(kind, 1.0)) for canary in secret.canaries), default=1.0)


def canary_tokens(secret: OpenedSecret, contract: Contract, key: IndexKey) -> dict[str, dict[int, int]]:
    """For each identifier kind: token -> number of the canary."""
    names = [column.name for column in contract.columns]
    table = pa.table({n: pa.array([c["values"].get(n) for c in secret.canaries], pa.string()) for n in names})
    fields = fields_of(normal_forms(table, contract), contract)
    out: dict[str, dict[int, int]] = {}
    for column in tokens_of(fields, key):
        kind = fields[column.fields[0]].kind
        if kind in IDENTIFIERS and column.kind == SINGLE[kind][0]:
            numbered = enumerate(zip(column.values.tolist(), column.there.tolist(), strict=True))
            out.setdefault(kind, {}).update({value: n for n, (value, there) in numbered if there})
    return out


def unknown_rows(folder: Path) -> pa.Table:
    """Sheet, row and identifier tokens of the rows that are no record of ours."""
    parts = []
    for path in sorted(folder.glob("rows-*.arrow")):
        table = read_arrow(path)
        keep = pc.is_in(table["class"], pa.array([str(RowClass.UNKNOWN)]))
        parts.append(table.filter(keep).select(["sheet", "row", *(f"token_{k}" for k in IDENTIFIERS)]))
    return pa.concat_tables(parts)


def matching_rows(unknown: pa.Table, tokens: Mapping[str, Mapping[int, int]]) -> dict[Place, int]:
    """Rows in which every readable identifier is the same canary's: (sheet, row) -> canary."""
    known = pa.array(sorted({value for of_kind in tokens.values() for value in of_kind}), pa.uint64())
    some = None
    for kind in IDENTIFIERS:
        there = pc.is_in(unknown[f"token_{kind}"], value_set=known)
        some = there if some is None else pc.or_(some, there)
    found: dict[Place, int] = {}
    for line in unknown.filter(some).to_pylist():
        read = {kind: line[f"token_{kind}"] for kind in IDENTIFIERS if line[f"token_{kind}"] is not None}
        numbers = {tokens.get(kind, {}).get(value, -1) for kind, value in read.items()}
        if len(numbers) == 1 and -1 not in numbers:
            found[line["sheet"], line["row"]] = numbers.pop()
    return found
