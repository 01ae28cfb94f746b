"""Cells with something around their value that is no part of it: quotation marks, `="…"`, a running number."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.intake.sheet import Sheet
from pipeline.parts import read_arrow, write_arrow

_MARKS = "'\"`“”‘’"
_WRAPPED = rf"^=?[{_MARKS}]|[{_MARKS}]$"
_NUMBERED = r"^(?:第?\d{1,6}[.)、:：条]|[（(【\[#]\d{1,6}[)）】\]])\s*(?P<rest>[^\d\s].*)$"
_AROUND = rf"^=?[{_MARKS}]+\s*|\s*[{_MARKS}]+$"
_BEFORE = r"^[^\s.)、:：条）】\]]*[.)、:：条）】\]]\s*"
_LOOKED_AT = 2_000
_MOST_CELLS, _ALL = 0.6, 0.9  # shares of a column's cells


def unwrapped(sheet: Sheet) -> Sheet:
    """The sheet with the bare values in columns of which most cells are wrapped; its parts are written anew."""
    head = read_arrow(sheet.parts[0]).slice(0, _LOOKED_AT)
    around: dict[int, str] = {}
    for n in range(len(sheet.headers)):
        cells = head.column(n).combine_chunks().drop_null()
        if _share(cells, _WRAPPED) >= _MOST_CELLS:
            around[n] = _AROUND
        elif n == 0 and len(cells) > 1 and _share(cells, _NUMBERED) >= _ALL:
            around[n] = _BEFORE
    for part in sheet.parts if around else ():
        write_arrow(_bare(read_arrow(part), around), part)
    return sheet


def _share(cells: pa.Array, pattern: str) -> float:
    return float(pc.match_substring_regex(cells, pattern).true_count / len(cells)) if len(cells) else 0.0


def _bare(table: pa.Table, around: Mapping[int, str]) -> pa.Table:
    for n, pattern in around.items():
        cells = pc.replace_substring_regex(table.column(n), pattern, "")
        table = table.set_column(n, table.column_names[n], pc.if_else(pc.equal(cells, ""), None, cells))
    return table
