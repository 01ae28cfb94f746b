"""Canaries as documents: what is sealed reads back, also as programs before 2026-11-28 wrote it."""

import pyarrow as pa

from pipeline.canary_documents import each, from_document, to_document
from watermarking.canaries import Canaries

TABLE = pa.table({"id": pa.array([7, 8, 9], pa.int64()), "name": pa.array(["王芳", None, "李明"])})
BOUNDS = ({"id": 0.1}, {"id": 0.1}, {"id": 0.2})
OLDER = [
    {"values": {"id": "7", "name": "王芳"}, "bounds": {"id": 0.1}},
    {"values": {"id": "8", "name": None}, "bounds": {"id": 0.1}},
    {"values": {"id": "9", "name": "李明"}, "bounds": {"id": 0.2}},
]


def test_canaries_with_the_same_bounds_are_one_group_and_read_back() -> None:
    document = to_document(Canaries(TABLE, BOUNDS))
    assert document == [
        {"values": {"id": ["7", "8"], "name": ["王芳", None]}, "bounds": {"id": 0.1}},
        {"values": {"id": ["9"], "name": ["李明"]}, "bounds": {"id": 0.2}},
    ]
    read = from_document(document, TABLE.schema)
    assert (read.table, read.bounds) == (TABLE, BOUNDS)
    assert each(document) == OLDER


def test_what_an_older_program_wrote_reads_the_same() -> None:
    read = from_document(OLDER, TABLE.schema)
    assert (read.table, read.bounds) == (TABLE, BOUNDS)
    assert each(OLDER) == OLDER


def test_no_canaries_and_columns_that_came_later() -> None:
    assert to_document(Canaries(TABLE.slice(0, 0), ())) == []
    assert from_document([], TABLE.schema).table == TABLE.slice(0, 0)
    later = TABLE.schema.append(pa.field("phone", pa.string()))
    assert from_document(OLDER, later).table["phone"].to_pylist() == [None] * 3
