"""Which mark a column can carry, from the spellings that it shows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.carriers import CARRIERS
from schemas.contract import Mark
from schemas.spellings import BUILDING_PATTERNS
from watermarking.carriers import carrier
from watermarking.normalise import normalise

LEAST_MINORITY = 0.055  # below it a site tells less than 0.3 bit
_LEAST_ROWS = 0.01
_LEAST_SEEN = 3  # of the rarer spelling, or it may be a slip of the pen
_EVEN = (0.45, 0.55)
_TOLERANCE = 1e-4  # a number may change by this share of the usual one


@dataclass(frozen=True)
class SiteShare:
    """One site of a carrier in a column: how many cells have it, and the share of them with symbol 1."""

    label: str
    cells: int
    ones: float

    def usable(self, rows: int) -> bool:
        """Whether both spellings are common enough that a mark does not stand out; rows: cells with content."""
        rarer = min(self.ones, 1 - self.ones)
        return self.cells >= _LEAST_ROWS * rows and rarer >= LEAST_MINORITY and rarer * self.cells >= _LEAST_SEEN


@dataclass(frozen=True)
class Proposal:
    """A mark, what was seen, in counts, and whether it changes values."""

    mark: Mark
    seen: str
    changes_values: bool


def shares(mark: Mark, cells: pa.Array) -> tuple[SiteShare, ...]:
    """The sites of a carrier in a column, in the order of its labels."""
    rule = carrier(mark)
    symbols = rule.read(cells)
    there, ones = (symbols >= 0).sum(axis=0), (symbols == 1).sum(axis=0)
    return tuple(
        SiteShare(label, int(count), float(one / count) if count else 0.0)
        for label, count, one in zip(rule.labels(), there, ones, strict=True)
    )


def propose(kind: str, cells: pa.Array) -> Proposal | None:
    """The best mark for a column of this kind, or None; meaning-preserving ones look at both spellings."""
    rows = len(cells) - normalise(kind, cells).null_count
    found = []
    for mark in _variants(kind):
        sites = shares(mark, cells)
        usable = [site for site in sites if site.usable(rows)]
        if usable:
            told = sum(site.cells * _entropy(site.ones) for site in usable)
            found.append((told, _spelling(mark, sites, usable, rows)))
    if found:
        return max(found, key=lambda one: one[0])[1]
    return _low_bits(kind, cells, rows)


def _variants(kind: str) -> Iterator[Mark]:
    """Every meaning-preserving carrier of a kind, with the options that decide which sites there are."""
    for name, spec in CARRIERS.items():
        if kind not in spec.kinds or not spec.meaning_preserving or name == "synonym":
            continue
        if name != "address_zh":
            yield Mark(name, {})
            continue
        for building in BUILDING_PATTERNS:
            for width in ({}, {"width": True}):
                yield Mark(name, width | ({} if building == next(iter(BUILDING_PATTERNS)) else {"building": building}))


def _spelling(mark: Mark, sites: tuple[SiteShare, ...], usable: list[SiteShare], rows: int) -> Proposal:
    """The mark with the observed mix; sites that show one spelling only are skipped."""
    options = dict(mark.options)
    uneven = {site.label: round(site.ones, 3) for site in usable if not _EVEN[0] <= site.ones <= _EVEN[1]}
    if uneven:
        options["mix"] = next(iter(uneven.values())) if len(sites) == 1 else uneven
    skip = [site.label for site in sites if site not in usable]
    if skip:
        options["skip"] = skip
    told = "; ".join(f"{site.label} in {site.cells:,} of {rows:,} cells" for site in usable)
    return Proposal(Mark(mark.carrier, options), f"both spellings occur: {told}", changes_values=False)


def _low_bits(kind: str, cells: pa.Array, rows: int) -> Proposal | None:
    """A mark of low bits, where they already look random and are a small part of the value."""
    if kind == "timestamp":
        options: Mapping[str, Any] = {"bits": 2}
        mark = Mark("timestamp_second", options)
    elif kind in ("amount", "number"):
        decimals = 0 if pa.types.is_integer(cells.type) or not _has_fractions(cells) else 2
        bits = _bits_of(cells, decimals)
        if not bits:
            return None
        mark = Mark("amount_low_digits", {"bits": bits} | ({} if decimals == 2 else {"decimals": decimals}))
    else:
        return None
    sites = shares(mark, cells)
    if not rows or any(site.cells < 0.5 * rows or not 0.4 <= site.ones <= 0.6 for site in sites):
        return None
    return Proposal(mark, carrier(mark).distortion(), changes_values=True)


def _has_fractions(cells: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring(normalise("number", cells), ".")).as_py())


def _bits_of(cells: pa.Array, decimals: int) -> int:
    """How many low bits stay within the tolerance for the middle value; 0 for none, at most 4."""
    words = normalise("number", cells).drop_null()
    words = words.filter(pc.match_substring_regex(words, r"^-?\d+(?:\.\d+)?$"))
    if not len(words):
        return 0
    middle = float(np.median(np.abs(words.cast(pa.float64()).to_numpy()))) * 10**decimals * _TOLERANCE
    return min(4, int(np.log2(middle))) if middle >= 2 else 0


def _entropy(share: float) -> float:
    return float(-share * np.log2(share) - (1 - share) * np.log2(1 - share))
