"""No customer's value in anything that leaktrace says: a whole day of commands, right and wrong ones, is searched.

Every distinct value of the input is looked for in what commands print, log, measure and tell the lineage; in reports,
verdicts, envelopes and emitted files; in the registry's catalogue and tables; in what is left behind in the temporary
folder. Left out are the files whose purpose is to hold values: exports, samples, the list of `exposed`, the page of
`--with-values`. A value planted in each kind of file is found, so that finding none means something.
"""

import base64
import csv
import html
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from ahocorasick_rs import AhoCorasick

from examples import bank_table, demo
from pipeline.canary_documents import each

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
OWN_TEXT = ("pipeline/report/zh.yaml", "examples/schedule/jobs.yaml")  # words of ours that are somebody's name too
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")


class Search:
    """Every distinct value of a table, looked for at once. Digits count only where no letter or digit adjoins them."""

    def __init__(self, table: pa.Table) -> None:
        own = "".join((ROOT / path).read_text("utf-8") for path in OWN_TEXT)
        texts = [pc.unique(table[name].cast(pa.string())).to_pylist() for name in table.column_names]
        every = {value for column in texts for value in column if value}
        self.values = sorted(value for value in every if self._telling(value) and value not in own)
        self.passed_over = len([value for value in every if self._telling(value)]) - len(self.values)
        self._automaton = AhoCorasick(self.values)

    @staticmethod
    def _telling(value: str) -> bool:
        """Whether a value says something of a person: a Chinese name does with two characters, a number with six."""
        return len(value) >= (2 if re.search(r"[\u4e00-\u9fff]", value) else 6)

    def found(self, text: str) -> set[str]:
        """The values in a text, also where JSON, HTML or base64 (of an envelope's payload) writes them otherwise."""
        plain = _ESCAPED.sub(lambda m: chr(int(m[1], 16)), text)
        parts = {text, plain, html.unescape(plain)}
        parts |= {self._decoded(m[0]) for m in _BASE64.finditer(text)}
        return {value for part in parts for value in self._in(part)}

    @staticmethod
    def _decoded(text: str) -> str:
        try:
            return base64.b64decode(text, validate=True).decode("utf-8", "ignore")
        except ValueError:
            return ""

    def _in(self, text: str) -> Iterator[str]:
        for number, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            value = self.values[number]
            around = text[max(0, start - 1) : start] + text[end : end + 1]
            if not (value.isascii() and re.search(r"[0-9A-Za-z]", around) and len(value) < 15):
                yield value


