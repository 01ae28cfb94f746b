"""Samples as they turn up: one set of customers, written in every format and damaged in every way, from fixed seeds."""

import csv
import email.message
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter
import xlwt
from faker import Faker
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas

from examples import bank_table

Rows = list[list[str]]
ROWS = 60
ZH = {"name": "姓名", "national_id": "身份证号", "phone": "手机", "email": "邮箱", "address": "地址", "balance": "余额"}
EN = {"name": "Name", "ssn": "SSN", "phone": "Phone", "email": "Email", "address": "Address", "balance": "Balance"}
KINDS = {
    "name": ("person_name",), "national_id": ("national_id",), "ssn": ("national_id",), "phone": ("phone",),
    "email": ("email",), "address": ("address",), "balance": ("amount", "number"),
}  # fmt: skip


@dataclass(frozen=True)
class People:
    """Who a sample is about. names: of columns; labels: how people call them; rows: cells; hard: the language."""

    names: tuple[str, ...]
    labels: tuple[str, ...]
    rows: Rows


@dataclass(frozen=True)
class Sample:
    """A file and what it holds. rows: of each the cells that make it known; kinds: of each column its cells, kinds."""

    name: str
    form: str
    damaged: bool
    content: bytes
    rows: tuple[tuple[str, ...], ...]
    kinds: tuple[tuple[frozenset[str], tuple[str, ...]], ...]


def chinese(seed: int, count: int = ROWS) -> People:
    """Customers of a bank in China."""
    table = bank_table.generate(count, seed)
    rows = [[str(row[name] or "") for name in ZH] for row in table.to_pylist()]
    return People(tuple(ZH), tuple(ZH.values()), rows)


def english(seed: int, count: int = ROWS) -> People:
    """People in America."""
    fake = Faker("en_US")
    fake.seed_instance(seed)
    draw = random.Random(seed)  # noqa: S311 - a corpus, no secret
    rows = [
        [
            fake.name(), fake.unique.ssn(), f"({draw.randint(201, 989)}) 555-{n:04d}", f"u{n}.{fake.user_name()}@example.com",
            f"{fake.street_address()}, {fake.city()}, {fake.state_abbr()} {fake.zipcode()}".replace("\n", " "),
            f"{draw.uniform(10, 90_000):.2f}",
        ]
        for n in range(count)
    ]  # fmt: skip
    return People(tuple(EN), tuple(EN.values()), rows)


Write = Callable[[People], bytes]


def delimited(
    delimiter: str, *, header: bool = True, quoting: Literal[0, 1, 2, 3] = csv.QUOTE_MINIMAL, end: str = "\n"
) -> Write:
    """A writer of delimited text."""

    def write(people: People) -> bytes:
        rows = ([list(people.labels)] if header else []) + people.rows
        if len(delimiter) > 1:
            return end.join(delimiter.join(row) for row in rows).encode()
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(rows)
        return out.getvalue().encode()

    return write


def fixed(people: People) -> bytes:
    """Columns filled up with blanks."""
    rows = [list(people.labels), *people.rows]
    widths = [max(len(row[n]) for row in rows) + 2 for n in range(len(people.labels))]
    return "\n".join("".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows).encode()


def console(people: People) -> bytes:
    """A table as a database's console prints it."""
    rows = [list(people.labels), *people.rows]
    widths = [max(len(row[n]) for row in rows) for n in range(len(people.labels))]
    border = "+" + "+".join("-" * (w + 2) for w in widths) + "+"
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in rows]
    return "\n".join([border, lines[0], border, *lines[1:], border]).encode()


def prose(
    between: str, colon: str, *, number: str = "", apart: str = "\n", extra: bool = False, intro: str = ""
) -> Write:
    """Labelled prose; extra: a label that nobody knows."""

    def write(people: People) -> bytes:
        posts = []
        for n, row in enumerate(people.rows, 1):
            fields = [f"{label}{colon}{cell}" for label, cell in zip(people.labels, row, strict=True) if cell]
            if extra:
                fields.insert(
                    2,
                    f"{'客户经理等级' if 'phone' in people.names and people.labels[0] == '姓名' else 'Loyalty tier'}{colon}A{n % 4}",
                )
            posts.append(number.format(n) + between.join(fields))
        return (intro + apart.join(posts) + "\n").encode()

    return write


