"""Wall time of `leaktrace trace` for 20 rows against 12 exports of 20,000; imports included. Bound: 10 s.

python -m benchmarks.trace_small
"""

import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.office import COLUMNS, CONTRACT, Office, machine
from examples import bank_table

_ROWS, _EXPORTS, _SAMPLE, _REPEATS, _MOST_SECONDS = 20_000, 12, 20, 5, 10.0
RECIPIENTS = tuple(f"E{1001 + number}" for number in range(_EXPORTS))


def main() -> None:
    """Issue, trace five different samples, print each time and the median."""
    print(machine())
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as name:
        folder = Path(name)
        bank_table.write(bank_table.generate(_ROWS, seed=7).select(range(COLUMNS)), folder / "bank.parquet")
        office = Office(folder)
        issued = office.issue(folder / "bank.parquet", CONTRACT, RECIPIENTS, "{recipient}.parquet", "--no-quality")
        print(f"{_EXPORTS} copies of {_ROWS:,} rows issued in {issued.wall:.1f} s")
        times = [_trace(office, number) for number in range(_REPEATS)]
    middle = statistics.median(times)
    print(f"trace of {_SAMPLE} rows: {', '.join(f'{t:.1f}' for t in times)} s; median {middle:.1f} s")
    print("bound held" if middle < _MOST_SECONDS else "BOUND BROKEN: 10 s")
    sys.exit(middle >= _MOST_SECONDS)


def _trace(office: Office, number: int) -> float:
    rng = np.random.default_rng(number)
    copy = pq.read_table(office.folder / f"{RECIPIENTS[number]}.parquet")
    sample = office.folder / f"sample-{number}.csv"
    pa_csv.write_csv(copy.take(rng.choice(copy.num_rows, _SAMPLE, replace=False)), sample)
    return office.leaktrace("trace", sample, "-o", office.folder / f"case-{number}").wall


if __name__ == "__main__":
    main()
