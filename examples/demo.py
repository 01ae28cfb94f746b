"""The main job on real input: issue exports, let some leak, trace the leaks.

Two tables are issued to twelve employees each: real people of history, and a bank's customers (`bank_table`). Four
samples turn up. Two hold rows of exports, and the right copies must be named; two must name nobody. Everything goes
through the command line, as a user would do it. See `make demo`.
"""

import argparse
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from rich import box
from rich.console import Console
from rich.table import Table

from examples import bank_table

DATA = Path(__file__).parent / "data"
CUSTOMERS, CUSTOMERS_SEED, STRANGERS_SEED = 20_000, 7, 11
TRUTH: dict[str, list[str]] = {
    "forum-post": ["E1003"],
    "two-exports-mixed": ["E1006", "E1011"],
    "misspelt": [],
    "strangers": [],
}
_MARKER = "made-by-leaktrace-demo"
_POST_LABELS = {"name": "姓名", "national_id": "身份证", "phone": "手机", "address": "地址", "email": "邮箱"}
_DUMP_LABELS = {"name": "客户姓名", "phone": "手机号", "national_id": "证件号码", "address": "住址", "email": "邮箱"}


@dataclass(frozen=True)
class Issue:
    """One `tag` or `register` command: which part of the table goes to whom, and in which format."""

    part: str
    first: float
    last: float
    recipients: tuple[str, ...]
    suffix: str | None  # None: registered only


# Some get everything, some get parts that overlap, one gets a file that was issued without tagging.
ISSUES = (
    Issue("all", 0.0, 1.0, ("E1001", "E1002", "E1003", "E1004", "E1005"), ".parquet"),
    Issue("first", 0.0, 0.6, ("E1006", "E1007"), ".parquet"),
    Issue("last", 0.4, 1.0, ("E1008", "E1009"), ".parquet"),
    Issue("middle", 0.25, 0.75, ("E1010", "E1011"), ".csv"),
    Issue("all", 0.0, 1.0, ("E1012",), None),
)


class Demo:
    """One run in one folder."""

    def __init__(self, folder: Path, console: Console) -> None:
        """Empties the folder if an earlier run made it."""
        self.folder = folder
        self.console = console
        self._environment = os.environ | {
            "LEAKTRACE_REGISTRY": str(folder / "registry"),
            "LEAKTRACE_KEYS": str(folder / "keys"),
        }
        _empty(folder)
        for name in ("sources", "contracts", "exports", "samples", "cases"):
            (folder / name).mkdir()

    def run(self) -> bool:
        """All of it; whether every sample was answered as it should be."""
        started = time.monotonic()
        self.leaktrace("init")
        customers = bank_table.generate(CUSTOMERS, CUSTOMERS_SEED)
        people = pq.read_table(DATA / "historical_people.parquet")
        _both(lambda: self.issue("bank", customers), lambda: self.issue("people", people))
        self._write_samples()
        (self.folder / "truth.json").write_text(json.dumps(TRUTH, indent=1) + "\n", "utf-8")
        with ThreadPoolExecutor(2) as pool:
            verdicts = dict(zip(TRUTH, pool.map(self.trace, TRUTH), strict=True))
        right = self._report(verdicts)
        self.console.print(f"{time.monotonic() - started:.0f} s. Read {self.folder / 'cases/forum-post/report.html'}")
        return right

    def issue(self, dataset: str, table: pa.Table) -> None:
        """Propose a contract, check it, and issue the table to everyone."""
        contract = self.folder / "contracts" / f"{dataset}.odcs.yaml"
        for issue in ISSUES:
            _write_once(table, issue, self._source(dataset, issue))
        whole = self._source(dataset, ISSUES[0])
        self.leaktrace("contract", "infer", whole, "-o", contract)
        self.leaktrace("contract", "check", contract, whole)
        for issue in ISSUES:
            command = "tag" if issue.suffix else "register"
            arguments: list[str | Path] = [command, self._source(dataset, issue), "--contract", contract]
            arguments += [part for recipient in issue.recipients for part in ("--recipient", recipient)]
            arguments += ["--purpose", f"{issue.part} of {dataset}"]
            if issue.suffix:
                arguments += ["-o", self._export(dataset, "{recipient}", issue.suffix)]
            self.leaktrace(*arguments)

    def trace(self, name: str) -> dict[str, Any]:
        """The verdict on one sample."""
        sample = next((self.folder / "samples").glob(f"{name}.*"))
        self.leaktrace("trace", sample, "-o", self.folder / "cases" / name, shown=1)
        verdict: dict[str, Any] = json.loads((self.folder / "cases" / name / "verdict.json").read_bytes())
        return verdict

    def leaktrace(self, *arguments: str | Path, shown: int | None = None) -> None:
        """Run one command of leaktrace and print it with the first lines it prints; stops the demo when it fails."""
        program = [sys.executable, "-m", "pipeline", *map(str, arguments)]
        done = subprocess.run(program, env=self._environment, capture_output=True, text=True, check=False)
        said = "\n".join(done.stdout.splitlines()[:shown])
        command = shlex.join(["leaktrace", *map(str, arguments)])
        self.console.print(f"$ {command}\n{said}", markup=False, highlight=False, soft_wrap=True)
        if done.returncode:
            sys.stderr.write(done.stderr)
            raise SystemExit(done.returncode)

    def _source(self, dataset: str, issue: Issue) -> Path:
        part = "" if issue.part == "all" else f"-{issue.part}"  # the dataset is called after the whole file
        return self.folder / "sources" / f"{dataset}{part}.parquet"

    def _export(self, dataset: str, recipient: str, suffix: str) -> Path:
        return self.folder / "exports" / f"{dataset}-{recipient}{suffix}"

    def _write_samples(self) -> None:
        """What turns up: see INTERFACE for the names, TRUTH for who leaked."""
        samples, rng = self.folder / "samples", np.random.default_rng(2020)
        copy = _read(self._export("bank", "E1003", ".parquet"))
        (samples / "forum-post.txt").write_text(_post(_some(copy, 24, rng)), "utf-8")

        first = _read(self._export("bank", "E1006", ".parquet"))
        middle = _read(self._export("bank", "E1011", ".csv"))
        strangers = bank_table.generate(200, STRANGERS_SEED)
        mixed = [_dump(_some(table, rows, rng)) for table, rows in ((first, 200), (middle, 200), (strangers, 100))]
        _write_csv(_some(pa.concat_tables(mixed), 500, rng), samples / "two-exports-mixed.csv")
        _write_csv(_dump(strangers.slice(100)), samples / "strangers.csv")

        misspelt = pq.read_table(DATA / "historical_people_misspelt.parquet").drop_columns(["person_id"])
        _write_csv(_some(misspelt, 200, rng), samples / "misspelt.csv")

    def _report(self, verdicts: dict[str, dict[str, Any]]) -> bool:
        """The table at the end; whether every line is as it should be."""
        heads = ("sample", "rows", "ours?", "leaker", "named", "by chance", "right")
        table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)  # 79 wide
        table.columns[0].no_wrap = True
        right = []
        for name, verdict in verdicts.items():
            named = [c for c in verdict["attribution"]["candidates"] if c["recipient"]]
            right.append(as_expected(TRUTH[name], verdict))
            table.add_row(
                name,
                str(verdict["sample"]["rows"]),
                verdict["authenticity"]["verdict"].replace("_", " "),
                "\n".join(TRUTH[name]) or "nobody",
                "\n".join(c["recipient"] + _weaker(c["strength"]) for c in named) or "nobody",
                "\n".join(f"1 in 10^{math.floor(-c['log10_p_adjusted'])}" for c in named),
                "yes" if right[-1] else "NO",
            )
        self.console.print(table)
        return all(right)


