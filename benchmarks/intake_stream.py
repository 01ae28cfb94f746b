"""A CSV of 1 GB and 10 million rows is taken in with bounded memory, and so is a line of 2 GB.

    python -m benchmarks.intake_stream [--rows 10000000]

The baseline is Arrow's own streaming reader over the same file, in the same run.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.intake import read_sample

_BAR = 1 << 30
_SAID = b"fresh,13800000001\n"


def make(path: Path, rows: int) -> None:
    """Customers of about 100 bytes a row; the numbers differ, so do the rows."""
    with path.open("w", encoding="utf-8") as file:
        file.write("customer_no,name,national_id,phone,email,address\n")
        for first in range(0, rows, 10_000):
            file.write(
                "".join(
                    f"{n:010d},王小明,3301021990{n % 10_000_000:07d}X,138{n % 10**8:08d},"
                    f"wang{n}@example.com,杭州市文一路{n % 999}号\n"
                    for n in range(first, min(first + 10_000, rows))
                )
            )


def measured(way: str, path: Path) -> tuple[float, int, int]:
    """CPU seconds, peak bytes and rows of one way of reading, in a process of its own."""
    code = f"from benchmarks import intake_stream; intake_stream.{way}({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, peak, rows = done.stdout.split()
    return float(seconds), int(peak), int(rows)


def arrow(path: str) -> None:
    """The baseline: Arrow's reader, a batch at a time."""
    import pyarrow.csv as pacsv

    began, rows = time.process_time(), 0
    for batch in pacsv.open_csv(path):
        rows += batch.num_rows
    _say(began, rows)


def ours(path: str) -> None:
    """Our intake."""
    began = time.process_time()
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as spool:
        _say(began, sum(sheet.rows for sheet in read_sample((Path(path),), Path(spool)).sheets))


def _say(began: float, rows: int) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(time.process_time() - began, peak, rows)


def main() -> int:
    """Print what was measured; 1 when memory passes the bar or a row is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--line", type=int, default=2 << 30, help="bytes of the long line")
    arguments = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leak.csv"
        make(path, arguments.rows)
        print(f"{arguments.rows:,} rows, {path.stat().st_size / 1e9:.2f} GB")
        base = measured("arrow", path)
        found = measured("ours", path)
        missed |= found[1] > _BAR or found[2] != arguments.rows
        print(
            f"arrow {base[0]:.1f} CPU-s, {base[1] >> 20} MiB; ours {found[0]:.1f} CPU-s = {found[0] / base[0]:.2f} x, "
            f"{found[1] >> 20} MiB (bar 1,024), {found[2]:,} rows"
        )
        with path.open("wb") as file:
            file.write(_SAID * 500)
            for _ in range(arguments.line >> 20):
                file.write(b"x" * (1 << 20))
            file.write(b"\n" + _SAID * 500)
        seconds, peak, rows = measured("ours", path)
        missed |= peak > _BAR or rows != 1000
        print(
            f"a line of {arguments.line >> 20:,} MiB: {seconds:.1f} CPU-s, {peak >> 20} MiB, "
            f"{rows:,} of 1,000 rows around it"
        )
    print("missed" if missed else "held")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
