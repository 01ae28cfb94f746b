"""The answer in a few lines, for a terminal; the first line is the whole answer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.language import Language, language

ENGLISH = language("en")
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


def summary(verdict: Mapping[str, Any], lang: Language = ENGLISH) -> list[str]:
    """Lines for a terminal; the first is the whole answer.

    They name a recipient only for copies at lead or better, and hold no value of the sample.
    """
    copies = named(verdict)
    lines = [answer(verdict, lang), _rows(verdict, lang)]
    if verdict["attribution"]["verdict"] == "identified":
        leads = [c for c in copies if c["strength"] != "conclusive"]
        besides = "A lead besides, no accusation: {copy}; {bound}."
        lines += [lang.say(besides, copy=_lower(copy_words(c, lang)), bound=bound_words(c, lang)) for c in leads]
    for one in copies:
        lines += evidence_words(one, lang)
    lines += [missing_link(c, lang) for c in copies if c["strength"] == "conclusive" and missing_link(c, lang)]
    lines += [text_of(reason, lang) for reason in verdict["attribution"]["reasons"] if rule_of(reason) == "B0"]
    return [printable(line) for line in lines]


def answer(verdict: Mapping[str, Any], lang: Language = ENGLISH) -> str:
    """Is it ours, which copy, issued to whom, at which bound: one line."""
    attribution = verdict["attribution"]
    ours, outcome = lang.say(_OURS[verdict["authenticity"]["verdict"]]), attribution["verdict"]
    copies = named(verdict)
    if outcome == "identified":
        return _joined(ours, _named([c for c in copies if c["strength"] == "conclusive"], lang), lang)
    if outcome == "lead":
        said = "A lead, no accusation: {copy}; {bound}."
        copy = _lower(copy_words(copies[0], lang))
        return _joined(ours, lang.say(said, copy=copy, bound=bound_words(copies[0], lang)), lang)
    if outcome == "not_applicable":
        return _joined(ours, lang.say("Nobody is named."), lang)
    reason = _lower(text_of(decisive(verdict), lang))
    return _joined(ours, lang.say("Nobody is named: {reason}", reason=reason), lang)


def decisive(verdict: Mapping[str, Any]) -> str:
    """The reason that decided the attribution: the last with a rule number other than B0."""
    reasons = verdict["attribution"]["reasons"]
    ruled = [reason for reason in reasons if rule_of(reason) not in ("", "B0")]
    return str((ruled or reasons)[-1])


def named(verdict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The copies at lead or better, best first; of no other copy is a recipient known here."""
    return [c for c in verdict["attribution"]["candidates"] if c["strength"] != "none"]


def copy_words(copy: Mapping[str, Any], lang: Language = ENGLISH) -> str:
    """'Copy X-1, issued to E1 on 2026-11-20', with the rest of its series."""
    more = len(copy["exports"]) - 1
    one, many = " (or the other copy of its series)", " (or one of the {n} others of its series)"
    series = lang.count(one, many, more) if more else ""
    return lang.say(
        "Copy {id}{series}, issued to {recipient} on {date}",
        id=copy["export_id"], series=series, recipient=copy["recipient"], date=copy["issued_at"][:10],
    )  # fmt: skip


def bound_words(copy: Mapping[str, Any], lang: Language = ENGLISH) -> str:
    """'at most 1 in 10^9 for any innocent copy'."""
    return lang.say("{bound} for any innocent copy", bound=bound(copy["log10_p_adjusted"], lang))


def bound(log10_p: float, lang: Language = ENGLISH) -> str:
    """A probability in words, never smaller than it is: 'at most 1 in 10^9', 'at most 1 in 790,000'."""
    power = int(-log10_p)
    if power >= 6:
        return lang.say("at most 1 in {odds}", odds=f"10^{power}")
    odds = 10**-log10_p
    digits = 10 ** max(0, len(str(int(odds))) - 2)
    return lang.say("at most 1 in {odds}", odds=int(odds / digits) * digits) if odds >= 2 else lang.say("at most 1")


def evidence_words(copy: Mapping[str, Any], lang: Language = ENGLISH) -> list[str]:
    """How the evidence about a copy adds up, one line a channel and carrier; none for a verdict without its words."""
    said = copy.get("evidence", {}).get("words", [])
    head = [lang.say("What speaks for copy {id}:", id=copy["export_id"])] if said else []
    return head + [f"  {text_of(sentence, lang)}" for sentence in said]


def missing_link(copy: Mapping[str, Any], lang: Language = ENGLISH) -> str:
    """What is missing between the copy and its recipient; empty when nothing is."""
    missing = [lang.say(words) for link, words in _LINKS.items() if not copy["custody"][link]]
    if not missing:
        return ""
    said = "This is about copy {id}, not yet about the person: {links}."
    return lang.say(said, id=copy["export_id"], links=lang.say("; ").join(missing))


def rule_of(reason: str) -> str:
    """The rule number that a reason starts with ('B1: …'); empty without one."""
    found = re.match(r"([A-Z][0-9]+): ", reason)
    return found.group(1) if found else ""


def text_of(reason: str, lang: Language = ENGLISH) -> str:
    """A reason without its rule number, as a sentence."""
    text = lang.sentence(reason.removeprefix(f"{rule_of(reason)}: "))
    return text[:1].upper() + text[1:]


def printable(text: str) -> str:
    """Text without control characters and marks that turn the direction of writing."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _named(copies: Sequence[Mapping[str, Any]], lang: Language) -> str:
    worst = max(copies, key=lambda copy: copy["log10_p_adjusted"])
    told = [copy_words(copy, lang) if copy is copies[0] else _lower(copy_words(copy, lang)) for copy in copies]
    return lang.say("{copies}; {bound}.", copies=lang.say("; ").join(told), bound=bound_words(worst, lang))


def _rows(verdict: Mapping[str, Any], lang: Language) -> str:
    rows = verdict["authenticity"]["rows"]
    found = lang.say(", ").join(
        lang.say("{n} {row_class}", n=count, row_class=lang.say(name)) for name, count in rows.items() if count
    )
    people = verdict["exposed"]["people"]
    exposed = lang.count("; {n} person is exposed", "; {n} people are exposed", people) if people else ""
    found = found or lang.say("none that can be read")
    return lang.say("Rows of the sample: {found}{exposed}.", found=found, exposed=exposed)


def _joined(first: str, second: str, lang: Language) -> str:
    return first + (" " if lang.code == "en" else "") + second


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
