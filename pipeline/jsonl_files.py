"""Tables of JSON lines for tagging: an object a line, of text, numbers, true and false, and null.

Text and numbers keep their value; a number's spelling (1.10) and the white space between cells do not. Whether
a cell without a value is written as null or left out follows the table, where it does one of both.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from schemas.errors import InputError

_BLOCK = 16 << 20
_EXACT = float(2**53)  # beyond it a double no longer holds every integer
_OMITTED = b"leaktrace.jsonl.omits"  # key of the schema's metadata: cells without a value are left out
_NULL = re.compile(rb":\s*null\s*[,}]")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_TEXT = pa.large_string()


def to_parquet(path: Path, target: Path) -> None:
    """Write the table as Parquet. InputError when it is no table of plain values."""
    schema = _schema(path)
    with pq.ParquetWriter(target, schema) as writer:
        for number, block in _blocks(path):
            table = _parse(path, number, block, schema)
            writer.write_table(table.select(schema.names).cast(schema))


def _schema(path: Path) -> pa.Schema:
    """Columns and types over the whole table."""
    found: dict[str, pa.DataType] = {}
    empty = written = 0
    for number, block in _blocks(path):
        table = _parse(path, number, block, None)
        for name, column in zip(table.column_names, table.columns, strict=True):
            found[name] = _one_type(path, name, found.get(name, pa.null()), column)
        empty += sum(column.null_count for column in table.columns)
        written += len(_NULL.findall(block))
    if not found:
        raise InputError(f"{path.name} holds no rows; export the table again")
    fields = [(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in found.items()]
    return pa.schema(fields, metadata={_OMITTED: b"1" if empty and not written else b""})


def _one_type(path: Path, name: str, before: pa.DataType, column: pa.ChunkedArray) -> pa.DataType:
    kind = column.type
    if pa.types.is_timestamp(kind):  # a text that looks like a time stays text
        kind = pa.string()
    if pa.types.is_nested(kind):
        raise InputError(f"{path.name} has a column with objects or lists in it; give each of their values a column")
    if pa.types.is_floating(kind) and (pc.max(pc.abs(column)).as_py() or 0.0) >= _EXACT:
        raise InputError(
            f"{path.name} has numbers of more than 15 digits, which programs round; write that column as text"
        )
    if kind == before or pa.types.is_null(kind):
        return before
    if pa.types.is_null(before):
        return kind
    if {str(kind), str(before)} == {"int64", "double"}:
        return pa.float64()
    raise InputError(f"{path.name} has a column with values of several kinds (text and numbers?); make them one kind")


def _parse(path: Path, number: int, block: bytes, schema: pa.Schema | None) -> pa.Table:
    """The rows of a block. Without a schema types are found, but no text is taken for a time."""
    options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer")
    read = pa_json.ReadOptions(use_threads=False, block_size=len(block) + 1)
    try:
        return pa_json.read_json(pa.BufferReader(block), read, options)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # its text holds what stands in the file
        raise InputError(
            f"{path.name} is no table of JSON lines of one kind a column, near line {number}; correct it, or export "
            "the table again"
        ) from None


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines, some megabytes at a time, with the number of the first."""
    number, held = 1, b""
    with path.open("rb") as file:
        while data := file.read(_BLOCK):
            cut = data.rfind(b"\n") + 1
            if cut:
                block = held + data[:cut]
                if block.strip():
                    yield number, block
                number, held = number + block.count(b"\n"), data[cut:]
            else:
                held += data
                if len(held) > 4 * _BLOCK:
                    raise InputError(f"{path.name} has a line of {len(held) >> 20} megabytes, so it is no JSON lines")
    if held.strip():
        yield number, held + b"\n"


class JsonlWriter:
    """Joins whole columns into lines; no cell is handled by itself."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        """`schema`: of the table, with the metadata that `to_parquet` left."""
        self._file, self._omits = file, (schema.metadata or {}).get(_OMITTED) == b"1"

    def write(self, table: pa.Table) -> None:
        """Append rows."""
        if not table.num_rows:
            return
        pieces = []
        for name, column in zip(table.column_names, table.columns, strict=True):
            value = _spelled(column.combine_chunks())
            cell = pc.binary_join_element_wise(_scalar(json.dumps(name, ensure_ascii=False)), value, _scalar(": "))
            pieces.append(pc.binary_join_element_wise(_scalar(", "), cell, _scalar("")))
            if not self._omits:
                missing = _scalar(", " + json.dumps(name, ensure_ascii=False) + ": null")
                pieces[-1] = pc.fill_null(pieces[-1], missing)
        body = pc.binary_join_element_wise(*pieces, _scalar(""), null_handling="skip")
        body = pc.utf8_slice_codeunits(body, start=2)
        lines = pc.binary_join_element_wise(_scalar("{"), body, _scalar("}\n"), _scalar(""))
        self._file.write("".join(lines.to_pylist()).encode())


def _spelled(column: pa.Array) -> pa.Array:
    """Each value as JSON writes it; null stays null."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
        return column.cast(_TEXT)
    if pa.types.is_floating(column.type):
        finite = pc.is_finite(column)
        return pc.if_else(finite, column, pa.scalar(None, column.type)).cast(_TEXT)
    text = column.cast(_TEXT)
    for character, escape in _ESCAPES.items():
        text = pc.replace_substring(text, character, escape)
    rare = pc.match_substring_regex(text, "[\\x00-\\x1f]").fill_null(False)
    if rare.true_count:  # other control characters, one by one
        text = pa.array(
            [re.sub(r"[\x00-\x1f]", lambda m: f"\\u{ord(m[0]):04x}", t) if t else t for t in text.to_pylist()], _TEXT
        )
    return pc.binary_join_element_wise(_scalar('"'), text, _scalar('"'), _scalar(""))


def _scalar(text: str) -> pa.Scalar:
    return pa.scalar(text, _TEXT)