def texts_of(path: Path) -> Iterator[str]:
    """What a file says, as text: Parquet and SQLite by their cells, everything else as it is."""
    head = path.read_bytes()[:16]
    if head.startswith(b"PAR1"):
        file = pq.ParquetFile(path)
        yield str(file.schema_arrow.metadata)
        for batch in file.iter_batches():
            yield from (str(column.to_pylist()) for column in batch.columns)
        for group in range(file.metadata.num_row_groups):
            columns = (file.metadata.row_group(group).column(n) for n in range(file.metadata.num_columns))
            yield " ".join(str(column.statistics) for column in columns)
    elif head.startswith(b"SQLite format 3"):
        with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as con:
            for (table,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                yield str(con.execute(f'SELECT * FROM "{table}"').fetchall())  # noqa: S608 - its own names
    yield path.read_bytes().decode("utf-8", "replace")


@dataclass
class Day:
    """An office, its commands, and everything that they said."""

    folder: Path
    said: list[tuple[str, str]] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)

    def run(self, *words: str | Path, expect: int = 0, crash: str = "") -> str:
        """Run a command as its user would; `crash`: Python that breaks it from inside."""
        outputs = self.folder / "outputs"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LEAKTRACE_")}
        environment |= {
            "LEAKTRACE_REGISTRY": "registry", "LEAKTRACE_KEYS": "keys", "TMPDIR": str(self.folder / "tmp"),
            "LEAKTRACE_LOG": str(outputs / "events.log"), "LEAKTRACE_LINEAGE": str(outputs / "lineage.jsonl"),
            "LEAKTRACE_METRICS": str(outputs), "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1",
            "LEAKTRACE_LOG_FORMAT": "json" if len(self.said) % 2 else "text",
        }  # fmt: skip
        program = (
            ["-c", f"{crash}\nimport sys\nfrom pipeline.cli import main\nsys.exit(main())"]
            if crash
            else ["-m", "pipeline"]
        )
        done = subprocess.run(
            [sys.executable, *program, *map(str, words)],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        name = " ".join(map(str, words))
        self.said.append((name, done.stdout + done.stderr))
        assert done.returncode == expect, f"{name}: {done.returncode}\n{done.stderr}"
        assert "Traceback" not in done.stderr, name
        return done.stdout


def broken_inputs(folder: Path, table: pa.Table) -> None:
    """Files that are wrong in ways that quote a value elsewhere: a ragged line, a doubled key, a word for a number."""
    lines = (folder / "customers.csv").read_text("utf-8").splitlines(keepends=True)
    (folder / "ragged.csv").write_text("".join([*lines[:50], lines[50].rstrip("\n") + ",extra,cells\n", *lines[51:]]))
    (folder / "open-quote.csv").write_text("".join([*lines[:50], '"' + lines[50], *lines[51:]]))
    (folder / "doubled.csv").write_text("".join([*lines, lines[7]]))
    (folder / "not-text.csv").write_bytes("".join(lines[:90]).encode() + b"\xff\xfe\x00" + "".join(lines[90:]).encode())
    wrong = table.set_column(table.schema.get_field_index("balance"), "balance", table["name"])
    pq.write_table(wrong, folder / "wrong-type.parquet")
    pq.write_table(table.drop_columns(["phone"]), folder / "no-phone.parquet")
    (folder / "cut.parquet").write_bytes((folder / "customers.parquet").read_bytes()[:-2_000])
    (folder / "nothing.txt").write_text("，".join(table["name"].to_pylist()[:3]), "utf-8")
    (folder / "people.txt").write_text("\n".join(table["national_id"].to_pylist()[:2]) + "\n", "utf-8")
    numbers = [str(number) for number in table["customer_no"].to_pylist()]
    seen = [{"user": "E8", "at": "2026-11-20T10:00:00", "customer": number} for number in numbers[:40]]
    broken_line = f'{{"user": "E8", "customer": {numbers[41]}, "note": "{table["name"][41]}\n'
    (folder / "views.jsonl").write_text("".join(json.dumps(one) + "\n" for one in seen) + broken_line, "utf-8")
    (folder / "subject.csv").write_text("customer_no\n" + "\n".join(numbers[60:62]) + "\n", "utf-8")


JOBS = """
witness: {file: outputs/heads.txt}
jobs:
  - name: good
    source: customers.csv
    contract: c.yaml
    recipients: [E6]
    purpose: p
    output: "out/{recipient}.csv"
  - name: broken
    source: ragged.csv
    contract: c.yaml
    recipients: [E6]
    purpose: p
    output: "out/broken-{recipient}.csv"
"""
MAPPING = """    customProperties:
      - property: leaktraceAccessLog
        value: {employee: user, time: at, customer_no: customer}
"""


CRASH_IN_TAGGING = (
    "import pipeline.tagging as t, pyarrow.parquet as pq\n"
    "def broken(*a, **k): raise RuntimeError(str(pq.read_table('customers.parquet').slice(3, 2).to_pylist()))\n"
    "t.tag = broken"
)
CRASH_IN_A_WORKER = (
    "import pipeline.trace_steps as s\n"
    "def broken(self, *a, **k): raise ValueError(open('post.txt', encoding='utf-8').read())\n"
    "for name in ('__call__', 'run', 'trace', 'process'):\n"
    "    if hasattr(s.SampleTracer, name): setattr(s.SampleTracer, name, broken)"
)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """A whole day: what goes well, what is refused, and what breaks."""
    day = Day(tmp_path_factory.mktemp("day") / "office")
    folder = day.folder
    for name in ("outputs", "tmp", "cases", "inbox"):
        (folder / name).mkdir(parents=True)
    table = bank_table.generate(1_500, seed=21)
    bank_table.write(table, folder / "customers.csv")
    pq.write_table(table, folder / "customers.parquet")
    broken_inputs(folder, table)
    done_well(day)
    refused(day)
    broken(day)
    return day


def done_well(day: Day) -> None:
    folder, c = day.folder, ("--contract", "c.yaml")
    day.run("init", "-v")
    day.run("contract", "infer", "customers.csv", "-o", "c.yaml", "-v")
    contract = (folder / "c.yaml").read_text("utf-8")
    (folder / "c.yaml").write_text(contract.replace("    customProperties:\n", MAPPING, 1), "utf-8")
    day.run("contract", "check", "c.yaml", "customers.csv", "--json")
    day.run(
        "tag",
        "customers.csv",
        *c,
        "--recipient",
        "E1",
        "--recipient",
        "E2",
        "--purpose",
        "p",
        "-o",
        "{recipient}.csv",
        "-v",
    )
    day.run("tag", "customers.csv", *c, "--recipient", "E3", "--purpose", "p", "--dry-run", "--json")
    day.run("register", "customers.csv", *c, "--recipient", "E4", "--purpose", "p", "--json")
    day.run("register", "views.jsonl", "--access-log", *c, "-v")
    (folder / "jobs.yaml").write_text(JOBS)
    day.run("run", "jobs.yaml", "-v", expect=1)  # one of its units is broken, the other is issued
    assert (folder / "out" / "E6.csv").exists()
    copy = demo._read(folder / "E1.csv")
    rows = np.random.default_rng(1).choice(copy.num_rows, 30, replace=False)
    (folder / "post.txt").write_text(demo._post(copy.take(rows)), "utf-8")
    strangers = demo._dump(bank_table.generate(40, 5))
    pa_csv.write_csv(pa.concat_tables([demo._dump(copy.slice(9, 60)), strangers]), folder / "inbox" / "mixed.csv")
    forms = [word for form in ("ocsf", "stix", "notice") for word in ("--emit", form)]
    out = day.run("trace", "post.txt", "-o", "cases/post", "--lang", "zh", "--with-values", "-v", *forms)
    assert "E1" in out
    day.run("trace", "post.txt", "-o", "cases/again", "--json")
    day.run("verify", "cases/post", "-v")
    day.run("verify", "cases/again", "--reproduce")
    day.run("report", "cases/post", "-o", "outputs/report.html")
    day.run("report", "cases/post", "--emit", "notice", "-o", "outputs/notice")
    day.run("exposed", "cases/post", "--source", "customers.csv", *c, "-o", "exposed.csv", "-v")
    day.run("sweep", "inbox", "-o", "cases", "--settle", "0", "--alert-command", "tee outputs/alarm.json")
    day.run("exports", "--json")
    day.run("cases", "--json")
    day.run("forecast", *c, "--exports", "20")
    day.run("registry", "erase", "--subject-file", "subject.csv", "-v")
    day.run("watchlist", "-o", "outputs/watch.csv")
    day.run("watchlist", "-o", "outputs/watch.json", "--format", "stix")
    day.run("registry", "compact", "-v")
    day.run("registry", "check", "-v", "--json")
    day.run("doctor", "--json")


def refused(day: Day) -> None:
    c, to = ("--contract", "c.yaml"), ("--recipient", "E5", "--purpose", "p")
    for name in (
        "ragged.csv",
        "open-quote.csv",
        "doubled.csv",
        "not-text.csv",
        "wrong-type.parquet",
        "no-phone.parquet",
        "cut.parquet",
    ):
        day.run("tag", name, *c, *to, "-o", "never.csv", "-v", expect=1)
    assert not (day.folder / "never.csv").exists()
    day.run("contract", "check", "c.yaml", "no-phone.parquet", expect=1)
    day.run("contract", "check", "c.yaml", "doubled.csv", expect=1)
    day.run("tag", "customers.csv", *c, *to, "-o", "E1.csv", expect=1)
    day.run("register", "doubled.csv", *c, *to, expect=1)
    day.run("trace", "cut.parquet", "-o", "cases/cut", expect=1)
    day.run("trace", "post.txt", "-o", "cases/post", expect=1)
    day.run("exposed", "cases/post", "--source", "no-phone.parquet", *c, "-o", "E1.csv", expect=1)
    day.run("exposed", "cases/post", "--source", "cut.parquet", *c, "-o", "x.csv", expect=1)
    day.run("registry", "erase", "--subject-file", "nothing.txt", "-v", expect=1)
    shutil.copytree(day.folder / "cases" / "post", day.folder / "tampered")
    (day.folder / "tampered" / "sample" / "post.txt").write_bytes(b"")
    day.run("verify", "tampered", expect=3)
    shutil.rmtree(day.folder / "tampered")


def broken(day: Day) -> None:
    to = ("--recipient", "E5", "--purpose", "p", "-o", "never.csv")
    day.run("tag", "customers.csv", "--contract", "c.yaml", *to, expect=1, crash=CRASH_IN_TAGGING)
    day.run("trace", "post.txt", "-o", "cases/crash", expect=1, crash=CRASH_IN_A_WORKER)
    assert "a fault of this program" in "".join(text for _, text in day.said[-2:])


# What holds values because that is its purpose; all else in the office is searched.
PURPOSE = re.compile(
    r"(^|/)(customers|E[12]|ragged|open-quote|doubled|not-text|wrong-type|no-phone|cut|exposed)\.(csv|parquet)$"
    r"|^(post|nothing|people)\.txt$|^(inbox|out)/|(^|/)sample/|report-with-values\.html$|^(views\.jsonl|subject\.csv)$"
)


def searched(day: Day) -> Iterable[Path]:
    every = (path for path in sorted(day.folder.rglob("*")) if path.is_file())
    return [path for path in every if not PURPOSE.search(path.relative_to(day.folder).as_posix())]


def numbers_of(watchlist: Path) -> str:
    """A watchlist without its names: a fictitious person may be called like a customer, or like a part of one."""
    with watchlist.open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    numbers = [",".join(filter(None, line.values())) for line in lines if line["kind"] != "person_name"]
    assert len(numbers) > 0.6 * len(lines)
    return "\n".join(numbers)


def numbers_of_a_series(canaries: Path) -> str:
    """The canaries of a series without their names, and without what many people share.

    That is branch and segment, and the limit: 151 whole thousands among the 1,500 customers.
    """
    people = each(json.loads(canaries.read_text("utf-8")))
    shared = {"name", "branch", "segment", "credit_limit"}
    said = [value for one in people for column, value in one["values"].items() if column not in shared]
    assert len(said) > 5 * len(people) > 0
    return "\n".join(map(str, said))


def texts_in(path: Path) -> Iterable[str]:
    """What a file of the office says, but for what a fictitious person may have in common with a customer."""
    if path.name == "watch.csv":
        return [numbers_of(path)]
    of_a_series = path.parent.name == "series" and path.stem.endswith("-canaries")
    return [numbers_of_a_series(path)] if of_a_series else texts_of(path)


def test_nothing_that_was_said_or_left_holds_a_value(day: Day) -> None:
    search = Search(pq.read_table(day.folder / "customers.parquet"))
    assert len(search.values) > 12_000
    assert search.passed_over < 20
    found = [f"{name}: {len(hits)}" for name, text in day.said if (hits := search.found(text))]
    files = searched(day)
    for path in files:
        hits = {hit for text in texts_in(path) for hit in search.found(text)}
        found += [f"{path.relative_to(day.folder)}: {len(hits)}"] if hits else []
    assert found == []
    kinds = {path.suffix for path in files}
    assert kinds >= {".log", ".jsonl", ".prom", ".html", ".json", ".parquet", ".yaml", ".txt"}
    assert len(files) > 45
    assert len(day.said) > 40


def test_a_planted_value_is_found_wherever_it_is_planted(day: Day, tmp_path: Path) -> None:
    table = pq.read_table(day.folder / "customers.parquet")
    search, values = Search(table), [table[name][11].as_py() for name in ("name", "phone", "address", "national_id")]
    for value in values:
        payload = base64.b64encode(f'{{"note": "a value {value} in an envelope"}}'.encode()).decode()
        (tmp_path / "a.log").write_text(f"event problem={value}\n", "utf-8")
        (tmp_path / "b.json").write_text(json.dumps({"x": value}), "utf-8")
        (tmp_path / "c.json").write_text(json.dumps({"payload": payload}), "utf-8")
        (tmp_path / "d.html").write_text("<td>" + "".join(f"&#{ord(c)};" for c in value), "utf-8")
        pq.write_table(pa.table({"x": ["a", value]}), tmp_path / "e.parquet", compression="zstd")
        with sqlite3.connect(tmp_path / "f.db") as con:
            con.execute("CREATE TABLE IF NOT EXISTS x (y)")
            con.execute("INSERT INTO x VALUES (?)", [value])
        for path in tmp_path.iterdir():
            assert value in {hit for text in texts_of(path) for hit in search.found(text)}, path.suffix


def test_the_files_left_out_do_hold_values(day: Day) -> None:
    search = Search(pq.read_table(day.folder / "customers.parquet"))
    for name in ("exposed.csv", "E1.csv", "cases/post/report-with-values.html", "cases/post/sample/post.txt"):
        assert len(search.found((day.folder / name).read_text("utf-8"))) > 50, name
