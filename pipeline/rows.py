"""One chunk of a sample against the index: look up, resolve, read marks, count."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.index import IndexFiles
from schemas.contract import Contract
from watermarking.agreement import Hits
from watermarking.attributes import ATTRIBUTE, attributes
from watermarking.keys import IndexKey
from watermarking.membership import patterns
from watermarking.outdated import spans
from watermarking.resolve import CLASSES, Resolved, most_versions, resolve
from watermarking.row_reasons import reasons
from watermarking.selection import Plan
from watermarking.tokens import MASKED, SHARED, SINGLE, Field, TokenColumn, TokenKind, tokens_of
from watermarking.trace_rows import (
    Counts,
    SampleColumn,
    exclusive_rows,
    exposed_kinds,
    read_marks,
    sample_fields,
    shared_errors,
)

# Fields that a canary is recognised by.
IDENTIFIERS = ("national_id", "phone", "email", "card", "account", "person_name", "birth_date", "postcode")
# The same as they are read: masked where the whole value cannot be.
READ_AS = (*IDENTIFIERS, *(f"{kind}_masked" for kind in IDENTIFIERS if kind in MASKED))


def trace_chunk(
    table: pa.Table,
    columns: Sequence[SampleColumn],
    contracts: Sequence[Contract],
    plans: Sequence[Plan],
    key: IndexKey,
    index: IndexFiles,
) -> tuple[pa.Table, Counts]:
    """Rows of a chunk, one line each, and their counts.

    The line: class, dataset, record and version (keyed digests), the exports that held the version, and the
    tokens by which a canary can be recognised; no value of the sample.
    """
    fields, places = sample_fields(table, columns, contracts)
    tokens = tokens_of(fields, key, budget=None)
    hits = look_up(tokens, contracts, index)
    kinds = [_kinds_of(contract) for contract in contracts]
    versions = [index.version_count(contract.dataset) for contract in contracts]
    resolved = resolve(fields, tokens, hits, table.num_rows, versions, kinds)
    held, exports = held_by(resolved, index)
    rows = _row_table(resolved, contracts, fields, tokens, held, exports, table.num_rows)
    readings = {
        contract.dataset: read_marks(table, columns, fields, places, resolved, code, plans[code], key)
        for code, contract in enumerate(contracts)
        if (plans[code].columns or plans[code].order) and (resolved.dataset == code).any()
    }
    exclusive = [frozenset(c.kind for c in contract.columns if c.exclusive) for contract in contracts]
    only_ours, only_ours_kinds = exclusive_rows(resolved, columns, places, exclusive)
    found, (there, distinct) = resolved.found(), _distinct(tokens, table.num_rows)
    counts = Counts(
        rows=Counter(
            {str(CLASSES[c]): int(n) for c, n in enumerate(np.bincount(resolved.row_class, minlength=6)) if n}
        ),
        readable=int((resolved.readable != 0).sum()),
        people=int(distinct.sum()),
        matched=int((distinct & found).sum()),
        exclusive=only_ours,
        exclusive_kinds=only_ours_kinds,
        repeated=int((there & ~distinct).sum()),
        errors=shared_errors(fields, resolved),
        outdated=_outdated(resolved, index),
        datasets=Counter({c.dataset: int((resolved.dataset == n).sum()) for n, c in enumerate(contracts)}),
        kinds=exposed_kinds(resolved, columns, places),
        field_sets=_field_sets(fields, table.num_rows),
        patterns=patterns(held, exports),
        readings=readings,
    )
    return rows, counts


def _kinds_of(contract: Contract) -> frozenset[str]:
    """The kinds of a dataset's fields."""
    more = (ATTRIBUTE,) if attributes(contract) else ()
    return frozenset((*(column.kind for column in contract.columns), *more))


