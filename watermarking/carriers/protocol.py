"""What every carrier offers."""

from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Symbols = npt.NDArray[np.int8]  # shape (rows, sites): 0, 1, or -1 where there is no site


class Carrier(Protocol):
    """A rule that hides symbols in the cells of one column, readable from each cell alone.

    Laws: reading what was written gives it back; whether a site exists does not depend on any symbol; the
    sites of a cell are independent; `mark_free` is the same for all spellings of a cell.
    """

    name: str

    def labels(self) -> tuple[str, ...]:
        """One word for each site of a cell, in the order of the columns of `read`."""

    def read(self, cells: pa.Array) -> Symbols:
        """Symbols of each cell, shape (rows, sites): -1 no site here, else 0 or 1; no error for odd cells."""

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with symbols written, of the type of `cells`.

        symbols: int8[rows, sites]; -1 leaves a site as it is, and symbols where there is no site are ignored.
        A cell that already reads so stays the same bytes.
        """

    def mark_free(self, cells: pa.Array) -> pa.Array:
        """The cells as text with every site brought to symbol 0; string[rows], null stays null."""

    def distortion(self) -> str:
        """One sentence for the data owner: what is changed, and by how much at most."""
