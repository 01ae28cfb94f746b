"""Looks for the sealed unique canaries of the copies searched among the rows that are no record of ours."""

import math
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

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
_TELLING = 1e-4  # a row's fields say enough when a stranger's row is one of m canaries less often than this


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
    read whole in it, of those that the dataset has, is the same canary's. The bound sums, over the rows, the
    probability that the generator gives one canary these values. Rows whose fields say too little (a name
    alone) are not looked at; which rows those are depends on the fields read, not on what is found.
    """
    by_name = {contract.dataset: contract for contract in contracts}
    unknown = unknown_rows(folder)
    hits: dict[str, CanaryHits] = {}
    rows: dict[Place, str] = {}
    for series, secret in opened.items():
        if not secret.canaries:
            continue
        tokens = canary_tokens(secret, by_name[datasets[series]], key)
        chances = {kinds: chance_of(secret, kinds.split("+"), tokens) for kinds in counts.field_sets if kinds}
        telling = {kinds for kinds, chance in chances.items() if chance * len(secret.canaries) <= _TELLING}
        found = matching_rows(unknown, tokens, telling)
        bound = sum(counts.field_sets[kinds] * chances[kinds] for kinds in telling)
        hits[series] = CanaryHits(len(secret.canaries), len(set(found.values())), min(1.0, bound))
        rows |= dict.fromkeys(found, series)
    return hits, rows


def chance_of(secret: OpenedSecret, kinds: Sequence[str], known: Container[str]) -> float:
    """The largest probability that a given row's fields are those of one of a copy's canaries.

    A product, because the generator draws these fields independently given the sex; but an id number holds
    the birth date, so that counts once. Fields that the dataset lacks (not in `known`) and fields without a
    bound count 1.
    """
    read = [kind for kind in kinds if kind in known and not (kind == "birth_date" and "national_id" in kinds)]
    largest = (max(float(canary["bounds"].get(kind, 1.0)) for canary in secret.canaries) for kind in read)
    return min(1.0, math.prod(largest))


def canary_tokens(secret: OpenedSecret, contract: Contract, key: IndexKey) -> dict[str, dict[int, set[int]]]:
    """For each identifier kind that the dataset has: token -> numbers of the canaries with it."""
    names = [column.name for column in contract.columns]
    table = pa.table({n: pa.array([c["values"].get(n) for c in secret.canaries], pa.string()) for n in names})
    fields = fields_of(normal_forms(table, contract), contract)
    out: dict[str, dict[int, set[int]]] = {}
    for column in tokens_of(fields, key):
        kind = fields[column.fields[0]].kind
        if kind in IDENTIFIERS and column.kind == SINGLE[kind][0]:
            of_kind = out.setdefault(kind, {})
            for number, (value, there) in enumerate(zip(column.values.tolist(), column.there.tolist(), strict=True)):
                if there:
                    of_kind.setdefault(value, set()).add(number)
    return out


def unknown_rows(folder: Path) -> pa.Table:
    """Sheet, row and identifier tokens of the rows that are no record of ours."""
    parts = []
    for path in sorted(folder.glob("rows-*.arrow")):
        table = read_arrow(path)
        keep = pc.is_in(table["class"], pa.array([str(RowClass.UNKNOWN)]))
        parts.append(table.filter(keep).select(["sheet", "row", *(f"token_{k}" for k in IDENTIFIERS)]))
    return pa.concat_tables(parts)


def matching_rows(
    unknown: pa.Table, tokens: Mapping[str, Mapping[int, set[int]]], telling: Container[str]
) -> dict[Place, int]:
    """Rows in which every readable identifier is the same canary's: (sheet, row) -> canary.

    tokens: from `canary_tokens`; telling: the sets of fields ("phone+email") that say enough.
    """
    known = pa.array(sorted({value for of_kind in tokens.values() for value in of_kind}), pa.uint64())
    some = None
    for kind in IDENTIFIERS:
        there = pc.fill_null(pc.is_in(unknown[f"token_{kind}"], value_set=known), False)
        some = there if some is None else pc.or_(some, there)
    found: dict[Place, int] = {}
    for line in unknown.filter(some).to_pylist():
        read = {kind: line[f"token_{kind}"] for kind in IDENTIFIERS if line[f"token_{kind}"] is not None}
        if "+".join(read) not in telling:
            continue
        numbers = [tokens[kind].get(value, set()) for kind, value in read.items() if kind in tokens]
        both = set.intersection(*numbers) if numbers else set()
        if both:
            found[line["sheet"], line["row"]] = min(both)
    return found
