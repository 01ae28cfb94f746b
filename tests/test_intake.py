"""Every format and encoding gives the same rows, columns of the right kind, and places in the file."""

from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks import intake_corpus as made
from benchmarks.intake import read
from pipeline.intake import Said, SampleFiles, delimited, read_sample
from pipeline.intake import text as text_module
from pipeline.intake.text import guess
from pipeline.parts import read_arrow
from pipeline.sample_columns import kinds_of

CLEAN = {f"{n:02d}-{form}": write for n, (form, _, write) in enumerate(made.CLEAN)}
DAMAGED = {f"{n:02d}-{form}": write for n, (form, _, write) in enumerate(made.DAMAGED)}


def taken(tmp_path: Path, content: bytes, name: str = "sample.txt", said: Said | None = None) -> SampleFiles:
    (tmp_path / name).write_bytes(content)
    spool = tmp_path / f"spool-{len(list(tmp_path.iterdir()))}"
    spool.mkdir()
    return read_sample((tmp_path / name,), spool, said)


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("people", [made.chinese(5, 20), made.english(6, 20)], ids=["zh", "en"])
def test_every_row_of_a_clean_format_is_read(name: str, people: made.People) -> None:
    sample = made._sample(0, "x", name.split("-")[1].replace(" ", ""), CLEAN[name], people, damaged=False)
    outcome = read(sample)
    assert outcome.rows == outcome.of_rows == 20


@pytest.mark.parametrize("name", DAMAGED)
def test_rows_around_a_damage_are_read(name: str) -> None:
    sample = made._sample(0, "x", "txt", DAMAGED[name], made.chinese(7, 40), damaged=True)
    outcome = read(sample)
    assert outcome.rows >= 0.95 * outcome.of_rows


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "big5", "cp1252"]
)
def test_an_encoding_is_told_from_the_bytes(tmp_path: Path, encoding: str) -> None:
    name = "陳大文" if encoding == "big5" else "José Peña" if encoding == "cp1252" else "张大文"
    rows = "".join(f"{name},1380013{n:04d},{'中正路' if encoding != 'cp1252' else 'Calle'}{n}\n" for n in range(40))
    sample = taken(tmp_path, rows.encode(encoding))
    assert sample.sheets[0].table["c0"].to_pylist() == [name] * 40
    assert sample.sheets[0].table["c1"][39].as_py() == "13800130039"


def test_one_bad_byte_does_not_make_it_another_encoding() -> None:
    text = "".join(f"张伟,1380013{n:04d}\n" for n in range(50)).encode()
    assert guess(text[:300] + b"\xff" + text[300:]) == "utf-8"


def test_an_unknown_label_does_not_run_into_the_value_before_it(tmp_path: Path) -> None:
    lines = (
        "1. Name: Ann Lee / Credit tier: A1 / Phone: 202-555-0101",
        "2. Name: Bo Ray / Credit tier: B2 / Phone: 202-555-0102",
    )
    post = "\n".join(lines)
    sheet = taken(tmp_path, post.encode()).sheets[0]
    assert sheet.table.to_pydict() == {
        "c0": ["Ann Lee", "Bo Ray"], "c1": ["A1", "B2"], "c2": ["202-555-0101", "202-555-0102"]
    }  # fmt: skip
    assert sheet.labels == ("person_name", "", "phone")


def test_a_record_may_lack_its_first_field(tmp_path: Path) -> None:
    post = "姓名：张伟，手机：13800000001\n\n手机：13800000002，邮箱：a@b.cn\n\n姓名：王芳，手机：13800000003\n"
    table = taken(tmp_path, post.encode()).sheets[0].table
    assert table["c1"].to_pylist() == ["13800000001", "13800000002", "13800000003"]
    assert table["c0"].to_pylist() == ["张伟", None, "王芳"]


def test_a_cell_in_quotation_marks_may_hold_line_ends_and_delimiters(tmp_path: Path) -> None:
    text = 'name,phone,note\nAnn,2025550101,"a, b\nc ""d"""\nBo,2025550102,"x"\n'
    sheet = taken(tmp_path, text.encode()).sheets[0]
    assert sheet.table["c2"].to_pylist() == ['a, b c "d"', "x"]
    assert pa.ipc.open_file(str(sheet.parts[0])).read_all()["line"].to_pylist() == [2, 4]


