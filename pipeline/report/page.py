"""The report of a case as one HTML page: no network, no script, no customer's value."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.report.summary import bound, summary

_CLASSES = {
    "held": "agree with one record of ours in every field that can be read",
    "partial": "agree as far as they can be read",
    "altered": "agree in some fields and contradict in others",
    "recombined": "put together fields of different records",
    "canary": "are fictitious people that only our copies hold",
    "unknown": "are no record of ours",
}
_SCALE = ((6, "extremely strong"), (4, "very strong"), (3, "strong"), (2, "moderately strong"), (1, "moderate"))


def render(verdict: Mapping[str, Any]) -> str:
    """The page; numbers and words come from the verdict alone."""
    environment = Environment(
        loader=PackageLoader("pipeline", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    candidates = verdict["attribution"]["candidates"]
    return environment.get_template("report.html.j2").render(
        v=verdict,
        answer=summary(verdict)[0],
        named=[c for c in candidates if c["recipient"] is not None],
        others=[c for c in candidates if c["recipient"] is None],
        classes=_CLASSES,
        bound=bound,
        support=support,
        next_steps=next_steps(verdict),
    )


def support(log10_ratio: float) -> str:
    """ENFSI's verbal scale for a likelihood ratio (Guideline for evaluative reporting, 2015)."""
    return next((words for least, words in _SCALE if log10_ratio >= least), "weak")


def next_steps(verdict: Mapping[str, Any]) -> list[str]:
    """What to do next, by outcome."""
    steps = {
        "identified": [
            "Have a second person review this case before anybody acts on it; run leaktrace verify on the case folder.",
            "Secure the access logs of the named copy: who else could read it?",
        ],
        "lead": ["Do not confront anybody. Look for more rows of the leak and trace them again with these."],
        "narrowed": ["Look for more rows, and for columns that carry marks (addresses, e-mail)."],
        "insufficient": ["Look for more rows, and for columns that carry marks (addresses, e-mail)."],
        "not_applicable": ["Keep the sample; it can be traced again when more of it turns up."],
    }
    found = list(steps[verdict["attribution"]["verdict"]])
    if verdict["exposed"]["people"]:
        found.append("People in the sample are exposed whoever leaked it: check the duty to notify and its clock.")
    return found