def mysql(people: People) -> bytes:
    """What mysqldump writes."""
    columns = ", ".join(f"`{name}`" for name in people.names)
    types = ",\n".join(f"  `{name}` varchar(255) DEFAULT NULL" for name in people.names)
    rows = ",".join("(" + ",".join(_quoted(c, "\\'") for c in row) + ")" for row in people.rows)
    return (
        f"-- MySQL dump 10.13\nDROP TABLE IF EXISTS `customer`;\nCREATE TABLE `customer` (\n{types},\n  KEY `k` (`phone`)\n"
        f") ENGINE=InnoDB;\nINSERT INTO `customer` VALUES {rows};\nINSERT INTO `log` ({columns[:6]}) VALUES ('x');\n"
    ).encode()


def postgres_copy(people: People) -> bytes:
    """What pg_dump writes."""
    lines = "\n".join("\t".join(cell or "\\N" for cell in row) for row in people.rows)
    return (
        f"--\n-- PostgreSQL database dump\n--\nSET statement_timeout = 0;\nCREATE TABLE public.customer (name text);\n"
        f"COPY public.customer ({', '.join(people.names)}) FROM stdin;\n{lines}\n\\.\n\nSELECT 1;\n"
    ).encode()


def postgres_insert(people: People) -> bytes:
    """What pg_dump --inserts writes."""
    lines = [f"INSERT INTO public.customer ({', '.join(people.names)}) VALUES ({_values(row)});" for row in people.rows]
    return ("-- PostgreSQL database dump\n\n" + "\n".join(lines)).encode()


def sql_server(people: People) -> bytes:
    """What the scripts of SQL Server hold."""
    columns = ", ".join(f"[{name}]" for name in people.names)
    lines = [
        f"INSERT [dbo].[Customer] ({columns}) VALUES ({', '.join('N' + _quoted(c, chr(39) * 2) for c in row[:-1])}, "
        f"CAST({row[-1] or 'NULL'} AS Decimal(18, 2)))"
        for row in people.rows
    ]
    return ("USE [bank]\nGO\nSET ANSI_NULLS ON\nGO\n" + "\n".join(lines) + "\nGO\n").encode("utf-16")


def _quoted(cell: str, mark: str) -> str:
    return "'" + cell.replace("'", mark) + "'" if cell else "NULL"


def _values(row: Sequence[str]) -> str:
    return ", ".join(_quoted(cell, "''") for cell in row)


def _objects(people: People) -> list[dict[str, str]]:
    return [dict(zip(people.names, row, strict=True)) for row in people.rows]


def json_array(people: People) -> bytes:
    """An array of objects."""
    return json.dumps(_objects(people), ensure_ascii=False, indent=1).encode()


def json_lines(people: People) -> bytes:
    """An object a line, characters escaped."""
    return "\n".join(map(json.dumps, _objects(people))).encode()


def json_nested(people: People) -> bytes:
    """Records inside a document, with objects inside them."""
    records = [
        {
            "id": n,
            "profile": {"name": o.pop("name"), "contact": {"phone": o.pop("phone"), "email": o.pop("email")}},
            **o,
        }
        for n, o in enumerate(_objects(people))
    ]
    return json.dumps(
        {"code": 0, "msg": "ok", "data": {"total": len(records), "list": records}}, ensure_ascii=False
    ).encode()


def json_rows(people: People) -> bytes:
    """An array of arrays with a header."""
    return json.dumps([list(people.labels), *people.rows], ensure_ascii=False).encode()


