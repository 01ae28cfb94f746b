"""Rows of a sample against the index: resolve them, read marks, count."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.asking import Ours
from pipeline.index import IndexFiles
from pipeline.resolving import Found, held_by, resolve_parts
from pipeline.sample_part import part_of
from schemas.contract import Contract
from watermarking.distinct import distinct, is_in
from watermarking.keys import IndexKey
from watermarking.membership import Holders, patterns
from watermarking.outdated import spans
from watermarking.resolve import CLASSES, Resolved
from watermarking.row_reasons import reasons
from watermarking.sample_column import SampleColumn
from watermarking.selection import Plan
from watermarking.tokens import MASKED, SINGLE, Field, TokenColumn, TokenKind
from watermarking.trace_rows import (
    Counts,
    exclusive_rows,
    read_marks,
    shared_errors,
    shown_kinds,
    shown_of_ours,
)

# Fields that a canary is recognised by.
IDENTIFIERS = ("national_id", "phone", "email", "card", "account", "person_name", "birth_date", "postcode")
# The same as they are read: masked where the whole value cannot be.
READ_AS = (*IDENTIFIERS, *(f"{kind}_masked" for kind in IDENTIFIERS if kind in MASKED))
_PERSON = ["dataset", "record"]


def trace_chunk(
    table: pa.Table,
    columns: Sequence[SampleColumn],
    contracts: Sequence[Contract],
    plans: Sequence[Plan],
    key: IndexKey,
    index: IndexFiles,
) -> tuple[pa.Table, Counts]:
    """Rows of a sample that are small enough to be worked at once: what `traced` gives."""
    part = part_of(table, columns, contracts, key)
    pa.default_memory_pool().release_unused()  # twice what is kept; look-ups come next, and the peak would be both
    ours = Ours.of(contracts, key, index)
    (found,) = resolve_parts([part], ours)
    return traced(table, columns, found, plans, ours)


def traced(
    table: pa.Table,
    columns: Sequence[SampleColumn],
    of: Found,
    plans: Sequence[Plan],
    ours: Ours,
) -> tuple[pa.Table, Counts]:
    """Rows of a part of a sample, one line each, and their counts.

    The line: class, dataset, record and version (keyed digests), the exports that held the version, and the
    tokens by which a canary can be recognised; no value of the sample.
    """
    fields, places, contracts, key, index = of.part.fields, of.part.places, ours.contracts, ours.key, ours.index
    resolved, tokens = of.resolved, of.every_token()
    held = held_by(of, index)
    rows = _row_table(resolved, contracts, fields, tokens, held, table.num_rows)
    seen_by = [resolved.in_dataset(code) for code in range(len(contracts))]
    readings = {
        contract.dataset: read_marks(table, columns, fields, places, seen_by[code], code, plans[code], key)
        for code, contract in enumerate(contracts)
        if (plans[code].columns or plans[code].order) and (seen_by[code].dataset == code).any()
    }
    exclusive = [frozenset(c.kind for c in contract.columns if c.exclusive) for contract in contracts]
    only_ours, only_ours_kinds = exclusive_rows(resolved, columns, places, exclusive)
    found, (there, said) = resolved.found(), _words(tokens, table.num_rows)
    rows = rows.append_column("said", pa.array(said, mask=~there)).append_column("able", pa.array(resolved.able))
    shown = (("shown", resolved.readable), ("second_shown", resolved.differs & resolved.elsewhere))
    for name, bits in shown:
        rows = rows.append_column(name, pa.array(shown_of_ours(bits, columns, places)))
    first = np.zeros(table.num_rows, dtype=bool)
    first[np.flatnonzero(there)[np.unique(said[there], return_index=True)[1]]] = True
    counts = Counts(
        rows=Counter(
            {str(CLASSES[c]): int(n) for c, n in enumerate(np.bincount(resolved.row_class, minlength=6)) if n}
        ),
        readable=int((resolved.readable != 0).sum()),
        people=int(first.sum()),
        matched=int((first & found).sum()),
        exclusive=only_ours,
        exclusive_kinds=only_ours_kinds,
        repeated=int((there & ~first).sum()),
        errors=shared_errors(fields, resolved),
        outdated=_outdated(of, index),
        datasets=Counter({c.dataset: int((seen_by[n].dataset == n).sum()) for n, c in enumerate(contracts)}),
        field_sets=_field_sets(fields, table.num_rows),
        patterns=patterns(held),
        readings=readings,
        able=int((first & resolved.able).sum()),
        too_little=shown_kinds(resolved, fields, places, first & ~resolved.able),
    )
    return rows, counts


def exports_column(held: Holders) -> pa.DictionaryArray:
    """The exports that held each row; dictionary of list<string>[rows], because the sets are few and the rows many."""
    number = np.where(held.number < 0, len(held.sets), held.number).astype(np.int32)
    return pa.DictionaryArray.from_arrays(number, pa.array([*held.sets, ()], pa.list_(pa.string())))


def _row_table(
    resolved: Resolved,
    contracts: Sequence[Contract],
    fields: Sequence[Field],
    tokens: Sequence[TokenColumn],
    held: Holders,
    rows: int,
) -> pa.Table:
    names = pa.array([contract.dataset for contract in contracts], pa.string())
    code = pa.array(resolved.dataset, mask=resolved.dataset < 0)
    found = resolved.found()
    table = {
        "class": pa.array([str(c) for c in CLASSES]).take(pa.array(resolved.row_class)),
        "reason": reasons(resolved, fields),
        "fields_agreeing": pa.array(np.bitwise_count(resolved.agreed).astype(np.int32)),
        "fields_readable": pa.array(np.bitwise_count(resolved.readable).astype(np.int32)),
        "dataset": names.take(code),
        "record": pa.array(resolved.record, mask=~found),
        "second_record": pa.array(resolved.second, mask=resolved.second == 0),
        "version": pa.array(resolved.version, mask=~found),
        "exports": exports_column(held),
        "elsewhere": _elsewhere(resolved, names, rows),
    }
    for kind in READ_AS:
        table[f"token_{kind}"] = _identifier_token(kind, fields, tokens, rows)
    return pa.table(table)


def _elsewhere(resolved: Resolved, names: pa.Array, rows: int) -> pa.Array:
    """Of each row the same people's records in datasets other than its own; list of (dataset, record)."""
    tied = (resolved.tied_dataset != resolved.dataset[resolved.tied_row]) & resolved.found()[resolved.tied_row]
    row = np.concatenate([resolved.tied_row[tied], resolved.second_row])
    dataset = np.concatenate([resolved.tied_dataset[tied], resolved.second_dataset])
    record = np.concatenate([resolved.tied_record[tied], resolved.second_record])
    order = np.lexsort((record, dataset, row))
    row, dataset, record = row[order], dataset[order], record[order]
    new = np.ones(len(row), dtype=bool)  # two versions of a record are one person
    new[1:] = (row[1:] != row[:-1]) | (record[1:] != record[:-1])
    offsets = np.searchsorted(row[new], np.arange(rows + 1)).astype(np.int32)
    people = pa.StructArray.from_arrays([names.take(pa.array(dataset[new])), pa.array(record[new])], _PERSON)
    return pa.ListArray.from_arrays(pa.array(offsets), people)


