"""Bad input costs a sentence about itself, bounded time and memory, and nothing of what lies beside it."""

import gzip
import io
import os
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import intake_corpus as made
from benchmarks.intake_fuzz import SEEDS, harmless
from pipeline.intake import archive, read_sample
from schemas.errors import InputError

GOOD = made.delimited(",")(made.chinese(11, 30))


def beside(tmp_path: Path, content: bytes, name: str = "bad.bin") -> tuple[int, str]:
    """Rows and notes of a folder with one good file and one bad one."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "good.csv").write_bytes(GOOD)
    (tmp_path / "folder" / name).write_bytes(content)
    (tmp_path / "spool").mkdir()
    sample = read_sample((tmp_path / "folder",), tmp_path / "spool")
    return sum(sheet.rows for sheet in sample.sheets), " ".join(sample.notes)


def _zip(*members: tuple[str, bytes], mode: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, mode << 16
            zipped.writestr(info, content)
    return out.getvalue()


def _workbook(sheet: str, before: str = "") -> bytes:
    """A workbook whose sheet is the given XML."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rels = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    return _zip(
        ("[Content_Types].xml", f'<Types xmlns="{package}/content-types"/>'.encode()),
        (
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{rels}/officeDocument" '
            f'Target="xl/workbook.xml"/></Relationships>'.encode(),
        ),
        (
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{rels}"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets>'
            f"</workbook>".encode(),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{rels}/worksheet" '
            f'Target="worksheets/sheet1.xml"/></Relationships>'.encode(),
        ),
        (
            "xl/worksheets/sheet1.xml",
            (
                f'<?xml version="1.0"?>{before}<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData>'
                + "</worksheet>"
            ).encode(),
        ),
    )


def _laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10))
    cell = '<row r="1"><c r="A1" t="inlineStr"><is><t>&l9;</t></is></c></row>'
    return _workbook(cell, f"<!DOCTYPE lolz [{entities}]>")


def _sparse() -> bytes:
    """Two cells in opposite corners: 17 thousand million between them."""
    return _workbook('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')


_LOCKED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le") + bytes(2000)
_BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "empty"),
    "blank": (lambda: b" \n\n \r\n", "empty"),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n" + os.urandom(5000), "no rows"),
    "locked workbook": (lambda: _LOCKED, "password"),
    "cut workbook": (lambda: made.xlsx()(made.chinese(1, 20))[:3000], "truncated"),
    "billion laughs": (_laughs, "bad.bin"),
    "sparse workbook": (_sparse, "bounds"),
    "cut archive": (lambda: _zip(("a.csv", GOOD))[:-40], "truncated"),
    "7z": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(100), "7z"),
    "cut parquet": (lambda: b"PAR1 but no more", "Parquet"),
    "cut pdf": (lambda: b"%PDF-1.7\n1 0 obj\n<<", "PDF"),
    "deep html": (lambda: b"<html>" + b"<div>" * 100_000, "nested"),
    "deep json": (lambda: b'{"a":' * 50_000, "no rows"),
}  # fmt: skip


@pytest.mark.parametrize("name", _BAD)
def test_a_bad_file_is_set_aside_and_the_rest_is_read(tmp_path: Path, name: str) -> None:
    content, word = _BAD[name]
    rows, notes = beside(tmp_path, content())
    assert rows == 30
    assert word in notes


@pytest.mark.parametrize("name", _BAD)
def test_a_bad_file_alone_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "bad.bin").write_bytes(_BAD[name][0]())
    with pytest.raises(InputError) as caught:
        read_sample((tmp_path / "bad.bin",), tmp_path)
    assert "\n" not in str(caught.value)
    assert "bad.bin" in str(caught.value)


def test_an_archive_bomb_is_left_at_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_LEAST", 1 << 20)
    bomb = _zip(("good.csv", GOOD), ("bomb.csv", bytes(300 << 20)))
    rows, notes = beside(tmp_path, bomb, "bomb.zip")
    assert rows == 60
    assert "too many bytes" in notes
    assert sum(p.stat().st_size for p in (tmp_path / "spool").iterdir()) < 2 << 20