def xlsx(*, titles: int = 0, sheets: int = 1) -> Write:
    """A workbook, its ids as text."""

    def write(people: People) -> bytes:
        out = io.BytesIO()
        book = xlsxwriter.Workbook(out)
        step = -(-len(people.rows) // sheets)
        for number in range(sheets):
            sheet = book.add_worksheet()
            for n in range(titles):
                sheet.write_string(n, 0, ("客户名单（内部）", "导出时间 2024", "")[n % 3])
            rows = [list(people.labels), *people.rows[number * step : (number + 1) * step]]
            for n, row in enumerate(rows):
                for m, cell in enumerate(row):
                    sheet.write_string(titles + n, m, cell)
        book.close()
        return out.getvalue()

    return write


def xls(people: People) -> bytes:
    """A workbook of before 2007."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("1")
    for n, row in enumerate([list(people.labels), *people.rows]):
        for m, cell in enumerate(row):
            sheet.write(n, m, cell)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def ods(people: People) -> bytes:
    """An OpenDocument spreadsheet."""
    book = OpenDocumentSpreadsheet()
    table = Table(name="1")
    for row in [list(people.labels), *people.rows]:
        line = TableRow()
        for cell in row:
            one = TableCell(valuetype="string")
            one.addElement(P(text=cell))
            line.addElement(one)
        table.addElement(line)
    book.spreadsheet.addElement(table)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def parquet(people: People) -> bytes:
    """Parquet."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(_objects(people)), out)
    return out.getvalue()


def html(*, header: bool = True) -> Write:
    """A page with a table in a table of the layout."""

    def write(people: People) -> bytes:
        head = "<tr>" + "".join(f"<th>{label}</th>" for label in people.labels) + "</tr>" if header else ""
        body = "".join("<tr>" + "".join(f"<td> {c} <br></td>" for c in row) + "</tr>\n" for row in people.rows)
        inner = f"<table border=1>{head}{body}</table>"
        return f"<!DOCTYPE html><html><head><title>x</title></head><body><table><tr><td>{inner}</td></tr></table></body></html>".encode()

    return write


def html_prose(people: People) -> bytes:
    """A post on a web page."""
    lines = prose("，" if people.labels[0] == "姓名" else ", ", ":")(people).decode().splitlines()
    return ("<html><body><h1>DB</h1><p>" + "</p><p>".join(lines) + "</p></body></html>").encode()


def mail(inner: Write | None, name: str = "list.csv") -> Write:
    """An e-mail with the list in its text, or attached."""

    def write(people: People) -> bytes:
        message = email.message.EmailMessage()
        message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "list"
        message.set_content("see below\n" if inner else prose(" / ", ": ")(people).decode())
        if inner:
            message.add_attachment(inner(people), maintype="application", subtype="octet-stream", filename=name)
        return message.as_bytes()

    return write


def mail_html(people: People) -> bytes:
    """An e-mail with a table in its HTML part."""
    message = email.message.EmailMessage()
    message["From"], message["Subject"], message["MIME-Version"] = "a@example.com", "list", "1.0"
    message.set_content("your program cannot show this")
    message.add_alternative(html()(people).decode(), subtype="html")
    return message.as_bytes()


def pdf(people: People) -> bytes:
    """A printed list, in as many columns of the page."""
    out = io.BytesIO()
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    page = canvas.Canvas(out, pagesize=(1000, 800))
    places = (20, 160, 300, 420, 600, 900)
    for n, row in enumerate([list(people.labels), *people.rows]):
        if n % 40 == 0:
            if n:
                page.showPage()
            page.setFont("STSong-Light" if people.labels[0] == "姓名" else "Courier", 9)
        for x, cell in zip(places, row, strict=True):
            page.drawString(x, 760 - 18 * (n % 40), cell)
    page.save()
    return out.getvalue()


def zipped(inner: Write, name: str, *, twice: bool = False) -> Write:
    """The file in an archive, or in an archive in an archive, beside one that is no table."""

    def write(people: People) -> bytes:
        content = inner(people)
        for level in range(2 if twice else 1):
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("readme.png", b"\x89PNG\r\n\x1a\n" + bytes(100))
                archive.writestr("../" + (name if level == 0 else "inner.zip"), content)
            content = out.getvalue()
        return content

    return write


def gzipped(inner: Write) -> Write:
    """The file under gzip."""
    return lambda people: gzip.compress(inner(people), mtime=0)


def recoded(inner: Write, encoding: str, mark: bytes = b"") -> Write:
    """The text in another encoding."""
    return lambda people: mark + inner(people).decode().encode(encoding)


def wrapped(inner: Write, change: Callable[[bytes, random.Random], bytes]) -> Write:
    """The file with a damage."""
    return lambda people: change(inner(people), random.Random(len(people.rows)))  # noqa: S311


# -- damages ---------------------------------------------------------------------------------------------------------


def one_bad_byte(data: bytes, draw: random.Random) -> bytes:
    """A byte that is no UTF-8, at a line's end, where it hurts no value that is looked for."""
    at = data.find(b"\n", len(data) // 2)
    return data[:at] + b"\xff" + data[at:]


def nul_bytes(data: bytes, draw: random.Random) -> bytes:
    """Zeros in between."""
    at = data.find(b"\n", len(data) // 3)
    return data[:at] + bytes(50) + data[at:]


def huge_line(data: bytes, draw: random.Random) -> bytes:
    """A line of five million characters."""
    at = data.find(b"\n", len(data) // 3) + 1
    return data[:at] + b"x" * 5_000_000 + b"\n" + data[at:]


def mixed_ends(data: bytes, draw: random.Random) -> bytes:
    """Line ends of three systems."""
    ends = (b"\n", b"\r\n", b"\r")
    return b"".join(line + draw.choice(ends) for line in data.split(b"\n"))


def chatter(data: bytes, draw: random.Random) -> bytes:
    """Talk before and after."""
    return b"fresh database, dm me\nsample:\n" + data.rstrip(b"\n") + b"\nfull price on request\nno time wasters\n"


def stray_quote(data: bytes, draw: random.Random) -> bytes:
    """A quotation mark that is never closed."""
    at = data.find(b"\n", len(data) // 3) + 1
    return data[:at] + b'"' + data[at:]


def ragged(data: bytes, draw: random.Random) -> bytes:
    """Empty cells at the end of some lines, the last cell gone from others."""
    lines = data.split(b"\n")
    for n in range(2, len(lines) - 1, 7):
        lines[n] += b",,"
    for n in range(3, len(lines) - 1, 7):
        lines[n] = lines[n].rsplit(b",", 1)[0]
    return b"\n".join(lines)


def cut_off(data: bytes, draw: random.Random) -> bytes:
    """The last bytes are missing."""
    return data[: len(data) - 25]


def control_characters(data: bytes, draw: random.Random) -> bytes:
    """A bell and an escape here and there."""
    return data.replace(b"\n", b"\x07\n", 5).replace(b"\n", b"\x1b\n", 9)


# -- the corpus ------------------------------------------------------------------------------------------------------

_COMMA = delimited(",")
CLEAN: Sequence[tuple[str, str, Write]] = (
    ("csv", "csv", _COMMA), ("csv", "csv", delimited(",", header=False)), ("csv", "csv", delimited(",", quoting=csv.QUOTE_ALL)),
    ("csv", "tsv", delimited("\t")), ("csv", "txt", delimited("\t", header=False)), ("csv", "csv", delimited(";")),
    ("csv", "txt", delimited("|")), ("csv", "txt", delimited("----", header=False)), ("csv", "txt", delimited("||")),
    ("csv", "txt", delimited("~", header=False)), ("csv", "txt", delimited("^")), ("csv", "txt", delimited("\x01", header=False)),
    ("csv", "csv", delimited(",", end="\r\n")), ("csv", "csv", delimited(",", end="\r")),
    ("encoding", "csv", recoded(_COMMA, "utf-8-sig")), ("encoding", "csv", recoded(_COMMA, "utf-16")),
    ("encoding", "csv", recoded(_COMMA, "utf-16-le")), ("encoding", "csv", recoded(_COMMA, "utf-16-be")),
    ("fixed", "txt", fixed), ("console", "txt", console),
    ("prose", "txt", prose("，", "：", number="{}、")), ("prose", "txt", prose(" / ", ": ")),
    ("prose", "txt", prose("\n", ": ", apart="\n\n", number="{}.\n")), ("prose", "txt", prose(" ", ":", number="({}) ")),
    ("prose", "txt", prose("\n", "：", apart="\n----------\n")), ("prose", "txt", prose("; ", "=", extra=True)),
    ("prose", "txt", prose("\t", ":", apart="; \n")), ("prose", "txt", prose(" | ", ": ", apart=" | ", extra=True)),
    ("mysql", "sql", mysql), ("postgresql copy", "sql", postgres_copy), ("postgresql", "sql", postgres_insert),
    ("sql server", "sql", sql_server),
    ("json", "json", json_array), ("json", "jsonl", json_lines), ("json", "json", json_nested), ("json", "json", json_rows),
    ("xlsx", "xlsx", xlsx()), ("xlsx", "xlsx", xlsx(titles=3)), ("xlsx", "xlsx", xlsx(sheets=3, titles=1)), ("xls", "xls", xls),
    ("ods", "ods", ods), ("parquet", "parquet", parquet), ("html", "html", html()), ("html", "xls", html(header=False)),
    ("html", "html", html_prose), ("email", "eml", mail(None)), ("email", "eml", mail(_COMMA)), ("email", "eml", mail(xlsx(), "l.xlsx")),
    ("email", "eml", mail_html), ("pdf", "pdf", pdf), ("zip", "zip", zipped(_COMMA, "a.csv")),
    ("zip", "zip", zipped(xlsx(), "a.xlsx", twice=True)), ("gz", "gz", gzipped(_COMMA)), ("gz", "gz", gzipped(json_lines)),
)  # fmt: skip
_DAMAGES: Sequence[Callable[[bytes, random.Random], bytes]] = (
    one_bad_byte, nul_bytes, huge_line, mixed_ends, chatter, control_characters,
)  # fmt: skip
DAMAGED: Sequence[tuple[str, str, Write]] = (
    *(("csv", "csv", wrapped(delimited(","), damage)) for damage in (*_DAMAGES, stray_quote, ragged, cut_off)),
    *(("prose", "txt", wrapped(prose("，", "：", number="{}、"), damage)) for damage in (one_bad_byte, nul_bytes, mixed_ends, chatter, cut_off)),
    *(("mysql", "sql", wrapped(mysql, damage)) for damage in (nul_bytes, cut_off)),
    *(("postgresql copy", "sql", wrapped(postgres_copy, damage)) for damage in (one_bad_byte, mixed_ends, cut_off)),
    *(("json", "jsonl", wrapped(json_lines, damage)) for damage in (one_bad_byte, huge_line, cut_off)),
    ("json", "json", wrapped(json_array, cut_off)), ("html", "html", wrapped(html(), cut_off)),
    ("gz", "gz", wrapped(gzipped(_COMMA), cut_off)), ("fixed", "txt", wrapped(fixed, chatter)),
)  # fmt: skip
_CHINESE_ONLY: Sequence[tuple[str, str, Write]] = (
    ("encoding", "csv", recoded(_COMMA, "gb18030")), ("encoding", "txt", recoded(prose("，", "：", number="{}、"), "gb18030")),
    ("encoding", "sql", recoded(mysql, "gb18030")),
)  # fmt: skip


def corpus() -> list[Sample]:
    """Every format and damage in two languages, each with customers of its own."""
    samples: list[Sample] = []
    for damaged, entries in ((False, CLEAN), (True, DAMAGED)):
        for number, (form, suffix, write) in enumerate(entries):
            for people in (chinese(1000 + 2 * number + damaged), english(2000 + 2 * number + damaged)):
                samples.append(_sample(len(samples), form, suffix, write, people, damaged=damaged))
    for number, (form, suffix, write) in enumerate(_CHINESE_ONLY):
        for twice in range(2):
            samples.append(
                _sample(len(samples), form, suffix, write, chinese(3000 + 2 * number + twice), damaged=False)
            )
    for number, write in enumerate((_COMMA, prose(" / ", ": ", number="{}. "))):
        for seed in range(2):
            people = _traditional(chinese(4000 + 2 * number + seed))
            samples.append(_sample(len(samples), "encoding", "txt", recoded(write, "big5"), people, damaged=False))
            people = _accented(english(5000 + 2 * number + seed))
            samples.append(_sample(len(samples), "encoding", "txt", recoded(write, "latin-1"), people, damaged=False))
    return samples


def _sample(number: int, form: str, suffix: str, write: Write, people: People, *, damaged: bool) -> Sample:
    looked_for = tuple((row[1], row[2]) for row in people.rows)
    columns = zip(people.names, zip(*people.rows, strict=True), strict=True)
    kinds = tuple((frozenset(filter(None, cells)), KINDS[name]) for name, cells in columns)
    return Sample(f"{number:03d}-{form.replace(' ', '-')}.{suffix}", form, damaged, write(people), looked_for, kinds)


def _traditional(people: People) -> People:
    """Cells with characters that Big5 has: names and addresses of Taiwan."""
    names, roads = "陳林黃張李王吳劉蔡楊", "中山民生忠孝復興和平"
    rows = [
        [names[n % 10] + "志明淑芬怡君家豪"[n % 7 : n % 7 + 2], row[1], row[2], row[3],
         f"台北市大安區{roads[n % 4 * 2 : n % 4 * 2 + 2]}路{n + 1}號{n % 9 + 1}樓", row[5]]
        for n, row in enumerate(people.rows)
    ]  # fmt: skip
    return People(people.names, ("姓名", "身分證", "手機", "電子郵件", "地址", "餘額"), rows)


def _accented(people: People) -> People:
    """Names with letters that ASCII lacks."""
    given = ("José", "Zoë", "François", "Jürgen", "Søren", "Peña")
    rows = [[f"{given[n % 6]} {row[0].split()[-1]}", *row[1:]] for n, row in enumerate(people.rows)]
    return People(people.names, people.labels, rows)
