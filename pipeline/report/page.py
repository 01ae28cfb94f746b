"""The report of a case as one HTML page: no network, no script, no customer's value.

Every number and name comes from the verdict; whatever is printed is escaped, and freed of characters that would
turn or hide text.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from math import log10
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from pipeline.report.summary import answer, bound, missing_link, named, printable, rule_of, text_of

_CLASSES = {
    "held": "agree with one record of ours in every field that can be read",
    "partial": "agree with a record of ours as far as they can be read",
    "altered": "agree with a record of ours in some fields and contradict it in others",
    "recombined": "put together fields of two or more records",
    "canary": "are fictitious people whom only our copies hold",
    "unknown": "are no record of ours",
}
_OURS = {
    "ours": ("Yes", "The rows are ours."),
    "partly_ours": ("In part", "Some rows are ours, some are not."),
    "fabricated_from_ours": ("Made up from ours", "Fields of our records were put together anew."),
    "not_ours": ("No", "What matches, matches by chance."),
    "undecided": ("Undecided", "Too much to dismiss, too little to exclude chance."),
}
_OUTCOME = {
    "identified": "Copy identified",
    "lead": "Lead, no accusation",
    "narrowed": "Narrowed by membership",
    "insufficient": "Not enough to tell copies apart",
    "not_applicable": "Nobody named",
}
# ENFSI Guideline for Evaluative Reporting in Forensic Science (2015): likelihood ratio from 10^least on.
_SCALE = ((6, "extremely strong"), (4, "very strong"), (3, "strong"), (2, "moderately strong"), (1, "moderate"))
_CAP = 6.0
_ONE_LINE = 24  # characters that fit on a telephone's line in the largest type
_MEMBERSHIP = "Look for more rows of the leak, and for columns that carry marks (addresses, e-mail); trace them again."
_NEXT = {
    "identified": [
        "Have a second person review this case before anybody acts on it; run leaktrace verify on its folder.",
        "Secure the access logs of the named copy: where it lay, and who else could read it.",
        "Take no measure against a person on this page alone.",
    ],
    "lead": [
        "Accuse nobody and confront nobody.",
        "Look for more rows of the leak and trace them together with these.",
    ],
    "narrowed": ["Accuse nobody: many may have held these rows.", _MEMBERSHIP],
    "insufficient": ["Accuse nobody.", _MEMBERSHIP],
    "not_applicable": ["Keep the sample; trace it again when more of it turns up."],
}


def render(verdict: Mapping[str, Any]) -> str:
    """The page of a verdict document (`leaktrace.verdict/1`), as HTML text."""
    candidates = verdict["attribution"]["candidates"]
    return _template().render(
        v=verdict,
        answer=answer(verdict),
        outcome=_OUTCOME[verdict["attribution"]["verdict"]],
        ours=_OURS[verdict["authenticity"]["verdict"]],
        named=named(verdict),
        alpha=bound(log10(verdict["attribution"]["alpha"])),
        others=[c for c in candidates if c["strength"] == "none"],
        classes=[(name, verdict["authenticity"]["rows"][name], words) for name, words in _CLASSES.items()],
        next_steps=next_steps(verdict),
    )


def next_steps(verdict: Mapping[str, Any]) -> list[str]:
    """What to do next, by outcome."""
    steps = list(_NEXT[verdict["attribution"]["verdict"]])
    if any(not copy["custody"]["acknowledged"] for copy in named(verdict)):
        steps.insert(1, "Find proof that the recipient got this copy: a delivery log, or a second person.")
    if verdict["exposed"]["people"]:
        steps.append("People are exposed whoever leaked it: check the duty to notify, and its deadline.")
    return steps


def support(log10_ratio: float) -> str:
    """ENFSI's words for a likelihood ratio: 'strong support for', 'no support for'."""
    words = next((words for least, words in _SCALE if log10_ratio >= least), "weak")
    return words if log10_ratio >= 0.3 else "no"  # a ratio under 2 supports neither proposition


def ratio(log10_ratio: float) -> str:
    """A likelihood ratio in figures, capped: beyond 10^6, mix-ups and program errors weigh more."""
    if log10_ratio >= _CAP:
        return "more than 10^6"
    figure = 10**log10_ratio
    digits = 10 ** max(0, len(str(int(figure))) - 2)
    return f"about {int(figure / digits) * digits:,}" if figure >= 2 else f"about {figure:.2g}"


def moment(text: str) -> str:
    """A time as '2026-11-23 19:07 UTC'."""
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def powers(text: str) -> Markup:
    """Escaped text whose powers of ten are set as such, and whose ids and dates stay on one line."""
    whole = re.sub(r"(?<![\w&#;-])(\w+(?:-\w+)+)(?![\w-])", _unbroken, str(escape(printable(text))))
    return Markup(re.sub(r"\b10\^(\d+)", r"10<sup>\1</sup>", whole))  # noqa: S704 - escaped above


def _unbroken(found: re.Match[str]) -> str:
    word = found.group(1)
    return f'<span class="word">{word}</span>' if len(word) <= _ONE_LINE else word


def _clean(value: Any) -> Any:
    """What the template prints: text is freed of control characters; Markup is ours."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("pipeline", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bound": bound,
        "count": lambda number: f"{number:,}",
        "kind": lambda name: str(name).replace("_", " "),
        "missing_link": missing_link,
        "moment": moment,
        "powers": powers,
        "ratio": ratio,
        "rule": rule_of,
        "support": support,
        "text": text_of,
    }
    return environment.get_template("report.html.j2")
