"""`leaktrace registry erase`, `retain` and `budget`: what is taken out, and how often an innocent may be named."""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.commands.common import Result, command, keys_of, registry_of
from schemas.errors import UsageError


def add_to(parts: Any) -> None:
    """The parsers of these actions of `registry`."""
    example = "leaktrace registry erase --subject-file subject.csv"
    erase = command(parts, "erase", "erase a person's tokens and memberships, on record", example, _erase)
    erase.add_argument("--subject-file", metavar="FILE", required=True, help="rows with the key columns of a dataset")
    example = "leaktrace registry retain --older-than 730"
    retain = command(parts, "retain", "give up what old exports held, by policy", example, _retain)
    retain.add_argument("--older-than", metavar="DAYS", type=float, required=True)
    example = "leaktrace registry budget --set 1e-4"
    budget = command(parts, "budget", "show or set the year's budget of alphas, over all cases", example, _budget)
    budget.add_argument("--set", metavar="ALPHA", type=float, help="how often a year an innocent may be named at most")


def _erase(arguments: Namespace) -> Result:
    from pipeline.erase import erase_subjects
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry

    keys = KeyStore(keys_of(arguments))
    with Registry.open(registry_of(arguments), issuer=keys.issuer()) as registry:
        registry.recover()
        return _result(erase_subjects(Path(arguments.subject_file), registry, keys))


def _retain(arguments: Namespace) -> Result:
    from datetime import UTC, datetime, timedelta

    from pipeline.erase import retain_newer
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry

    if not 0 <= arguments.older_than <= 36_500:
        raise UsageError("leaktrace registry retain: --older-than is no number of days from 0 to 36500")
    keys = KeyStore(keys_of(arguments))
    cutoff = datetime.now(UTC) - timedelta(days=arguments.older_than)
    with Registry.open(registry_of(arguments), issuer=keys.issuer()) as registry:
        registry.recover()
        return _result(retain_newer(cutoff, registry))


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


def _result(erased: Any) -> Result:
    if erased.entry is None:
        return Result(asdict(erased), ["The registry holds nothing of it; nothing was changed."])
    line = (
        f"{erased.versions:,} versions, {erased.tokens:,} tokens and {erased.members:,} memberships erased; entry "
        f"{erased.entry} of the chain says so, and not whose they were. Back-ups made before still hold them."
    )
    return Result(asdict(erased), [line])
