"""What marks do to the data: cells changed, aggregates moved, spelling mixes moved, against the original.

The bank table with the contract that `leaktrace contract infer` proposes, once as it stands (no mark changes a value)
and once with every mark of low bits switched on, their tolerance stated. Bars, over all copies: no cell of a number or
a time moves by more than its tolerance; nor does its mean, sum by group (per row), or any percentile; no pairwise
correlation moves by more than 1e-6; the share of each spelling moves by no more than decision 0123 states. Canaries are
taken out as the watchlist says; what they do when left in is printed beside it.

    python -m benchmarks.distortion [--rows 20000] [--copies 6]
"""

import argparse
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.office import Office, machine
from examples import bank_table
from schemas.contract import Contract, parse
from watermarking.carriers import carrier
from watermarking.selection import OWN_POSITIONS

F64 = npt.NDArray[np.float64]
_KEY, _TOLERANCES = "customer_no", {"balance": 0.15, "opened_at": 3.0}
_GROUPS = ("branch", "segment")
_CORRELATION = 1e-6
_ROUNDING = 1e-6  # of a mean or a difference of two amounts


@dataclass
class Moved:
    """The largest change seen, of anything of its kind over all copies."""

    cells: int = 0
    changed: int = 0
    cell: float = 0.0
    mean: float = 0.0
    group: float = 0.0
    percentile: float = 0.0

    def of(self, before: F64, after: F64, groups: list[npt.NDArray[np.int64]]) -> None:
        """Take in one copy's column."""
        step = np.abs(after - before)
        self.cells, self.changed = self.cells + len(step), self.changed + int((step > 0).sum())
        self.cell = max(self.cell, float(step.max()))
        self.mean = max(self.mean, abs(float((after - before).mean())))
        at = np.linspace(0, 100, 101)
        moved = np.abs(np.percentile(after, at) - np.percentile(before, at))
        self.percentile = max(self.percentile, float(moved.max()))
        for group in groups:
            sums = np.bincount(group, after - before) / np.bincount(group)
            self.group = max(self.group, float(np.abs(sums).max()))

    def within(self, tolerance: float) -> bool:
        """Whether no cell and no aggregate moved by more."""
        return max(self.cell, self.mean, self.group, self.percentile) <= tolerance + _ROUNDING


