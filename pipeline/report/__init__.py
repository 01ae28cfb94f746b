"""What a person reads: the report of a case, and the lines that a trace prints."""

from pipeline.report.page import render
from pipeline.report.summary import summary

__all__ = ["render", "summary"]
