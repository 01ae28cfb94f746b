"""What a contract's marks and canaries can do before anything is issued: rows needed, advice, a chart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.checks import check_columns, load_contract
from pipeline.copies import profile_of
from pipeline.files import chunks, describe
from pipeline.marking import propose
from schemas.carriers import CARRIERS
from schemas.contract import Column, Contract, Mark
from schemas.errors import UsageError
from watermarking.carriers import carrier
from watermarking.fingerprint_code import DESIGNS
from watermarking.forecast import CHANCES, Layout, Rows, Scenario, SiteGroup, chance_of, forecast, scenarios
from watermarking.selection import OWN_POSITIONS

_VERBATIM = Scenario("verbatim")
_BARS = 40


@dataclass(frozen=True)
class Forecast:
    """The rows that each scenario needs, what the chance is for the rows that were asked about, and advice."""

    dataset: str
    exports: int
    alpha: float
    sites_per_row: float
    scenarios: tuple[tuple[Scenario, Rows], ...]
    asked: tuple[tuple[int, float], ...]
    advice: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; null: more than 100,000 rows, or never."""
        keys = [f"{chance:.0%}" for chance in CHANCES]
        shown = [
            {"name": scenario.name, "copies": scenario.copies}
            | {
                way: dict(zip(keys, getattr(rows, way), strict=True))
                for way in ("random", "head", "block", "marks_only")
            }
            for scenario, rows in self.scenarios
        ]
        return {
            "dataset": self.dataset, "exports": self.exports, "alpha": self.alpha,
            "sites_per_row": round(self.sites_per_row, 3), "scenarios": shown,
            "chances": [{"rows": rows, "marks_only": round(chance, 4)} for rows, chance in self.asked],
            "advice": list(self.advice),
        }  # fmt: skip


def make_forecast(contract_path: Path, exports: int, rows: Sequence[int], file: Path | None) -> Forecast:
    """The forecast of a contract for so many exports; `file`: a table whose cells say how many sites a row has.

    Raises UsageError for numbers below 1, ContractError and InputError.
    """
    if exports < 1 or any(count < 1 for count in rows):
        raise UsageError("leaktrace forecast: --exports and --rows are whole numbers from 1 on")
    contract, _ = load_contract(contract_path)
    table = _seen(contract, file)
    layout = layout_of(contract, table, exports)
    columns = [column.name for column in contract.marked()]
    found = tuple((scenario, forecast(layout, scenario)) for scenario in scenarios(columns))
    per_row = sum(group.per_row for group in layout.groups)
    asked = tuple((count, chance_of(layout, _VERBATIM, count)) for count in rows)
    advice = tuple(_advice(contract, table, layout, found))
    return Forecast(contract.dataset, exports, contract.alpha, per_row, found, asked, advice)


def layout_of(contract: Contract, table: pa.Table | None, exports: int) -> Layout:
    """The sites of a contract; how many rows have each is counted in the table, else taken as every row."""
    groups = [group for column in contract.marked() for group in _groups(contract, column, column.mark, table)]
    spelled = frozenset(c.name for c in contract.marked() if c.mark and CARRIERS[c.mark.carrier].meaning_preserving)
    return Layout(tuple(groups), spelled, contract.canary_density, exports, contract.alpha)


def _seen(contract: Contract, file: Path | None) -> pa.Table | None:
    if file is None:
        return None
    source = describe(file)
    check_columns(source, contract)
    return profile_of(chunks(source))[0]


def _groups(contract: Contract, column: Column, mark: Mark | None, table: pa.Table | None) -> list[SiteGroup]:
    if mark is None:
        return []
    rule, mix = carrier(mark), mark.options.get("mix")
    there = np.ones(len(rule.labels()))
    if table is not None:
        there = (rule.read(table[column.name].combine_chunks()) >= 0).mean(axis=0)
    design = DESIGNS[contract.design.name]
    values, shares = (np.array([part[n] for part in design]) for n in (0, 1))
    groups = []
    for label, share in zip(rule.labels(), there.tolist(), strict=True):
        uneven = mix.get(label) if isinstance(mix, dict) else mix
        if label in mark.options.get("skip", ()):
            continue
        if uneven is None:
            groups.append(SiteGroup(column.name, share, contract.design.length, values, shares, shared=True))
        else:
            groups.append(SiteGroup(column.name, share, OWN_POSITIONS, np.array([float(uneven)]), np.ones(1)))
    return groups


# -- advice ------------------------------------------------------------------------------------------------


