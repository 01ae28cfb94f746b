"""Dumps of MySQL, PostgreSQL (COPY and INSERT) and SQL Server: a sheet for every table.

Nothing is executed and no grammar is followed: rows are found where `INSERT … VALUES` or `COPY … FROM stdin` says that
they stand, so a dump that is cut off, or holds statements of any other kind, gives what is whole.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.intake.context import Intake
from pipeline.intake.sheet import Sheet, SheetWriter
from pipeline.intake.source import Source
from schemas.wording import counted

FORMAT = "sql"
_NAME = r"(?:[`\"\[]?[^\s`\"\[\](),;.]+[`\"\]]?\s*\.\s*){0,3}[`\"\[]?[^\s`\"\[\](),;.]+[`\"\]]?"
_INSERT = re.compile(
    rf"\b(?:INSERT|REPLACE)\s+(?:LOW_PRIORITY\s+|DELAYED\s+|IGNORE\s+)*(?:INTO\s+)?({_NAME})\s*"
    r"(?:\(([^()]*)\)\s*)?(?:OVERRIDING\s+\w+\s+VALUE\s+)?VALUES?\s*(?=\()",
    re.IGNORECASE,
)
_COPY = re.compile(
    rf"^COPY\s+({_NAME})\s*(?:\(([^()]*)\))?\s*FROM\s+stdin\b[^\n]*;?[ \t]*\n", re.IGNORECASE | re.MULTILINE
)
_CREATE = re.compile(rf"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?({_NAME})\s*\(", re.IGNORECASE)
_COLUMN = re.compile(r"^\s*[`\"\[]?([^\s`\"\[\](),]+)[`\"\]]?\s+[\[`\"]?[A-Za-z]", re.MULTILINE)
_NO_COLUMN = {"primary", "key", "unique", "constraint", "index", "foreign", "check", "fulltext", "exclude"}
_STRING = {True: r"'(?:[^'\\]|\\.|'')*'", False: r"'(?:[^']|'')*'"}
_HEX = re.compile(r"0x((?:[0-9a-fA-F]{2})+)$|[xX]'((?:[0-9a-fA-F]{2})+)'$")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "0": "\0", "Z": "\x1a"}
_MOST = 1 << 27


@dataclass
class _Table:
    """One table of the dump."""

    writer: SheetWriter
    headers: list[str] = field(default_factory=list)
    broken: int = 0


def read(source: Source, intake: Intake) -> list[Sheet] | None:
    """A sheet for each table that has rows; None when nothing is inserted."""
    text = intake.text(source)
    if text is None or not re.search(r"\b(?:INSERT|REPLACE|COPY|CREATE\s+TABLE)\b", text.head, re.IGNORECASE):
        return None
    whole, notes = text.whole(_MOST)
    created = dict(_created(whole))
    tables: dict[str, _Table] = {}
    escapes = "`" in text.head or bool(re.search(r"MySQL|MariaDB|ENGINE=", text.head))
    line, where, end = 1, 0, 0
    starts = sorted([*_INSERT.finditer(whole), *_COPY.finditer(whole)], key=lambda m: m.start())
    for match in starts:
        if match.start() < end:
            continue  # inside a value of the statement before
        name = _bare(match.group(1))
        if name not in tables:
            tables[name] = _Table(intake.sheet(len(tables) + 1))
        table = tables[name]
        listed = [_bare(part) for part in match.group(2).split(",")] if match.group(2) else created.get(name, [])
        table.headers = table.headers or listed
        rows = _copied if match.re is _COPY else _inserted
        end = match.end()
        for row, at, stop in rows(whole, match.end(), escapes):
            end = stop  # what lies before is data, whatever it looks like
            line, where = line + whole.count("\n", where, at), at
            if row is None:
                table.broken += 1
            else:
                table.writer.add(row, line)
    sheets: list[Sheet] = []
    for table in tables.values():
        said = [*notes, *text.notes]
        if table.broken:
            said.append(
                f"{counted(table.broken, 'row that is cut off was', 'rows that are cut off or damaged were')} not read"
            )
        sheets += table.writer.finish(table.headers, FORMAT, text.encoding, said)
    return sheets or None


def _bare(name: str) -> str:
    return name.split(".")[-1].strip().strip('`"[]') if name.strip() else ""


def _created(text: str) -> Iterator[tuple[str, list[str]]]:
    """Names of the columns of each table that the dump creates."""
    for match in _CREATE.finditer(text):
        depth, at = 1, match.end()
        for bracket in re.compile(r"[()]").finditer(text, at, at + 100_000):
            depth += 1 if bracket.group() == "(" else -1
            if not depth:
                body = re.sub(r"\([^()]*\)", "", text[at : bracket.start()])
                names = [m.group(1) for m in map(_COLUMN.match, body.split(",")) if m]
                yield _bare(match.group(1)), [n for n in names if n.lower() not in _NO_COLUMN]
                break


def _copied(text: str, start: int, _: bool) -> Iterator[tuple[list[str | None] | None, int, int]]:
    """Rows of COPY: cells apart by tabs, backslash N for null, until a line of a backslash and a full stop."""
    at = start
    while at < len(text):
        stop = text.find("\n", at)
        stop = len(text) if stop < 0 else stop
        line = text[at:stop]
        if line.strip() == "\\.":
            return
        if line:
            yield [None if cell == "\\N" else _unescaped(cell) for cell in line.split("\t")], at, stop + 1
        at = stop + 1


def _inserted(text: str, start: int, escapes: bool) -> Iterator[tuple[list[str | None] | None, int, int]]:
    """Rows of VALUES (…), (…): a None for one that is cut off."""
    token = re.compile(rf"\s*(?:([NnEe]?{_STRING[escapes]}|[xX]'[0-9a-fA-F]*')|([(),;])|([^\s'(),;]+)|('))", re.DOTALL)
    row: list[str | None] = []
    cell: list[tuple[str, bool]] = []
    depth, at, began = 0, start, start
    while match := token.match(text, at):
        string, mark, word, unclosed = match.groups()
        at = match.end()
        if unclosed:
            break
        if string is not None:
            cell.append((_string(string, escapes), True))
        elif word is not None:
            cell.append((word, False))
        elif mark == "(":
            depth += 1
            if depth == 1:
                row, cell, began = [], [], match.start(2)
        elif mark == ")":
            depth -= 1
            if depth < 0:
                return
            if depth == 0:
                yield [*row, _cell(cell)], began, at
        elif mark == "," and depth == 1:
            row.append(_cell(cell))
            cell = []
        elif mark == ";" and depth == 0:
            return
        if depth == 0 and word is not None:
            return  # ON DUPLICATE KEY …, GO, the next statement
    if depth:
        yield None, began, at


def _cell(parts: list[tuple[str, bool]]) -> str | None:
    """The value of an expression: its text literal, CAST(N'…' AS …) unwrapped; else its words."""
    strings = [text for text, is_string in parts if is_string]
    if strings:
        return strings[0]
    words = [text for text, _ in parts]
    if words and words[0].upper() in ("CAST", "CONVERT") and len(words) > 1:
        words = words[1:2]
    joined = " ".join(words)
    hexed = _HEX.match(joined)
    if hexed:
        raw = bytes.fromhex(hexed.group(1) or hexed.group(2))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return joined
    return None if joined.upper() in ("NULL", "DEFAULT", "") else joined


def _string(literal: str, escapes: bool) -> str:
    if literal[0] in "xX":
        return _cell([(literal, False)]) or ""
    backslashes = escapes or literal[0] in "eE"
    inner = literal[literal.index("'") + 1 : -1].replace("''", "'")
    return _unescaped(inner) if backslashes else inner


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m.group(1), m.group(1)), text, flags=re.DOTALL)
