"""CPU and memory of tracing a large leak against a large index, against DuckDB joining the same tokens.

The index is filled by `leaktrace register`. A leak is rows of its tables, one after another, and from the first again
when they are through; whole, or without the key column. One row in 200 is nobody's of these, as a copy's canaries are:
such a row is found by nothing, so it is searched for. Bounds: at most 3 times the CPU of the join, under 1 GiB, and no
more memory for more rows.

It goes in parts: with --folder the registry and what was measured stay there, --minutes ends it between two steps, and
the same command goes on.

    python -m benchmarks.trace_large [--rows 250000 1000000] [--keyless 1000000] [--folder DIR --minutes 9]
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.office import COLUMNS, CONTRACT, Office, OutOfTimeError, Steps, machine, measured
from examples import bank_table
from pipeline.keystore import KeyStore
from schemas.contract import parse
from watermarking.keys import IndexKey
from watermarking.tokens import TokenKind, fields_of, normal_forms, tokens_of

_MOST_RATIO, _MOST_MIB, _MOST_GROWTH = 3.0, 1024.0, 1.15
_SLICE = 1_000_000
_BATCH = 131_072
_STRANGE = 200
_NOBODYS = 8  # a part of the generator's numbers that no table has
_KEY = "customer_no"
_JOIN = """
import sys
from pathlib import Path
from pipeline.storage import attach
con = attach(Path(sys.argv[1]), read_only=True)
con.execute("SET enable_progress_bar = false")
query = f"SELECT count(*), bit_xor(version) FROM lake.tokens JOIN read_parquet('{sys.argv[2]}') USING (token, kind)"
print(con.execute("SELECT count(*) FROM lake.tokens").fetchone()[0], con.execute(query).fetchone()[0])
"""


def main() -> None:
    """Fill the index once, then measure each leak; exit code 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description="CPU and memory of tracing a large leak.")
    parser.add_argument("--rows", type=int, nargs="*", default=[250_000, 1_000_000], help="sizes of whole leaks")
    parser.add_argument("--keyless", type=int, nargs="*", default=[1_000_000], help="sizes of leaks without the key")
    parser.add_argument("--index", type=int, default=3_100_000, help="rows in the index, some 13 tokens each")
    parser.add_argument("--folder", type=Path, help="keep the registry and what was measured here, and go on from it")
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after so many, between two steps")
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as name:
        office = Office(given.folder or Path(name), again=True)
        steps = Steps(office.folder / "measured.json", given.minutes)
        try:
            tables = _index(office, steps, given.index)
            whole = [_measure(office, steps, tables, rows, drop=[]) for rows in given.rows]
            keyless = [_measure(office, steps, tables, rows, drop=[_KEY]) for rows in given.keyless]
        except OutOfTimeError:
            sys.exit(f"not done yet; the same command goes on with what lies in {given.folder}")
    results = whole + keyless
    growth = whole[-1]["trace"]["peak"] / whole[0]["trace"]["peak"] if whole else 1.0
    print(f"memory of the last size over the first: {growth:.2f}")
    worst = max(one["trace"]["cpu"] / one["join"]["cpu"] for one in results)
    highest = max(one["trace"]["peak"] for one in results)
    held = worst <= _MOST_RATIO and highest < _MOST_MIB and growth <= _MOST_GROWTH
    print("bounds held" if held else "BOUNDS BROKEN: 3 times the join's CPU, 1 GiB, the same memory for more rows")
    sys.exit(not held)


def _index(office: Office, steps: Steps, rows: int) -> list[Path]:
    """Register tables of a million rows each; where they lie."""
    tables = []
    for part, first in enumerate(range(0, rows, _SLICE)):
        tables.append(office.folder / f"bank-{part}.parquet")
        steps.take(f"table {part}", partial(_register, office, tables[-1], part, min(_SLICE, rows - first)))
    return tables


