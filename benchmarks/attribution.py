"""How often a leak names the right copy, and whether an innocent is ever named: the table of the accusation kernel.

Each cell draws code words, leaks, attacks and innocents afresh; whoever is `conclusive` at 1e-6 over the family counts.
The family is paid for in full (10,000 or 2,000 copies); of it, `--innocents` are drawn and scored in every trial. One
column uses the design that suits the row best, the other the default. Then samples that no copy produced, and the rows
that are needed for 90% against what the channel's capacity demands.

    python -m benchmarks.attribution [--trials 200] [--innocents 600] [--state FILE] [--chart SVG]

With --state, finished cells are kept in a file and not measured again.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from benchmarks.office import machine
from watermarking.attacks import Leak, changed, leak_of, mixed_by_cell, mixed_by_row, rewritten
from watermarking.evidence import attempt_share, examine
from watermarking.fingerprint_code import DESIGNS, F64, biases, code_word, code_words
from watermarking.pairs import partners
from watermarking.readings import Readings, merge

_ALPHA, _LENGTH, _DEFAULT = 1e-6, 4096, "mix50"
_BLACK = {"color": {"value": "black"}}
_PART = 2_000  # samples that are kept together in the state
Words = np.ndarray
Make = Callable[[Words, F64, np.random.Generator], Leak]


@dataclass(frozen=True)
class Cell:
    """One row of the table: a leak, the family it is searched in, and the bars (any copy, and all of them)."""

    name: str
    family: int
    copies: int
    make: Make
    best: str
    bars: tuple[float, float]
    bars_all: tuple[float, float] | None = None


def _one(rows: int, sites: int, wrong: float) -> Make:
    return lambda words, p, rng: changed(leak_of(words[0], rows, sites, rng), wrong, rng)


def _cells(copies: str, rows: int) -> Make:
    return lambda words, p, rng: mixed_by_cell(words, p, copies, rows, 3, rng)


CELLS = (
    Cell("12 rows x 4 sites of 1 of 10,000, no wrong symbol", 10_000, 1, _one(12, 4, 0.0), "pure2", (0.95, 0.90)),
    Cell("the same, 1% wrong", 10_000, 1, _one(12, 4, 0.01), "pure2", (0.92, 0.85)),
    Cell("20 rows x 3 sites of 1 of 2,000, 5% wrong", 2_000, 1, _one(20, 3, 0.05), "pure2", (0.92, 0.80)),
    Cell("24 rows x 3 sites of 1 of 2,000, 5% wrong", 2_000, 1, _one(24, 3, 0.05), "pure2", (0.92, 0.90)),
    Cell("100 rows of 1 of 2,000, 25% wrong", 2_000, 1, _one(100, 3, 0.25), "pure2", (0.95, 0.92)),
    Cell(
        "100 rows of 2 of 2,000, mixed by row", 2_000, 2, lambda w, p, rng: mixed_by_row(w, 100, 3, rng), "pure2",
        (0.98, 0.98), (0.85, 0.85),
    ),
    Cell("500 rows of 3 of 2,000, minority vote", 2_000, 3, _cells("minority", 500), "pure4", (0.98, 0.95)),
    Cell("500 rows of 4 of 2,000, all ones", 2_000, 4, _cells("all_ones", 500), "pure4", (0.98, 0.98)),
    Cell(
        "60 rows x 4 sites of 1 of 2,000, half of the carriers rewritten", 2_000, 1,
        lambda w, p, rng: rewritten(leak_of(w[0], 60, 4, rng), [0, 1], 1), "pure2", (0.98, 0.98),
    ),
)  # fmt: skip


@dataclass
class Tally:
    """What a cell's trials gave: trials, at least one right copy, all of them, innocents scored, innocents named."""

    trials: int = 0
    any: int = 0
    all: int = 0
    innocents: int = 0
    wrong: int = 0


def main() -> None:
    """The tables; exit code 1 when a bar is missed or an innocent was named."""
    parser = argparse.ArgumentParser(description="How often a leak names the right copy.")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--innocents", type=int, default=600, help="drawn in each trial")
    parser.add_argument("--nobody", type=int, default=20_000, help="samples that no copy produced")
    parser.add_argument("--state", type=Path, help="keeps what was measured")
    parser.add_argument("--chart", type=Path, help="draws the table there")
    options = parser.parse_args()
    print(machine())
    state = State(options.state)
    held = [_cell(state, cell, options.trials, options.innocents) for cell in CELLS]
    held += [_nobody(state, options.nobody), _limits(state, options.trials), _total(state)]
    if options.chart:
        draw(state, options.chart)
    print("every bar held" if all(held) else "BARS MISSED")
    sys.exit(not all(held))


