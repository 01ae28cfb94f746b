"""The pictures of a report as numbers: paths and places in units of their own, drawn by `pictures.html.j2`.

Drawn by hand, not by a charting library: a page has five kinds of picture, none needs a script, and the libraries
cost a trace more time than everything else it does (decision 0170). No picture holds a word: words stand beside it in
a table, where a screen reader and a telephone can read them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

BINS = 120  # cells of a strip of sample rows
LEVELS = 4  # shades of a cell: how much of its rows an export held
TAIL_WIDTH, TAIL_HEIGHT = 320.0, 130.0
TIME_WIDTH = 1000.0
_MOST_POINTS = 60


@dataclass(frozen=True)
class Strip:
    """The sample from its first row to its last; paths by shade, the lightest first, each one unit high."""

    width: int
    paths: tuple[str, ...]


@dataclass(frozen=True)
class TailPicture:
    """How often an innocent's score is at least so large: a falling curve, and where this copy's score stands.

    x: the score; y: the power of ten, 0 at the top. `points`: (score, log10 p) to print in a table. `lowest_power`:
    at the bottom edge. `beyond`: the score lies beyond every score that an innocent can have.
    """

    curve: str
    area: str
    score: float
    score_x: float
    first: float
    last: float
    lowest_power: int
    points: tuple[tuple[float, float], ...]
    beyond: bool


@dataclass(frozen=True)
class Moment:
    """One line of the time line: from `x` for `width` units of TIME_WIDTH."""

    kind: str
    name: str
    start: str
    end: str
    rows: int
    x: float
    width: float


def coverage_strips(rows: Path, exports: Sequence[str]) -> dict[str, Strip]:
    """Which rows of the sample each export held, by export; from rows.parquet, whose row groups are read in turn."""
    if not exports:
        return {}
    file = pq.ParquetFile(rows, read_dictionary=["exports.list.element"])  # a row has many, and they are few
    total = file.metadata.num_rows
    bins = min(total, BINS)
    counts = np.zeros((len(exports), bins), dtype=np.int64)
    first = 0
    for number in range(file.num_row_groups):
        held = file.read_row_group(number, columns=["exports"])["exports"].combine_chunks()
        counts += _held(held, exports, first, total, bins)
        first += len(held)
    sizes = np.bincount(np.arange(total) * bins // total, minlength=bins)
    shades = np.minimum(np.ceil(counts * LEVELS / sizes), LEVELS).astype(np.int64)
    return {export: Strip(bins, _paths(shades[number])) for number, export in enumerate(exports)}


def _held(column: Any, exports: Sequence[str], first: int, total: int, bins: int) -> npt.NDArray[np.int64]:
    """int64[exports, bins]: rows of this batch, which begins at row `first` of the sample, that each export held."""
    held = pc.list_flatten(column)
    place = pc.index_in(held.dictionary, pa.array(exports, pa.string())).fill_null(len(exports)).to_numpy()
    cell = (np.arange(first, first + len(column)) * bins // total)[pc.list_parent_indices(column).to_numpy()]
    cells = np.bincount(place[held.indices.to_numpy()] * bins + cell, minlength=(len(exports) + 1) * bins)
    return cells.reshape(-1, bins)[:-1]  # the last is of exports that are not shown


def _paths(shades: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """One path a shade: neighbouring cells of one shade are one rectangle."""
    edges = np.flatnonzero(np.diff(shades, prepend=-1, append=-1))
    paths = [""] * LEVELS
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        if shade := int(shades[start]):
            paths[shade - 1] += f"M{start} 0h{end - start}v1h-{end - start}z"
    return tuple(paths)


def tail_picture(null: Mapping[str, Any]) -> TailPicture | None:
    """A candidate's `evidence.null` as a picture; None when it has no tail."""
    tail = np.asarray(null["tail"], dtype=float).reshape(-1, 2)
    if len(tail) < 2:
        return None
    tail = tail[np.unique(np.linspace(0, len(tail) - 1, _MOST_POINTS).astype(int))]
    score = float(null["score"])
    first, last = float(min(tail[0, 0], score)), float(max(tail[-1, 0], score))
    lowest = min(-1, -ceil(-float(tail[:, 1].min())))
    x = (tail[:, 0] - first) / ((last - first) or 1.0) * TAIL_WIDTH
    y = tail[:, 1] / lowest * TAIL_HEIGHT
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    bottom = f"L{x[-1]:.1f},{TAIL_HEIGHT:g} L{x[0]:.1f},{TAIL_HEIGHT:g}Z"
    told = tail[np.unique(np.linspace(0, len(tail) - 1, 6).astype(int))]
    return TailPicture(
        curve=f"M{line}",
        area=f"M{line} {bottom}",
        score=score,
        score_x=(score - first) / ((last - first) or 1.0) * TAIL_WIDTH,
        first=first,
        last=last,
        lowest_power=-lowest,
        points=tuple((float(a), float(b)) for a, b in told),
        beyond=score > float(tail[-1, 0]),
    )


def time_line(verdict: Mapping[str, Any], received: str) -> list[Moment]:
    """When named copies were issued, how long outdated values were current, and when the sample came; oldest first."""
    candidates = (c for c in verdict["attribution"]["candidates"] if c["strength"] != "none")
    told = [("issued", c["export_id"], c["issued_at"], c["issued_at"], c["coverage"]["rows"]) for c in candidates]
    traced = verdict["created_at"]
    told += [
        ("outdated", "", one["from"], one.get("until") or received or traced, one["rows"])
        for one in verdict["authenticity"].get("outdated", ())
    ]
    if received:
        told.append(("received", "", received, received, verdict["sample"]["rows"]))
    told.append(("traced", "", traced, traced, verdict["sample"]["rows"]))
    order = ("issued", "outdated", "received", "traced")  # within one second
    return _placed(sorted(told, key=lambda line: (int(_instant(line[2])), order.index(line[0]))))


def _placed(told: Sequence[tuple[str, str, str, str, int]]) -> list[Moment]:
    starts = [_instant(start) for _, _, start, _, _ in told]
    ends = [_instant(end) for _, _, _, end, _ in told]
    first, span = min(starts), (max(ends) - min(starts)) or 1.0
    least = TIME_WIDTH / 100  # a moment is a mark of this width
    moments = []
    for (kind, name, start, end, rows), begins, stops in zip(told, starts, ends, strict=True):
        x = (begins - first) / span * (TIME_WIDTH - least)
        width = max(least, (stops - begins) / span * TIME_WIDTH)
        moments.append(Moment(kind, name, start, end, rows, round(x, 1), round(min(width, TIME_WIDTH - x), 1)))
    return moments


def _instant(text: str) -> float:
    """Seconds since 1970 of a date or a time; a date is its first moment in UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def shares(counts: Iterable[tuple[str, int]], whole: int) -> list[tuple[str, int, float]]:
    """(name, count, percentage of `whole`, at most 100)."""
    return [(name, count, round(min(100.0, 100 * count / (whole or 1)), 2)) for name, count in counts]