def look_up(tokens: Sequence[TokenColumn], contracts: Sequence[Contract], index: IndexFiles) -> Hits:
    """Hits of the sample's tokens: rows are found by tokens that few share, then common ones confirm them."""
    codes = {contract.dataset: code for code, contract in enumerate(contracts)}
    found = index.lookup(_token_table(tokens))
    finding = _hits(tokens, found, codes)
    candidates = pc.unique(found["version"].combine_chunks())
    shared = [token if token.kind in SHARED else None for token in tokens]
    known = index.lookup(_token_table(shared, everybody=True), versions=candidates)
    known = known.filter(pc.greater(known["frequency"], most_versions(TokenKind.SURNAME)))
    parts = (finding, _confirmed(shared, known, finding))
    return Hits(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def held_by(resolved: Resolved, index: IndexFiles) -> tuple[np.ndarray, list[str]]:
    """(row, export) pairs: which exports held the version that each row resolved to."""
    found = np.flatnonzero(resolved.found())
    members = index.memberships(pa.array(np.unique(resolved.version[found])))
    order = np.argsort(resolved.version[found], kind="stable")
    sorted_versions = resolved.version[found][order]
    version = members["version"].to_numpy()
    start = np.searchsorted(sorted_versions, version, side="left")
    stop = np.searchsorted(sorted_versions, version, side="right")
    rows = np.concatenate([found[order[a:b]] for a, b in zip(start, stop, strict=True)] or [found[:0]])
    exports = np.repeat(np.asarray(members["export_id"].to_pylist(), dtype=object), stop - start)
    return rows.astype(np.int64), exports.tolist()


def _token_table(tokens: Sequence[TokenColumn | None], *, everybody: bool = False) -> pa.Table:
    """Distinct (token, kind) pairs of a sample, with how many versions may have each that is looked up."""
    asked = [t for t in tokens if t is not None]
    values = [t.values[t.there] for t in asked]
    kinds = [np.full(len(v), int(t.kind), dtype=np.uint8) for t, v in zip(asked, values, strict=True)]
    token = np.concatenate(values) if values else np.zeros(0, dtype=np.uint64)
    kind = np.concatenate(kinds) if kinds else np.zeros(0, dtype=np.uint8)
    token, first = np.unique(token, return_index=True)
    kind = kind[first]
    limits = np.array([np.iinfo(np.int64).max if everybody else most_versions(k) for k in TokenKind])
    most = limits[np.searchsorted(np.array([int(k) for k in TokenKind]), kind)]
    return pa.table({"token": pa.array(token, pa.uint64()), "kind": pa.array(kind, pa.uint8()), "most": most})


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


def _hits(tokens: Sequence[TokenColumn], found: pa.Table, codes: dict[str, int]) -> tuple[np.ndarray, ...]:
    """Join what the index returned back to sample rows; one line a (row, token column, version)."""
    order = np.argsort(found["token"].to_numpy(), kind="stable")
    found = found.take(pa.array(order))
    token, kind = found["token"].to_numpy(), found["kind"].to_numpy()
    version, record = found["version"].to_numpy(), found["record"].to_numpy()
    frequency = found["frequency"].to_numpy()
    dataset = np.asarray([codes[name] for name in found["dataset"].to_pylist()], dtype=np.int64)
    distinct, first, counts = np.unique(token, return_index=True, return_counts=True)
    parts = []
    for number, column in enumerate(tokens):
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


def _row_table(
    resolved: Resolved,
    contracts: Sequence[Contract],
    fields: Sequence[Field],
    tokens: Sequence[TokenColumn],
    held: np.ndarray,
    exports: Sequence[str],
    rows: int,
) -> pa.Table:
    names = pa.array([contract.dataset for contract in contracts], pa.string())
    code = pa.array(resolved.dataset, mask=resolved.dataset < 0)
    found = resolved.found()
    order = np.argsort(held, kind="stable")
    offsets = np.searchsorted(held[order], np.arange(rows + 1)).astype(np.int32)
    ids = pa.array([exports[i] for i in order], pa.string())
    table = {
        "class": pa.array([str(c) for c in CLASSES]).take(pa.array(resolved.row_class)),
        "reason": reasons(resolved, fields),
        "fields_agreeing": pa.array(np.bitwise_count(resolved.agreed).astype(np.int32)),
        "fields_readable": pa.array(np.bitwise_count(resolved.readable).astype(np.int32)),
        "dataset": names.take(code),
        "record": pa.array(resolved.record, mask=~found),
        "version": pa.array(resolved.version, mask=~found),
        "exports": pa.ListArray.from_arrays(pa.array(offsets), ids),
    }
    for kind in READ_AS:
        table[f"token_{kind}"] = _identifier_token(kind, fields, tokens, rows)
    return pa.table(table)


def _identifier_token(kind: str, fields: Sequence[Field], tokens: Sequence[TokenColumn], rows: int) -> pa.Array:
    """The token of the first column of a kind; null where it cannot be read so (masked: where it is read whole)."""
    base = kind.removesuffix("_masked")
    wanted = MASKED[base][0] if kind != base else SINGLE[kind][0]
    for column in tokens:
        field = fields[column.fields[0]]
        if column.kind == wanted and field.kind == base:
            hidden = _read_so(field, kind)
            return pa.array(column.values, mask=~(column.there & hidden))
    return pa.nulls(rows, pa.uint64())


def _read_so(field: Field, kind: str) -> np.ndarray:
    """Where a field is read whole, or for `KIND_masked` only masked; bool[rows]."""
    whole = np.asarray(field.whole.is_valid().to_numpy(zero_copy_only=False))
    if kind == field.kind:
        return whole
    part = (
        np.zeros(len(whole), dtype=bool) if field.part is None else field.part.is_valid().to_numpy(zero_copy_only=False)
    )
    return np.asarray(part & ~whole)


def _field_sets(fields: Sequence[Field], rows: int) -> Counter[str]:
    """Rows counted by the identifiers that can be read in them, whole or masked (the first column of each kind)."""
    bits = np.zeros(rows, dtype=np.int64)
    for number, kind in enumerate(READ_AS):
        first = next((f for f in fields if f.kind == kind.removesuffix("_masked")), None)
        if first is not None:
            bits |= _read_so(first, kind).astype(np.int64) << number
    found, counts = np.unique(bits, return_counts=True)
    return Counter(
        {"+".join(k for n, k in enumerate(READ_AS) if b >> n & 1): int(c) for b, c in zip(found, counts, strict=True)}
    )


def _outdated(resolved: Resolved, index: IndexFiles) -> Counter[str]:
    """Rows whose version a later export replaced, by the span in which it was issued."""
    found = resolved.found()
    if not found.any():
        return Counter()
    versions = index.versions_of(pa.array(np.unique(resolved.record[found])))
    if versions.num_rows == len(np.unique(resolved.record[found])):
        return Counter()
    members = index.memberships(versions["version"].combine_chunks())
    return spans(resolved.version[found], versions, members, index.issued())


def _distinct(tokens: Sequence[TokenColumn], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that can be read at all, and the first of equal ones; bool[rows] each. Repeating a row proves nothing."""
    there = np.zeros(rows, dtype=bool)
    mixed = np.zeros(rows, dtype=np.uint64)
    for number, column in enumerate(tokens):
        there |= column.there & (column.kind not in (TokenKind.CATEGORY, TokenKind.SOUND_CATEGORY))
        mixed ^= np.where(column.there, column.values * np.uint64(2 * number + 1), np.uint64(0))
    first = np.zeros(rows, dtype=bool)
    first[np.unique(mixed, return_index=True)[1]] = True
    return there, first & there
