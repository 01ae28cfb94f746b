"""Looks for canaries, those of one copy alone and those of the pool, among the rows that are no record of ours.

A row is a canary when every identifier that can be read in it, of those that the dataset has, is the same canary's;
masked ones are compared masked. Rows whose fields say too little (a name alone) are not looked at; which rows those are
depends on the fields read, not on what is found. A canary that the index knows was fed back: a tagged file became the
source of others, whose copies all hold it by membership. It counts for none.
"""

import math
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.index import IndexFiles
from pipeline.parts import read_arrow
from pipeline.rows import IDENTIFIERS, READ_AS
from pipeline.sealing import OpenedSecret
from schemas.contract import Contract
from watermarking.evidence import CanaryHits
from watermarking.keys import IndexKey
from watermarking.readings import Readings, merge
from watermarking.resolve import RowClass
from watermarking.selection import Site, plan
from watermarking.tokens import MASKED, SINGLE, fields_of, normal_forms, tokens_of
from watermarking.trace_rows import Counts

Place = tuple[int, int]  # sheet, row
Tokens = Mapping[str, Mapping[int, set[int]]]  # by identifier: token -> numbers of the canaries with it
_TELLING = 1e-4  # a row's fields say enough when a stranger's row is one of m canaries less often than this
_FED_BACK = ("national_id", "phone", "email", "card", "account")


def find_canaries(
    unknown: pa.Table,
    opened: Mapping[str, OpenedSecret],
    datasets: Mapping[str, str],
    contracts: Sequence[Contract],
    key: IndexKey,
    counts: Counts,
    index: IndexFiles,
) -> tuple[dict[str, CanaryHits], dict[Place, str]]:
    """Unique canaries in the sample: hits of each series, and the rows that are one (sheet, row) -> series.

    unknown: from `unknown_rows`; opened: secret by series; datasets: dataset by series. The bound sums, over the rows,
    the probability that the generator gives one canary these values.
    """
    by_name = {contract.dataset: contract for contract in contracts}
    hits: dict[str, CanaryHits] = {}
    rows: dict[Place, str] = {}
    for series, secret in opened.items():
        if not secret.canaries:
            continue
        found, chances = _found(secret.canaries, by_name[datasets[series]], key, unknown, counts, index)
        bound = sum(counts.field_sets[kinds] * chance for kinds, chance in chances.items())
        hits[series] = CanaryHits(len(secret.canaries), len(set(found.values())), min(1.0, bound))
        rows |= dict.fromkeys(found, series)
    return hits, rows


def find_coded(
    unknown: pa.Table,
    pools: Mapping[str, Sequence[Mapping[str, Any]]],
    contracts: Sequence[Contract],
    key: IndexKey,
    counts: Counts,
    index: IndexFiles,
) -> tuple[dict[str, Readings], dict[Place, str]]:
    """Coded canaries in the sample: what was read at the pool's positions, by dataset, and the rows that are one.

    unknown: from `unknown_rows`; pools: everybody of each dataset's pool, by rank. A person counts once, however often
    they occur.
    """
    readings: dict[str, Readings] = {}
    rows: dict[Place, str] = {}
    for contract in contracts:
        people = pools.get(contract.dataset, ())
        if not people:
            continue
        found, _ = _found(people, contract, key, unknown, counts, index)
        if found:
            readings[contract.dataset] = _present(plan(contract, key).pool, sorted(set(found.values())))
            rows |= dict.fromkeys(found, contract.dataset)
    return readings, rows


def _found(
    canaries: Sequence[Mapping[str, Any]],
    contract: Contract,
    key: IndexKey,
    unknown: pa.Table,
    counts: Counts,
    index: IndexFiles,
) -> tuple[dict[Place, int], dict[str, float]]:
    """Rows that are one of these canaries, and, of the sets of fields that say enough, how probable a given one is."""
    tokens = canary_tokens(canaries, contract, key)
    chances = {k: c for k, c in _chances(canaries, tokens, counts).items() if c * len(canaries) <= _TELLING}
    return not_fed_back(matching_rows(unknown, tokens, chances), tokens, index), chances


def _present(pool: Site, ranks: Sequence[int]) -> Readings:
    """One reading of a 1 for each person present; absence is no reading."""
    position = pool.offset + np.asarray(ranks, dtype=np.int64)
    ones = np.ones(len(position), dtype=np.int64)
    return merge([Readings(ones * pool.number, position, 0 * ones, ones)])


