"""Is it ours, and what is each row? Row classes and verdicts on samples of the bank's table and of strangers.

    python -m benchmarks.authenticity [--folder FOLDER] [--minutes 9]

Through the readers, the registry and the verdict's own rules; only the Beam pipeline around them is left out. Bounds:
97% of rows right over held, partial, altered, recombined and unknown in equal shares; none of 100,000 strangers' rows
called ours; 97% of 500 samples right and no sample of strangers called `ours`. Samples hold the bank's card numbers, as
leaks of a bank do: five rows of names and phones alone prove nothing (a bank that serves 18% of adults).

A folder keeps the registry and what was measured: with `--minutes` nothing begins later, and the same command again
goes on where it stopped.
"""

import argparse
import io
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from benchmarks.office import Office, machine
from examples import bank_table
from pipeline.index import IndexFiles
from pipeline.intake import Said, read_sample
from pipeline.keystore import KeyStore
from pipeline.registry import Registry
from pipeline.rows import trace_chunk
from pipeline.sample_columns import kinds_of
from pipeline.tracing import judge_sample
from schemas.contract import Contract, parse
from watermarking.keys import IndexKey
from watermarking.trace_rows import Counts

_CUSTOMERS, _STRANGERS, _OF_A_CLASS = 20_000, 100_000, 2_000
_CLASSES = ("held", "partial", "altered", "recombined", "unknown")
_SIZES, _SAMPLES = (5, 20, 200), 500
_RIGHT = 0.97
_SHOWN = ("name", "national_id", "phone", "email", "card_no", "address", "balance")
_BY_CHANCE = (0.0, 0.01, 0.05, 0.18)
_OTHERS = {"card_no", "balance"}  # what a stranger's list has of its own, also of our customers
Rng = np.random.Generator


@dataclass(frozen=True)
class Bench:
    """A registered table, and what tracing needs."""

    ours: pa.Table
    strangers: pa.Table
    contract: Contract
    key: IndexKey
    index: IndexFiles

    def trace(self, table: pa.Table) -> tuple[pa.Table, Counts]:
        """Rows and counts of a sample, read from CSV as it would be posted."""
        out = io.BytesIO()
        pa_csv.write_csv(table, out)
        plans = [SimpleNamespace(columns=(), order=())]
        with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as spool:
            sheet = read_sample(out.getvalue(), Path(spool)).sheets[0]
            return trace_chunk(sheet.table, kinds_of(sheet, Said()), [self.contract], plans, self.key, self.index)  # type: ignore[arg-type]


class Kept:
    """What was measured already, a line of JSON each in a file; SystemExit where a measurement would begin too late."""

    def __init__(self, folder: Path, minutes: float) -> None:
        """The file may be there from an earlier run."""
        self._path, self._until = folder / "measured.jsonl", time.monotonic() + 60 * minutes
        lines = self._path.read_text("utf-8").splitlines() if self._path.exists() else []
        self._known = dict(json.loads(line) for line in lines)

    def __call__(self, name: str, measure: Callable[[], Any]) -> Any:
        """What `measure` gave under this name, now or then."""
        if name not in self._known:
            if time.monotonic() > self._until:
                sys.exit(f"stopped before {name}; the same command goes on")
            self._known[name] = measure()
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([name, self._known[name]]) + "\n")
        return self._known[name]


def main() -> None:
    """Register the table, then measure rows, strangers and samples."""
    parser = argparse.ArgumentParser(description="Row classes and verdicts on samples of the bank's table.")
    parser.add_argument("--folder", type=Path, help="keeps what was measured; else it is thrown away")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after these nothing begins")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as name:
        folder = options.folder or Path(name)
        bench, kept = _registered(folder), Kept(folder, options.minutes)
        held = [_row_classes(bench, kept), _strangers_rows(bench, kept), _samples(bench, kept)]
    print("bounds held" if all(held) else "BOUNDS BROKEN")
    sys.exit(not all(held))


def _registered(folder: Path) -> Bench:
    ours, contract = bank_table.generate(_CUSTOMERS, seed=7), folder / "bank.odcs.yaml"
    if not (folder / "made").exists():
        folder.mkdir(parents=True, exist_ok=True)
        bank_table.write(ours, folder / "bank.parquet")
        office = Office(folder)
        office.leaktrace("contract", "infer", folder / "bank.parquet", "-o", contract)
        who = ("--recipient", "E1001", "--purpose", "benchmark")
        office.leaktrace("register", folder / "bank.parquet", "--contract", contract, *who)
        (folder / "made").touch()
    with Registry.open(str(folder / "registry")) as registry:
        index = registry.index_files()
    key = IndexKey(KeyStore(folder / "keys").index_key())
    return Bench(ours, bank_table.generate(_STRANGERS, seed=1007), parse(contract.read_bytes(), "bank"), key, index)


