"""What a person reads: the report of a case, and the lines that a trace prints."""

from pipeline.report.background import Background, Values, background_of, keys_shown
from pipeline.report.language import LANGUAGES, Language, language
from pipeline.report.page import render
from pipeline.report.summary import summary

__all__ = [
    "LANGUAGES", "Background", "Language", "Values", "background_of", "keys_shown", "language", "render", "summary",
]  # fmt: skip
