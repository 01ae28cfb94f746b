"""CPU and memory of tracing a large leak against a large index, against DuckDB joining the same tokens.

The index is filled by `leaktrace register`; the leak is rows of its first table. Bounds: at most 3 times the CPU of
the join, under 1 GiB, and no more memory for more rows.

    python -m benchmarks.trace_large [--rows 1000000 --index 3100000]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.office import COLUMNS, CONTRACT, Cost, Office, machine, measured
from examples import bank_table
from pipeline.keystore import KeyStore
from schemas.contract import parse
from watermarking.keys import IndexKey
from watermarking.tokens import fields_of, normal_forms, tokens_of

_MOST_RATIO, _MOST_MIB, _MOST_GROWTH = 3.0, 1024.0, 1.15
_SLICE = 1_000_000
_JOIN = """
import sys
from pathlib import Path
from pipeline.storage import attach
con = attach(Path(sys.argv[1]), read_only=True)
con.execute("SET enable_progress_bar = false")
query = f"SELECT count(*) FROM lake.tokens JOIN read_parquet('{sys.argv[2]}') USING (token, kind)"
print(con.execute("SELECT count(*) FROM lake.tokens").fetchone()[0], con.execute(query).fetchone()[0])
"""


def main() -> None:
    """Fill the index once, then measure each size of leak."""
    parser = argparse.ArgumentParser(description="CPU and memory of tracing a large leak.")
    parser.add_argument("--rows", type=int, nargs="+", default=[250_000, 1_000_000], help="sizes of the leak")
    parser.add_argument("--index", type=int, default=3_100_000, help="rows in the index, some 13 tokens each")
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as name:
        office = Office(Path(name))
        tables = [_register(office, part, min(_SLICE, given.index - first))
                  for part, first in enumerate(range(0, given.index, _SLICE))]  # fmt: skip
        results = [_measure(office, tables[0], rows) for rows in given.rows]
    worst, highest = max(trace.cpu / join.cpu for join, trace in results), max(trace.peak for _, trace in results)
    growth = results[-1][1].peak / results[0][1].peak
    print(f"memory of the last size over the first: {growth:.2f}")
    held = worst <= _MOST_RATIO and highest < _MOST_MIB and growth <= _MOST_GROWTH
    print("bounds held" if held else "BOUNDS BROKEN: 3 times the join's CPU, 1 GiB, the same memory for more rows")
    sys.exit(not held)


def _register(office: Office, part: int, rows: int) -> Path:
    path = office.folder / f"bank-{part}.parquet"
    table = bank_table.generate(rows, seed=part, part=part).select(range(COLUMNS))
    pq.write_table(table, path, row_group_size=65_536)
    what = ("--contract", CONTRACT, "--recipient", f"E{part}", "--purpose", "benchmark", "--no-quality")
    office.leaktrace("register", path, *what)
    return path


def _measure(office: Office, source: Path, rows: int) -> tuple[Cost, Cost]:
    leak = pq.read_table(source).slice(0, rows)
    if leak.num_rows < rows:
        raise SystemExit(f"a leak of {rows:,} rows needs an index table as large; give at most {_SLICE:,}")
    sample, tokens = office.folder / f"leak-{rows}.csv", office.folder / f"tokens-{rows}.parquet"
    pa_csv.write_csv(leak, sample)
    _write_tokens(leak, office, tokens)
    join = measured([sys.executable, "-c", _JOIN, office.folder / "registry", tokens])
    trace = office.leaktrace("trace", sample, "-o", office.folder / f"case-{rows}")
    print(
        f"{rows:>9,} rows of {join.output.split()[0]} tokens in the index: join {join.cpu:.2f} CPU-s, "
        f"{join.peak:.0f} MiB; trace {trace.cpu:.2f} CPU-s, {trace.wall:.1f} s wall, {trace.peak:.0f} MiB; "
        f"ratio {trace.cpu / join.cpu:.2f}"
    )
    return join, trace


def _write_tokens(leak: pa.Table, office: Office, path: Path) -> None:
    """The leak's tokens as a table (token, kind), so that the join does only what any look-up must."""
    key, contract = IndexKey(KeyStore(office.folder / "keys").index_key()), parse(CONTRACT.read_bytes(), "contract")
    found = tokens_of(fields_of(normal_forms(leak.combine_chunks(), contract), contract), key)
    parts = [
        pa.table({"token": column.values[column.there], "kind": pa.array([int(column.kind)] * int(column.there.sum()),
                                                                         pa.uint8())})
        for column in found
    ]  # fmt: skip
    pq.write_table(pa.concat_tables(parts), path)


if __name__ == "__main__":
    main()