# -- rows ------------------------------------------------------------------------------------------------------------


def _row_classes(bench: Bench, kept: Kept) -> bool:
    """2,000 rows of each class, in samples of 500 mixed rows with some columns dropped."""
    rng = np.random.default_rng(11)
    said: dict[str, Counter[str]] = {name: Counter() for name in _CLASSES}
    for sample in range(_OF_A_CLASS * len(_CLASSES) // 500):
        shown = _some_columns(rng)
        parts = [_MAKE[name](bench, 100, shown, rng) for name in _CLASSES]
        classes = kept(f"mixed rows {sample}", partial(_classes, bench, pa.concat_tables(parts)))
        for number, name in enumerate(_CLASSES):
            said[name].update(classes[100 * number : 100 * number + 100])
    right = sum(said[name][name] for name in _CLASSES) / sum(sum(c.values()) for c in said.values())
    for name in _CLASSES:
        print(f"  {name:10} {said[name][name] / sum(said[name].values()):.4f}  {dict(said[name])}")
    print(f"row classes: {right:.4f} right (bound {_RIGHT})")
    return right >= _RIGHT


def _classes(bench: Bench, table: pa.Table) -> list[str]:
    return bench.trace(table)[0]["class"].to_pylist()


def _found(bench: Bench, table: pa.Table) -> int:
    return table.num_rows - _classes(bench, table).count("unknown")


def _strangers_rows(bench: Bench, kept: Kept) -> bool:
    ours = 0
    for first in range(0, _STRANGERS, 20_000):
        sample = bench.strangers.slice(first, 20_000)
        ours += kept(f"strangers from {first}", partial(_found, bench, sample))
    print(f"strangers: {ours} of {_STRANGERS:,} rows called ours (bound 0)")
    return ours == 0


def _some_columns(rng: Rng) -> list[str]:
    """Card number, name, and most of the others, in any order."""
    others = [c for c in _SHOWN if c not in ("name", "card_no")]
    kept = rng.choice(others, rng.integers(3, len(others) + 1), replace=False).tolist()
    return [str(c) for c in rng.permutation(["name", "card_no", *kept])]


def _held(bench: Bench, rows: int, shown: Sequence[str], rng: Rng) -> pa.Table:
    return _text(bench.ours.take(rng.choice(bench.ours.num_rows, rows, replace=False)).select(list(shown)))


def _unknown(bench: Bench, rows: int, shown: Sequence[str], rng: Rng) -> pa.Table:
    return _text(bench.strangers.take(rng.choice(_STRANGERS, rows, replace=False)).select(list(shown)))


def _partial(bench: Bench, rows: int, shown: Sequence[str], rng: Rng) -> pa.Table:
    """Card, phone, id and name masked, as sellers show them; one of them may be whole."""
    table = _held(bench, rows, shown, rng)
    maskable = [c for c in _MASKS if c in shown]
    whole = rng.choice(maskable) if rng.random() < 0.5 and len(maskable) > 2 else None
    for column in maskable:
        if column != whole:
            pattern, replacement = _MASKS[column]
            masked = pc.replace_substring_regex(table[column], pattern, replacement)
            table = table.set_column(table.column_names.index(column), column, masked)
    return table


def _altered(bench: Bench, rows: int, shown: Sequence[str], rng: Rng) -> pa.Table:
    """One or two identifiers typed wrongly, or taken from a stranger."""
    table = _held(bench, rows, shown, rng)
    cells = {name: table[name].to_pylist() for name in shown}
    other = {name: c.to_pylist() for name, c in _columns(_unknown(bench, rows, shown, rng)).items()}
    names = [c for c in shown if c != "balance"]
    for row in range(rows):
        for name in rng.choice(names, rng.integers(1, 3), replace=False):
            old = cells[name][row]
            typed = _typed_wrongly(old, rng) if old and rng.random() < 0.5 and name != "name" else None
            cells[name][row] = typed or other[name][row] or "nobody@example.org"
    return pa.table(cells)


def _recombined(bench: Bench, rows: int, shown: Sequence[str], rng: Rng) -> pa.Table:
    """Columns dealt out between two records, an identifier to each."""
    one, two = _held(bench, rows, shown, rng), _held(bench, rows, shown, rng)
    strong = [c for c in shown if c not in ("name", "balance", "email")]
    mine = {str(c) for c in rng.choice(strong, max(1, len(strong) // 2), replace=False)}
    mine |= {c for c in shown if c not in strong and rng.random() < 0.5}
    return pa.table({name: (one if name in mine else two)[name] for name in shown})


_MASKS = {
    "phone": (r"^(\d{3})\d{4}", r"\1****"),
    "national_id": (r"^(\d{6})\d{8}", r"\1********"),
    "card_no": (r"^(\d{6})\d+(\d{4})$", r"\1*********\2"),
    "name": (r"^(.).*$", r"\1*"),
}
_MAKE: dict[str, Callable[[Bench, int, Sequence[str], Rng], pa.Table]] = {
    "held": _held, "partial": _partial, "altered": _altered, "recombined": _recombined, "unknown": _unknown,
}  # fmt: skip


def _typed_wrongly(cell: str, rng: Rng) -> str:
    """Another digit in one place; a cell without digits gets one."""
    places = [n for n, c in enumerate(cell) if c.isdecimal() and c.isascii()]
    if not places:
        return cell + str(rng.integers(10))
    at = places[int(rng.integers(len(places)))]
    return cell[:at] + str((int(cell[at]) + int(rng.integers(1, 10))) % 10) + cell[at + 1 :]


# -- samples ---------------------------------------------------------------------------------------------------------


def _samples(bench: Bench, kept: Kept) -> bool:
    rng = np.random.default_rng(12)
    kinds = ("ours", "partly", "recombined", *(f"strangers {share:.0%}" for share in _BY_CHANCE))
    right, called_ours, wrong = 0, 0, Counter[str]()
    for number in range(_SAMPLES):
        kind, size = kinds[number % len(kinds)], _SIZES[number // len(kinds) % len(_SIZES)]
        verdict = kept(f"sample {number}", partial(_verdict, bench, _sample(bench, kind, size, rng)))
        right += verdict == _EXPECTED[kind.split()[0]]
        called_ours += kind.startswith("strangers") and verdict == "ours"
        if verdict != _EXPECTED[kind.split()[0]]:
            wrong[f"{kind} of {size}: {verdict}"] += 1
    print(f"samples: {right / _SAMPLES:.4f} right (bound {_RIGHT}); strangers called ours {called_ours} (bound 0)")
    print(f"  wrong: {dict(wrong)}")
    return right / _SAMPLES >= _RIGHT and called_ours == 0


def _verdict(bench: Bench, sample: pa.Table) -> str:
    return str(judge_sample(bench.trace(sample)[1], [bench.contract]).verdict)


_EXPECTED = {"ours": "ours", "partly": "partly_ours", "recombined": "fabricated_from_ours", "strangers": "not_ours"}


def _sample(bench: Bench, kind: str, size: int, rng: Rng) -> pa.Table:
    shown = _some_columns(rng)
    if kind == "ours":
        return _held(bench, size, shown, rng)
    if kind == "recombined":
        return _recombined(bench, size, shown, rng)
    if kind == "partly":
        mine = (size + 1) // 2
        return _shuffled(
            pa.concat_tables([_held(bench, mine, shown, rng), _unknown(bench, size - mine, shown, rng)]), rng
        )
    share = _BY_CHANCE[[f"strangers {s:.0%}" for s in _BY_CHANCE].index(kind)]
    customers = int(rng.binomial(size, share))
    strangers = _unknown(bench, size, shown, rng)
    shared = _held(bench, customers, shown, rng)
    for name in _OTHERS & set(shown):
        shared = shared.set_column(shared.column_names.index(name), name, strangers[name].slice(0, customers))
    return _shuffled(pa.concat_tables([shared, strangers.slice(customers)]), rng)


def _shuffled(table: pa.Table, rng: Rng) -> pa.Table:
    return table.take(rng.permutation(table.num_rows))


def _text(table: pa.Table) -> pa.Table:
    return pa.table({name: column.cast(pa.string()) for name, column in _columns(table).items()})


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


if __name__ == "__main__":
    main()