def main() -> None:
    """Tag, compare, print; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="What marks do to the data.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--copies", type=int, default=6)
    options = parser.parse_args()
    print(machine())
    held = []
    for values in (False, True):
        with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as name:
            source, contract, copies = _issued(Path(name), options.rows, options.copies, values)
        print(
            f"\n{'every mark of low bits on' if values else 'as proposed'}: {options.copies} copies of {options.rows:,}"
        )
        held += [_cells(source, copies, values), _mixes(source, contract, copies)]
    print("bars held" if all(held) else "BARS MISSED")
    sys.exit(not all(held))


def _issued(folder: Path, rows: int, copies: int, values: bool) -> tuple[pa.Table, Contract, list[pa.Table]]:
    """The source, its contract, and the copies with their canaries."""
    office, path = Office(folder), folder / "bank.yaml"
    source = bank_table.generate(rows, seed=7)
    pq.write_table(source, folder / "bank.parquet")
    source = pq.read_table(folder / "bank.parquet")
    office.leaktrace("contract", "infer", folder / "bank.parquet", "-o", path)
    text = path.read_text("utf-8")
    if values:
        text = re.sub(r"# (- property: leaktraceMark\n +)#   (value: \{carrier: (amount|time))", r"\1  \2", text)
        for column, tolerance in _TOLERANCES.items():
            text = re.sub(
                rf"(- name: {column}\n(?:(?!- name).*\n)*?.*bits: \d+)\}}", rf"\1, tolerance: {tolerance}}}", text
            )
        path.write_text(text, "utf-8")
    names = [f"E{number}" for number in range(copies)]
    office.issue(folder / "bank.parquet", path, names, "{recipient}.parquet")
    return source, parse(text.encode(), "bank.yaml"), [pq.read_table(folder / f"{name}.parquet") for name in names]


def _without_canaries(source: pa.Table, copy: pa.Table) -> pa.Table:
    real = copy.filter(pc.is_in(copy[_KEY], value_set=source[_KEY].combine_chunks()))
    if not real[_KEY].equals(source[_KEY]):
        raise SystemExit("rows of a copy do not stand in the order of the source")
    return real


def _cells(source: pa.Table, copies: list[pa.Table], values: bool) -> bool:
    """Cells of all columns, aggregates of numbers and times, correlations."""
    groups = [np.unique(source[name].to_pylist(), return_inverse=True)[1].astype(np.int64) for name in _GROUPS]
    moved = {name: Moved() for name in ("balance", "credit_limit", "opened_at")}
    changed = dict.fromkeys(source.column_names, 0)
    correlation = left_in = 0.0
    before = {name: _numbers(source[name]) for name in moved}
    for copy in copies:
        real = _without_canaries(source, copy)
        for name in changed:
            differ = pc.fill_null(pc.not_equal(real[name], source[name]), False)
            changed[name] += int(pc.sum(differ).as_py() or 0)
        after = {name: _numbers(real[name]) for name in moved}
        for name, one in moved.items():
            one.of(before[name], after[name], groups)
        correlation = max(correlation, _correlation(before, after))
        whole = {name: _numbers(copy[name]) for name in moved}
        left_in = max(left_in, *(abs(whole[n].mean() - before[n].mean()) / before[n].std() for n in moved))
    total = source.num_rows * len(copies)
    print("cells changed: " + ", ".join(f"{name} {count / total:.1%}" for name, count in changed.items() if count))
    print(f"  of all cells {sum(changed.values()) / total / len(changed):.2%}")
    held = correlation <= _CORRELATION
    for name, one in moved.items():
        tolerance = _TOLERANCES.get(name, 0.0) if values else 0.0
        held &= one.within(tolerance)
        print(
            f"{name}: cell {one.cell:.3g}, mean {one.mean:.3g}, mean of a group {one.group:.3g}, percentile "
            f"{one.percentile:.3g} (tolerance {tolerance:g})"
        )
    print(f"largest change of a pairwise correlation {correlation:.1e} (bar {_CORRELATION:g})")
    print(f"with the canaries left in, a mean moves by at most {left_in:.4f} standard deviations")
    return bool(held)


def _numbers(column: pa.ChunkedArray) -> F64:
    """A column as numbers; a time in seconds."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("s")).cast(pa.int64())
    return column.cast(pa.float64()).to_numpy()


def _correlation(before: dict[str, F64], after: dict[str, F64]) -> float:
    was, now = (np.asarray(np.corrcoef(np.stack(list(part.values())))) for part in (before, after))
    return float(np.abs(now - was).max())


def _mixes(source: pa.Table, contract: Contract, copies: list[pa.Table]) -> bool:
    """The share of symbol 1 at each site in use, before and after."""
    held = True
    for column in contract.marked():
        assert column.mark is not None  # noqa: S101 - contract.marked() gives only these
        rule = carrier(column.mark)
        mix, skip = column.mark.options.get("mix"), column.mark.options.get("skip", ())
        before = _ones(rule.read(source[column.name].combine_chunks()))
        after = [_ones(rule.read(_without_canaries(source, c)[column.name].combine_chunks())) for c in copies]
        for number, label in enumerate(rule.labels()):
            if label in skip:
                continue
            uneven = mix is not None and (not isinstance(mix, dict) or label in mix)
            share, far = before[number], max(abs(float(one[number] - before[number])) for one in after)
            bar = _stated(OWN_POSITIONS) if uneven else abs(share - 0.5) + _stated(contract.design.length)
            held &= far <= bar
            print(f"mix of {rule.name}/{label}: {share:.3f} moves by at most {far:.4f} (stated {bar:.4f})")
    return held


def _stated(positions: int) -> float:
    """How far a mix may move (decision 0123): four standard deviations of the mean of so many bits."""
    return float(2 / np.sqrt(positions))


def _ones(symbols: npt.NDArray[np.int8]) -> F64:
    return (symbols == 1).sum(axis=0) / np.maximum((symbols >= 0).sum(axis=0), 1)


if __name__ == "__main__":
    main()
