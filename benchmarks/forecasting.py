"""The forecast against simulated leaks.

    python -m benchmarks.forecasting [--only 0,1,…]

For each scenario the rows that the forecast asks for at 50% and 90%, and in which share of simulated leaks of so many
rows (watermarking/attacks, the accusation as in a trace) one of the copies was named.
"""

import argparse
import sys

import numpy as np
import numpy.typing as npt

from watermarking.attacks import leak_of, mixed_by_cell, mixed_by_row
from watermarking.evidence import CanaryHits, assess
from watermarking.fingerprint_code import DESIGNS, biases, code_word
from watermarking.forecast import Layout, Scenario, SiteGroup, forecast, scenarios

LENGTH, DESIGN = 4096, "mix50"
TRIALS = 100
NEAR = 0.3  # the simulated rows for 90% are within this share of the forecast's


def layout(sites: float, exports: int, alpha: float = 1e-6, canaries: float = 0.0) -> Layout:
    """A dataset whose rows have so many sites, all of the default design."""
    values, shares = (np.array([part[n] for part in DESIGNS[DESIGN]]) for n in (0, 1))
    groups = (SiteGroup("column", sites, LENGTH, values, shares, shared=True),) if sites else ()
    return Layout(groups, frozenset(), canaries, exports, alpha)


def named(scenario: Scenario, rows: int, sites: int, exports: int, trials: int, seed: int = 1) -> float:
    """The share of simulated leaks in which one of the copies was named at 1e-6 over all exports."""
    rng = np.random.default_rng(seed)
    p = biases(bytes(32), DESIGN, LENGTH)
    hits = 0
    for _ in range(trials):
        words: npt.NDArray[np.uint8] = np.stack([code_word(rng.bytes(32), p) for _ in range(scenario.copies)])
        if scenario.answer == "own":
            leak = leak_of(words[0], rows, sites, rng)
        elif scenario.answer == "row":
            leak = mixed_by_row(words, rows, sites, rng)
        else:
            leak = mixed_by_cell(words, p, scenario.answer, rows, sites, rng)
        none = [CanaryHits(0, 0, 0.0)] * len(words)
        found = assess(leak.readings(), p, words, none, family=exports, attempt=1)
        hits += any(one.log10_p_adjusted <= -6 for one in found)
    return hits / trials


def main() -> int:
    """Print forecast and simulation; 1 where they are further apart than NEAR."""
    parser = argparse.ArgumentParser(description="The forecast against simulated leaks.")
    parser.add_argument("--only", help="numbers of scenarios, from 0")
    only, far = parser.parse_args().only, False
    chosen = [scenario for scenario in scenarios(()) if not scenario.normalised]
    chosen = [chosen[int(number)] for number in only.split(",")] if only else chosen
    print(f"| scenario | rows for 50% | named | rows for 90% | named | with {NEAR:.0%} fewer | with {NEAR:.0%} more |")
    print("|---|---|---|---|---|---|---|")
    for scenario in chosen:
        half, most, _ = forecast(layout(4.0, 10_000), scenario).marks_only
        if half is None or most is None:
            print(f"| {scenario.name} | never | | | | | |")
            continue
        counts = (half, most, int(most * (1 - NEAR)), int(most * (1 + NEAR)) + 1)
        shares = [named(scenario, count, 4, 10_000, TRIALS) for count in counts]
        far |= shares[2] > 0.97 or shares[3] < 0.9
        told = " | ".join(f"{share:.2f}" for share in shares[1:])
        print(f"| {scenario.name} | {half} | {shares[0]:.2f} | {most} | {told} |", flush=True)
    return int(far)


if __name__ == "__main__":
    sys.exit(main())
