"""Cells that hold several values, as `张伟 13800000001` or `Ann Lee <ann@example.org>`: taken apart, column by column.

What is found goes into columns of its own behind the others; what is left stays where it was.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.extractors import MOST_COLUMNS
from pipeline.intake.sheet import Sheet
from pipeline.parts import read_arrow, write_arrow
from watermarking.lexicon import SURNAMES_ZH

# In this order, since the digits of one may look like another. What stands around each is no part of it.
_PIECES: Mapping[str, tuple[str, str, str]] = {
    "email": (r"^|[^A-Za-z0-9._%+\-]", r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9.\-]+\.[A-Za-z]{2,}", r"$|[^A-Za-z0-9._\-]"),
    "national_id": (r"^|[^0-9A-Za-z]", r"[1-8]\d{5}(?:(?:18|19|20)\d{9}|\*{6,10}\d{2,3})[\dXx]", r"$|[^0-9A-Za-z]"),
    "card": (r"^|[^0-9A-Za-z]", r"62\d{14,17}|[3-5]\d{15}|\d{4}(?: \d{4}){3}(?: \d{1,3})?", r"$|[^0-9A-Za-z]"),
    "phone": (
        r"^|[^0-9+]",
        r"(?:\+?86[\- ]?)?1[3-9]\d[\- ]?(?:\d{4}|\*{4})[\- ]?\d{4}|\+[1-9][\d ()\-]{7,16}\d"
        r"|\(?[2-9]\d{2}\)?[\- .][2-9]\d{2}[\- .]\d{4}",
        r"$|[^0-9]",
    ),
    "person_name": (r"^[\s/|,，]*", rf"[{SURNAMES_ZH}]\p{{Han}}{{1,2}}", r"[\s/|,，:：\-]+.{5,}"),  # before an address
}
_NAMES_OF_PIECES = (
    r"(?i)\b(?:tel|phone|mobile|cell|e-?mail|id|card)\b\.?:?"
    "|(?:[联聯][系絡络繫])?[手电電][机機話话][号號]?[码碼]?|[邮郵]箱|身[份分][证證][号號]?[码碼]?|卡[号號]"
)
_APART = r"^[\s,，;；/|:：()（）<>\[\]【】\-—_、.]+|[\s,，;；/|:：()（）<>\[\]【】\-—_、]+$"
_MORE = r"@.*[\s,;/|<(]|[\s,;/|<(].*@|^[^@]*[^\dXx\s+()\-*.@]"  # than an address of mail, or a number
_LOOKED_AT = 2_000
_MOST_CELLS, _SOME = 0.6, 0.5  # shares of the cells that are merged, and of those that hold a piece


def taken_apart(sheet: Sheet, left_alone: frozenset[int]) -> Sheet:
    """The sheet with its merged cells in columns of their own; left_alone: columns whose kind the user said, from 0."""
    head = read_arrow(sheet.parts[0]).slice(0, _LOOKED_AT)
    width = len(sheet.headers)
    found = {
        n: kinds for n in range(width) if n not in left_alone and (kinds := _merged(head.column(n).combine_chunks()))
    }
    more = [(n, kind) for n, kinds in found.items() for kind in kinds]
    if not more or width + len(more) > MOST_COLUMNS:
        return sheet
    for part in sheet.parts:
        write_arrow(_apart(read_arrow(part), found, width), part)
    notes = [
        f"column {n + 1} holds {', '.join(kinds)} beside something else; they were taken apart"
        for n, kinds in found.items()
    ]
    return replace(
        sheet,
        labels=(*("" if n in found else label for n, label in enumerate(sheet.labels)), *(kind for _, kind in more)),
        headers=(
            *("" if n in found and sheet.labels[n] in found[n] else name for n, name in enumerate(sheet.headers)),
            *(sheet.headers[n] if sheet.labels[n] == kind else "" for n, kind in more),
        ),
        notes=(*sheet.notes, *notes),
    )


def _merged(cells: pa.Array) -> tuple[str, ...]:
    """The kinds of pieces that most cells of a column hold beside something else; none where it is not merged."""
    cells = cells.drop_null()
    # Most columns are told from merged ones by far simpler patterns than those of the pieces.
    mixed = _mask(pc.match_substring_regex(cells, r"\d[\d *\-]{6}|@")) & _mask(pc.match_substring_regex(cells, _MORE))
    if mixed.sum() < max(1, _MOST_CELLS * len(cells)):
        return ()
    pieces, rest = _pieces(cells, tuple(_PIECES))
    there = {kind: _mask(piece.is_valid()) for kind, piece in pieces.items()}
    count = np.sum(list(there.values()), axis=0)
    # Beside one piece stands another value, or the word that says what it is.
    other = _mask(pc.match_substring_regex(rest, r"\p{Han}|\pL\pL"))
    named = _mask(pc.match_substring_regex(cells, _NAMES_OF_PIECES))
    several = (count >= 2) | ((count == 1) & (other | (named & ~there["email"])))
    if several.mean() < _MOST_CELLS:
        return ()
    return tuple(kind for kind, is_there in there.items() if is_there[several].mean() >= _SOME)


def _mask(cells: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(cells.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _pieces(cells: pa.Array, kinds: tuple[str, ...]) -> tuple[dict[str, pa.Array], pa.Array]:
    """The first piece of each kind in each cell, and what is left; string[n] each, null where there is none."""
    found, rest = {}, cells
    for kind in kinds:
        before, piece, after = _PIECES[kind]
        parts = pc.extract_regex(rest, f"(?:{before})(?P<piece>{piece})(?:{after})")
        found[kind] = pc.struct_field(parts, "piece")
        rest = pc.replace_substring_regex(rest, f"({before})(?:{piece})({after})", r"\1 \2", max_replacements=1)
    changed = pc.not_equal(rest, cells)
    bare = pc.replace_substring_regex(rest, _NAMES_OF_PIECES, " ")
    for _ in range(2):
        bare = pc.replace_substring_regex(bare, _APART, "")
    bare = pc.if_else(pc.equal(bare, ""), pa.scalar(None, pa.string()), bare)
    return found, pc.if_else(changed, bare, cells)


def _apart(table: pa.Table, found: Mapping[int, tuple[str, ...]], width: int) -> pa.Table:
    at = width
    for n, kinds in found.items():
        pieces, rest = _pieces(table.column(n).combine_chunks(), kinds)
        table = table.set_column(n, table.column_names[n], rest)
        for kind in kinds:
            table = table.add_column(at, f"c{at}", pieces[kind])
            at += 1
    return table
