"""CPU of a job for 500 recipients of 20,000 rows, a row written, against one tag command for one recipient.

Bound: 1.3 times a single tag's CPU a row. What starting a process costs (Beam's import is most of it) is measured by
tagging 100 rows, and is taken from both, because a job pays it once and would look better than it is.

    python -m benchmarks.many_recipients [--recipients 500] [--rows 20000]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.office import COLUMNS, CONTRACT, Cost, Office, machine
from examples import bank_table

_MOST = 1.3
_JOB = """jobs:
  - name: many
    source: bank.parquet
    contract: {contract}
    recipients: [{recipients}]
    purpose: benchmark
    output: "out/{{recipient}}.parquet"
    quality: false
"""


def main() -> None:
    """Measure, print, and say whether the bound holds."""
    parser = argparse.ArgumentParser(description="CPU of a job for many recipients.")
    parser.add_argument("--recipients", type=int, default=500)
    parser.add_argument("--rows", type=int, default=20_000)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as folder:
        start, single, job = _measure(Path(folder), given.rows, given.recipients)
    one = (single.cpu - start.cpu) / given.rows
    many = (job.cpu - start.cpu) / (given.rows * given.recipients)
    print(f"start: {start.cpu:.2f} CPU-s; single tag: {single.cpu:.2f} CPU-s, {single.peak:.0f} MiB")
    print(f"job of {given.recipients}: {job.cpu:.1f} CPU-s, {job.wall:.0f} s wall, {job.peak:.0f} MiB")
    print(f"a row written: single {one * 1e6:.1f} us, job {many * 1e6:.1f} us, ratio {many / one:.2f}")
    held = many <= _MOST * one
    print("bound held" if held else f"BOUND BROKEN: {_MOST} times a single tag's CPU a row")
    sys.exit(not held)


def _measure(folder: Path, rows: int, recipients: int) -> tuple[Cost, Cost, Cost]:
    table = bank_table.generate(rows, 1).select(range(COLUMNS))
    pq.write_table(table, folder / "bank.parquet")
    pq.write_table(table.slice(0, 100), folder / "small.parquet")
    job = _JOB.format(contract=CONTRACT, recipients=", ".join(f"E{n}" for n in range(recipients)))
    (folder / "jobs.yaml").write_text(job, "utf-8")
    office = Office(folder)
    start = office.issue(folder / "small.parquet", CONTRACT, ("S1",), "small-copy.parquet", "--no-quality")
    single = office.issue(folder / "bank.parquet", CONTRACT, ("S1",), "copy.parquet", "--no-quality")
    return start, single, office.leaktrace("run", folder / "jobs.yaml")


if __name__ == "__main__":
    main()