@pytest.mark.parametrize("header", ["", "phone;balance\n"], ids=["bare", "header"])
def test_a_decimal_comma_is_no_delimiter(tmp_path: Path, header: str) -> None:
    rows = "".join(f"1380013{n:04d};{n + 1},50\n" for n in range(30))
    (sheet,) = taken(tmp_path, (header + rows).encode()).sheets
    assert sheet.table["c1"].to_pylist() == [f"{n + 1},50" for n in range(30)]


def test_what_a_page_was_asked_with_is_labelled_text(tmp_path: Path) -> None:
    rows = "".join(f"name=张伟&mobile=1380013{n:04d}&idcard=11010519491231002X\n" for n in range(5))
    assert taken(tmp_path, rows.encode()).sheets[0].table["c1"].to_pylist() == [f"1380013{n:04d}" for n in range(5)]


def test_a_list_of_recipients_is_names_and_mails(tmp_path: Path) -> None:
    lines = "".join(f"Ann {'B. ' * (n % 2)}Lee <ann{n}@example.org>\n" for n in range(8))
    table = taken(tmp_path, lines.encode()).sheets[0].table
    assert table["c0"].to_pylist() == ["Ann Lee", "Ann B. Lee"] * 4
    assert table["c1"].to_pylist() == [f"ann{n}@example.org" for n in range(8)]


@pytest.mark.parametrize(
    "form",
    ["{{'name': 'Ann Lee', 'phone': '{p}'}}, ", "- name: Ann Lee\n  phone: '{p}'\n", "INFO name='Ann Lee' phone={p}\n"],
)
def test_labelled_values_may_stand_in_quotation_marks(tmp_path: Path, form: str) -> None:
    text = "".join(form.format(p=f"1380013{n:04d}") for n in range(6))
    table = taken(tmp_path, text.encode()).sheets[0].table
    assert table["c0"].to_pylist() == ["Ann Lee"] * 6
    assert table["c1"].to_pylist() == [f"1380013{n:04d}" for n in range(6)]


@pytest.mark.parametrize("below", ["张伟,北京\n李娜,上海\n", "Ann Lee,13800000001\nBo Ray,13800000002\n"])
def test_letters_above_longer_cells_are_a_header(tmp_path: Path, below: str) -> None:
    assert taken(tmp_path, f"n,c\n{below}".encode()).sheets[0].headers == ("n", "c")


def test_rows_know_their_line_and_byte(tmp_path: Path) -> None:
    text = "﻿姓名,手机\r\n张伟,13800000001\r\n\r\n王芳,13800000002\r\n".encode()
    sheet = taken(tmp_path, text).sheets[0]
    part = pa.ipc.open_file(str(sheet.parts[0])).read_all()
    assert part["line"].to_pylist() == [2, 4]
    assert [text[at:].decode().split(",")[0] for at in part["byte"].to_pylist()] == ["张伟", "王芳"]


@pytest.mark.parametrize("block", [5, 7, 64])
def test_a_character_that_is_cut_between_two_blocks_costs_no_row_its_byte(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_module, "_BLOCK", block)
    body = "姓名,电话\n" + "".join(f"张伟{n},1381234567{n % 10}\n" for n in range(20))
    for start in (b"", b"\xef\xbb\xbf"):
        content = start + body.encode()
        places = _bytes_of(taken(tmp_path, content))
        assert [content[at:].decode().split(",")[0] for at in places] == [f"张伟{n}" for n in range(20)]
    bad = content.replace("伟3".encode(), b"\xff3")  # what stands behind it is not where it seems
    assert _bytes_of(taken(tmp_path, bad))[-1] is None


def _bytes_of(sample: SampleFiles) -> list[int | None]:
    return [at for part in sample.sheets[0].parts for at in read_arrow(part)["byte"].to_pylist()]


