"""How often 20 verbatim rows name the right copy, and how often anybody is named for rows that nobody leaked.

The contract is used exactly as `leaktrace contract infer` wrote it, and everything goes through the command line: 12
exports of the bank table; 50 leaks of 20 rows of one of them; 50 samples of 20 rows of the source itself. Bounds: the
right copy `conclusive` in at least 48 of 50, an innocent in none; for the source, nobody named.

    python -m benchmarks.naming [--leaks 50]
"""

import argparse
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.office import Office, conclusive, machine
from examples import bank_table

_ROWS, _SAMPLE = 20_000, 20
RECIPIENTS = tuple(f"E{1001 + number}" for number in range(12))


def main() -> None:
    """Issue, leak, trace, count."""
    parser = argparse.ArgumentParser(description="How often twenty rows name the right copy.")
    parser.add_argument("--leaks", type=int, default=50)
    leaks = parser.parse_args().leaks
    print(machine())
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as name:
        office = _issued(Path(name))
        with ThreadPoolExecutor(2) as pool:
            of_copies = list(pool.map(lambda number: _leak(office, number), range(leaks)))
            of_source = list(pool.map(lambda number: _source_sample(office, number), range(leaks)))
    right = sum(named == {RECIPIENTS[number % 12]} for number, (named, _) in enumerate(of_copies))
    innocent = sum(bool(named - {RECIPIENTS[number % 12]}) for number, (named, _) in enumerate(of_copies))
    somebody = sum(bool(_named(verdict)) for _, verdict in of_source)
    print(f"{leaks} leaks of {_SAMPLE} rows: right copy conclusive {right}, an innocent conclusive {innocent}")
    print(f"  strength of the copy that leaked: {dict(Counter(_strengths(of_copies)))}")
    print(f"  log10 p of those named: {_spread(of_copies)}")
    print(f"{leaks} samples of the source: somebody named in {somebody}")
    held = right >= leaks * 48 / 50 and innocent == 0 and somebody == 0
    print("bounds held" if held else "BOUNDS BROKEN: 48 of 50 right, no innocent, nobody for the source")
    sys.exit(not held)


def _issued(folder: Path) -> Office:
    bank_table.write(bank_table.generate(_ROWS, seed=7), folder / "bank.parquet")
    office = Office(folder)
    office.leaktrace("contract", "infer", folder / "bank.parquet", "-o", folder / "bank.odcs.yaml")
    office.issue(folder / "bank.parquet", folder / "bank.odcs.yaml", RECIPIENTS, "{recipient}.parquet")
    return office


def _leak(office: Office, number: int) -> tuple[set[str], dict[str, Any]]:
    copy = pq.read_table(office.folder / f"{RECIPIENTS[number % 12]}.parquet")
    return _traced(office, copy, f"leak-{number}", seed=number)


def _source_sample(office: Office, number: int) -> tuple[set[str], dict[str, Any]]:
    return _traced(office, pq.read_table(office.folder / "bank.parquet"), f"source-{number}", seed=1000 + number)


def _traced(office: Office, table: pa.Table, name: str, seed: int) -> tuple[set[str], dict[str, Any]]:
    rows = np.random.default_rng(seed).choice(table.num_rows, _SAMPLE, replace=False)
    sample = office.folder / f"{name}.csv"
    pa_csv.write_csv(table.take(rows), sample)
    verdict = office.trace(sample, f"case-{name}")
    return conclusive(verdict), verdict


def _named(verdict: dict[str, Any]) -> set[str]:
    return {c["recipient"] for c in verdict["attribution"]["candidates"] if c["recipient"]}


def _strengths(traced: list[tuple[set[str], dict[str, Any]]]) -> list[str]:
    """What was said of the copy that leaked; `none` when it was not named at all."""
    said = []
    for number, (_, verdict) in enumerate(traced):
        strengths = {c["recipient"]: c["strength"] for c in verdict["attribution"]["candidates"]}
        said.append(strengths.get(RECIPIENTS[number % 12], "none"))
    return said


def _spread(traced: list[tuple[set[str], dict[str, Any]]]) -> str:
    values = [
        c["log10_p_adjusted"] for named, verdict in traced for c in verdict["attribution"]["candidates"]
        if c["recipient"] in named
    ]  # fmt: skip
    if not values:
        return "none was named"
    low, middle, high = np.quantile(values, (0.0, 0.5, 1.0))
    return f"weakest {high:.1f}, median {middle:.1f}, strongest {low:.1f}"


if __name__ == "__main__":
    main()
