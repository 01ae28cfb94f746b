"""Which positions of the code a cell carries.

A site is `(record, column, n)`. A keyed function maps it to a position, independent of the row's place, the
file and the export. Sites whose column has an uneven mix of spellings get positions of their own, whose bias
is that mix, so that marking does not move the mix; the rest share the positions of the code design.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.contract import Column, Contract
from watermarking.carriers import Carrier, carrier
from watermarking.fingerprint_code import F64, biases, representable
from watermarking.keys import U64, IndexKey, name_word

POOL_POSITIONS = 2048  # coded canaries of a dataset, at most
# Half of them 1/2, half the larger bias for coalitions of four: what two copies hold is half in both (decision 0120).
POOL_BIASES = (0.5, 0.78868)
OWN_POSITIONS = 1024  # positions of a site with a mix of its own: its column's mix moves by about 1/sqrt(1024)


@dataclass(frozen=True)
class Site:
    """One place in a cell that holds one symbol.

    Positions [offset, offset + size) of the code belong to it; `number` counts the sites of a plan.
    """

    number: int
    label: str
    index: int
    offset: int
    size: int


@dataclass(frozen=True)
class MarkedColumn:
    """A column with its carrier and the sites that are in use."""

    column: Column
    carrier: Carrier
    sites: tuple[Site, ...]


@dataclass(frozen=True)
class Plan:
    """Everything about the marks of one dataset that does not depend on an export.

    p: float64[positions], the bias of every position; `pool` is the site of the coded canaries, whose n-th has the n-th
    of its positions; `order` that of neighbouring rows, where the contract wants it, on the positions of the design.
    """

    dataset: str
    columns: tuple[MarkedColumn, ...]
    p: F64
    pool: Site
    order: Site | None = None

    def is_coded(self) -> npt.NDArray[np.bool_]:
        """Which positions are a coded canary's; bool[positions]."""
        at = np.arange(len(self.p))
        return (at >= self.pool.offset) & (at < self.pool.offset + self.pool.size)

    def sites(self) -> tuple[tuple[str, Site], ...]:
        """Every site with its column's name, by site number."""
        return tuple((marked.column.name, site) for marked in self.columns for site in marked.sites)


def plan(contract: Contract, key: IndexKey) -> Plan:
    """The marks of a contract under an index key; raises ContractError for an unknown carrier or design."""
    shared = biases(key.subkey(f"biases/{contract.dataset}"), contract.design.name, contract.design.length)
    parts, offset, number = [shared], len(shared), 0
    columns = []
    for column in contract.marked():
        assert column.mark is not None  # noqa: S101 - contract.marked() gives only these
        rule = carrier(column.mark)
        sites = []
        for index, label in enumerate(rule.labels()):
            if label in column.mark.options.get("skip", ()):
                continue
            mix = _mix_of(column.mark.options.get("mix"), label)
            if mix is None:
                sites.append(Site(number, label, index, 0, len(shared)))
            else:
                sites.append(Site(number, label, index, offset, OWN_POSITIONS))
                parts.append(np.full(OWN_POSITIONS, representable(mix)))
                offset += OWN_POSITIONS
            number += 1
        columns.append(MarkedColumn(column, rule, tuple(sites)))
    pool = Site(number, "pool", 0, offset, POOL_POSITIONS)
    parts.append(np.tile([representable(bias) for bias in POOL_BIASES], POOL_POSITIONS // len(POOL_BIASES)))
    order = Site(number + 1, "neighbours", 0, 0, len(shared)) if contract.row_order else None
    return Plan(contract.dataset, tuple(columns), np.concatenate(parts), pool, order)


def positions(key: IndexKey, plan: Plan, column: str, site: Site, records: U64) -> npt.NDArray[np.int32]:
    """Position of one site for each record; records: uint64[n], int32[n] back, in [offset, offset + size).

    The remainder of a 64-bit word is uniform up to size / 2^64.
    """
    words = key.words(f"positions/{plan.dataset}", records, name_word(column, site.label))
    return (words % np.uint64(site.size)).astype(np.int32) + np.int32(site.offset)


def _mix_of(option: object, label: str) -> float | None:
    value = option.get(label) if isinstance(option, dict) else option
    return None if value is None else float(value)  # type: ignore[arg-type]
