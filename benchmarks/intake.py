"""What share of the rows of a sample is read, and how many columns are taken for what they are, over a corpus.

The corpus is made by `intake_corpus` from fixed seeds: every format clean and damaged, in several encodings. A row
counts as read when one row of a sheet holds its id number and its phone in their own columns, as the sample shows them.

    python -m benchmarks.intake [--list]
"""

import argparse
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from benchmarks.intake_corpus import Sample, corpus
from pipeline.intake import Said, read_sample
from pipeline.sample_columns import kinds_of
from schemas.errors import InputError

CLEAN_BAR, DAMAGED_BAR, KINDS_BAR = 0.99, 0.95, 0.98


@dataclass(frozen=True)
class Outcome:
    """What was read of one sample: rows of how many, columns right of how many."""

    rows: int
    of_rows: int
    columns: int
    of_columns: int
    wrong: tuple[str, ...]


def read(sample: Sample) -> Outcome:
    """Take one sample in and compare it with what it was made from."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / sample.name
        path.write_bytes(sample.content)
        spool = Path(folder) / "spool"
        spool.mkdir()
        try:
            sheets = read_sample((path,), spool).sheets
        except InputError as error:
            return Outcome(0, len(sample.rows), 0, len(sample.kinds), (str(error),))
        found, kinds, wrong = set(), {}, []
        for sheet in sheets:
            columns = kinds_of(sheet, Said())
            table = sheet.table.to_pydict()
            for cells in zip(*table.values(), strict=True):
                found.add(tuple(cell for cell in cells if cell))
            for column, cells in zip(columns, table.values(), strict=True):
                kinds[frozenset(cell for cell in cells if cell)] = column.kind
    held = {cell: row for row in found for cell in row}
    rows = sum(all(held.get(v) is not None and held.get(v) == held.get(row[0]) for v in row) for row in sample.rows)
    right = 0
    for values, kind in sample.kinds:
        best = max(kinds, key=lambda cells: len(cells & values), default=frozenset())
        is_right = bool(best & values) and kinds[best] in kind
        right += is_right
        if not is_right:
            wrong.append(f"{'/'.join(kind)} taken for {kinds.get(best) if best & values else 'nothing'}")
    return Outcome(rows, len(sample.rows), right, len(sample.kinds), tuple(wrong))


def main() -> int:
    """Print what was measured; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print every sample that is not wholly right")
    arguments = parser.parse_args()
    sums: dict[tuple[str, bool], list[int]] = defaultdict(lambda: [0] * 5)
    samples = corpus()
    for sample in samples:
        outcome = read(sample)
        numbers = (1, outcome.rows, outcome.of_rows, outcome.columns, outcome.of_columns)
        sums[sample.form, sample.damaged] = [
            a + b for a, b in zip(sums[sample.form, sample.damaged], numbers, strict=True)
        ]
        if arguments.list and (outcome.rows < outcome.of_rows or outcome.wrong):
            print(sample.name, f"{outcome.rows}/{outcome.of_rows}", "; ".join(outcome.wrong))
    print(f"{len(samples)} samples")
    missed = len(samples) < 150
    for (form, damaged), (count, rows, of_rows, columns, of_columns) in sorted(sums.items()):
        bar = DAMAGED_BAR if damaged else CLEAN_BAR
        missed |= rows < bar * of_rows
        state = "damaged" if damaged else "clean"
        print(
            f"{form:14} {state:8} {count:3} samples  rows {rows}/{of_rows} = {rows / of_rows:.2%} (bar {bar:.0%})  "
            f"kinds {columns}/{of_columns} = {columns / max(1, of_columns):.2%}"
        )
    right, of = (sum(numbers[n] for numbers in sums.values()) for n in (3, 4))
    missed |= right < KINDS_BAR * of
    print(f"kinds of columns: {right}/{of} = {right / of:.2%} (bar {KINDS_BAR:.0%}): {'missed' if missed else 'held'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
