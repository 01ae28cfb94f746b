"""English addresses: 12 Main Street, Apartment 5 or 12 Main St, Apt 5."""

import re

import numpy as np
import pyarrow as pa

from schemas.spellings import DOORS, STREETS, Pairs
from watermarking.carriers.protocol import Symbols
from watermarking.carriers.spelled import Spelled, SpelledSite

_DOOR_WORDS = "|".join((*(word for pair in DOORS for word in pair), "Unit", "Flat", "Floor", "Room"))
# A street type follows a name and ends the street: "St James Road" holds one, and it is the road.
_AFTER_STREET = rf"(?:$|,|\n| +(?:[#0-9]|[NSEW]{{1,2}}(?:$|[ ,])|(?i:{_DOOR_WORDS})\b))"
_AFTER_DOOR = r" (?:#? ?[0-9]|[A-Za-z](?:$|[ ,0-9-]))"


class AddressEn:
    """Two sites a cell: the type of the street, and the word before the number of the door."""

    name = "address_en"

    def __init__(self) -> None:
        """No options."""
        streets, doors = _written(STREETS), _written(DOORS)
        self._spelled = Spelled(
            (
                SpelledSite("street", rf"\p{{L}}\.? (?P<s>{_any(streets)}){_AFTER_STREET}", streets),
                SpelledSite("door", f"(?:^|[ ,])(?P<s>{_any(doors)}){_AFTER_DOOR}", doors),
            )
        )

    def labels(self) -> tuple[str, ...]:
        """Street type and door word."""
        return self._spelled.labels()

    def read(self, cells: pa.Array) -> Symbols:
        """int8[rows, 2]: 0 the long word, 1 the short one."""
        return self._spelled.read(cells)

    def write(self, cells: pa.Array, symbols: Symbols) -> pa.Array:
        """The cells with long or short words, in the case that they have."""
        return self._spelled.write(cells, np.asarray(symbols))

    def mark_free(self, cells: pa.Array) -> pa.Array:
        """Text with the long words."""
        return self._spelled.mark_free(cells)

    def distortion(self) -> str:
        """What a data owner should know."""
        return "Street or St, Apartment or Apt and their like in an address; the place stays the same."


def _written(pairs: Pairs) -> Pairs:
    """The pairs in the three cases that addresses come in; a short word with its full stop reads as short."""
    cases = (str, str.lower, str.upper)
    plain = tuple((case(long), case(short)) for long, short in pairs for case in cases)
    return (*plain, *((long, f"{short}.") for long, short in plain))


def _any(pairs: Pairs) -> str:
    words = sorted({word for pair in pairs for word in pair}, key=len, reverse=True)
    return "|".join(re.escape(word) for word in words)
