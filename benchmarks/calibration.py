"""Are the bounds on naming an innocent true? Claimed probability against the rate at which innocents reach it.

Down to 1e-4 by counting innocents. Further down by importance sampling: code words are drawn from tilted distributions
(bit i is 1 with probability p_i e^(t w_i) / (1 - p_i + p_i e^(t w_i)), one tilt for each model of the leak and some
depths), and each counts with its weight, its probability under p divided by that under the mixture of all tilts (the
balance heuristic, Veach and Guibas 1995), so that the estimate has no bias. The claim must never be below the rate.

    python -m benchmarks.calibration [--innocents 400000] [--chart FILE.svg]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.office import machine
from watermarking.attacks import changed, leak_of, mixed_by_cell
from watermarking.evidence import Examination, examine
from watermarking.fingerprint_code import F64, biases, code_word
from watermarking.readings import Readings

_COUNTED = (1e-1, 1e-2, 1e-3, 1e-4)
_TILTED = tuple(10.0**-k for k in range(4, 13))
_BATCH = 4_000
_DEPTHS = (3.0, 6.0, 9.0, 12.0)  # decades that the tilts aim at


def samples() -> dict[str, Readings]:
    """The samples that innocents are compared with: small, damaged, and of a coalition."""
    p = biases(b"benchmark".ljust(32, b"."), "mix50", 4096)
    rng = np.random.default_rng(21)
    words = np.stack([code_word(rng.bytes(32), p) for _ in range(4)])
    return {
        "12 rows": leak_of(words[0], 12, 4, rng).readings(),
        "100 rows, 25% wrong": changed(leak_of(words[0], 100, 3, rng), 0.25, rng).readings(),
        "500 rows of four, all ones": mixed_by_cell(words, p, "all_ones", 500, 3, rng).readings(),
    }


def main() -> None:
    """Count, sample, draw; exit code 1 when a claim lies below its rate by more than chance explains."""
    parser = argparse.ArgumentParser(description="Claimed probabilities against rates.")
    parser.add_argument("--innocents", type=int, default=400_000)
    parser.add_argument("--chart", type=Path)
    options = parser.parse_args()
    print(machine())
    p = biases(b"benchmark".ljust(32, b"."), "mix50", 4096)
    lines, held = [], True
    for name, readings in samples().items():
        examination = examine(readings, p, family=1, attempt=1)
        for how, found in (
            ("counted", counted(examination, options.innocents)),
            ("importance sampling", tilted(examination, options.innocents // 4)),
        ):
            for claim, rate, error in found:
                good = rate - 4 * error <= claim
                held &= good
                lines.append({"sample": name, "how": how, "claim": claim, "rate": rate, "error": error})
                print(
                    f"{'ok  ' if good else 'MISS'} {name}, {how}: claimed {claim:.0e}, rate {rate:.2e} +- {error:.0e}"
                )
    if options.chart:
        draw(lines, options.chart)
    print("no claim is below its rate" if held else "A CLAIM IS TOO SMALL")
    sys.exit(not held)


def p_values(examination: Examination, words: np.ndarray) -> F64:
    """What is claimed of each copy, before family and attempt are paid."""
    found = examination.assess(words).log10_p_adjusted
    return np.where(found < 0, 10.0 ** (found - examination.log_paid), 1.0)


def counted(examination: Examination, count: int) -> list[tuple[float, float, float]]:
    """(claim, rate, standard error) by drawing innocents."""
    rng, hits = np.random.default_rng(22), np.zeros(len(_COUNTED))
    read, p = _read(examination), examination.p
    for _ in range(count // _BATCH):
        words = np.zeros((_BATCH, len(p)), dtype=np.uint8)
        words[:, read] = rng.random((_BATCH, len(read))) < p[read]
        hits += [(p_values(examination, words) <= claim).sum() for claim in _COUNTED]
    rates = hits / (count // _BATCH * _BATCH)
    return [(c, float(r), float(np.sqrt(max(r, 1e-12) / count))) for c, r in zip(_COUNTED, rates, strict=True)]


def tilted(examination: Examination, count: int) -> list[tuple[float, float, float]]:
    """(claim, rate, standard error) under tilted code words, each with its weight."""
    rng, read = np.random.default_rng(23), _read(examination)
    p = examination.p[read]
    biased = np.stack([_tilt(each.weights[read], p, t) for each in examination.scored for t in _DEPTHS])
    weights, values = [], []
    each_batch = max(1, count // len(biased))
    for q in biased:
        words = np.zeros((each_batch, len(examination.p)), dtype=np.uint8)
        bits = rng.random((each_batch, len(read))) < q
        words[:, read] = bits
        values.append(p_values(examination, words))
        logs = bits @ (np.log(biased) - np.log1p(-biased)).T + np.log1p(-biased).sum(axis=1)
        own = bits @ (np.log(p) - np.log1p(-p)) + np.log1p(-p).sum()
        weights.append(np.exp(own - (np.logaddexp.reduce(logs, axis=1) - np.log(len(biased)))))
    weight, value = np.concatenate(weights), np.concatenate(values)
    out = []
    for claim in _TILTED:
        each = weight * (value <= claim)
        out.append((claim, float(each.mean()), float(each.std() / np.sqrt(len(each)))))
    return out


def _tilt(weights: np.ndarray, p: F64, depth: float) -> F64:
    """Tilted probabilities of 1 whose mean score is as far out as a normal tail of 10^-depth."""
    scale = max(1.0, float(np.abs(weights).max(initial=0)))
    w = weights / scale
    target = float(w @ p) + np.sqrt(2 * depth * np.log(10) * float((w**2) @ (p * (1 - p))))
    low, high = 0.0, 60.0
    for _ in range(60):
        middle = (low + high) / 2
        q = p * np.exp(middle * w) / (1 - p + p * np.exp(middle * w))
        low, high = (middle, high) if w @ q < target else (low, middle)
    return np.clip(p * np.exp(low * w) / (1 - p + p * np.exp(low * w)), 1e-9, 1 - 1e-9)


def _read(examination: Examination) -> np.ndarray:
    return np.unique(examination.kept.position)


def draw(lines: Sequence[dict[str, object]], path: Path) -> None:
    """The chart, in decades, rarer upwards: a point above the line is rarer than claimed; none may lie below it."""
    import vl_convert

    scale = {"type": "log", "domain": [1e-13, 1], "reverse": True}
    axis = {"format": "e", "tickCount": 7}
    x = {"field": "claim", "type": "quantitative", "scale": scale, "axis": axis, "title": "claimed: at most"}
    y = {"field": "rate", "type": "quantitative", "scale": scale, "axis": axis, "title": "rate among innocents"}
    by = {"color": {"field": "sample", "type": "nominal"}, "shape": {"field": "how", "type": "nominal"}}
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": "An innocent copy is never named more often than claimed",
        "width": 460,
        "height": 360,
        "layer": [
            {
                "data": {"values": [{"claim": 1e-13, "rate": 1e-13}, {"claim": 1, "rate": 1}]},
                "mark": {"type": "line", "strokeDash": [4, 4], "color": "gray"},
                "encoding": {"x": x, "y": y},
            },
            {
                "data": {"values": [line for line in lines if float(str(line["rate"])) > 0]},
                "mark": {"type": "point", "filled": True, "size": 60},
                "encoding": {"x": x, "y": y, **by},
            },
        ],
    }
    path.write_text(vl_convert.vegalite_to_svg(spec), "utf-8")


if __name__ == "__main__":
    main()
