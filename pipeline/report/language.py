"""The languages of what a person reads. English is how everything is written; others are looked up by the English.

A catalogue (`zh.yaml`) has two parts. `phrases` are said by the report and the summary. `sentences` are said by the
verdict, which keeps them in English so that verdict.json reads the same everywhere: a sentence is matched with its
pattern, the numbers and ids are taken from it, and it is said again. A sentence without a pattern stays English, and
the page marks it as English: nothing that a verdict says is ever dropped.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup, escape

LANGUAGES = ("en", "zh")
_TAGS = {"en": "en", "zh": "zh-Hans"}
_HOLE = re.compile(r"\{(\w+)\}|\[([^\]|]+\|[^\]|]+)\]")
_NUMBER = r"-?[0-9][0-9,.]*(?:e-?[0-9]+)?"


@dataclass(frozen=True)
class Pattern:
    """An English sentence with holes, as an expression, and how it is said in the language."""

    expression: re.Pattern[str]
    said: str


@dataclass(frozen=True)
class Language:
    """One language. `tag` is for the page's lang attribute."""

    code: str
    tag: str
    phrases: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()

    def say(self, english: str, /, **values: Any) -> str:
        """A phrase of ours with its values; whole numbers get their commas, and Markup among the values is kept."""
        phrase = self.phrases.get(english, english)
        shown = {name: f"{value:,}" if type(value) is int else value for name, value in values.items()}
        if any(isinstance(value, Markup) for value in shown.values()):
            return Markup(escape(phrase)).format(**shown)  # noqa: S704 - escaped here, values by format
        return phrase.format(**shown) if shown else phrase

    def count(self, one: str, many: str, number: int, /, **values: Any) -> str:
        """A phrase about a number `n`, in the form that the number asks for."""
        return self.say(one if number == 1 and self.code == "en" else many, n=number, **values)

    def knows(self, sentence: str) -> bool:
        """Whether a sentence of a verdict can be said in this language."""
        return self.code == "en" or self._matching(sentence) is not None

    def sentence(self, sentence: str) -> str:
        """A sentence of a verdict in this language; as it is, where nobody has put it into this language."""
        found = None if self.code == "en" else self._matching(sentence)
        if found is None:
            return sentence
        pattern, matched = found
        return pattern.said.format(**{name: self._listed(text) for name, text in matched.items()})

    def _listed(self, text: str) -> str:
        """What stands in a hole, a word of ours or a list of them, in this language."""
        words = [text] if text in self.phrases else text.split(", ")
        return self.phrases.get(", ", ", ").join(self.phrases.get(word, word) for word in words)

    def _matching(self, sentence: str) -> tuple[Pattern, dict[str, str]] | None:
        for pattern in self.patterns:
            matched = pattern.expression.fullmatch(sentence)
            if matched:
                return pattern, matched.groupdict()
        return None


@cache
def language(code: str) -> Language:
    """A language by its code; ValueError for one that there is none of."""
    if code not in LANGUAGES:
        raise ValueError(f"no language {code}")
    if code == "en":
        return Language("en", _TAGS["en"])
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (files("pipeline.report") / f"{code}.yaml").read_text("utf-8")
    catalogue = yaml.load(text, loader)  # noqa: S506 - a safe loader
    patterns = tuple(Pattern(expression(english), said) for english, said in catalogue["sentences"].items())
    return Language(code, _TAGS[code], catalogue["phrases"], patterns)


def expression(english: str) -> re.Pattern[str]:
    """A sentence with holes as an expression: a hole that begins with n is a number, with id a word, else any text.

    [row agrees|rows agree] is either.
    """
    parts, at = [], 0
    for hole in _HOLE.finditer(english):
        name, either = hole.groups()
        if either:
            parts += [re.escape(english[at : hole.start()]), f"(?:{'|'.join(map(re.escape, either.split('|')))})"]
            at = hole.end()
            continue
        inner = _NUMBER if name[0] == "n" else r"\S+?" if name.startswith("id") else r".+?"
        parts += [re.escape(english[at : hole.start()]), f"(?P<{name}>{inner})"]
        at = hole.end()
    return re.compile("".join([*parts, re.escape(english[at:])]), re.DOTALL)