class State:
    """What was measured, in a file if one is given, so that an interrupted run goes on where it stopped."""

    def __init__(self, path: Path | None) -> None:
        """Reads what is there."""
        self._path = path
        self.done: dict[str, Any] = json.loads(path.read_text()) if path and path.exists() else {}

    def measured(self, name: str, work: Callable[[], Any]) -> Any:
        """What `work` gives, done once."""
        if name not in self.done:
            self.done[name] = work()
            if self._path:
                self._path.write_text(json.dumps(self.done, indent=1))
        return self.done[name]


def trial(cell: Cell, p: F64, innocents: int, seed: Sequence[int], tally: Tally) -> None:
    """One leak, examined and compared with its sources and with innocents."""
    rng = np.random.default_rng(seed)
    words = np.stack([code_word(rng.bytes(32), p) for _ in range(cell.copies)])
    examination = examine(cell.make(words, p, rng).readings(), p, family=cell.family, attempt=1, alpha=_ALPHA)
    everybody = np.concatenate([words, _innocents(innocents, p, examination.kept, rng)])
    bounds = examination.assess(everybody).log10_p_adjusted
    for accused in np.flatnonzero(bounds <= np.log10(_ALPHA))[:6]:
        given = partners(examination, everybody, everybody[accused])
        given[accused] = 0.0
        bounds = np.minimum(bounds, given)
    named = bounds <= np.log10(_ALPHA)
    right = int(named[: cell.copies].sum())
    tally.trials += 1
    tally.any += right > 0
    tally.all += right == cell.copies
    tally.innocents += innocents
    tally.wrong += int(named[cell.copies :].sum())


def _innocents(count: int, p: F64, kept: Readings, rng: np.random.Generator) -> Words:
    """Code words of innocents; only the positions that are read are drawn, the others are never looked at."""
    words = np.zeros((count, len(p)), dtype=np.uint8)
    read = np.unique(kept.position)
    words[:, read] = rng.random((count, len(read)), dtype=np.float32) < p[read]
    return words


def _measure(cell: Cell, design: str, trials: int, innocents: int) -> dict[str, int]:
    tally, p = Tally(), biases(b"benchmark".ljust(32, b"."), design, _LENGTH)
    for number in range(trials):
        trial(cell, p, innocents, [11, number, CELLS.index(cell), list(DESIGNS).index(design)], tally)
    return tally.__dict__.copy()


def _cell(state: State, cell: Cell, trials: int, innocents: int) -> bool:
    held, texts = True, []
    for place, design in enumerate((cell.best, _DEFAULT)):
        got = state.measured(f"{cell.name} / {design}", partial(_measure, cell, design, trials, innocents))
        share, every = got["any"] / got["trials"], got["all"] / got["trials"]
        held &= share >= cell.bars[place] and got["wrong"] == 0
        text = f"{design} {share:.3f} (bar {cell.bars[place]:.2f})"
        if cell.bars_all:
            held &= every >= cell.bars_all[place]
            text += f", all {every:.3f} (bar {cell.bars_all[place]:.2f})"
        elif cell.copies > 1:
            text += f", all {every:.3f}"
        texts.append(f"{text}, innocents {got['wrong']}")
    print(f"{'ok  ' if held else 'MISS'} {cell.name}: {'; '.join(texts)}", flush=True)
    return held


def _total(state: State) -> bool:
    cells = [got for name, got in state.done.items() if " / " in name]
    scored, wrong = sum(got["innocents"] for got in cells), sum(got["wrong"] for got in cells)
    print(f"innocents scored over all cells: {scored:,}, named: {wrong} (bar: none of at least 2,000,000)")
    return scored >= 2_000_000 and wrong == 0


def _nobody(state: State, samples: int) -> bool:
    """Samples that no copy produced: symbols as the columns' mix has them, and as a forger would write them."""
    starts = range(0, samples, _PART)
    parts = [
        state.measured(f"nobody from {start:,}", partial(_named_for_nothing, start, min(samples, start + _PART)))
        for start in starts
    ]
    named = sum(part["named"] for part in parts)
    print(f"samples that no copy produced, 100 copies searched: {samples:,}, somebody named in {named}")
    return named == 0 and samples >= 20_000


