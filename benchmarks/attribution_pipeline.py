"""The table of `benchmarks.attribution` through the whole pipeline: tag, leak, attack, trace.

Real files, a real registry with 10,000 (2,000) copies of one table whose rows have four (three) sites each; every trial
takes rows of the copies' files, attacks them as tables, and traces them with `pipeline.trace`. No canaries, so only
marks speak. And 200 samples of rows of the source, which no copy produced, through the command line. Bars: those of the
kernel's table, on as many trials as asked for; an innocent in none.

    python -m benchmarks.attribution_pipeline --folder FOLDER [--trials 20] [--design mix50] [--rows 0,1,2,…]

The folder keeps registries and verdicts, so that an interrupted run goes on where it stopped.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.attribution import CELLS
from benchmarks.office import conclusive, machine
from pipeline.budget import set_budget
from pipeline.cli import main as command_line
from pipeline.keystore import KeyStore, init_keys
from pipeline.registry import Registry, create
from pipeline.tagging import TagRequest, tag
from pipeline.tracing import TraceRequest, trace
from schemas.contract import parse
from watermarking.attacks import flip_symbols, mix_cells, mix_rows, rewrite, sample_rows
from watermarking.keys import IndexKey
from watermarking.selection import MarkedColumn, plan

Marked = tuple[MarkedColumn, ...]
Attack = Callable[[list[pa.Table], Marked, np.random.Generator], pa.Table]
_CONTRACT = """\
kind: DataContract
apiVersion: v3.0.2
id: benchmark
version: 1.0.0
status: active
schema:
  - name: table
    properties:
      - name: number
        logicalType: string
        primaryKey: true
        customProperties: [{{property: leaktraceKind, value: id}}]
      - {{name: phone, logicalType: string, customProperties: [{{property: leaktraceKind, value: phone}}]}}
      - {{name: email, logicalType: string, customProperties: [{{property: leaktraceKind, value: email}}]}}
      - name: opened
        logicalType: string
        customProperties:
          - {{property: leaktraceKind, value: timestamp}}
          - {{property: leaktraceMark, value: {{carrier: timestamp_second, bits: 2}}}}
      - name: seen
        logicalType: string
        customProperties:
          - {{property: leaktraceKind, value: timestamp}}
          - {{property: leaktraceMark, value: {{carrier: timestamp_second, bits: {bits}}}}}
    customProperties:
      - {{property: leaktraceCodeDesign, value: {design}}}
      - {{property: leaktraceCanaryDensity, value: 0}}
