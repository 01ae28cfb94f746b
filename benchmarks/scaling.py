"""What a million exports and 10^11 memberships cost, by measurement in the small, simulation and arithmetic.

1. Bits a membership: tiles of simulated exports, written as the registry writes them, for four kinds of tables.
2. What entering an export costs, most of it while the registry's lock is held: measured at two sizes, hence a part for
   the export and a part for each row. Opening the registry and staging are in it, so the lock is held less than this.
3. A simulation of a cluster: workers tag at a measured speed, then each export waits for its turn at the lock. Which
   stage is busy first, for how many workers.

    python -m benchmarks.scaling
"""

import heapq
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.office import machine
from pipeline.tiles import SPAN

_VERSIONS, _EXPORTS = 262_144, 200
_TAG_SECONDS_A_ROW = 10e-6  # CPU, benchmarks/results: 8 to 10 µs
_ROWS = 100_000  # of an export of the arithmetic: 10^11 memberships in 10^6 exports
_BYTES_A_VERSION = 200
_WORKERS = (1, 2, 4, 8, 16, 32, 64, 128)


def main() -> None:
    """Measure, simulate, print; exit code 1 when an unchanged table costs more than 2 bits a row."""
    print(machine())
    print(f"\n{_EXPORTS} exports over {_VERSIONS:,} versions, as tiles:\n\n| table | bits a membership |\n|---|---|")
    bits = {}
    for name, drawn in _TABLES.items():
        bits[name] = bits_a_membership(drawn)
        print(f"| {name} | {bits[name]:.3f} |")
    fixed, per_row = lock_seconds()
    print(f"\nentering an export of known rows costs {1e3 * fixed:.0f} ms of CPU and {1e6 * per_row:.2f} µs a row")
    held = fixed + per_row * _ROWS
    print(f"\n{_ROWS:,} rows an export:\n\n| workers | exports an hour | workers busy | lock busy |\n|---|---|---|---|")
    for workers in _WORKERS:
        an_hour, worker_load, lock_load = simulate(workers, _ROWS * _TAG_SECONDS_A_ROW, held)
        print(f"| {workers} | {an_hour:,.0f} | {worker_load:.0%} | {lock_load:.0%} |")
    print()
    for name, cost in bits.items():
        print(f"10^11 memberships, {name}: {1e11 * cost / 8 / 1e9:,.2f} GB")
    print(f"10^9 versions with their tokens: {1e9 * _BYTES_A_VERSION / 1e12:.1f} TB")
    print(f"10^6 exports: lines and receipts about {1e6 * 3_000 / 1e9:.0f} GB in the catalogue")
    sys.exit(bits["unchanged"] > 2)


# -- 1. bits a membership ----------------------------------------------------------------------------------------


def _unchanged(rng: np.random.Generator) -> Iterator[np.ndarray]:
    held = np.ones(_VERSIONS, dtype=bool)
    return (held for _ in range(_EXPORTS))


def _daily(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Half of the versions; each export gives up 0.2% of them for as many new ones."""
    held = np.arange(_VERSIONS) < _VERSIONS // 2
    new, change = _VERSIONS // 2, _VERSIONS // 1_000
    for _ in range(_EXPORTS):
        held = held.copy()
        held[rng.choice(np.flatnonzero(held), change, replace=False)] = False
        held[new : new + change] = True
        new += change
        yield held


def _random(share: float) -> Callable[[np.random.Generator], Iterator[np.ndarray]]:
    return lambda rng: (rng.random(_VERSIONS) < share for _ in range(_EXPORTS))


_TABLES: dict[str, Callable[[np.random.Generator], Iterator[np.ndarray]]] = {
    "unchanged": _unchanged,
    "daily, 0.2% new each": _daily,
    "random half": _random(0.5),
    "random 5%": _random(0.05),
}


def bits_a_membership(drawn: Callable[[np.random.Generator], Iterator[np.ndarray]]) -> float:
    """Bits a membership of exports whose members are drawn; equal ones are not shared here, as they are in use."""
    tiles, sets, bodies, members = [], [], [], 0
    for number, held in enumerate(drawn(np.random.default_rng(5))):
        members += int(held.sum())
        packed = np.packbits(held.reshape(-1, SPAN), axis=1)
        kept = np.flatnonzero(packed.any(axis=1))
        tiles.append(kept)
        sets.append(np.full(len(kept), number))
        bodies += [packed[tile].tobytes() for tile in kept]
    tile, number_of = np.concatenate(tiles), np.concatenate(sets)
    order = np.lexsort((number_of, tile))
    table = pa.table({"tile": tile.astype(np.int32), "set_number": number_of, "bits": pa.array(bodies, pa.binary())})
    out = io.BytesIO()
    pq.write_table(table.take(pa.array(order)), out, compression="zstd", row_group_size=4_096)
    return 8 * len(out.getvalue()) / members


# -- 2. the lock ---------------------------------------------------------------------------------------------------


def lock_seconds() -> tuple[float, float]:
    """CPU seconds of one entry, and of each of its rows, for rows that are known and sets that are not."""
    from tests.registry_support import enter, new_place

    costs = {}
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as folder:
        place = new_place(Path(folder))
        enter(place, "X-all", range(120_000))
        for rows in (2_000, 100_000):
            spent = []
            for number in range(3):
                begun = time.process_time()
                enter(place, f"X-{rows}-{number}", range(number, number + rows))
                spent.append(time.process_time() - begun)
            costs[rows] = min(spent)
    per_row = max(0.0, (costs[100_000] - costs[2_000]) / 98_000)
    return costs[2_000] - 2_000 * per_row, per_row


# -- 3. a cluster --------------------------------------------------------------------------------------------------


def simulate(workers: int, tagging: float, held: float, exports: int = 2_000) -> tuple[float, float, float]:
    """(exports an hour, share of time that workers tag, share that the lock is held).

    Each worker tags one export after another (0.5 to 1.5 × `tagging` seconds) and waits for the lock in between.
    """
    rng = np.random.default_rng(3)
    free_at, lock_at, busy = [0.0] * workers, 0.0, 0.0
    for tagged in tagging * rng.uniform(0.5, 1.5, exports):
        ready = heapq.heappop(free_at) + tagged
        lock_at = max(lock_at, ready) + held
        busy += tagged
        heapq.heappush(free_at, lock_at)
    return 3_600 * exports / lock_at, busy / (workers * lock_at), exports * held / lock_at


if __name__ == "__main__":
    main()
