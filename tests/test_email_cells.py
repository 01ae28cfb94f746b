"""E-mail addresses seen by their bytes, held to the patterns and to plain Python."""

import re
import tracemalloc

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
from hypothesis import given, settings

from watermarking.carriers.email_case import _EMAIL, EmailCase
from watermarking.email_cells import USUAL, usual_emails

_PIECES = [
    *"aZ1.-_%+@@",
    "Li",
    "zhang",
    "qq.com",
    "@163.example",
    ".abcdefg",
    ".abcdefgh",
    " ",
    "\n",
    "é",
    "李",
    "\u212a",
]
_CELLS = st.lists(
    st.none()
    | st.lists(st.sampled_from(_PIECES), max_size=7).map("".join)
    | st.from_regex(r"[A-Za-z][A-Za-z0-9._]{0,8}@[A-Za-z0-9]{1,6}\.[A-Za-z]{2,9}", fullmatch=True),
    min_size=1,
    max_size=12,
)


def sliced(cells: list[str | None], first: int) -> tuple[list[str | None], pa.StringArray]:
    first = min(first, len(cells) - 1)
    return cells[first:], pa.array(cells, pa.string()).slice(first)


@given(_CELLS, st.integers(0, 3))
@settings(deadline=None)
def test_an_address_is_usual_by_its_bytes_where_its_pattern_says_so(cells: list[str | None], first: int) -> None:
    rest, text = sliced(cells, first)
    pattern = re.compile(USUAL.replace("$", r"\Z"))
    assert usual_emails(text).tolist() == [cell is not None and bool(pattern.match(cell)) for cell in rest]


@given(_CELLS, st.integers(0, 3), st.lists(st.sampled_from([-1, 0, 1]), min_size=12, max_size=12))
@settings(deadline=None)
def test_the_first_letter_is_written_as_cell_by_cell(cells: list[str | None], first: int, wanted: list[int]) -> None:
    rest, text = sliced(cells, first)
    pattern = re.compile(_EMAIL.replace("$", r"\Z").replace(r"\s", r" \t\n\f\r"))  # RE2's white space

    def written(cell: str | None, symbol: int) -> str | None:
        if cell is None or symbol < 0 or not pattern.match(cell) or cell[0].isupper() == symbol:
            return cell
        local, domain = cell.split("@")
        return f"{local.capitalize() if symbol else local.lower()}@{domain}"

    symbols = np.array(wanted[: len(rest)], dtype=np.int8)[:, None]
    assert EmailCase().write(text, symbols).to_pylist() == [written(*pair) for pair in zip(rest, wanted, strict=False)]
    expected = [int(cell[0].isupper()) if cell is not None and pattern.match(cell) else -1 for cell in rest]
    assert EmailCase().read(text)[:, 0].tolist() == expected


def test_memory_is_that_of_a_piece_whatever_the_cells_hold() -> None:
    for cells in (["备注@_" * 100] * 8000, ["@" * 500] * 8000, ["a@b.cn", *["NOTE TEXT " * 60] * 8000]):
        text = pa.array(cells)
        symbols = np.ones((len(text), 1), dtype=np.int8)
        tracemalloc.start()
        usual_emails(text)
        EmailCase().write(text, symbols)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * text.nbytes + 20_000_000


def test_one_column_is_not_taken_for_the_last() -> None:
    columns = [pa.array(["a@b.cn", "x"]), pa.array(["x", "a@b.cn"])]
    assert [usual_emails(text).tolist() for text in (*columns, *columns)] == [[True, False], [False, True]] * 2