def _advice(
    contract: Contract, table: pa.Table | None, layout: Layout, found: Sequence[tuple[Scenario, Rows]]
) -> list[str]:
    now = found[0][1].marks_only[1]
    said = []
    losses = [(rows.marks_only[1], scenario.dropped) for scenario, rows in found if scenario.dropped]
    if losses:
        worst, dearest = max(losses, key=lambda loss: loss[0] or np.inf)
        said.append(
            f"Most depends on column {dearest}: without it, marks need {_rows(worst)} rows for 90% instead of "
            f"{_rows(now)}."
        )
    gains = []
    for column, mark in _possible(contract, table):
        groups = (*layout.groups, *_groups(contract, column, mark, table))
        gains.append((forecast(replace(layout, groups=groups), _VERBATIM).marks_only[1], column.name, mark))
    gains = [gain for gain in gains if gain[0] is not None and gain[0] < (now or np.inf)]
    for needed, name, mark in sorted(gains, key=lambda gain: gain[0] or 0)[:3]:
        changes = (
            "" if CARRIERS[mark.carrier].meaning_preserving else "; it changes values, within the contract's tolerance"
        )
        said.append(
            f"Carrier {mark.carrier} on column {name} would bring that from {_rows(now)} to {_rows(needed)} "
            f"rows{changes}."
        )
    said += [_density(layout, density) for density in (layout.canaries, 2 * layout.canaries) if density]
    if not layout.canaries:
        said.append("There are no canaries; with leaktraceCanaryDensity 0.005, one row in 200 would be one.")
    return said


def _possible(contract: Contract, table: pa.Table | None) -> list[tuple[Column, Mark]]:
    """Columns without a mark that could carry one: as their cells show, else by what they are."""
    out = []
    for column in contract.columns:
        if column.mark is not None or column.key:
            continue
        if table is not None:
            proposal = propose(column.kind, table[column.name].combine_chunks())
            out += [(column, proposal.mark)] if proposal else []
        else:
            fitting = [n for n, spec in CARRIERS.items() if column.kind in spec.kinds and n != "synonym"]
            options = {"bits": 2} if fitting and CARRIERS[fitting[0]].most_bits else {}
            out += [(column, Mark(fitting[0], options))] if fitting else []
    return out


def _density(layout: Layout, density: float) -> str:
    rows = forecast(replace(layout, canaries=density), _VERBATIM)
    return (
        f"Canary density {density:.2%} costs {1e6 * density:,.0f} fictitious rows in a million, and brings 90% at "
        f"{_rows(rows.random[1])} random or {_rows(rows.block[1])} neighbouring rows."
    )


def _rows(count: int | None) -> str:
    return "more than 100,000" if count is None else f"{count:,}"


# -- what is shown -----------------------------------------------------------------------------------------


def lines_of(made: Forecast) -> list[str]:
    """A table and a chart for a terminal."""
    head = "  ".join(f"{way + ' ' + format(chance, '.0%'):>12}" for way in ("random", "block") for chance in CHANCES)
    lines = [
        f"{made.dataset}, {made.exports:,} exports, an innocent named at most once in {1 / made.alpha:,.0f}; "
        f"{made.sites_per_row:.1f} sites a row.",
        "Rows that name the copy (a coalition: one of its copies). Head rows are as block rows.",
        f"{'':<28}{head}",
    ]
    for scenario, rows in made.scenarios:
        cells = "  ".join(f"{_rows(count) if count else 'never':>12}" for count in (*rows.random, *rows.block))
        lines.append(f"{scenario.name:<28}{cells}")
    lines.append("Rows for 90% (a step of the bar is a factor of 1.33):")
    for scenario, rows in made.scenarios:
        count = rows.random[1]
        bar = "█" * (_BARS if count is None else max(1, min(_BARS, round(np.log(count) / np.log(1.33)))))
        lines.append(f"{scenario.name:<28}{bar} {_rows(count) if count else 'never'}")
    lines += [f"{count:,} verbatim rows: {chance:.0%} by marks alone." for count, chance in made.asked]
    return lines + list(made.advice)


def chart_of(made: Forecast) -> str:
    """An SVG: rows for 50%, 90% and 99% of each scenario, on a logarithmic scale."""
    left, width, step, top = 230, 640, 26, 50
    height = top + step * len(made.scenarios) + 20
    most = 5.0  # decades

    def x(count: int | None) -> float:
        return left + width * min(np.log10(count), most) / most if count else left + width

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 80}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<text x="10" y="18">{escape(made.dataset)}: rows that name a copy among {made.exports:,} exports '
        "(50% to 99%, the dot is 90%)</text>",
    ]
    for decade in range(int(most) + 1):
        at = x(10**decade)
        out.append(f'<line x1="{at:.1f}" y1="{top - 8}" x2="{at:.1f}" y2="{height - 20}" stroke="#ddd"/>')
        out.append(f'<text x="{at:.1f}" y="{top - 12}" text-anchor="middle">{10**decade:,}</text>')
    for number, (scenario, rows) in enumerate(made.scenarios):
        y = top + step * number + 12
        low, middle, high = (x(count) for count in rows.random)
        out.append(f'<text x="10" y="{y + 4}">{escape(scenario.name)}</text>')
        out.append(f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" stroke="#357" stroke-width="5"/>')
        out.append(f'<circle cx="{middle:.1f}" cy="{y}" r="5" fill="#c40"/>')
        told = _rows(rows.random[1]) if rows.random[1] else "never"
        out.append(f'<text x="{high + 10:.1f}" y="{y + 4}">{told}</text>')
    return "\n".join([*out, "</svg>", ""])
