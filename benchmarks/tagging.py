"""CPU and memory of `leaktrace tag` on 1M and 4M rows of ten columns, against DuckDB's COPY of the same file.

Bounds of the first release: at most 8 times COPY's CPU, under 1 GiB, and no more memory for four times the rows.

    python -m benchmarks.tagging [--rows 1000000 4000000]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.office import COLUMNS, CONTRACT, Cost, Office, machine, measured
from examples import bank_table

_COPY = "import duckdb, sys; duckdb.sql(f\"COPY (FROM '{sys.argv[1]}') TO '{sys.argv[2]}' (FORMAT parquet)\")"
_MOST_RATIO, _MOST_MIB, _MOST_GROWTH = 8.0, 1024.0, 1.15
_SLICE = 1_000_000
_COPIES = 5  # one COPY varies by a fifth; the median counts


def main() -> None:
    """Measure each size, print ratios, and say whether the bounds hold."""
    parser = argparse.ArgumentParser(description="CPU and memory of tagging against a plain copy.")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 4_000_000])
    print(machine())
    peaks, held = [], True
    for rows in parser.parse_args().rows:
        with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as folder:
            copy, tag = _measure(Path(folder), rows)
        ratio = tag.cpu / copy.cpu
        peaks.append(tag.peak)
        held &= ratio <= _MOST_RATIO and tag.peak < _MOST_MIB
        print(
            f"{rows:>9,} rows: COPY {copy.cpu:.2f} CPU-s, {copy.peak:.0f} MiB; tag {tag.cpu:.2f} CPU-s, "
            f"{tag.wall:.1f} s wall, {tag.peak:.0f} MiB; ratio {ratio:.2f}"
        )
    growth = peaks[-1] / peaks[0]
    held &= growth <= _MOST_GROWTH
    print(f"memory of the last size over the first: {growth:.2f}")
    print("bounds held" if held else "BOUNDS BROKEN: 8 times the CPU, 1 GiB, the same memory for more rows")
    sys.exit(not held)


def _measure(folder: Path, rows: int) -> tuple[Cost, Cost]:
    source = folder / "bank.parquet"
    _write(source, rows)
    office = Office(folder)
    copies = [measured([sys.executable, "-c", _COPY, source, folder / "copy.parquet"]) for _ in range(_COPIES)]
    copy = sorted(copies, key=lambda cost: cost.cpu)[_COPIES // 2]
    tag = office.issue(source, CONTRACT, ("E1001",), "E1001.parquet", "--no-quality")
    return copy, tag


def _write(path: Path, rows: int) -> None:
    """Several generated tables in one file; their keys are made distinct by the number of the part."""
    with pq.ParquetWriter(path, bank_table.generate(1, 0).select(range(COLUMNS)).schema) as writer:
        for part, first in enumerate(range(0, rows, _SLICE)):
            table = bank_table.generate(min(_SLICE, rows - first), seed=part, part=part)
            writer.write_table(table.select(range(COLUMNS)), row_group_size=65_536)


if __name__ == "__main__":
    main()
