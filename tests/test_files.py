"""Tables in files, for tagging: what is read is written back, byte for byte where nothing was changed."""

import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import csv_files, files
from pipeline.files import chunks, describe, open_writer, read_chunk, read_chunks, runs
from schemas.errors import InputError

CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=12
) | st.sampled_from(["", "1.10", "007", "-0.00", "330106199001011234", 'say "hi"', "a,b;c\td|e", "line\nbreak", " x "])


def copied(source: Path, folder: Path, suffix: str = ".csv") -> Path:
    """A file read in chunks and written again."""
    table, out = describe(source), folder / f"out{suffix}"
    out.unlink(missing_ok=True)
    with open_writer(out, table) as writer:
        for chunk in chunks(table):
            writer.write(read_chunk(chunk))
    return out


def written(rows: list[list[str]], delimiter: str, end: str, quoting: int) -> str:
    """CSV text by the standard library."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue()


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=20),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    bom=st.booleans(),
    last_end=st.booleans(),
    block=st.sampled_from([7, 64, 1 << 20]),
)
def test_a_csv_file_comes_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]], delimiter: str, end: str, quoting: int, bom: bool, last_end: bool, block: int,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("files")
    text = written([["id", "name, or not", "note"], *rows], delimiter, end, quoting)
    text = text if last_end else text.removesuffix(end)
    source = folder / "in.csv"
    source.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(csv_files, "_CHUNK_BYTES", block)
        back = copied(source, folder)
    if quoting == csv.QUOTE_ALL:
        assert back.read_bytes() == source.read_bytes()
    else:  # programs differ in which cells must be quoted; the cells themselves must be the same
        again = io.StringIO(back.read_bytes().decode("utf-8-sig"), newline="")
        assert list(csv.reader(again, delimiter=delimiter)) == [["id", "name, or not", "note"], *rows]


@pytest.mark.parametrize(
    "text",
    [
        '"id","name","n"\n1,"a",\n2,"",3\n3,,4\n',  # strings quoted, numbers not; nothing is not an empty text
        '"id";"a;b;c";"n"\r\n1;x;y\r\n',  # the delimiter inside a quoted name
        'id\tsize\n1\t5" pipe\n2\t6\'"\n',  # inches: nobody quotes here
        "id,name\n1,x\n2,y",  # no last line end
        "id,name\n1,x\n2,",  # nor a last cell
        'id,name\n1,"two\nlines"\n2,y\n',
        "id|name\n007|1.10\n330106199001011234|-0.00\n",
        'id,name\n1,"a ""b"" c"\n2,"a,b"\n',
    ],
)
def test_habits_of_other_programs_come_back_byte_for_byte(tmp_path: Path, text: str) -> None:
    (tmp_path / "in.csv").write_bytes(text.encode())
    assert copied(tmp_path / "in.csv", tmp_path).read_bytes() == text.encode()


def test_nothing_and_an_empty_text_are_different_cells(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('id,name\n1,""\n2,\n', "utf-8")
    table = describe(tmp_path / "in.csv")
    (chunk,) = chunks(table)
    assert read_chunk(chunk)["name"].to_pylist() == ["", None]


@pytest.mark.parametrize("group", [7, 20, 64, 1000])
def test_chunks_of_one_row_group_are_unpacked_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int
) -> None:
    monkeypatch.setattr(files, "_CHUNK_ROWS", 20)
    rows = pa.table({"n": range(200), "text": [f"row {n}" for n in range(200)]})
    pq.write_table(rows, tmp_path / "in.parquet", row_group_size=group)
    parts = chunks(describe(tmp_path / "in.parquet"))
    assert [chunk for run in runs(parts) for chunk in run] == parts
    assert all(len({chunk.group for chunk in run}) == 1 for run in runs(parts))
    assert len(runs(parts)) <= 2 * len({chunk.group for chunk in parts})
    for some in (parts, parts[1::2], *runs(parts)):
        for chunk, table in read_chunks(some, ["n"]):
            expected = rows.slice(chunk.first_row, chunk.rows).select(["n"])
            assert table.equals(expected)
            assert read_chunk(chunk, ["n"]).equals(expected)
    assert pa.concat_tables(table for _, table in read_chunks(parts)).equals(rows)


def test_chunks_of_text_are_read_each_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "_CHUNK_BYTES", 8)
    (tmp_path / "in.csv").write_text("id,name\n1,a\n2,b\n3,c\n4,d\n")
    parts = chunks(describe(tmp_path / "in.csv"))
    assert len(parts) > 1
    assert [list(run) for run in runs(parts)] == [[chunk] for chunk in parts]
    assert [cell for _, table in read_chunks(parts, ["name"]) for cell in table["name"].to_pylist()] == list("abcd")


def test_a_table_of_another_format_is_written_with_quotation_marks_where_they_must_be(tmp_path: Path) -> None:
    rows = pa.table({"id": [1, 2, 3], "name": ["a,b", None, ""], "day": pa.array([0, 1, 2], pa.date32())})
    pq.write_table(rows, tmp_path / "in.parquet")
    text = copied(tmp_path / "in.parquet", tmp_path).read_text("utf-8")
    assert text == 'id,name,day\n1,"a,b",1970-01-01\n2,,1970-01-02\n3,"",1970-01-03\n'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'id,name\n1,"a"\n2,5" pipe\n', "quotation mark inside a cell, near line 3"),
        (b'id,name\n1,"a"b\n2,c\n', "quotation mark inside a cell, near line 2"),
        (b'id,name\n1,"a\n2,b\n', "ends inside a quoted cell"),
        (b"id,name\n1,a\n" * 1 + b"2,\0\n", "NUL"),
        (b"id,name\n1,a,b\n", "cells where the header has 2"),
        ("id,name\n1,张三\n".encode("gb18030"), "not UTF-8"),
        (b"id,id\n1,2\n", "two of one name"),
        (b"id,\n1,2\n", "without a name"),
        (b"id,name\n", "no rows"),
        (b"x" * (1 << 21), "no line end"),
    ],
)
def test_a_file_that_is_no_such_table_is_one_sentence(tmp_path: Path, body: bytes, said: str) -> None:
    (tmp_path / "in.csv").write_bytes(body)
    with pytest.raises(InputError, match=said):
        copied(tmp_path / "in.csv", tmp_path)


def test_nul_bytes_far_down_are_found_too(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"id,name\n" + b"1,a\n" * 400_000 + b"2,\0\n")
    with pytest.raises(InputError, match="NUL"):
        copied(tmp_path / "in.csv", tmp_path)


def test_many_columns_and_a_long_cell_are_read(tmp_path: Path) -> None:
    names = ",".join(f"c{n}" for n in range(10_000))
    body = f"{names}\n" + ",".join(["v"] * 9_999) + "," + "x" * 5_000_000 + "\n"
    (tmp_path / "in.csv").write_text(body, "utf-8")
    assert copied(tmp_path / "in.csv", tmp_path).read_text("utf-8") == body