"""


@dataclass(frozen=True)
class World:
    """A registry of many copies of one table, in its folder."""

    folder: Path
    copies: int

    def path(self, number: int) -> Path:
        """The file of one copy."""
        return self.folder / "out" / f"E{number:05d}.parquet"


def _one(rows: int, wrong: float) -> Attack:
    return lambda copies, marked, rng: flip_symbols(sample_rows(copies[0], rows, rng), marked, wrong, rng)


# By number of the kernel's cell: sites of a row and what is done to the files.
ATTACKS: dict[int, tuple[int, Attack]] = {
    0: (4, _one(12, 0.0)),
    1: (4, _one(12, 0.01)),
    2: (3, _one(20, 0.05)),
    3: (3, _one(24, 0.05)),
    4: (3, _one(100, 0.25)),
    5: (3, lambda copies, marked, rng: sample_rows(mix_rows(copies, "number", rng), 100, rng)),
    6: (3, lambda copies, marked, rng: sample_rows(mix_cells(copies, "number", marked, "minority", rng), 500, rng)),
    7: (3, lambda copies, marked, rng: sample_rows(mix_cells(copies, "number", marked, "all_ones", rng), 500, rng)),
    8: (4, lambda copies, marked, rng: rewrite(sample_rows(copies[0], 60, rng), marked[0], 1)),
}


def main() -> None:
    """Every row of the table; exit code 1 when an innocent was named or a bar is missed."""
    parser = argparse.ArgumentParser(description="Leaks through the whole pipeline.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--design", default="mix50", help="a design, or `best`: the one that suits each row best")
    parser.add_argument("--rows", default=",".join(map(str, ATTACKS)), help="rows of the table, from 0")
    parser.add_argument("--family", type=int, help="copies a registry holds, in place of 10,000 and 2,000")
    parser.add_argument("--nobody", type=int, default=200, help="samples of the source, through the command line")
    options = parser.parse_args()
    print(machine())
    held = []
    for number in map(int, options.rows.split(",")):
        cell, (sites, attack) = CELLS[number], ATTACKS[number]
        design = cell.best if options.design == "best" else options.design
        world = _world(options.folder, options.family or cell.family, sites, design)
        right = every = wrong = 0
        for trial in range(options.trials):
            named, guilty = _trial(world, number, attack, cell.copies, trial)
            right += bool(named & guilty)
            every += guilty <= named
            wrong += bool(named - guilty)
        share, bar = right / options.trials, cell.bars[design != cell.best]
        good = wrong == 0 and share >= bar and (not cell.bars_all or every / options.trials >= cell.bars_all[0])
        held.append(good)
        said = f"right {right}, all {every} of {options.trials} (bar {bar:.2f}), innocents {wrong}"
        print(f"{'ok  ' if good else 'MISS'} {cell.name}, {design}, {world.copies:,} copies: {said}", flush=True)
    if options.nobody:
        held.append(_nobody(_world(options.folder, options.family or 2_000, 4, "mix50"), options.nobody))
    sys.exit(not all(held))


def _world(folder: Path, copies: int, sites: int, design: str) -> World:
    """Make a registry of many copies, once."""
    world = World(folder / f"{design}-{sites}-{copies}", copies)
    if (world.folder / "made").exists():
        return world
    (world.folder / "out").mkdir(parents=True)
    pq.write_table(_table(700 if copies <= 2_000 else 200), world.folder / "source.parquet")
    (world.folder / "contract.yaml").write_text(_CONTRACT.format(bits=sites - 2, design=design), "utf-8")
    init_keys(world.folder / "keys")
    create(str(world.folder / "registry"))
    with Registry.open(str(world.folder / "registry"), issuer=KeyStore(world.folder / "keys").issuer()) as registry:
        set_budget(registry, 0.05)  # far more trials than an organisation has cases
    request = TagRequest(
        source=world.folder / "source.parquet", contract=world.folder / "contract.yaml",
        recipients=tuple(f"E{n:05d}" for n in range(copies)), purpose="benchmark",
        output=str(world.folder / "out" / "{recipient}.parquet"), registry=str(world.folder / "registry"),
        keys=world.folder / "keys", quality=False,
    )  # fmt: skip
    tag(request, lambda text: None)
    (world.folder / "made").touch()
    return world


def _table(rows: int) -> pa.Table:
    rng = np.random.default_rng(41)
    times = [np.datetime64("2020-01-01T00:00:00") + rng.integers(3_600, 10**8, rows) for _ in range(2)]
    opened, seen = ([str(t).replace("T", " ") for t in column] for column in times)
    return pa.table(
        {
            "number": [f"N{n:07d}" for n in range(rows)],
            "phone": [f"1380000{n:04d}" for n in range(rows)],
            "email": [f"person{n}@example.org" for n in range(rows)],
            "opened": opened,
            "seen": seen,
        }
    )


def _trial(world: World, cell: int, attack: Attack, copies: int, trial: int) -> tuple[set[str], set[str]]:
    """Who is named, and who leaked."""
    rng = np.random.default_rng([42, cell, trial])
    guilty = rng.choice(world.copies, copies, replace=False).tolist()
    case, sample = world.folder / f"case-{cell}-{trial}", world.folder / f"leak-{cell}-{trial}.csv"
    if not (case / "verdict.json").exists():
        key = IndexKey(KeyStore(world.folder / "keys").index_key())
        marked = plan(parse((world.folder / "contract.yaml").read_bytes(), "contract"), key).columns
        pa_csv.write_csv(attack([pq.read_table(world.path(n)) for n in guilty], marked, rng), sample)
        request = TraceRequest((sample,), case, str(world.folder / "registry"), world.folder / "keys")
        trace(request, lambda text: None)
    verdict = json.loads((case / "verdict.json").read_text("utf-8"))
    return conclusive(verdict), {f"E{n:05d}" for n in guilty}


def _nobody(world: World, samples: int) -> bool:
    """Rows of the source itself, traced by the command line: nobody may be conclusive."""
    named = 0
    roots = ["--registry", str(world.folder / "registry"), "--keys", str(world.folder / "keys")]
    for number in range(samples):
        case, sample = world.folder / f"nobody-{number}", world.folder / f"nobody-{number}.csv"
        if not (case / "verdict.json").exists():
            rng = np.random.default_rng([43, number])
            rows = sample_rows(pq.read_table(world.folder / "source.parquet"), int(rng.choice([12, 40, 200])), rng)
            pa_csv.write_csv(rows, sample)
            if command_line([*roots, "trace", str(sample), "-o", str(case), "-q"]):  # in this process: no imports
                raise SystemExit(f"{sample} could not be traced")
        named += bool(conclusive(json.loads((case / "verdict.json").read_text("utf-8"))))
    print(f"samples that no copy produced, through the command line: {samples}, somebody named in {named}")
    return named == 0


if __name__ == "__main__":
    main()
