"""The answer in a few lines, for a terminal; the first line is the whole answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_OURS = {
    "ours": "Ours.",
    "partly_ours": "Partly ours.",
    "fabricated_from_ours": "Put together from records of ours.",
    "not_ours": "Not ours.",
    "undecided": "Undecided whether it is ours.",
}
_LINKS = {
    "acknowledged": "the recipient has not acknowledged receiving it",
    "witnessed": "the head of the registry's chain was not witnessed outside before the sample arrived",
    "before_sample": "the registry says that it was issued only after the sample was traced",
}


def summary(verdict: Mapping[str, Any]) -> list[str]:
    """Lines for a terminal; the first is the whole answer.

    They name a recipient only for copies at lead or better, and hold no value of the sample.
    """
    copies = named(verdict)
    lines = [answer(verdict), _rows(verdict)]
    if verdict["attribution"]["verdict"] == "identified":
        leads = [c for c in copies if c["strength"] != "conclusive"]
        lines += [f"A lead besides, no accusation: {_lower(copy_words(c))}; {bound_words(c)}." for c in leads]
    lines += [missing_link(c) for c in copies if c["strength"] == "conclusive" and missing_link(c)]
    lines += [text_of(reason) for reason in verdict["attribution"]["reasons"] if rule_of(reason) == "B0"]
    return [printable(line) for line in lines]


def answer(verdict: Mapping[str, Any]) -> str:
    """Is it ours, which copy, issued to whom, at which bound: one line."""
    attribution = verdict["attribution"]
    ours, outcome = _OURS[verdict["authenticity"]["verdict"]], attribution["verdict"]
    copies = named(verdict)
    if outcome == "identified":
        return f"{ours} {_named([c for c in copies if c['strength'] == 'conclusive'])}"
    if outcome == "lead":
        return f"{ours} A lead, no accusation: {_lower(copy_words(copies[0]))}; {bound_words(copies[0])}."
    if outcome == "not_applicable":
        return f"{ours} Nobody is named."
    return f"{ours} Nobody is named: {_lower(text_of(attribution['reasons'][-1]))}"


def named(verdict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The copies at lead or better, best first; of no other copy is a recipient known here."""
    return [c for c in verdict["attribution"]["candidates"] if c["strength"] != "none"]


def copy_words(copy: Mapping[str, Any]) -> str:
    """'Copy X-1, issued to E1 on 2026-11-20', with the rest of its series."""
    more = len(copy["exports"]) - 1
    series = f" (or {_others(more)} of its series)" if more else ""
    return f"Copy {copy['export_id']}{series}, issued to {copy['recipient']} on {copy['issued_at'][:10]}"


def bound_words(copy: Mapping[str, Any]) -> str:
    """'at most 1 in 10^9 for any innocent copy'."""
    return f"{bound(copy['log10_p_adjusted'])} for any innocent copy"


def bound(log10_p: float) -> str:
    """A probability in words, never smaller than it is: 'at most 1 in 10^9', 'at most 1 in 790,000'."""
    power = int(-log10_p)
    if power >= 6:
        return f"at most 1 in 10^{power}"
    odds = 10**-log10_p
    digits = 10 ** max(0, len(str(int(odds))) - 2)
    return f"at most 1 in {int(odds / digits) * digits:,}" if odds >= 2 else "at most 1"


def missing_link(copy: Mapping[str, Any]) -> str:
    """What is missing between the copy and its recipient; empty when nothing is."""
    missing = [words for link, words in _LINKS.items() if not copy["custody"][link]]
    if not missing:
        return ""
    return f"This is about copy {copy['export_id']}, not yet about the person: {'; '.join(missing)}."


def rule_of(reason: str) -> str:
    """The rule number that a reason starts with ('B1: …'); empty without one."""
    found = re.match(r"([A-Z][0-9]+): ", reason)
    return found.group(1) if found else ""


def text_of(reason: str) -> str:
    """A reason without its rule number, as a sentence."""
    text = reason.removeprefix(f"{rule_of(reason)}: ")
    return text[:1].upper() + text[1:]


def printable(text: str) -> str:
    """Text without control characters and marks that turn the direction of writing."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _named(copies: Sequence[Mapping[str, Any]]) -> str:
    worst = max(copies, key=lambda copy: copy["log10_p_adjusted"])
    told = "; ".join(copy_words(copy) if copy is copies[0] else _lower(copy_words(copy)) for copy in copies)
    return f"{told}; {bound_words(worst)}."


def _rows(verdict: Mapping[str, Any]) -> str:
    rows = verdict["authenticity"]["rows"]
    found = ", ".join(f"{count:,} {name}" for name, count in rows.items() if count)
    people = verdict["exposed"]["people"]
    exposed = f"; {people:,} {'person is' if people == 1 else 'people are'} exposed" if people else ""
    return f"Rows of the sample: {found or 'none that can be read'}{exposed}."


def _others(number: int) -> str:
    return "the other copy" if number == 1 else f"one of the {number} others"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
