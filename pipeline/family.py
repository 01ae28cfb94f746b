"""The family of copies that a trace searches, and their secrets: fixed by membership, paid for, then opened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pipeline.keystore import KeyStore
from pipeline.progress import Say
from pipeline.registry import Registry
from pipeline.sealing import OpenedSecret, open_secret
from schemas.contract import Contract
from schemas.errors import IntegrityError
from watermarking.membership import Coverage, coverage
from watermarking.trace_rows import Counts


@dataclass(frozen=True)
class Copies:
    """One series of exports: the copies that share a code word. `exports` best first."""

    series: str
    dataset: str
    recipient: str
    exports: tuple[str, ...]
    issued_at: str
    purpose: str
    coverage: Coverage
    epoch: int


def family_of(registry: Registry, counts: Counts) -> list[Copies]:
    """The copies that are searched: those that held a row of the sample; all, when no row is a record.

    Membership does not look at any secret, so narrowing by it costs nothing.
    """
    held = {entry.export_id: entry for entry in coverage(counts.patterns)}
    groups: dict[str, list[dict[str, Any]]] = {}
    for export in registry.exports().to_pylist():
        if not held or export["export_id"] in held:
            groups.setdefault(export["series_id"], []).append(export)
    family = []
    for series, exports in sorted(groups.items()):
        exports.sort(key=lambda e: (-_rows_held(held, e), e["issued_at"]), reverse=False)
        best = exports[0]
        family.append(
            Copies(
                series, best["dataset"], best["recipient"], tuple(e["export_id"] for e in exports),
                str(best["issued_at"]), best["purpose"], held.get(best["export_id"], Coverage(best["export_id"], 0, 0)),
                best["epoch"],
            )
        )  # fmt: skip
    return family


def _rows_held(held: Mapping[str, Coverage], export: Mapping[str, Any]) -> int:
    found = held.get(export["export_id"])
    return found.rows if found else 0


def alpha_of(contracts: Sequence[Contract], counts: Counts) -> float:
    """What a case may risk: the least alpha of the datasets that its rows are of.

    Where no row is a record of ours only canaries can speak, and theirs are bounds far below: a hundredth is enough,
    and files that have nothing to do with us do not use up the year's budget.
    """
    touched = [c.alpha for c in contracts if counts.datasets[c.dataset]]
    return min(touched) if touched else min((c.alpha for c in contracts), default=1e-6) / 100


def officers_of(keys: KeyStore, pay: Callable[[], str | None]) -> tuple[tuple[X25519PrivateKey, ...], list[str]]:
    """The keys that open secrets, once the trace is paid for; else none and why."""
    officers = keys.officers()
    if not officers:
        return (), ["officer.key is not at hand, so marks and unique canaries stay sealed: at most narrowed."]
    refused = pay()
    return ((), [refused]) if refused else (officers, [])


def open_secrets(
    registry: Registry, officers: Sequence[X25519PrivateKey], family: Sequence[Copies], say: Say
) -> tuple[dict[str, OpenedSecret], list[str]]:
    """The secret of each series, by series, and what is missing to open them.

    A secret whose commitment does not hold, or that two series share, raises IntegrityError.
    """
    say(f"opening the secrets of {len(family)} copies")
    wanted = {copies.exports[0]: copies.series for copies in family}
    opened: dict[str, OpenedSecret] = {}
    for row in registry.sealed(list(wanted)).to_pylist():
        if row["sealed"] is not None:
            opened[wanted[row["export_id"]]] = open_secret(officers, row)
    if len({one.secret for one in opened.values()}) < len(opened):
        raise IntegrityError("two copies in the registry share one secret, so neither can be named; run registry check")
    unmarked = len(family) - len(opened)
    plural = (
        "One export was registered without marks; it"
        if unmarked == 1
        else (f"{unmarked} exports were registered without marks; they")
    )
    notes = [f"{plural} can only be narrowed."] if unmarked else []
    return opened, notes
