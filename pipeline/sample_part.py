"""Rows of a sample as fields and tokens; they wait in a file for what is asked for several parts at once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.parts import read_arrow, write_arrow
from schemas.contract import Contract
from watermarking.embed import one_array
from watermarking.keys import IndexKey
from watermarking.sample_column import SampleColumn
from watermarking.tokens import SINGLE, Field, TokenColumn, single_tokens
from watermarking.trace_rows import sample_fields

_LAYOUT = b"layout"  # where the file says what its columns are


@dataclass(frozen=True)
class SamplePart:
    """Rows of a sample: their fields, the token of each field (column n is field n), and where it stands.

    places: of each field its column in the sample, or NOWHERE; path: where it is mapped from.
    """

    fields: Sequence[Field]
    singles: Sequence[TokenColumn]
    rows: int
    places: tuple[int, ...] = ()
    path: Path | None = None

    def mapped_anew(self) -> "SamplePart":
        """The same, mapped once more: pages that were looked at count until the mapping is dropped."""
        return self if self.path is None else SamplePart.load(self.path)

    def at(self, rows: np.ndarray) -> "SamplePart":
        """Some of the rows; rows: int64[n], their numbers, sorted."""
        if len(rows) == self.rows:
            return self
        place = pa.array(rows)
        fields = [_with_cells(field, [cells.take(place) for cells in _cells(field)]) for field in self.fields]
        singles = [replace(token, values=token.values[rows], there=token.there[rows]) for token in self.singles]
        return replace(self, fields=fields, singles=singles, rows=len(rows), path=None)

    def layout(self) -> list[tuple[str, str, float, str, bool, int]]:
        """What each field is; parts of one layout can be joined."""
        return [(f.kind, f.name, f.cost, f.together, f.part is not None, len(f.also)) for f in self.fields]

    def save(self, path: Path) -> None:
        """Write it for `load`."""
        cells = [*chain.from_iterable(map(_cells, self.fields)), *(pa.array(token.values) for token in self.singles)]
        layout = {"fields": self.layout(), "rows": self.rows, "places": self.places}
        table = pa.table(cells, names=[f"c{n}" for n in range(len(cells))])
        write_arrow(table.replace_schema_metadata({_LAYOUT: json.dumps(layout).encode()}), path)

    @classmethod
    def load(cls, path: Path) -> "SamplePart":
        """What `save` wrote: mapped rather than read, so that only what is looked at takes memory."""
        table = read_arrow(path)
        layout = json.loads(table.schema.metadata[_LAYOUT])
        cells = iter(map(one_array, table.columns))
        fields = []
        for kind, name, cost, together, part, also in layout["fields"]:
            shown = Field(kind, name, next(cells), next(cells) if part else None, cost, together)
            fields.append(replace(shown, also=tuple(next(cells) for _ in range(also))))
        singles = [
            TokenColumn(
                SINGLE[field.kind][0],
                (number,),
                next(cells).to_numpy(),
                field.whole.is_valid().to_numpy(zero_copy_only=False),
                whole=True,
            )
            for number, field in enumerate(fields)
        ]
        return cls(fields, singles, layout["rows"], tuple(layout["places"]), path)


def part_of(
    table: pa.Table, columns: Sequence[SampleColumn], contracts: Sequence[Contract], key: IndexKey
) -> SamplePart:
    """Rows of a sample as it came in: their fields and tokens."""
    fields, places = sample_fields(table, columns, contracts)
    return SamplePart(fields, single_tokens(fields, key), table.num_rows, places)


def joined(parts: Sequence[SamplePart]) -> SamplePart:
    """Parts of one layout as one."""
    if len(parts) == 1:
        return parts[0]
    fields = [
        _with_cells(same[0], [pa.concat_arrays(cells) for cells in zip(*map(_cells, same), strict=True)])
        for same in zip(*(part.fields for part in parts), strict=True)
    ]
    singles = [
        replace(
            same[0],
            values=np.concatenate([token.values for token in same]),
            there=np.concatenate([token.there for token in same]),
        )
        for same in zip(*(part.singles for part in parts), strict=True)
    ]
    return replace(parts[0], fields=fields, singles=singles, rows=sum(part.rows for part in parts))


def _cells(field: Field) -> list[pa.Array]:
    """The columns of a field: whole, in part where it has that, and what else it may stand for."""
    return [field.whole, *([] if field.part is None else [field.part]), *field.also]


def _with_cells(field: Field, cells: Sequence[pa.Array]) -> Field:
    """The field with other rows; cells: as `_cells` gives them."""
    part = None if field.part is None else cells[1]
    return replace(field, whole=cells[0], part=part, also=tuple(cells[1 if part is None else 2 :]))