def _chances(canaries: Sequence[Mapping[str, Any]], tokens: Tokens, counts: Counts) -> dict[str, float]:
    largest: dict[str, float] = {}
    for canary in canaries:
        for kind, bound in canary["bounds"].items():
            largest[kind] = max(largest.get(kind, 0.0), float(bound))
    missing = {kind for kind in READ_AS if any(kind not in canary["bounds"] for canary in canaries)}
    bounds = {kind: 1.0 if kind in missing else bound for kind, bound in largest.items()}
    return {kinds: chance_of(bounds, kinds.split("+"), tokens) for kinds in counts.field_sets if kinds}


def chance_of(bounds: Mapping[str, float], kinds: Sequence[str], known: Container[str]) -> float:
    """The largest probability that a given row's fields are those of a given canary.

    bounds: of each kind, the largest of any canary. A product, because the generator draws these fields independently
    given the sex; but an id number holds the birth date, so that counts once. Fields that the dataset lacks (not in
    `known`) and fields without a bound count 1.
    """
    read = [kind for kind in kinds if kind in known and not (kind == "birth_date" and "national_id" in kinds)]
    return min(1.0, math.prod(bounds.get(kind, 1.0) for kind in read))


def canary_tokens(
    canaries: Sequence[Mapping[str, Any]], contract: Contract, key: IndexKey
) -> dict[str, dict[int, set[int]]]:
    """For each identifier that the dataset has, whole and masked: token -> numbers of the canaries with it."""
    names = [column.name for column in contract.columns]
    table = pa.table({n: pa.array([c["values"].get(n) for c in canaries], pa.string()) for n in names})
    fields = fields_of(normal_forms(table, contract), contract)
    out: dict[str, dict[int, set[int]]] = {}
    for column in tokens_of(fields, key, budget=None):
        kind = fields[column.fields[0]].kind
        if kind not in IDENTIFIERS or len(column.fields) > 1:
            continue
        for name, wanted in ((kind, SINGLE[kind][0]), (f"{kind}_masked", MASKED.get(kind, (None,))[0])):
            if column.kind != wanted:
                continue
            of_kind = out.setdefault(name, {})
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
        parts.append(table.filter(keep).select(["sheet", "row", *(f"token_{k}" for k in READ_AS)]))
    return pa.concat_tables(parts)


def matching_rows(unknown: pa.Table, tokens: Tokens, telling: Container[str]) -> dict[Place, int]:
    """Rows in which every readable identifier is the same canary's: (sheet, row) -> canary.

    tokens: from `canary_tokens`; telling: the sets of fields ("phone+email") that say enough.
    """
    known = pa.array(sorted({value for of_kind in tokens.values() for value in of_kind}), pa.uint64())
    some = None
    for kind in READ_AS:
        there = pc.fill_null(pc.is_in(unknown[f"token_{kind}"], value_set=known), False)
        some = there if some is None else pc.or_(some, there)
    found: dict[Place, int] = {}
    for line in unknown.filter(some).to_pylist():
        read = {kind: line[f"token_{kind}"] for kind in READ_AS if line[f"token_{kind}"] is not None}
        if "+".join(read) not in telling:
            continue
        numbers = [tokens[kind].get(value, set()) for kind, value in read.items() if kind in tokens]
        both = set.intersection(*numbers) if numbers else set()
        if both:
            found[line["sheet"], line["row"]] = min(both)
    return found


def not_fed_back(found: Mapping[Place, int], tokens: Tokens, index: IndexFiles) -> dict[Place, int]:
    """Without the canaries of which the index knows an identifier."""
    if not found:
        return {}
    wanted = set(found.values())
    asked = [
        (value, int(SINGLE[kind][0]), number)
        for kind in _FED_BACK
        for value, numbers in tokens.get(kind, {}).items()
        for number in numbers & wanted
    ]
    if not asked:
        return dict(found)
    table = pa.table(
        {"token": pa.array([a[0] for a in asked], pa.uint64()), "kind": pa.array([a[1] for a in asked], pa.uint8())}
    )
    known = set(zip(*(index.lookup(table)[name].to_pylist() for name in ("token", "kind")), strict=True))
    back = {number for value, kind, number in asked if (value, kind) in known}
    return {place: number for place, number in found.items() if number not in back}