def _named_for_nothing(start: int, end: int) -> dict[str, int]:
    p, named = biases(b"benchmark".ljust(32, b"."), _DEFAULT, _LENGTH), 0
    words = code_words([np.random.default_rng([5, n]).bytes(32) for n in range(100)], p)
    for number in range(start, end):
        rng = np.random.default_rng([12, number])
        size = int(rng.choice([12, 48, 300]))
        site, position = rng.integers(0, 4, size), rng.integers(0, _LENGTH, size)
        chance = [p[position], np.full(size, 0.5), np.ones(size), np.zeros(size)][number % 4]
        ones = (rng.random(size) < chance).astype(np.int64)
        readings = merge([Readings(site, position, 1 - ones, ones)])
        found = examine(readings, p, family=100, attempt=1, alpha=_ALPHA).assess(words)
        named += int((found.log10_p_adjusted <= np.log10(_ALPHA)).any())
    return {"named": named}


def _limits(state: State, trials: int) -> bool:
    """Rows needed at 90%, divided by the least that the channel's capacity allows (DESIGN, section 5)."""
    for cell, sites, wrong in ((CELLS[0], 4, 0.0), (CELLS[1], 4, 0.01), (CELLS[2], 3, 0.05), (CELLS[4], 3, 0.25)):
        for design in (cell.best, _DEFAULT):
            name = f"rows of {cell.family} at {wrong} x {sites} with {design}"
            got = state.measured(name, partial(_rows_needed, cell, sites, wrong, design, trials))
            print(
                f"  {cell.name}, {design}: {got['rows']} rows at 90%, limit {got['limit']:.1f}: "
                f"{got['rows'] / got['limit']:.2f} (aim 1.3)",
                flush=True,
            )
    return True


def _rows_needed(cell: Cell, sites: int, wrong: float, design: str, trials: int) -> dict[str, float]:
    p = biases(b"benchmark".ljust(32, b"."), design, _LENGTH)
    bits = np.log2(cell.family / _ALPHA) - np.log2(attempt_share(1))
    limit = bits / (sites * float(np.mean(_capacity(p, wrong))))
    rows = int(np.ceil(limit))
    while True:
        tally = Tally()
        at = Cell(cell.name, cell.family, 1, _one(rows, sites, wrong), design, (0, 0))
        for number in range(trials):
            trial(at, p, 0, [13, number, rows], tally)
        if tally.any >= 0.9 * trials:
            return {"rows": rows, "limit": limit}
        rows += max(1, rows // 20)


def _capacity(p: F64, wrong: float) -> F64:
    """Bits that one reading says of a copy's bit: H(symbol) - H(symbol given the bit)."""

    def entropy(q: F64) -> F64:
        return -(q * np.log2(np.maximum(q, 1e-300)) + (1 - q) * np.log2(np.maximum(1 - q, 1e-300)))

    return entropy(p * (1 - wrong) + (1 - p) * wrong) - entropy(np.full_like(p, wrong))


def draw(state: State, path: Path) -> None:
    """The table as a chart: share of leaks in which a right copy was named, with its 95% interval and its bar."""
    import vl_convert

    points = []
    for cell in CELLS:
        for place, design in enumerate((cell.best, _DEFAULT)):
            got = state.done[f"{cell.name} / {design}"]
            hits, trials = got["any"], got["trials"]
            low, high = beta.ppf(
                (0.025, 0.975), (hits, hits + 1), (trials - hits + 1, trials - hits)
            )  # Clopper-Pearson
            which = "best for the row" if place == 0 else "default (mix50)"
            ends = {"low": float(np.nan_to_num(low, nan=0.0)), "high": float(np.nan_to_num(high, nan=1.0))}
            points.append({"leak": cell.name, "design": which, "share": hits / trials, "bar": cell.bars[place], **ends})
    y = {"field": "leak", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 420}}
    by = {"y": y, "yOffset": {"field": "design"}, "color": {"field": "design", "type": "nominal", "title": "design"}}

    def x(field: str) -> dict[str, Any]:
        scale = {"domain": [0.75, 1.0]}
        title = "share of leaks in which a right copy is named, 1 in 10^6 family-wise; the tick is the bar"
        return {"field": field, "type": "quantitative", "scale": scale, "title": title}

    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": points},
        "width": 420,
        "height": {"step": 18},
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": {"x": x("low"), "x2": {"field": "high"}, **by}},
            {"mark": {"type": "point", "filled": True, "size": 50}, "encoding": {"x": x("share"), **by}},
            {"mark": {"type": "tick", "color": "black", "thickness": 2}, "encoding": {"x": x("bar"), **by | _BLACK}},
        ],
    }
    path.write_text(vl_convert.vegalite_to_svg(spec), "utf-8")


if __name__ == "__main__":
    main()