def test_a_gz_bomb_is_left_at_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_LEAST", 1 << 20)
    rows, notes = beside(tmp_path, gzip.compress(bytes(300 << 20)), "bomb.gz")
    assert rows == 30
    assert "unpacks to more than" in notes


def test_archives_in_archives_end_somewhere(tmp_path: Path) -> None:
    content = GOOD
    for _ in range(8):
        content = _zip(("a.zip", content))
    rows, notes = beside(tmp_path, content, "deep.zip")
    assert rows == 30
    assert "too deep" in notes


def test_links_and_paths_in_archives_lead_nowhere(tmp_path: Path) -> None:
    rows, notes = beside(tmp_path, _zip(("../../escaped.csv", GOOD), ("/etc/x.csv", GOOD)), "paths.zip")
    assert rows == 90
    assert not list(tmp_path.parent.glob("escaped*"))
    (tmp_path / "more").mkdir()
    rows, notes = beside(tmp_path / "more", _zip(("link.csv", b"/etc/passwd"), mode=0o120777), "link.zip")
    assert rows == 30
    assert "is a link" in notes


def test_a_link_in_a_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_bytes(GOOD)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "folder" / "b.csv").write_bytes(GOOD)
    sample = read_sample((tmp_path / "folder",), tmp_path)
    assert [file.name for file in sample.files] == ["b.csv"]
    assert "1 link in a folder was not followed" in sample.notes[0]


def test_a_protected_member_is_set_aside(tmp_path: Path) -> None:
    content = bytearray(_zip(("a.csv", GOOD), ("b.csv", GOOD)))
    at = content.find(b"PK\x01\x02")
    content[at + 8 : at + 10] = struct.pack("<H", 1)  # the first entry of the directory says that it is encrypted
    rows, notes = beside(tmp_path, bytes(content), "locked.zip")
    assert rows == 60
    assert "password" in notes


def test_macros_of_a_workbook_are_not_run_and_said_so(tmp_path: Path) -> None:
    book = io.BytesIO(made.xlsx()(made.chinese(1, 20)))
    with zipfile.ZipFile(book, "a") as zipped:
        zipped.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000))
    rows, notes = beside(tmp_path, book.getvalue(), "book.xlsm")
    assert rows == 50
    assert "macros were not run" in notes


def test_a_parser_that_never_ends_is_ended(tmp_path: Path) -> None:
    script = """
import sys, types
from pipeline.extractors import child
endless = types.ModuleType("endless")
exec("def extract(path):\\n    yield [1]\\n    while True: pass", endless.__dict__)
sys.modules["pipeline.extractors.endless"] = endless
child._SECONDS = 1
child.main("endless", sys.argv[1])
"""
    (tmp_path / "a").write_bytes(b"x")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run([sys.executable, "-c", script, tmp_path / "a"], cwd=ROOT, timeout=300, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode < 0  # by the kernel
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4  # start of Python, and one second


def test_ten_thousand_columns_are_bounded(tmp_path: Path) -> None:
    line = ",".join(["13800000001"] * 10_000) + "\n"
    (tmp_path / "wide.csv").write_text(line * 5)
    sample = read_sample((tmp_path / "wide.csv",), tmp_path)
    assert sample.sheets[0].rows == 5
    assert any("of 10,000 columns only the first 512" in note for note in sample.notes)


def test_a_cell_of_a_megabyte_and_zeros_are_left_out_with_a_note(tmp_path: Path) -> None:
    lines = [b"name,phone,note", *(b"Ann Lee,202555%04d,x" % n for n in range(20))]
    lines[5] = b"Bo Ray,2025559999," + b"y" * 900_000
    lines[9] = b"\0\0\0"
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    sample = read_sample((tmp_path / "a.csv",), tmp_path)
    assert sample.sheets[0].rows == 19
    assert "2025559999" in sample.sheets[0].table["c1"].to_pylist()
    assert "1 cell of more than 65,536 characters was left out" in " ".join(sample.notes)
    assert "NUL" in " ".join(sample.notes)


def test_a_megabyte_at_the_beginning_hides_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(
        b"name,phone,note\nBo Ray,2025559999," + b"y" * (1 << 20) + b"\n" + b"Ann Lee,2025550101,x\n" * 20
    )
    sample = read_sample((tmp_path / "a.csv",), tmp_path)
    assert sample.sheets[0].rows == 20
    assert sample.sheets[0].headers == ("name", "phone", "note")
    assert "1 line of more than 1 MiB was left out" in " ".join(sample.notes)


def test_text_full_of_control_characters_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"".join(b"\x07Ann Lee,\x1b[31m20255501%02d\0\n" % n for n in range(20)))
    assert read_sample((tmp_path / "a.csv",), tmp_path).sheets[0].rows == 20


