"""Canaries as a JSON document, which is what is sealed, kept for a series and committed to in receipts.

A document is a list of groups: the texts of each column of some canaries, and the bounds that they share. A copy of a
million rows has 2,700 canaries of its own, all with the same bounds; said once, a document is a third as long and takes
a tenth of the time. Older programs wrote a group for each canary, with a text where there is a list of texts now; what
was sealed or kept like that is read as before.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, groupby
from typing import Any

import pyarrow as pa

from watermarking.canaries import Canaries

Document = Sequence[Mapping[str, Any]]


def to_document(canaries: Canaries) -> list[dict[str, Any]]:
    """Canaries as plain values: a group for each run of them with the same bounds."""
    out, first = [], 0
    for bounds, run in groupby(canaries.bounds):
        part = canaries.table.slice(first, sum(1 for _ in run))
        values = {name: part[name].cast(pa.string()).to_pylist() for name in part.column_names}
        out.append({"values": values, "bounds": dict(bounds)})
        first += part.num_rows
    return out


def from_document(document: Document, schema: pa.Schema) -> Canaries:
    """What `to_document` gave, in the types of `schema`; a column that a group lacks is empty there."""
    groups = [(*_group(one), one["bounds"]) for one in document]

    def cells(name: str) -> list[str | None]:
        return [text for values, count, _ in groups for text in values.get(name) or [None] * count]

    columns = [pa.array(cells(field.name), pa.string()).cast(field.type) for field in schema]
    bounds = tuple(chain.from_iterable([bounds] * count for _, count, bounds in groups))
    return Canaries(pa.Table.from_arrays(columns, schema=schema), bounds)


def each(document: Document) -> list[dict[str, Any]]:
    """One `{"values": {column: text}, "bounds": {kind: probability}}` for each canary, in order."""
    return [
        {"values": dict(zip(one["values"], texts, strict=True)), "bounds": one["bounds"]}
        for one in document
        for texts in zip(*_group(one)[0].values(), strict=True)
    ]


def _group(one: Mapping[str, Any]) -> tuple[dict[str, list[str | None]], int]:
    """The texts of each column of a group, and how many canaries it has."""
    values = {name: texts if isinstance(texts, list) else [texts] for name, texts in one["values"].items()}
    return values, len(next(iter(values.values()), ()))
