"""The report of a case as one HTML page: no network, no script, no customer's value unless it was asked for.

Every number and name comes from the verdict and its background; whatever is printed is escaped, and freed of
characters that would turn or hide text.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from math import log10
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from pipeline.report import pictures
from pipeline.report.background import NOTHING, Background
from pipeline.report.language import Language, language
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
    "undecided": ("Undecided", "What can be read neither shows that it is ours nor clears it."),
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
_PROOF = "Find proof that the recipient got this copy: a delivery log, or a second person."
_NOTIFY = "People are exposed whoever leaked it: check the duty to notify, and its deadline."
# What would explain the finding otherwise, where a copy is named, and where none is.
_OTHERWISE = [
    "Somebody else could read the file, the folder, the mailbox or the machine where this copy lay.",
    "The recipient passed the copy on for a good reason, and it left from there.",
    "The copy was stolen from its recipient, or left through software that reads such files.",
    "Whoever tags could have issued a copy in the recipient's name.",
]
_OTHERWISE_UNNAMED = [
    "The rows left through a copy that was never registered, or straight from the source.",
    "A partner holds the same people, and the rows are theirs.",
]
_SPACED = re.compile(
    r"(?<=[。；]) +(?=[\u4e00-\u9fff0-9])"
)  # templates put a space between sentences; Chinese has none


def render(verdict: Mapping[str, Any], lang: Language | None = None, background: Background = NOTHING) -> str:
    """The page of a verdict document (`leaktrace.verdict/1`), as HTML text; English unless another is given."""
    lang = lang or language("en")
    candidates, copies = verdict["attribution"]["candidates"], named(verdict)
    shown = [c["export_id"] for c in candidates]
    rows = background.rows
    page = _template(lang.code).render(
        v=verdict,
        b=background,
        lang=lang,
        answer=answer(verdict, lang),
        outcome=_OUTCOME[verdict["attribution"]["verdict"]],
        ours=_OURS[verdict["authenticity"]["verdict"]],
        named=copies,
        alpha=bound(log10(verdict["attribution"]["alpha"]), lang),
        others=[c for c in candidates if c["strength"] == "none"],
        classes=_classes(verdict),
        kinds=pictures.shares(verdict["exposed"]["kinds"].items(), verdict["exposed"]["people"]),
        next_steps=next_steps(verdict),
        otherwise=_OTHERWISE if copies else _OTHERWISE_UNNAMED,
        strips=pictures.coverage_strips(rows, shown) if rows is not None else {},
        moments=pictures.time_line(verdict, background.received),
    )
    return page if background.values else _SPACED.sub("", page)  # a customer's value stays as it was


def next_steps(verdict: Mapping[str, Any]) -> list[str]:
    """What to do next, by outcome, in English."""
    steps = list(_NEXT[verdict["attribution"]["verdict"]])
    if any(not copy["custody"]["acknowledged"] for copy in named(verdict)):
        steps.insert(1, _PROOF)
    if verdict["exposed"]["people"]:
        steps.append(_NOTIFY)
    return steps


def support(log10_ratio: float) -> str:
    """ENFSI's words for a likelihood ratio: 'strong support for', 'no support for'."""
    words = next((words for least, words in _SCALE if log10_ratio >= least), "weak")
    return words if log10_ratio >= 0.3 else "no"  # a ratio under 2 supports neither proposition


def ratio(log10_ratio: float, lang: Language | None = None) -> str:
    """A likelihood ratio in figures, capped: beyond 10^6, mix-ups and program errors weigh more."""
    lang = lang or language("en")
    if log10_ratio >= _CAP:
        return lang.say("more than {figure}", figure="10^6")
    figure = 10**log10_ratio
    digits = 10 ** max(0, len(str(int(figure))) - 2)
    return lang.say("about {figure}", figure=int(figure / digits) * digits if figure >= 2 else f"{figure:.2g}")


def moment(text: str) -> str:
    """A time as '2026-11-23 19:07 UTC'; a date as it is."""
    if len(text) <= len("2026-11-23"):
        return text
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def powers(text: str) -> Markup:
    """Escaped text whose powers of ten are set as such, and whose ids and dates stay on one line."""
    if isinstance(text, Markup):
        return text
    whole = re.sub(r"(?<![\w&#;-])(\w+(?:-\w+)+)(?![\w-])", _unbroken, str(escape(printable(text))), flags=re.ASCII)
    return Markup(re.sub(r"(?<!\d)10\^(-?\d+)", _raised, whole))  # noqa: S704 - escaped above


def _raised(found: re.Match[str]) -> str:
    return f"10<sup>{found.group(1).replace('-', '−')}</sup>"


def _unbroken(found: re.Match[str]) -> str:
    word = found.group(1)
    return f'<span class="word">{word}</span>' if len(word) <= _ONE_LINE else word


def _classes(verdict: Mapping[str, Any]) -> list[tuple[str, int, float, str]]:
    rows = verdict["authenticity"]["rows"]
    counted = pictures.shares(((name, rows[name]) for name in _CLASSES), verdict["sample"]["rows"])
    return [(name, number, share, _CLASSES[name]) for name, number, share in counted]


def _clean(value: Any) -> Any:
    """What the template prints: text is freed of control characters; Markup is ours."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _sentence(lang: Language, text: str) -> Markup:
    """A sentence of the verdict; marked as English where it could only be said in English."""
    said = powers(text_of(text, lang))
    bare = text.removeprefix(f"{rule_of(text)}: ")
    return said if lang.knows(bare) else Markup('<span lang="en">{}</span>').format(said)


def _support(lang: Language, words: str) -> str:
    """The word for how much a ratio supports; 'no' is another word here than as an answer."""
    return lang.phrases.get(f"{words} (support)", lang.say(words))


def _label(lang: Language, text: str) -> str:
    """A column in our words ('column 3: phone'), or a kind."""
    found = re.fullmatch(r"column (\d+): (\w+)", text)
    if found is None:
        return lang.say(text.replace("_", " "))
    return lang.say("column {number}: {kind}", number=found[1], kind=lang.say(found[2].replace("_", " ")))


def _note(lang: Language, text: str) -> Markup:
    """What was not read and why: the name of a file, when the note begins with one, then a sentence of ours."""
    name, colon, rest = text.rpartition(": ")
    return Markup("{}: {}").format(_isolated(name), _sentence(lang, rest)) if colon else _sentence(lang, text)


def _isolated(text: str, tag: str = "bdi") -> Markup:
    """Somebody else's words, kept from changing the direction of ours."""
    return Markup(f"<{tag}>{{}}</{tag}>").format(printable(text))  # noqa: S704 - the tag is ours


@cache
def _template(code: str) -> Template:
    lang = language(code)
    environment = Environment(
        loader=PackageLoader("pipeline", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"_": lang.say, "_n": lang.count, "tail_of": pictures.tail_picture}
    environment.filters |= {
        "bdi": _isolated,
        "bound": lambda log10_p: powers(bound(log10_p, lang)),
        "code": lambda text: _isolated(text, "code"),
        "count": lambda number: f"{number:,}",
        "kind": lambda name: lang.say(str(name).replace("_", " ")),
        "label": lambda text: _label(lang, text),
        "missing_link": lambda copy: missing_link(copy, lang),
        "moment": moment,
        "note": lambda text: _note(lang, text),
        "powers": powers,
        "ratio": lambda log10_ratio: powers(ratio(log10_ratio, lang)),
        "rule": rule_of,
        "sentence": lambda text: _sentence(lang, text),
        "support": lambda log10_ratio: _support(lang, support(log10_ratio)),
    }
    return environment.get_template("report.html.j2")
