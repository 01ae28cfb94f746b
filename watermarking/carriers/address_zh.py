"""Chinese addresses: 浙江省杭州市…5号楼2单元302室 or 浙江杭州市…5栋2-302, each choice one symbol."""

from functools import partial

import numpy as np
import pyarrow as pa

from schemas.errors import ContractError
from schemas.spellings import (
    BUILDING_PATTERNS,
    BUILDINGS,
    MUNICIPALITIES,
    PROVINCE_REACH,
    PROVINCES,
    ROOMS,
    UNITS,
    ZH_GUARDS,
    ZH_PATTERNS,
)
from watermarking.carriers.address_width import AddressWidth
from watermarking.carriers.protocol import Symbols
from watermarking.carriers.spelled import Spelled, SpelledSite
from watermarking.text import Bool, Spans, as_text
from watermarking.zh_places import first_building, places_in


class AddressZh:
    """Up to four spelled sites a cell (province, building, unit, room), and the width of its digits.

    building: which word stands for 号楼 in this column, 栋 or 幢; the third spelling is then no site.
    """

    name = "address_zh"

    def __init__(self, width: bool = False, building: str = "栋") -> None:
        """Raises ContractError for another building word, or a width that is neither true nor false."""
        if not isinstance(width, bool) or building not in tuple(BUILDING_PATTERNS):
            words = " or ".join(BUILDING_PATTERNS)
            raise ContractError(
                "contract: carrier address_zh has a wrong option; expected 'width' true or false, 'building' "
                f"{words}; change leaktraceMark"
            )
        pair = tuple(pair for pair in BUILDINGS if pair[1] == building)
        self._spelled = Spelled(
            (
                SpelledSite(
                    "province",
                    ZH_PATTERNS["province"],
                    (*PROVINCES, *MUNICIPALITIES),
                    ZH_GUARDS["province"],
                    head=PROVINCE_REACH,
                ),
                SpelledSite("building", BUILDING_PATTERNS[building], pair),
                SpelledSite("unit", ZH_PATTERNS["unit"], UNITS),
                SpelledSite("room", ZH_PATTERNS["room"], ROOMS),
            ),
            partial(_by_bytes, building=pair[0]),
        )
        self._width = AddressWidth() if width else None

    def labels(self) -> tuple[str, ...]:
        """province, building, unit, room, and width if it is on."""
        return (*self._spelled.labels(), *(self._width.labels() if self._width else ()))

    def read(self, cells: pa.Array) -> Symbols:
        """int8[rows, sites]: 1 is 浙江, 栋, 2-302, no 室, full-width digits."""
        symbols = self._spelled.read(cells)
        if self._width is None:
            return symbols
        return np.concatenate([symbols, self._width.read(cells)], axis=1)

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with the symbols written; the patterns read digits of both widths, so order is free."""
        written = self._spelled.write(cells, symbols)
        return written if self._width is None else self._width.write(written, symbols[:, -1:])

    def mark_free(self, cells: pa.Array) -> pa.Array:
        """Long spellings, half-width digits."""
        return as_text(self.write(cells, np.zeros((len(cells), len(self.labels())), dtype=np.int8)))

    def distortion(self) -> str:
        """What a data owner should know."""
        widths = ", and the width of its digits" if self._width else ""
        return (
            "Spelling of an address only: 浙江省 or 浙江, 5号楼 or 5栋, 2单元302 or 2-302, 302室 or 302"
            f"{widths}; the place stays the same."
        )


def _by_bytes(text: pa.StringArray, building: tuple[str, str]) -> tuple[Bool, dict[str, Spans]]:
    """The cells whose sites are found without a pattern, and those sites."""
    places = places_in(text)
    units, rooms = places.ends
    return places.rows, {"building": first_building(places, building), "unit": units, "room": rooms}
