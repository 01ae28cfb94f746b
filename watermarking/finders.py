"""Tokens that only find versions, where no version that they alone find can be a row's: they need not be asked for.

The masked form of a cell that can be read whole says nothing by itself, and no pair of tokens does (agreement.py): they
find versions, which must then agree in something else. What agrees in a whole value, its own token finds. So a version
that they alone find can agree in common tokens only, of `SHARED` kinds: a rare one finds it too. How many versions have
a common one, bounds what it says. Where all fields of a sample together say so little that MARGIN bits more would not
resolve a row in any dataset, no such version resolves, nor comes so close to one that a row without an identifier stays
open between the two. Hundreds of versions end like somebody's card: they are most of what a search for strangers costs.

Where a row could be found only because names agree somewhere (resolvable.py), every token stays.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import log2

import numpy as np

from watermarking.agreement import NAMES, NO_HITS, Agreements
from watermarking.attributes import ATTRIBUTE
from watermarking.resolvable import resolvable
from watermarking.resolve import MARGIN, PARTIAL_MARGIN, most_versions
from watermarking.tokens import BITS, MASKED, PAIRED, SHARED, SINGLE, Field, TokenColumn, TokenKind

_NOTHING = Agreements(*(np.zeros(0, dtype=kind) for kind in ("i8", "i8", "?", "f8")))
_COMMON = most_versions(TokenKind.SURNAME) + 1  # versions that have a common token, at least
_ONLY_FIND = PAIRED | {token for token, _ in MASKED.values()}


def finders(
    fields: Sequence[Field],
    tokens: Sequence[TokenColumn],
    rows: int,
    versions: Sequence[int],
    kinds: Sequence[frozenset[str]],
) -> list[TokenColumn]:
    """The tokens without those that find nothing that resolves.

    fields, tokens: of a sample's rows; versions, kinds: by dataset, how many it has and the kinds of its fields.
    """
    if not _settled(fields, rows, versions, kinds):
        return list(tokens)
    whole = [field.whole.is_valid().to_numpy(zero_copy_only=False) for field in fields]
    return [
        replace(token, there=token.there & ~np.logical_and.reduce([whole[n] for n in token.fields]))
        if token.kind in _ONLY_FIND
        else token
        for token in tokens
    ]


def _settled(fields: Sequence[Field], rows: int, versions: Sequence[int], kinds: Sequence[frozenset[str]]) -> bool:
    """Whether what the docstring of this module says holds for these rows."""
    sizes = {code: log2(count) for code, count in enumerate(versions) if count}
    if not sizes or any(ATTRIBUTE in of for of in kinds):
        return False
    most = max(_common(fields, kinds[code], size) for code, size in sizes.items())
    if most + MARGIN > min(sizes.values()) + PARTIAL_MARGIN:
        return False
    return bool(resolvable(fields, _NOTHING, NO_HITS, versions, kinds, PARTIAL_MARGIN, rows).all())


def _common(fields: Sequence[Field], has: frozenset[str], size: float) -> float:
    """Bits that common tokens of all the fields say at most in a dataset (agreement.py).

    has, size: the kinds of its fields, log2 of its versions.
    """
    said: dict[str, float] = {}
    for number, field in enumerate(fields):
        if field.kind in has and SINGLE[field.kind][0] in SHARED:
            slot = field.kind if field.kind in NAMES else str(number)
            most = min(BITS[SINGLE[field.kind][0]], size) - log2(_COMMON) - field.cost
            said[slot] = max(said.get(slot, 0.0), most)
    parts = sum(said.pop(kind, 0.0) for kind in NAMES)
    names = [str(number) for number, field in enumerate(fields) if field.kind == "person_name"]
    full = sum(said.pop(name, 0.0) for name in names)
    return max(full, parts) + sum(said.values())