def _register(office: Office, path: Path, part: int, rows: int) -> dict[str, float]:
    table = bank_table.generate(rows, seed=part, part=part).select(range(COLUMNS))
    pq.write_table(table, path, row_group_size=65_536)
    what = ("--contract", CONTRACT, "--recipient", f"E{part}", "--purpose", "benchmark", "--no-quality")
    return office.leaktrace("register", path, *what).numbers


def _measure(
    office: Office, steps: Steps, tables: Sequence[Path], rows: int, *, drop: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """What the join and the trace of a leak cost."""
    name = f"{rows} rows{' without key' if drop else ''}"
    join = steps.take(f"join {name}", partial(_join, office, tables, rows, drop))
    trace = steps.take(f"trace {name}", partial(_trace, office, name.replace(" ", "-"), tables, rows, drop))
    print(
        f"{rows:>10,} {'rows without the key' if drop else 'whole rows'}, {join['index']:,} tokens in the index: join "
        f"{join['cpu']:.2f} CPU-s, {join['peak']:.0f} MiB; trace {trace['cpu']:.2f} CPU-s, {trace['wall']:.1f} s wall, "
        f"{trace['peak']:.0f} MiB; ratio {trace['cpu'] / join['cpu']:.2f}"
    )
    return {"join": join, "trace": trace}


def _leak(tables: Sequence[Path], rows: int, drop: Sequence[str]) -> Iterator[pa.Table]:
    """Rows of the tables, from the first again when they are through, in batches."""
    left = rows
    while left:
        for path in tables:
            for batch in pq.ParquetFile(path).iter_batches(_BATCH):
                if left:
                    part = pa.Table.from_batches([batch.slice(0, left)])
                    strange = bank_table.generate(-(-part.num_rows // _STRANGE), seed=left, part=_NOBODYS)
                    yield _with_strangers(part, strange.select(range(COLUMNS))).drop_columns(list(drop))
                    left -= part.num_rows


def _with_strangers(part: pa.Table, strange: pa.Table) -> pa.Table:
    """The rows with every 200th one a stranger's."""
    at = np.arange(part.num_rows)
    at[::_STRANGE] = part.num_rows + np.arange(strange.num_rows)
    return pa.concat_tables([part, strange.cast(part.schema)]).take(pa.array(at))


def _trace(office: Office, name: str, tables: Sequence[Path], rows: int, drop: Sequence[str]) -> dict[str, float]:
    sample, writer = office.folder / f"leak-{name}.csv", None
    for part in _leak(tables, rows, drop):
        writer = writer or pa_csv.CSVWriter(sample, part.schema)
        writer.write(part)
    if writer is not None:
        writer.close()
    try:
        return office.leaktrace("trace", sample, "-o", office.folder / f"case-{name}").numbers
    finally:
        sample.unlink()


def _join(office: Office, tables: Sequence[Path], rows: int, drop: Sequence[str]) -> dict[str, float]:
    """DuckDB joins the leak's tokens, made beforehand, with the index: what any look-up must do.

    It reads every column of the index that a look-up needs, the versions too; making what it finds a table would cost
    it more, and is left out.
    """
    path, writer = office.folder / "tokens.parquet", None
    key, contract = IndexKey(KeyStore(office.folder / "keys").index_key()), parse(CONTRACT.read_bytes(), "contract")
    for part in _leak(tables, rows, []):  # the contract's fields need every column
        for column in tokens_of(fields_of(normal_forms(part.combine_chunks(), contract), contract), key):
            if drop and column.kind is TokenKind.ID:
                continue
            kind = pa.array([int(column.kind)] * int(column.there.sum()), pa.uint8())
            table = pa.table({"token": column.values[column.there], "kind": kind})
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    if writer is not None:
        writer.close()
    cost = measured([sys.executable, "-c", _JOIN, office.folder / "registry", path])
    path.unlink()
    return cost.numbers | {"index": int(cost.output.split()[0])}


if __name__ == "__main__":
    main()
