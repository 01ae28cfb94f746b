"""The blocks beside that of a marked number, for cells that somebody changed a little.

In a table without identifiers the number with most marks tells most. A little noise may carry it into the next block;
then that block finds the row, but agrees in nothing: what is left of its marks is not read.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Contract
from watermarking.attributes import ATTRIBUTE, attribute_cells, replaceable
from watermarking.carriers import carrier
from watermarking.tokens import Field, mark_free

_MOST_DIGITS = 15


def with_neighbours(fields: Sequence[Field], contracts: Sequence[Contract]) -> list[Field] | None:
    """A sample's fields, the most marked number with the blocks beside its own; None without such a number."""
    out, any_found = list(fields), False
    for contract in contracts:
        name = replaceable(contract)
        mark = contract.column(name).mark if name else None
        if mark is None or mark.carrier != "amount_low_digits":
            continue
        for number, field in enumerate(fields):
            if field.kind == ATTRIBUTE and field.name == name:
                out[number], any_found = replace(field, also=_beside(field.whole, contract, name)), True
    return out if any_found else None


def _beside(forms: pa.Array, contract: Contract, name: str) -> tuple[pa.Array, pa.Array]:
    """The block above and the block below of each cell of an attribute; string[n] each, null where it has none."""
    column = contract.column(name)
    assert column.mark is not None  # noqa: S101 - the caller looked
    decimals = int(column.mark.options.get("decimals", 2))
    kind = pa.decimal128(28, decimals)
    start = len(attribute_cells(contract, column, pa.array([""]))[0].as_py())
    text = pc.utf8_slice_codeunits(forms, start)
    fraction = rf"(?:\.\d{{1,{decimals}}})?" if decimals else ""
    shaped = pc.match_substring_regex(text, rf"^-?\d{{1,{_MOST_DIGITS}}}{fraction}$")
    value = pc.if_else(shaped, text, pa.scalar(None, pa.string())).cast(kind)
    width = pa.scalar(Decimal(1 << len(carrier(column.mark).labels())).scaleb(-decimals), kind)
    moved = (change(value, width).cast(kind) for change in (pc.add, pc.subtract))
    above, below = (attribute_cells(contract, column, mark_free(cells, column)) for cells in moved)
    return above, below