def test_a_large_file_read_in_blocks_is_what_reading_line_by_line_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f'{n},"name {n}, x",1380{n:07d},{"" if n % 3 else "a@b.cn"}\n' for n in range(120_000)]
    lines[70_000] = "a stray line\n"
    lines[90_000] = '1,"two\nlines",13800000000,\x07\n'
    lines[5] = lines[119_990] = "\n"
    lines[6] = ",,,\n"
    text = "no,name,phone,mail\n" + "".join(lines)
    blocks = taken(tmp_path, text.encode()).sheets[0]
    monkeypatch.setattr(delimited, "_fast", lambda *_: False)
    by_line = taken(tmp_path, text.encode()).sheets[0]
    assert blocks.rows == by_line.rows == 119_996
    assert blocks.notes == by_line.notes
    one, other = (
        pa.concat_tables([pa.ipc.open_file(str(p)).read_all() for p in sheet.parts]) for sheet in (blocks, by_line)
    )
    assert one.combine_chunks() == other.combine_chunks()


@pytest.mark.parametrize("rows", [3, 60_000])
def test_a_header_that_comes_again_is_no_row(tmp_path: Path, rows: int) -> None:
    part = "name,phone,mail\n" + "".join(f"Ann Lee,1380{n:07d},a{n}@example.org\n" for n in range(rows))
    assert taken(tmp_path, (part * 2).encode()).sheets[0].rows == 2 * rows


def test_archives_say_which_member_a_row_is_of(tmp_path: Path) -> None:
    content = made.zipped(made.delimited(","), "a.csv")(made.chinese(1, 10))
    sample = taken(tmp_path, content, "leak.zip")
    assert [sheet.inside for sheet in sample.sheets] == ["member 2"]
    assert any("member 1" in note for note in sample.notes)


def test_a_dump_of_several_tables_gives_a_sheet_for_each(tmp_path: Path) -> None:
    dump = (
        "CREATE TABLE `a` (`name` varchar(9), `phone` char(11));\nINSERT INTO `a` VALUES ('O\\'Neil','13800000001'),"
        "('x;y, (z)',NULL);\nINSERT INTO `b` (`mail`,`at`) VALUES ('a@b.cn','2020-01-01');\n-- MySQL\n"
    )
    first, second = taken(tmp_path, dump.encode()).sheets
    assert (first.headers, second.headers) == (("name", "phone"), ("mail", "at"))
    assert first.table.to_pydict() == {"c0": ["O'Neil", "x;y, (z)"], "c1": ["13800000001", None]}
    assert (first.number, second.number) == (1, 2)


def test_what_the_user_says_goes_before_what_is_guessed(tmp_path: Path) -> None:
    text = "".join(f"张伟,1380013{n:04d}\n" for n in range(20)).encode("gb18030")
    sample = taken(tmp_path, text, said=Said("csv", "big5"))
    assert sample.files[0].encoding == "big5"
    assert sample.files[0].guessed == ("csv", "gb18030")
    assert Said.from_json(Said("csv", "big5", {2: "phone"}).to_json()) == Said("csv", "big5", {2: "phone"})


def test_labels_of_a_post_are_known_in_traditional_characters(tmp_path: Path) -> None:
    lines = "{}、戶名：張偉 賬號：622202123456789012{}，聯系電話：1380000000{}\n"
    post = "".join(lines.format(n, n, n) for n in (1, 2))
    sheet = taken(tmp_path, post.encode()).sheets[0]
    assert sheet.labels[1:] == ("account", "phone")
    assert sheet.table["c2"].to_pylist() == ["13800000001", "13800000002"]


@pytest.mark.parametrize("mark", ["#", "$", "!", "&", "%", "##", "@@", "||", "^", "§"])
def test_any_mark_may_be_the_delimiter(tmp_path: Path, mark: str) -> None:
    rows = "".join(mark.join(("张伟", f"1380013{n:04d}", "文三路1号")) + "\n" for n in range(9))
    table = taken(tmp_path, rows.encode()).sheets[0].table
    assert table.column_names == ["c0", "c1", "c2"]
    assert table["c1"].to_pylist() == [f"1380013{n:04d}" for n in range(9)]


def test_words_beside_given_names_are_surnames(tmp_path: Path) -> None:
    names = ("ann", "john", "mary", "william", "henry", "alice", "emma", "george")
    rows = "".join(f"{name},{name[::-1]}ley,19{60 + n}-01-0{n + 1}\n" for n, name in enumerate(names))
    kinds = [column.kind for column in kinds_of(taken(tmp_path, rows.encode()).sheets[0], Said())]
    assert kinds == ["given_name", "surname", "birth_date"]
