"""The organisation's yearly budget of alphas: how often, over all cases of a year, an innocent may be named.

Each trace that opens secrets spends what its attempt may (alpha times the attempt's share, `evidence.attempt_share`),
before it opens one. By the union bound, the probability that any innocent is named in any case of the year is at most
the budget. When it is used up, secrets stay sealed: a trace then says whose rows these are and who held them, no more.
The budget is an entry of the signed chain; what was spent is one of the signed log of traces (decision 0161).
"""

from dataclasses import dataclass
from datetime import datetime

from pipeline.ledger import Log
from pipeline.registry import Registry
from schemas.errors import UsageError
from watermarking.evidence import attempt_share

DEFAULT = 1e-4
_KIND = "alpha_budget"
_MOST = 0.05


@dataclass(frozen=True)
class Budget:
    """A year's budget of alphas, what of it is spent, and by how many traces."""

    year: int
    budget: float
    spent: float
    traces: int

    @property
    def left(self) -> float:
        """What is not spent yet."""
        return max(0.0, self.budget - self.spent)


def budget_of(registry: Registry, year: int) -> Budget:
    """The budget in force and what a year's cases spent (UTC)."""
    said = registry.notes(_KIND)
    spent, traces = registry.spent(year)
    return Budget(year, float(said[-1]["budget"]) if said else DEFAULT, spent, traces)


def set_budget(registry: Registry, value: float) -> None:
    """Put a new budget in force; UsageError unless it is from 0 to 0.05. Needs the issuer's key."""
    if not 0 <= value <= _MOST:
        raise UsageError(f"leaktrace registry budget: a yearly budget is from 0 to {_MOST}; give one with --set")
    registry.note(_KIND, "", {"budget": value})


def spend(
    registry: Registry,
    case_id: str,
    sample_digest: str,
    alpha: float,
    attempt: int,
    at: datetime,
    *,
    again: bool,
    log: Log | None = None,
) -> str | None:
    """Spend a trace's alpha before a secret is opened; one sentence instead when the year's budget does not cover it.

    again: the attempt was traced and paid for before, and is repeated as it was. log: who traces, for the log.
    """
    if again:
        covered = registry.spent_on(sample_digest, attempt) != 0
    else:
        now = budget_of(registry, at.year)
        covered = registry.spend(case_id, alpha * attempt_share(attempt), at.year, now.budget, log)
    if covered:
        return None
    return (
        f"The organisation's budget of alphas for {at.year} is used up, so marks and canaries stay sealed and the "
        "verdict is at most narrowed; leaktrace registry budget shows it, and --set decides on a larger one."
    )
