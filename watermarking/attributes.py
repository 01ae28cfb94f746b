"""Tables in which no column is about a person by itself: their rows are told apart by many attributes together.

An attribute counts with its dataset and its column's name, a marked number by the block that no mark leaves. Each has a
token of its own, and all but the one with most marks have one together, which finds a row where that one was dropped.
"""

import pyarrow as pa
import pyarrow.compute as pc

from schemas.contract import IDENTITY_KINDS, Column, Contract
from watermarking.carriers import carrier

ATTRIBUTE = "attribute"  # the kind of a field
_TELLING = frozenset(("category", "number", "amount", "date"))
_FEWEST = 5


def attributes(contract: Contract) -> tuple[Column, ...]:
    """The columns by which the rows of a table are told apart in which no column is about a person by itself.

    Empty where one is, and where they are too few to tell rows apart. Decision 0111.
    """
    if any(column.kind in IDENTITY_KINDS for column in contract.columns):
        return ()
    swapped = {c.name for c in contract.columns if c.mark is not None and c.mark.carrier == "synonym"}
    found = tuple(c for c in contract.columns if c.kind in _TELLING and not c.key and c.name not in swapped)
    return found if len(found) >= _FEWEST else ()


def replaceable(contract: Contract) -> str:
    """The attribute that the token of all others together leaves out: the one with most marks, or ""."""
    sites = {c.name: len(carrier(c.mark).labels()) for c in attributes(contract) if c.mark is not None}
    return max(sites, key=lambda name: sites[name], default="")


def attribute_cells(contract: Contract, column: Column, forms: pa.Array) -> pa.Array:
    """An attribute's normal form with its dataset and name before it: 40 hours are no 40 years."""
    return pc.binary_join_element_wise(pa.scalar(f"{contract.dataset}/{column.name}"), forms, "=")
