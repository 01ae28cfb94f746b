"""Values of columns that say nothing about who somebody is: amounts, times, texts, after a real row's."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Column
from watermarking.canaries.deck import I64
from watermarking.canaries.profile import numbers
from watermarking.canaries.recombine import Recombiner
from watermarking.normalise import spelled

_MANY = 0.5  # a column is nearly unique when more than this share of its values are different


def after(column: Column, real: pa.Array, donors: I64, rng: np.random.Generator) -> pa.Array:
    """A value for each donor: the donor's own where many share it, else one between it and its next, or recombined.

    A nearly unique value that occurred twice would give both rows away.
    """
    copied = real.take(pa.array(donors))
    if pc.count_distinct(real).as_py() <= _MANY * max(len(real) - real.null_count, 1) or column.references:
        return copied
    if pa.types.is_timestamp(real.type) or pa.types.is_date(real.type):
        return _moments(real, copied, rng)
    if column.kind in ("amount", "number"):
        return _amounts(real, copied, donors, rng)
    if pa.types.is_string(real.type) or pa.types.is_large_string(real.type):
        return _texts(column, real, donors, rng)
    return copied


def _between(values: I64, donors: I64, rng: np.random.Generator) -> I64:
    """A number between each donor's and the next larger real one, in the column's steps."""
    different = np.unique(values)
    step = int(np.gcd.reduce(np.diff(different))) if len(different) > 1 else 1
    place = np.searchsorted(different, donors)
    gap = (different[np.minimum(place + 1, len(different) - 1)] - different[place]) // max(step, 1)
    return donors + step * (rng.random(len(donors)) * (gap + 1)).astype(np.int64).clip(0, np.maximum(gap - 1, 0))


def _amounts(real: pa.Array, copied: pa.Array, donors: I64, rng: np.random.Generator) -> pa.Array:
    """Numbers scaled to whole ones, moved, and spelled as the donor's cell is."""
    values, scale = numbers(real), 10 ** _decimals(real)
    whole = np.rint(values * scale)
    there = np.isfinite(whole) & (np.abs(whole) < 2**53)
    moved = _between(whole[there].astype(np.int64), whole[donors][there[donors]].astype(np.int64), rng)
    out = copied.to_pylist()
    as_text, at = pa.types.is_string(real.type) or pa.types.is_large_string(real.type), 0
    for row, good in enumerate(there[donors]):
        if good:
            number, at = int(moved[at]), at + 1
            out[row] = _spelled_like(out[row], number, scale) if as_text else _exact(number, scale)
    return pa.array(out, real.type) if as_text else pa.array(out, pa.string()).cast(real.type)


def _exact(number: int, scale: int) -> str:
    sign, places = "-" if number < 0 else "", len(str(scale)) - 1
    whole, rest = divmod(abs(number), scale)
    return f"{sign}{whole}.{rest:0{places}d}" if places else f"{sign}{whole}"


def _spelled_like(like: str, number: int, scale: int) -> str:
    """The number with the decimals and separators of another cell."""
    found = re.search(r"\d[\d,]*(?:\.(\d+))?", like)
    if found is None:
        return like
    places = len(found.group(1) or "")
    value = abs(number) / scale
    return (
        like[: found.start()]
        + (f"{value:,.{places}f}" if "," in found.group() else f"{value:.{places}f}")
        + like[found.end() :]
    )


def _decimals(real: pa.Array) -> int:
    if pa.types.is_integer(real.type):
        return 0
    if pa.types.is_decimal(real.type):
        return int(min(max(real.type.scale, 0), 6))
    return 2


def _moments(real: pa.Array, copied: pa.Array, rng: np.random.Generator) -> pa.Array:
    """The day moved to between the donor's and the next one's, the time of day of another row."""
    if pa.types.is_date(real.type):
        days = real.cast(pa.date32()).cast(pa.int32())
        known = days.drop_null().to_numpy().astype(np.int64)
        mine = copied.cast(pa.date32()).cast(pa.int32())
        there = mine.is_valid().to_numpy(zero_copy_only=False)
        out = np.zeros(len(mine), dtype=np.int64)
        out[there] = _between(known, mine.drop_null().to_numpy().astype(np.int64), rng)
        return pa.array(out, pa.int32(), mask=~there).cast(pa.date32()).cast(real.type)
    per_day = 86_400 * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[real.type.unit]
    plain = pa.timestamp(real.type.unit)
    known = real.cast(plain).cast(pa.int64()).drop_null().to_numpy()
    mine = copied.cast(plain).cast(pa.int64())
    there = mine.is_valid().to_numpy(zero_copy_only=False)
    out = np.zeros(len(mine), dtype=np.int64)
    days = _between(known // per_day, mine.drop_null().to_numpy() // per_day, rng)
    out[there] = days * per_day + rng.choice(known % per_day, len(days))
    return pa.array(out, pa.int64(), mask=~there).cast(plain).cast(real.type)


def _texts(column: Column, real: pa.Array, donors: I64, rng: np.random.Generator) -> pa.Array:
    """Pieces of several cells; a date's text keeps its day and takes the time of day of another."""
    cells = [cell or "" for cell in spelled(real).to_pylist()]
    if column.kind in ("date", "timestamp"):
        cut = [re.split(r"(?<=\d)([T ]+)(?=\d{1,2}[:时])", cell, maxsplit=1) for cell in cells]
        others = rng.choice(np.flatnonzero([bool(cell) for cell in cells]), len(donors))
        made = [
            "".join(cut[row][:2]) + cut[other][2] if len(cut[row]) == len(cut[other]) == 3 else cells[row]
            for row, other in zip(donors, others, strict=True)
        ]
    else:
        made = Recombiner(cells, [""] * len(cells)).texts(donors, rng)
    nulls = real.take(pa.array(donors)).is_null()
    return pc.if_else(nulls, pa.scalar(None, pa.string()), pa.array(made, pa.string())).cast(real.type)
