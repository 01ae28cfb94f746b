"""CPU and memory of `leaktrace tag` on 1M and 4M rows of ten columns, against DuckDB's COPY of the same file.

Bounds: at most 5 times COPY's CPU, under 700 MiB and no more memory for more rows; on two cores at most 0.65 times the
wall time of the same command kept on one. Aim: 250,000 rows a CPU-second. Quality checks are left out unless --quality
is given.

    python -m benchmarks.tagging [--rows 1000000 4000000]
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq

from benchmarks.office import COLUMNS, CONTRACT, Cost, Office, machine, measured
from examples import bank_table

_COPY = "import duckdb, sys; duckdb.sql(f\"COPY (FROM '{sys.argv[1]}') TO '{sys.argv[2]}' (FORMAT parquet)\")"
_MOST_RATIO, _MOST_MIB, _MOST_GROWTH, _MOST_WALL = 5.0, 700.0, 1.15, 0.65
_SLICE = 1_000_000
_ROUNDS = 3  # one COPY varies by a fifth, one tag by a tenth, as the machine does: medians of several in turn count


def main() -> None:
    """Measure each size, print ratios, and say whether the bounds hold."""
    parser = argparse.ArgumentParser(description="CPU and memory of tagging against a plain copy.")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument("--quality", action="store_true", help="with the rules of the contract on both files")
    given = parser.parse_args()
    print(machine())
    peaks, held = [], True
    for rows in given.rows:
        with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as folder:
            copy, tag, alone = _measure(Path(folder), rows, () if given.quality else ("--no-quality",))
        ratio = tag.cpu / copy.cpu
        peaks.append(tag.peak)
        wall = tag.wall / alone.wall
        held &= ratio <= _MOST_RATIO and tag.peak < _MOST_MIB and wall <= _MOST_WALL
        print(
            f"{rows:>9,} rows: COPY {copy.cpu:.2f} CPU-s, {copy.peak:.0f} MiB; tag {tag.cpu:.2f} CPU-s, "
            f"{tag.wall:.1f} s wall, {tag.peak:.0f} MiB; ratio {ratio:.2f}; "
            f"{rows / tag.cpu:,.0f} rows a CPU-s; wall {wall:.2f} of one core's"
        )
    growth = peaks[-1] / peaks[0]
    held &= growth <= _MOST_GROWTH
    print(f"memory of the last size over the first: {growth:.2f}")
    print(
        "bounds held"
        if held
        else "BOUNDS BROKEN: 5 times the CPU, 700 MiB, the same memory for more rows, 0.65 of the wall"
    )
    sys.exit(not held)


def _measure(folder: Path, rows: int, options: tuple[str, ...]) -> tuple[Cost, Cost, Cost]:
    """COPY, tagging on all cores, tagging on one: medians of several rounds of all three in turn."""
    source = folder / "bank.parquet"
    _write(source, rows)
    rounds = []
    for number in range(_ROUNDS):
        copy = measured([sys.executable, "-c", _COPY, source, folder / "copy.parquet"])
        tag, alone = (
            # Each has an empty registry: a second export of the same rows costs less.
            Office(folder / f"{name}-{number}").issue(
                source, CONTRACT, ("E1001",), "E1001.parquet", *options, first=first
            )
            for name, first in (("all", ()), ("one", ("taskset", "--cpu-list", "0")))
        )
        rounds.append((copy, tag, alone))
        for name in ("all", "one"):
            shutil.rmtree(folder / f"{name}-{number}")
    copy, tag, alone = (_middle(costs) for costs in zip(*rounds, strict=True))
    return copy, tag, alone


def _middle(costs: Sequence[Cost]) -> Cost:
    """The median of each number, but for memory, of which the most counts."""
    cpu, wall = (median(getattr(cost, name) for cost in costs) for name in ("cpu", "wall"))
    return Cost(wall, cpu, max(cost.peak for cost in costs), "")


def _write(path: Path, rows: int) -> None:
    """Several generated tables in one file; their keys are made distinct by the number of the part."""
    with pq.ParquetWriter(path, bank_table.generate(1, 0).select(range(COLUMNS)).schema) as writer:
        for part, first in enumerate(range(0, rows, _SLICE)):
            table = bank_table.generate(min(_SLICE, rows - first), seed=part, part=part)
            writer.write_table(table.select(range(COLUMNS)), row_group_size=65_536)


if __name__ == "__main__":
    main()
