"""A registry of years: what it takes on disk, and how long 20 rows take against it; loaded by its own functions.

The table's versions come in by `leaktrace register`, in two halves. Further exports hold a random part of them each,
20 to 67%, so that hardly any two are alike: the costliest case for members. Then as many exports of an unchanged
table. Bounds: 200 bytes a version with its tokens; for exports of an unchanged table 2 bits a row; a trace of 20 rows,
imports included, 8 s (15 s against 10,000 exports) and 1 GiB.

    python -m benchmarks.registry_large [--exports 1000] [--versions 1500000]
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.office import COLUMNS, CONTRACT, Office, machine
from examples import bank_table
from pipeline.keystore import KeyStore
from pipeline.parts import write_index
from pipeline.registry import NewExport, Registry
from pipeline.sealing import commitment, seal_secret
from schemas.contract import parse

_PART = 65_536
_SAMPLE, _TRACES = 20, 3
_BYTES_A_VERSION, _BITS_A_ROW, _MOST_MIB = 200.0, 2.0, 1_024.0
_NOTHING = pa.schema([("token", pa.uint64()), ("kind", pa.uint8()), ("version", pa.uint64())]).empty_table()


def main() -> None:
    """Load, compact, trace; exit code 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description="A large registry: disk and look-ups.")
    parser.add_argument("--exports", type=int, default=1_000)
    parser.add_argument("--versions", type=int, default=1_500_000)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as folder:
        held = run(Path(folder), given.exports, given.versions)
    print("bounds held" if held else "BOUND BROKEN")
    sys.exit(not held)


def run(folder: Path, exports: int, versions: int) -> bool:
    """The whole measurement; whether every bound held."""
    office = Office(folder)
    _register(office, versions)
    office.leaktrace("registry", "compact", "--keep-minutes", "0")
    index = _disk(folder)
    print(f"{versions:,} versions with their tokens: {index / versions:.0f} bytes each (bound {_BYTES_A_VERSION:.0f})")
    begun = time.process_time()
    rows = _load(office, exports)
    loading = time.process_time() - begun
    cost = office.leaktrace("registry", "compact", "--keep-minutes", "0")
    bits = 8 * (_disk(folder) - index) / rows
    print(f"{exports:,} exports of random parts, {rows:,} memberships: {loading / exports:.2f} CPU-s to enter one, "
          f"compaction {cost.cpu:.0f} CPU-s and {cost.peak:.0f} MiB; {bits:.2f} bits a membership")  # fmt: skip
    walls = [_trace(office, number) for number in range(_TRACES)]
    most = 8.0 if exports <= 1_000 else 15.0
    wall, peak = float(np.median([w for w, _ in walls])), max(p for _, p in walls)
    print(f"trace of {_SAMPLE} rows: {', '.join(f'{w:.1f}' for w, _ in walls)} s (bound {most:.0f}), "
          f"{peak:.0f} MiB (bound {_MOST_MIB:.0f})")  # fmt: skip
    before = _disk(folder)
    same = _load(office, exports, whole=True)
    office.leaktrace("registry", "compact", "--keep-minutes", "0")
    unchanged = 8 * (_disk(folder) - before) / same
    print(f"{exports:,} exports of the unchanged table: {unchanged:.3f} bits a membership (bound {_BITS_A_ROW:.0f})")
    return index / versions <= _BYTES_A_VERSION and unchanged <= _BITS_A_ROW and wall < most and peak < _MOST_MIB


def _register(office: Office, versions: int) -> None:
    table = bank_table.generate(versions, seed=7).select(range(COLUMNS))
    for half in range(2):
        source = office.folder / f"half-{half}.parquet"
        pq.write_table(table.slice(half * (versions // 2), versions // 2), source)
        words: list[str | Path] = [
            "register",
            source,
            "--contract",
            CONTRACT,
            "--recipient",
            f"H{half}",
            "--purpose",
            "benchmark",
        ]
        office.leaktrace(*words, "--no-quality")


def _load(office: Office, exports: int, *, whole: bool = False) -> int:
    """Enter exports that hold a random part of the versions, or all of one half; how many memberships they have."""
    keys, total, rng = KeyStore(office.folder / "keys"), 0, np.random.default_rng(11 + whole)
    with Registry.open(str(office.folder / "registry"), issuer=keys.issuer()) as registry:
        with registry.snapshot() as con:
            known = con.execute("SELECT version, record FROM lake.versions ORDER BY number").to_arrow_table()
        contract = parse(CONTRACT.read_bytes(), CONTRACT.name)
        for number in range(exports):
            name = f"{'W' if whole else 'X'}-{number:05d}"
            share = rng.uniform(0.2, 0.67)
            chosen = np.arange(known.num_rows // 2) if whole else np.flatnonzero(rng.random(known.num_rows) < share)
            total += len(chosen)
            with registry.job([name], ()) as folder:
                for part, first in enumerate(range(0, len(chosen), _PART)):
                    rows = known.take(pa.array(chosen[first : first + _PART])).combine_chunks()
                    write_index(rows, _NOTHING, 1, folder, part)
                registry.prepare([_export(keys, name, len(chosen), contract.dataset)], folder, CONTRACT.read_bytes())
                registry.issue([name])
    return total


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


def _trace(office: Office, number: int) -> tuple[float, float]:
    """Wall seconds and MiB of one trace of rows of the first half."""
    table = pq.read_table(office.folder / "half-0.parquet")
    rows = table.take(np.random.default_rng(number).choice(table.num_rows, _SAMPLE, replace=False))
    sample = office.folder / f"sample-{number}.csv"
    pa_csv.write_csv(rows, sample)
    cost = office.leaktrace("trace", sample, "-o", office.folder / f"case-{number}")
    return cost.wall, cost.peak


def _disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "registry").rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