def _identifier_token(kind: str, fields: Sequence[Field], tokens: Sequence[TokenColumn], rows: int) -> pa.Array:
    """The token of the first column of a kind; null where it cannot be read so (masked: where it is read whole)."""
    base = kind.removesuffix("_masked")
    wanted = MASKED[base][0] if kind != base else SINGLE[kind][0]
    for column in tokens:
        field = fields[column.fields[0]]
        if column.kind == wanted and field.kind == base and not field.cost:
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
        first = next((f for f in fields if f.kind == kind.removesuffix("_masked") and not f.cost), None)
        if first is not None:
            bits |= _read_so(first, kind).astype(np.int64) << number
    found, counts = np.unique(bits, return_counts=True)
    return Counter(
        {"+".join(k for n, k in enumerate(READ_AS) if b >> n & 1): int(c) for b, c in zip(found, counts, strict=True)}
    )


def _outdated(of: Found, index: IndexFiles) -> Counter[str]:
    """Rows whose version a later export replaced, by the span in which it was issued.

    Not of rows that agree as much with another version of their record: the sample lacks what changed.
    """
    resolved, found = of.resolved, of.resolved.found()
    own = resolved.tied_dataset == resolved.dataset[resolved.tied_row]
    found[resolved.tied_row[own]] = False
    records = distinct(resolved.record[found])
    asked = is_in(of.holding.records, records)
    several = np.concatenate([records[is_in(of.holding.several, records)], index.several_versions(records[~asked])])
    if not len(several):
        return Counter()
    versions = index.versions_of(pa.array(several))
    members = index.memberships(versions["version"].combine_chunks())
    return spans(resolved.version[found], versions, members, index.issued())


def _words(tokens: Sequence[TokenColumn], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that can be read at all, bool[rows], and a word by which equal ones are known: repeating proves nothing."""
    there = np.zeros(rows, dtype=bool)
    mixed = np.zeros(rows, dtype=np.uint64)
    for number, column in enumerate(tokens):
        there |= column.there & (column.kind not in (TokenKind.CATEGORY, TokenKind.SOUND_CATEGORY))
        mixed ^= np.where(column.there, column.values * np.uint64(2 * number + 1), np.uint64(0))
    return there, mixed
