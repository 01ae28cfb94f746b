"""Fresh values for columns whose values are all different: keys, running numbers, references nobody else has."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import Column
from schemas.errors import InputError
from watermarking.canaries.draws import Draws
from watermarking.normalise import normalise, spelled

Taken = Callable[[str, pa.Array], npt.NDArray[np.bool_]]
_ROUNDS = 60
_INSIDE = 20  # rounds in which numbers between the real ones are tried, before those beyond them


def fresh_values(column: Column, real: pa.Array, count: int, rng: np.random.Generator, taken: Taken) -> pa.Array:
    """`count` different values like a column's that the data does not hold.

    Numbers (behind a constant or varying head) lie between real ones that follow each other, so they are spread as
    those are; where no gap is left, a little beyond. Other texts have each letter and digit drawn anew. Raises
    InputError when no new values can be found.
    """
    text = spelled(real).drop_null()
    split = pc.extract_regex(text, r"^(?P<head>.*?)(?P<digits>\d{1,18})$")
    digits = pc.struct_field(split, "digits")
    numeric = len(text) > 0 and digits.null_count == 0
    made: list[str] = []
    for turn in range(_ROUNDS):
        if numeric:
            tried = _numbers(
                pc.struct_field(split, "head"), digits, 2 * (count - len(made)), rng, beyond=turn >= _INSIDE
            )
        else:
            tried = _texts(text.to_pylist() or ["K000000"], 2 * (count - len(made)), rng)
        tried = list(dict.fromkeys(tried))
        there = taken(column.kind, normalise(column.kind, pa.array(tried, pa.string())))
        seen = set(made)
        made += [one for one, bad in zip(tried, there, strict=True) if not bad and one not in seen]
        if len(made) >= count:
            return pa.array(made[:count]).cast(real.type)
    raise InputError(
        f"no new values could be made for column '{column.name}', whose values are all different; lower "
        "leaktraceCanaryDensity"
    )


def _numbers(heads: pa.Array, digits: pa.Array, count: int, rng: np.random.Generator, *, beyond: bool) -> list[str]:
    values = digits.cast(pa.int64()).to_numpy()
    order = np.argsort(values, kind="stable")
    lengths = pc.binary_length(digits).to_numpy()
    padded = bool(pc.any(pc.match_substring_regex(digits, "^0.")).as_py())
    place = rng.integers(0, max(len(values) - 1, 1), count)
    low, high = values[order[place]], values[order[np.minimum(place + 1, len(values) - 1)]]
    if beyond:
        low = np.full(count, values.max() + 1)
        high = low + max(4 * count, int(values.max() - values.min()) // 50 + 1)
    drawn = low + (rng.random(count) * (high - low + 1)).astype(np.int64)
    owners = order[place]
    texts = heads.take(pa.array(owners)).to_pylist()
    widths = lengths[owners] if padded else np.ones(count, dtype=np.int64)
    return [f"{head}{number:0{width}d}" for head, number, width in zip(texts, drawn, widths, strict=True)]


def _texts(pool: list[str], count: int, rng: np.random.Generator) -> list[str]:
    draws = Draws(rng)
    return ["".join(_like(c, draws) for c in pool[draws.below(len(pool))]) for _ in range(count)]


def _like(character: str, draws: Draws) -> str:
    if character.isascii() and character.isdigit():
        return draws.digits(1)
    if character.isascii() and character.isalpha():
        return chr(ord("A" if character.isupper() else "a") + draws.below(26))
    return character
