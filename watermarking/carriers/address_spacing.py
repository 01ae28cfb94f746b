"""White space and punctuation of addresses: Main St, Leeds or Main St,Leeds; 西湖区 建设路 or 西湖区建设路."""

import pyarrow as pa

from schemas.spellings import SPACING
from watermarking.carriers.protocol import Symbols
from watermarking.carriers.spelled import Spelled, SpelledSite


class AddressSpacing:
    """Up to three sites a cell: a space after the first comma, a dot after a short street word, a space after 区 or 县.

    What is written is dropped by `normalise`, so no record or token depends on it.
    """

    name = "address_spacing"

    def __init__(self) -> None:
        """No options of its own."""
        self._spelled = Spelled(tuple(SpelledSite(label, pattern, pairs) for label, pattern, pairs in SPACING))

    def labels(self) -> tuple[str, ...]:
        """comma, dot, district."""
        return self._spelled.labels()

    def read(self, cells: pa.Array) -> Symbols:
        """int8[rows, 3]: 1 is no space after the comma, a dot, a space after the district."""
        return self._spelled.read(cells)

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with the symbols written."""
        return self._spelled.write(cells, symbols)

    def mark_free(self, cells: pa.Array) -> pa.Array:
        """A space after the comma, no dot, no space after the district."""
        return self._spelled.mark_free(cells)

    def distortion(self) -> str:
        """What a data owner should know."""
        return "White space and punctuation of an address: after a comma, a short street word, a district."