def test_macros_and_formulas_are_never_run_and_halves_of_characters_are_replaced(tmp_path: Path) -> None:
    rows = "".join(f'{{"name": "=cmd|x!A{n}\\ud800", "phone": "1380000{n:04d}"}}\n' for n in range(5))
    (tmp_path / "a.jsonl").write_text(rows)
    table = read_sample((tmp_path / "a.jsonl",), tmp_path).sheets[0].table
    assert table["c0"][0].as_py() == "=cmd|x!A0?"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SEEDS), st.data())
def test_no_reader_crashes_on_what_chance_made_of_a_sample(seed: bytes, data: st.DataObject) -> None:
    harmless(data.draw(st.binary(max_size=40)), seed, data)


@pytest.mark.parametrize(
    "text", ["$(touch pwned); `id`\n姓名：张伟，手机：13800000001 && rm -rf /\n", "'; DROP TABLE x;--\n"]
)
def test_pasted_text_with_shell_characters_is_only_text(
    shared: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    answer = shared.run("trace", "-", "-o", tmp_path / "case", "--json")
    assert answer.code == (0 if "张伟" in text else 1)
    assert "Traceback" not in answer.err
    assert not (tmp_path / "pwned").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) in ([], ["case"])


def test_the_case_records_what_was_guessed_and_what_was_said(shared: World, tmp_path: Path) -> None:
    (tmp_path / "leak.txt").write_bytes(GOOD)
    said = ["--columns", "3=account,1=name", "--format", "csv", "--encoding", "utf-8"]
    answer = shared.run("trace", tmp_path / "leak.txt", "-o", tmp_path / "case", "--json", *said)
    assert answer.code == 0, answer.err
    sample = answer.json()["sample"]
    assert sample["said"] == {"format": "csv", "encoding": "utf-8", "columns": {"3": "account", "1": "person_name"}}
    assert sample["files"][0]["guessed"] == {"format": "csv", "encoding": "utf-8"}
    assert (sample["columns"][2]["kind"], sample["columns"][2]["guessed"]) == ("account", "phone")
    assert shared.run("verify", tmp_path / "case", "--reproduce").code == 0


@pytest.mark.parametrize("option", [("--columns", "x"), ("--columns", "2=nothing"), ("--format", "docx")])
def test_options_that_make_no_sense_are_wrong_usage(shared: World, tmp_path: Path, option: tuple[str, str]) -> None:
    (tmp_path / "leak.txt").write_bytes(GOOD)
    answer = shared.run("trace", tmp_path / "leak.txt", "-o", tmp_path / "case", *option)
    assert answer.code == 2
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("option", [("--columns", "99=phone"), ("--encoding", "klingon"), ("--format", "pdf")])
def test_options_that_do_not_fit_the_sample_are_one_sentence(
    shared: World, tmp_path: Path, option: tuple[str, str]
) -> None:
    (tmp_path / "leak.txt").write_bytes(GOOD)
    answer = shared.run("trace", tmp_path / "leak.txt", "-o", tmp_path / "case", *option)
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "case").exists()