def _weaker(strength: str) -> str:
    return "" if strength == "conclusive" else f" ({strength})"


def as_expected(truth: Iterable[str], verdict: dict[str, Any]) -> bool:
    """Whether exactly the leaking recipients are named `conclusive`; for a sample that nobody leaked, nobody at all."""
    named = {c["recipient"]: c["strength"] for c in verdict["attribution"]["candidates"] if c["recipient"]}
    conclusive = {recipient for recipient, strength in named.items() if strength == "conclusive"}
    return conclusive == set(truth) and (bool(conclusive) or not named)


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    """Both at once: the registry takes several jobs at a time."""
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result()


def _empty(folder: Path) -> None:
    if folder.exists():
        if not (folder / _MARKER).exists():
            raise SystemExit(f"{folder} exists and is no earlier demo; choose another folder, or move it away")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / _MARKER).touch()


def _write_once(table: pa.Table, issue: Issue, path: Path) -> None:
    if not path.exists():
        first, last = int(table.num_rows * issue.first), int(table.num_rows * issue.last)
        bank_table.write(table.slice(first, last - first), path)


def _read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    names = pa_csv.open_csv(path).schema.names
    return pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())))


def _some(table: pa.Table, rows: int, rng: np.random.Generator) -> pa.Table:
    return table.take(rng.choice(table.num_rows, rows, replace=False))


def _dump(table: pa.Table) -> pa.Table:
    """A few columns under other names, as text."""
    chosen = table.select(list(_DUMP_LABELS)).rename_columns(list(_DUMP_LABELS.values()))
    return chosen.cast(pa.schema([(name, pa.string()) for name in chosen.column_names]))


def _post(table: pa.Table) -> str:
    """A forum post: numbered people in prose; what is missing is left out."""
    lines = ["出某银行客户资料，先放一部分，需要全部的私信。", ""]
    for number, row in enumerate(table.select(list(_POST_LABELS)).to_pylist(), start=1):
        told = "，".join(f"{label}：{row[column]}" for column, label in _POST_LABELS.items() if row[column])
        lines.append(f"{number}. {told}")
    return "\n".join(lines) + "\n"


def _write_csv(table: pa.Table, path: Path) -> None:
    pa_csv.write_csv(table, path, pa_csv.WriteOptions(quoting_style="needed"))


def main() -> None:
    """Run the demo; exit code 1 when a sample was not answered as it should be."""
    parser = argparse.ArgumentParser(description="Issue exports, let some leak, trace the leaks.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("demo"), help="where everything goes")
    console = Console()
    if not Demo(parser.parse_args().folder, console).run():
        console.print("A sample was not answered as it should be; see the table.")
        raise SystemExit(1)


if __name__ == "__main__":
    main()
