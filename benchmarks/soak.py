"""Three processes run jobs and sweep an inbox at once, and are killed at random; then everything is counted.

Every unit must be issued exactly once with its file whole, every sample have exactly one case, the registry's chain
and digests hold, and nothing half-made lie about.

    python -m benchmarks.soak [--units 1000] [--samples 300] [--seed 1]
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.office import CONTRACT, Office, machine
from examples import bank_table
from pipeline.audit import check
from pipeline.keystore import KeyStore
from pipeline.registry import Registry

_PROCESSES = 3
_RECIPIENTS = 5
_ROWS = 200
_JOB = """
  - name: job-{number}
    source: bank.parquet
    contract: {contract}
    recipients: [{recipients}]
    purpose: soak
    output: "out/job-{number}-{{recipient}}.parquet"
    quality: false
"""


def main() -> None:
    """Run the soak and print what was counted; exit code 1 when something is missing or double."""
    parser = argparse.ArgumentParser(description="Jobs and sweeps with random kills.")
    parser.add_argument("--units", type=int, default=1_000)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="leaktrace-soak-") as folder:
        problems = soak(Path(folder), given.units, given.samples, given.seed)
    print("\n".join(problems) or "every unit and every sample exactly once")
    sys.exit(bool(problems))


def soak(folder: Path, units: int, samples: int, seed: int) -> list[str]:
    """Make an office with work, let processes do it and be killed, and say what is wrong afterwards."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, no secret
    office = Office(folder)
    _prepare(folder, units, samples)
    begun, killed, ended = time.monotonic(), 0, 0
    running: dict[subprocess.Popen[bytes], float] = {}
    while not _all_there(folder, units, samples):
        while len(running) < _PROCESSES:
            lives = chance.uniform(0.5, 12.0) if chance.random() < 0.8 else 600.0
            running[_start(folder, chance.random() < 0.5)] = time.monotonic() + lives
        time.sleep(0.2)
        for process, until in list(running.items()):
            if process.poll() is None and time.monotonic() > until:
                process.kill()
                process.wait()
                killed += 1
            if process.poll() is not None:
                ended += process.returncode >= 0
                del running[process]
    for process in running:
        process.kill()
        process.wait()
        killed += 1
    office.leaktrace("run", folder / "jobs.yaml")
    office.leaktrace("sweep", folder / "inbox", "-o", folder / "cases")
    print(
        f"{units} units, {samples} samples: {killed} processes killed, {ended} ended, {time.monotonic() - begun:.0f} s"
    )
    return list(_problems(folder, units, samples))


def _prepare(folder: Path, units: int, samples: int) -> None:
    table = bank_table.generate(_ROWS, 1)
    pq.write_table(table.select(range(10)), folder / "bank.parquet")
    recipients = ", ".join(f"E{n}" for n in range(_RECIPIENTS))
    jobs = [_JOB.format(number=n, contract=CONTRACT, recipients=recipients) for n in range(units // _RECIPIENTS)]
    (folder / "jobs.yaml").write_text("jobs:" + "".join(jobs), "utf-8")
    (folder / "inbox").mkdir()
    text = pa.table({name: table[name].cast(pa.string()) for name in ("name", "phone", "national_id", "address")})
    for number in range(samples):
        rows = text.slice(number % (_ROWS - 20), 12 + number // (_ROWS - 20))
        pa_csv.write_csv(rows, folder / "inbox" / f"sample-{number}.csv")


def _start(folder: Path, sweep: bool) -> subprocess.Popen[bytes]:
    """One process of our program; its words do not matter, what it leaves does."""
    command = ["sweep", "inbox", "-o", "cases"] if sweep else ["run", "jobs.yaml"]
    roots = {"LEAKTRACE_REGISTRY": "registry", "LEAKTRACE_KEYS": "keys"}
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *command, "-q"], cwd=folder, env=os.environ | roots | {"PYTHONPATH": path},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _all_there(folder: Path, units: int, samples: int) -> bool:
    copies = sum(1 for path in (folder / "out").glob("[!.]*.parquet"))
    return copies >= units and sum(1 for _ in (folder / "cases").glob("*/verdict.json")) >= samples


def _problems(folder: Path, units: int, samples: int) -> Iterator[str]:
    """Everything that is missing, double, half-made or altered."""
    keys = KeyStore(folder / "keys")
    with Registry.open(str(folder / "registry")) as registry:
        yield from check(registry, keys.issuer_public(), keys.officer_private())
        exports = registry.exports().to_pylist()
        receipts = registry.receipts([export["export_id"] for export in exports])
    found = Counter(export["idempotency_key"] for export in exports if export["state"] == "issued")
    if len(found) != units or set(found.values()) != {1} or len(exports) != units:
        yield f"{len(found)} units of {units}, {sum(found.values())} issued, {len(exports)} exports"
    for receipt in receipts.values():
        path = folder / receipt["output"]["path"]
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != receipt["output"]["sha256"]:
            yield f"{path.name} is missing or not the file of its receipt"
    cases = [json.loads(path.read_bytes()) for path in (folder / "cases").glob("*/verdict.json")]
    seen = Counter(case["sample"]["files"][0]["sha256"] for case in cases)
    expected = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "inbox").iterdir()}
    if set(seen) != expected or set(seen.values()) != {1} or len(expected) != samples:
        yield f"{len(seen)} samples have a case, {len(expected)} should; {sum(seen.values())} cases"
    left = [path.name for place in ("out", "cases") for path in (folder / place).glob(".*") if path.name != ".claims"]
    yield from (f"{name} was left behind" for name in left)


if __name__ == "__main__":
    main()
