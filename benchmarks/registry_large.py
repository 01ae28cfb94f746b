"""A registry of years: what it takes on disk, and how long 20 rows take against it; loaded by its own functions.

The table's versions come in by `leaktrace register`, in two halves. Further exports hold a random part of them each,
20 to 67%, so that hardly any two are alike: the costliest case for members. Then --more exports of the same parts, and
as many exports of an unchanged table as there were parts, 30 recipients a job. Bounds: 200 bytes a version with its
tokens; for exports of an unchanged table 2 bits a row; a trace of 20 rows, imports included, 8 s (15 s against 10,000
exports) and 1 GiB.

It takes an hour or more, so it goes in parts: with --folder the registry and what was measured stay there, --minutes
ends it between two steps, and the same command goes on.

    python -m benchmarks.registry_large [--exports 1000] [--more 9000] [--versions 1500000] [--folder DIR --minutes 9]
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.office import COLUMNS, CONTRACT, Office, OutOfTimeError, Steps, machine
from examples import bank_table
from pipeline.keystore import KeyStore
from pipeline.parts import write_index
from pipeline.registry import NewExport, Registry
from pipeline.sealing import commitment, seal_secret
from schemas.contract import parse

_PART = 65_536
_SAMPLE, _TRACES = 20, 3
_RECIPIENTS = 30  # of a job that issues a part again
_BYTES_A_VERSION, _BITS_A_ROW, _MOST_MIB = 200.0, 2.0, 1_024.0
_NOTHING = pa.schema([("token", pa.uint64()), ("kind", pa.uint8()), ("version", pa.uint64())]).empty_table()


def main() -> None:
    """Load, compact, trace; exit code 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description="A large registry: disk and look-ups.")
    parser.add_argument("--exports", type=int, default=1_000)
    parser.add_argument("--more", type=int, default=9_000, help="exports of the same parts to further recipients")
    parser.add_argument("--versions", type=int, default=1_500_000)
    parser.add_argument("--folder", type=Path, help="keep the registry and what was measured here, and go on from it")
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after so many, between two steps")
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as folder:
        try:
            held = run(given.folder or Path(folder), given.exports, given.more, given.versions, given.minutes)
        except OutOfTimeError:
            sys.exit(f"not done yet; the same command goes on with what lies in {given.folder}")
    print("bounds held" if held else "BOUND BROKEN")
    sys.exit(not held)


