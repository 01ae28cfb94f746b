"""`leaktrace registry budget`: how often a year an innocent may be named, over all cases."""

from argparse import Namespace
from dataclasses import asdict
from typing import Any

from pipeline.commands.common import Result, command, keys_of, registry_of


def add_to(parts: Any) -> None:
    """The parser of this action of `registry`."""
    example = "leaktrace registry budget --set 1e-4"
    budget = command(parts, "budget", "show or set the year's budget of alphas, over all cases", example, _budget)
    budget.add_argument("--set", metavar="ALPHA", type=float, help="how often a year an innocent may be named at most")


def _budget(arguments: Namespace) -> Result:
    from datetime import UTC, datetime

    from pipeline.budget import budget_of, set_budget
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry

    setting = arguments.set is not None
    issuer = KeyStore(keys_of(arguments)).issuer() if setting else None
    with Registry.open(registry_of(arguments), issuer=issuer) as registry:
        registry.recover()
        if setting:
            set_budget(registry, arguments.set)
        found = budget_of(registry, datetime.now(UTC).year)
    line = (
        f"{found.year}: {found.spent:.3g} of a budget of {found.budget:.3g} spent by {found.traces} traces; "
        f"{found.left:.3g} left. Over all cases of the year an innocent is named with probability at most "
        f"{found.budget:.3g}."
    )
    return Result(asdict(found) | {"left": found.left}, [line])
