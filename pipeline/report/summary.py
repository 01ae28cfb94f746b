"""The answer in a few lines; the first line is the answer."""

from collections.abc import Mapping
from typing import Any

_OURS = {
    "ours": "Ours.",
    "partly_ours": "Partly ours.",
    "fabricated_from_ours": "Put together from rows of ours.",
    "not_ours": "Not ours.",
    "undecided": "Undecided whether it is ours.",
}


def summary(verdict: Mapping[str, Any]) -> list[str]:
    """Lines for a terminal; the first is the whole answer."""
    attribution = verdict["attribution"]
    ours = _OURS[verdict["authenticity"]["verdict"]]
    named = [c for c in attribution["candidates"] if c["recipient"] is not None]
    answer = f"{ours} {_attribution(attribution, named)}"
    return [answer, *(_copy(candidate) for candidate in named[1:]), *attribution["reasons"][-1:]]


def bound(log10_p: float) -> str:
    """A bound in words, never smaller than it is: 'at most 1 in 10^9'."""
    power = int(-log10_p)
    return f"at most 1 in 10^{power}" if power >= 3 else f"at most 1 in {max(1, int(10**-log10_p))}"


def _attribution(attribution: Mapping[str, Any], named: list[Mapping[str, Any]]) -> str:
    outcome = attribution["verdict"]
    if outcome == "identified":
        return _copy(named[0])
    if outcome == "lead":
        return f"A lead, no accusation: {_copy(named[0])[0].lower()}{_copy(named[0])[1:]}"
    if outcome == "narrowed":
        return "No copy is named; membership leaves fewer exports than there are."
    if outcome == "not_applicable":
        return "Nobody is named."
    return "No copy is named: what is at hand cannot tell the exports apart."


def _copy(candidate: Mapping[str, Any]) -> str:
    date = candidate["issued_at"][:10]
    return (
        f"Copy {candidate['export_id']}, issued to {candidate['recipient']} on {date}; "
        f"{bound(candidate['log10_p_adjusted'])} for any innocent copy."
    )
