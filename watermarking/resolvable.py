"""Could a row have been found at all? A sample whose rows could not, is cleared by nothing that was not found.

What a row shows is weighed as `agreement` weighs what agrees, with what a usual value of its kind says: the rarer a
value, the more, but in a large registry even a usual name has many bearers. The row could have been found when a row
of ours that shows the same would have resolved.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from watermarking.agreement import Agreements, Hits
from watermarking.attributes import ATTRIBUTE
from watermarking.tokens import BITS, MASKED, SHARED, SINGLE, Field, TokenKind

BoolArray = npt.NDArray[np.bool_]
# Identifiers that look the same wherever they are written. Names and addresses do not (another script, a part of an
# address): a column of these counts only when it agrees with something of ours in some row.
_ROBUST = frozenset(("phone", "national_id", "email", "card", "account"))
# log2 of one in how many people has a usual value of the kind.
_USUAL = {
    "person_name": 11.0, "given_name": 5.0, "surname": 6.0, "birth_date": 14.0, "postcode": 8.0, "category": 2.0,
    "address": 18.0, ATTRIBUTE: 3.0,
}  # fmt: skip


def resolvable(
    fields: Sequence[Field],
    line: Agreements,
    hits: Hits,
    versions: Sequence[int],
    kinds: Sequence[frozenset[str]],
    margin: float,
    rows: int,
) -> BoolArray:
    """Rows that would have resolved if they were records of ours; bool[rows].

    line, hits: what agrees; versions, kinds: by dataset code, how many it has and the kinds of its fields; margin: bits
    beyond log2(versions) that a row needs.
    """
    seen = set(zip(line.field[line.exact].tolist(), hits.dataset[line.index[line.exact]].tolist(), strict=True))
    able = np.zeros(rows, dtype=bool)
    for dataset, (many, has) in enumerate(zip(versions, kinds, strict=True)):
        said: dict[str, npt.NDArray[np.float64]] = {}
        for number, field in enumerate(fields):
            counts = field.kind in _ROBUST or field.kind == ATTRIBUTE or (number, dataset) in seen
            if many and field.kind in has and field.kind != "id" and counts:
                slot = f"{ATTRIBUTE} {number}" if field.kind == ATTRIBUTE else field.kind
                said[slot] = np.maximum(said.get(slot, 0.0), _shown(field, many))
        parts = said.pop("given_name", 0.0) + said.pop("surname", 0.0)
        total = sum(said.values(), np.maximum(parts - said.get("person_name", 0.0), np.zeros(rows)))
        able |= total >= np.log2(max(many, 1)) + margin
    return able


def _shown(field: Field, versions: int) -> npt.NDArray[np.float64]:
    """Bits that a usual value says in each row, whole or masked; float64[rows]."""
    whole = field.whole.is_valid().to_numpy(zero_copy_only=False)
    out = np.where(whole, _bits(*SINGLE[field.kind], field.kind, versions), 0.0)
    if field.part is not None and field.kind in MASKED:
        part = field.part.is_valid().to_numpy(zero_copy_only=False)
        out = np.where(part & ~whole, _bits(*MASKED[field.kind], "", versions), out)
    return np.asarray(np.maximum(out - field.cost, 0.0))


def _bits(token: TokenKind, most: float, kind: str, versions: int) -> float:
    size = float(np.log2(versions))
    bound = min(most, size) if token in SHARED else most
    return bound - max(0.0, size - _USUAL.get(kind, BITS[token]))