def run(folder: Path, exports: int, more: int, versions: int, minutes: float) -> bool:
    """The whole measurement, or what is left of it; whether every bound held."""
    office, steps = Office(folder, again=True), Steps(folder / "measured.json", minutes)
    for half in range(2):
        steps.take(f"half {half}", partial(_register, office, half, versions))
    steps.take("compacted", partial(_compact, office))
    index = steps.take("index", partial(_disk, folder))
    print(f"{versions:,} versions with their tokens: {index / versions:.0f} bytes each (bound {_BYTES_A_VERSION:.0f})")
    rows, loading = _load(office, steps, "X", exports)
    cost = steps.take("random compacted", partial(_compact, office))
    before = steps.take("random", partial(_disk, folder))
    print(f"{exports:,} exports of random parts, {rows:,} memberships: {loading / exports:.2f} CPU-s to enter one, "
          f"compaction {cost['cpu']:.0f} CPU-s and {cost['peak']:.0f} MiB; {8 * (before - index) / rows:.2f} bits a "
          "membership")  # fmt: skip
    held = _traces(office, steps, "trace", exports)
    _load(office, steps, "M", more // _RECIPIENTS, recipients=_RECIPIENTS)
    steps.take("more compacted", partial(_compact, office))
    between = steps.take("more", partial(_disk, folder))
    held &= _traces(office, steps, "trace of more", exports + more // _RECIPIENTS * _RECIPIENTS)
    jobs = -(-exports // _RECIPIENTS)
    same, _ = _load(office, steps, "W", jobs, recipients=_RECIPIENTS, whole=True)
    steps.take("unchanged compacted", partial(_compact, office))
    after = steps.take("unchanged", partial(_disk, folder))
    unchanged = 8 * (after - between) / same
    print(f"{jobs * _RECIPIENTS:,} exports of the unchanged table: {(after - between) / 1e6:.1f} MB, {unchanged:.3f} "
          f"bits a membership (bound {_BITS_A_ROW:.0f})")  # fmt: skip
    return held and index / versions <= _BYTES_A_VERSION and unchanged <= _BITS_A_ROW


def _traces(office: Office, steps: Steps, name: str, exports: int) -> bool:
    """Trace 20 rows, three times; whether the bounds held."""
    traces = [steps.take(f"{name} {number}", partial(_trace, office, name, number)) for number in range(_TRACES)]
    most = 8.0 if exports <= 1_000 else 15.0
    wall, peak = float(np.median([t["wall"] for t in traces])), max(t["peak"] for t in traces)
    walls, cpus = (", ".join(f"{t[part]:.1f}" for t in traces) for part in ("wall", "cpu"))
    print(f"trace of {_SAMPLE} rows against {exports:,} exports: {walls} s (bound {most:.0f}), {cpus} CPU-s, "
          f"{peak:.0f} MiB (bound {_MOST_MIB:.0f})")  # fmt: skip
    return wall < most and peak < _MOST_MIB


def _register(office: Office, half: int, versions: int) -> dict[str, float]:
    table = bank_table.generate(versions, seed=7).select(range(COLUMNS))
    source = office.folder / f"half-{half}.parquet"
    pq.write_table(table.slice(half * (versions // 2), versions // 2), source)
    whom = ["--contract", str(CONTRACT), "--recipient", f"H{half}", "--purpose", "benchmark"]
    return office.leaktrace("register", source, *whom, "--no-quality").numbers


def _compact(office: Office) -> dict[str, float]:
    return office.leaktrace("registry", "compact", "--keep-minutes", "0").numbers


def _load(
    office: Office, steps: Steps, prefix: str, jobs: int, *, recipients: int = 1, whole: bool = False
) -> tuple[int, float]:
    """Enter exports that hold a random part of the versions, or all of one half: (memberships, CPU seconds) in all.

    Each job enters one part, the same for every prefix, for so many recipients.
    """
    keys, contract = KeyStore(office.folder / "keys"), parse(CONTRACT.read_bytes(), CONTRACT.name)
    rows, seconds = steps.done.get(f"loaded {prefix}", [0, 0.0])
    with Registry.open(str(office.folder / "registry"), issuer=keys.issuer()) as registry:
        registry.recover()
        with registry.snapshot() as con:
            known = con.execute("SELECT version, record FROM lake.versions ORDER BY number").to_arrow_table()
        known = known.combine_chunks()
        there = set(registry.exports()["export_id"].to_pylist())
        for number in range(jobs):
            names = [f"{prefix}-{number:05d}" + (f"-{one}" if one else "") for one in range(recipients)]
            if names[0] in there:
                continue
            steps.check_time()
            begun, rng = time.process_time(), np.random.default_rng((11, number))
            part = rng.random(known.num_rows) < rng.uniform(0.2, 0.67)
            chosen = np.arange(known.num_rows // 2) if whole else np.flatnonzero(part)
            made = [_export(keys, name, len(chosen), contract.dataset) for name in names]
            _enter(registry, made, known.take(pa.array(chosen)))
            rows, seconds = rows + recipients * len(chosen), seconds + time.process_time() - begun
            steps.done[f"loaded {prefix}"] = [rows, seconds]
            steps.path.write_text(json.dumps(steps.done, indent=1))
    return rows, seconds


def _enter(registry: Registry, exports: Sequence[NewExport], rows: pa.Table) -> None:
    """Enter the exports of one job, of rows (version, record) that are known, in parts as workers leave them."""
    ids = [export.export_id for export in exports]
    with registry.job(ids, ()) as folder:
        for part, first in enumerate(range(0, rows.num_rows, _PART)):
            write_index(rows.slice(first, _PART), _NOTHING, 1, folder, part)
        registry.prepare(exports, folder, CONTRACT.read_bytes())
        registry.issue(ids)


def _export(keys: KeyStore, name: str, rows: int, dataset: str) -> NewExport:
    secret, nonce = hashlib.sha256(name.encode()).digest(), os.urandom(32)
    recipient = f"E{name}"
    sealed = seal_secret(
        keys.officer_public(), export_id=name, dataset=dataset, recipient=recipient, nonce=nonce, secret=secret,
        canaries=[],
    )  # fmt: skip
    digest = hashlib.sha256(CONTRACT.read_bytes()).hexdigest()
    return NewExport(
        name, dataset, recipient, "benchmark", name, 1, None, rows, rows, 0, 0, None, digest, "skipped",
        commitment(name, nonce, secret, []), sealed, None, None,
    )  # fmt: skip


def _trace(office: Office, name: str, number: int) -> dict[str, float]:
    """What one trace of rows of the first half cost."""
    table = pq.read_table(office.folder / "half-0.parquet")
    rows = table.take(np.random.default_rng(number).choice(table.num_rows, _SAMPLE, replace=False))
    sample = office.folder / f"sample-{number}.csv"
    pa_csv.write_csv(rows, sample)
    case = office.folder / f"{name.replace(' ', '-')}-{number}"
    return office.leaktrace("trace", sample, "-o", case).numbers


def _disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "registry").rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
