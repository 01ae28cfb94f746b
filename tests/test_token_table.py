"""The tokens of a chunk come in one order, however many of them are equal and wherever their rows stand."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from watermarking.issue import _token_table


@dataclass(frozen=True)
class Tokens:
    """What the table asks of a TokenColumn."""

    kind: int
    values: npt.NDArray[np.uint64]
    there: npt.NDArray[np.bool_]


def drawn(rng: np.random.Generator, rows: int, kind: int, distinct: int, shift: int) -> Tokens:
    values = rng.integers(0, distinct, rows, dtype=np.uint64) << np.uint64(shift)
    return Tokens(kind, values, rng.random(rows) < rng.choice([0.0, 0.5, 1.0]))


def plainly(columns: list[Tokens], versions: npt.NDArray[np.uint64]) -> pa.Table:
    """The same, by the slow way."""
    lines = [
        (int(value), column.kind, int(version))
        for column in columns
        for value, there, version in zip(column.values, column.there, versions, strict=True)
        if there
    ]
    names, types = ("token", "kind", "version"), (np.uint64, np.uint8, np.uint64)
    cells = zip(*sorted(lines), strict=True) if lines else ((), (), ())
    return pa.table({name: np.array(each, dtype=kind) for name, each, kind in zip(names, cells, types, strict=True)})


@pytest.mark.parametrize("rows", [0, 1, 2, 700])
@pytest.mark.parametrize(
    ("distinct", "shift"),
    [
        (3, 0),
        (40, 50),
        (2**63, 0),
        (5_000, 0),
    ],  # all tied; tied in what is sorted by; hardly any; equal but for low bits
)
@pytest.mark.parametrize("kinds", [(1, 2, 3), (4, 4, 2, 4)])
def test_tokens_are_sorted_by_value_kind_and_version(
    rows: int, distinct: int, shift: int, kinds: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(rows + distinct % 97)
    columns = [drawn(rng, rows, kind, distinct, shift) for kind in kinds]
    for versions in (rng.integers(0, 2**63, rows, dtype=np.uint64), rng.integers(0, 5, rows, dtype=np.uint64)):
        found = _token_table(columns, versions)  # type: ignore[arg-type]
        assert found.cast(plainly(columns, versions).schema).equals(plainly(columns, versions))
