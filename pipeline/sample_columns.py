"""What each column of a sample's tables holds, and how it writes that."""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.intake import Said, Sheet
from schemas.errors import InputError
from watermarking.damage import notation_of
from watermarking.detect import detect_kind
from watermarking.sample_column import SampleColumn
from watermarking.simplified import simplified
from watermarking.validators import is_words, is_zh_given_name, is_zh_surname, matches

_LOOKED_AT = 20_000  # rows, to tell the kinds of columns
_MOSTLY = 0.8  # of the cells
_REPEATED = 0.5  # distinct cells, as a share: categories have fewer, surnames of a long list may too


def kinds_of(sheet: Sheet, said: Said) -> tuple[SampleColumn, ...]:
    """The kind of each column, by its content; its label is a hint only, what the user said is so."""
    columns, looked_at = [], sheet.selection(_LOOKED_AT)
    for index, name in enumerate(looked_at.column_names):
        header = sheet.headers[index]
        found = detect_kind(looked_at[name].combine_chunks(), sheet.labels[index] or header or None)
        said_so = said.columns.get(index + 1)
        kind = said_so or found.kind
        sure, guessed = (1.0, found.kind) if said_so else (found.confidence, None)
        notation = notation_of(kind, looked_at[name].combine_chunks())
        columns.append(SampleColumn(index, kind, header, sure, guessed, notation))
    return tuple(_beside_surnames(columns, looked_at))


def _beside_surnames(columns: Sequence[SampleColumn], looked_at: pa.Table) -> list[SampleColumn]:
    """The columns, a text of one or two characters beside Chinese surnames being the given names.

    And words beside English given names being the surnames, which no list knows all of.
    """
    kinds = {column.kind for column in columns}
    given = next((c.index for c in columns if c.kind == "given_name"), None)
    if given is not None and not kinds & {"surname", "person_name"}:
        beside = next((c.index for c in columns if abs(c.index - given) == 1 and _may_be_surname(c, looked_at)), None)
        return [replace(c, kind="surname") if c.index == beside else c for c in columns]
    surname = next((c.index for c in columns if c.kind == "surname"), None)
    if surname is None or kinds & {"given_name"} or not is_zh_surname(_texts(looked_at, surname)).mean() > _MOSTLY:
        return list(columns)
    beside = next((c.index for c in columns if abs(c.index - surname) == 1 and _may_be_given(c, looked_at)), None)
    return [replace(c, kind="given_name") if c.index == beside else c for c in columns]


def _may_be_given(column: SampleColumn, looked_at: pa.Table) -> bool:
    guess = column.guessed is None and column.kind in ("text", "category", "person_name")
    return guess and bool(is_zh_given_name(_texts(looked_at, column.index)).mean() > _MOSTLY)


def _may_be_surname(column: SampleColumn, looked_at: pa.Table) -> bool:
    """Whether cells are mostly single words, and few the same."""
    texts = _texts(looked_at, column.index)
    few = pc.count_distinct(texts).as_py() <= _REPEATED * len(texts)
    guess = column.guessed is None and column.kind in ("text", "category", "given_name")
    return guess and len(texts) > 0 and not few and bool((is_words(texts) & matches(texts, r"^\S+$")).mean() > _MOSTLY)


def _texts(table: pa.Table, index: int) -> pa.Array:
    return simplified(table.column(index).combine_chunks().drop_null())


def refuse_unknown_columns(said: Said, columns: Sequence[Sequence[SampleColumn]]) -> None:
    """InputError when --columns speaks of a column that no table of the sample has."""
    widest = max(map(len, columns))
    if any(not 1 <= number <= widest for number in said.columns):
        raise InputError(f"--columns names a column that the sample lacks; its widest table has {widest} columns")
