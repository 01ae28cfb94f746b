"""Scoring 1,000,000 copies at 2,048 positions: seconds, memory, and what of it is making the code words.

Bounds: under 30 s and 1 GiB on two cores, unsealing apart. The baseline in the same run is AES-CTR alone, the keystream
of as many code words.

    python -m benchmarks.scoring_speed [--copies 1000000]
"""

import argparse
import resource
import sys
import time

import numpy as np

from benchmarks.office import machine
from watermarking.attacks import mixed_by_row
from watermarking.evidence import Assessments, examine
from watermarking.fingerprint_code import biases, code_words
from watermarking.keys import keystream

_LENGTH, _BATCH = 2_048, 4_096


def main() -> None:
    """Draw secrets, make code words batch by batch, score them."""
    parser = argparse.ArgumentParser(description="How fast a million copies are scored.")
    parser.add_argument("--copies", type=int, default=1_000_000)
    copies = parser.parse_args().copies
    print(machine())
    p = biases(b"benchmark".ljust(32, b"."), "mix50", _LENGTH)
    rng = np.random.default_rng(31)
    secrets = [rng.bytes(32) for _ in range(copies)]
    guilty = code_words([secrets[n] for n in (17, 1717 % copies)], p)
    # Every position is read.
    readings = mixed_by_row(guilty, 5_000, 3, rng).readings()
    started, cpu = time.monotonic(), time.process_time()
    examination = examine(readings, p, family=copies, attempt=1)
    parts, making = [], 0.0
    for at in range(0, copies, _BATCH):
        before = time.process_time()
        words = code_words(secrets[at : at + _BATCH], p)
        making += time.process_time() - before
        parts.append(examination.assess(words))
    found = Assessments.joined(parts)
    wall, cpu = time.monotonic() - started, time.process_time() - cpu
    named = set(np.flatnonzero(found.log10_p_adjusted <= -6).tolist())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    before = time.process_time()
    for secret in secrets[: copies // 10]:
        keystream(secret, _LENGTH)
    baseline = 10 * (time.process_time() - before)
    print(f"{copies:,} copies, {len(np.unique(readings.position)):,} positions read, named: {sorted(named)}")
    print(f"{cpu:.1f} CPU-s ({wall:.1f} s), of which code words {making:.1f}; AES-CTR alone {baseline:.1f} CPU-s")
    print(f"peak {peak:.0f} MiB; {cpu / max(baseline, 1e-9):.2f} x the keystream")
    held = cpu < 30 and peak < 1024 and named == {17, 1717 % copies}
    print("bounds held" if held else "BOUNDS BROKEN: 30 s, 1 GiB, both sources and nobody else")
    sys.exit(not held)


if __name__ == "__main__":
    main()
