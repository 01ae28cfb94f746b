"""Telling somebody about a case: a webhook or a command, with time limits and retries, without a customer's value.

What is sent: the case's name and id, both verdicts, how strong the best candidate is, and counts. Who received the
copy stands in the case, not in the message.
"""

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.webhook import post_json
from schemas.errors import UsageError

LEVELS = ("any", "ours", "narrowed", "lead", "identified")
_OURS = ("ours", "partly_ours", "fabricated_from_ours")
_TRIES = 3


@dataclass(frozen=True)
class Alarm:
    """Whom to tell of cases at or above `level`; every try ends after `patience` seconds."""

    level: str
    url: str | None = None
    command: str | None = None
    patience: float = 10.0
    pause: float = 1.0

    def __post_init__(self) -> None:
        """UsageError for an address that is none."""
        if self.url is not None and not self.url.startswith(("https://", "http://")):
            raise UsageError("leaktrace sweep: --alert-url begins with https:// or http://")

    def raise_for(self, verdict: Mapping[str, Any], case: str) -> str:
        """Tell of a case, three times at most; empty when it arrived, else one sentence."""
        body = json.dumps(message(verdict, case), sort_keys=True).encode()
        for way, told in (("webhook", self._post), ("command", self._run)):
            problem = self._insist(lambda told=told: told(body, case))  # type: ignore[misc]
            if problem:
                return f"the {way} did not take the alarm of case {case} ({problem}); the next sweep tries again"
        return ""

    def _insist(self, told: Callable[[], str]) -> str:
        problem = ""
        for attempt in range(_TRIES):
            problem = told()
            if not problem:
                return ""
            if attempt < _TRIES - 1:
                time.sleep(self.pause * 2**attempt)
        return problem

    def _post(self, body: bytes, case: str) -> str:
        return "" if self.url is None else post_json(self.url, body, self.patience, {"Idempotency-Key": case})

    def _run(self, body: bytes, case: str) -> str:
        """The command, with the message on its standard input."""
        if self.command is None:
            return ""
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
                shlex.split(self.command), input=body, timeout=self.patience, check=False, capture_output=True
            )
        except subprocess.TimeoutExpired:
            return f"it did not end within {self.patience:g} s"
        except (OSError, ValueError) as error:
            return f"it cannot be started, {type(error).__name__}"
        return f"it ended with {done.returncode}" if done.returncode else ""


def level_of(verdict: Mapping[str, Any]) -> str:
    """The level of a verdict: the stronger of what it says about the rows and about the copy."""
    attribution = verdict["attribution"]["verdict"]
    if attribution in ("identified", "lead", "narrowed"):
        return str(attribution)
    return "ours" if verdict["authenticity"]["verdict"] in _OURS else "any"


def reaches(level: str, wanted: str) -> bool:
    """Whether a verdict at `level` is to be told to somebody who wants `wanted` and above."""
    return LEVELS.index(level) >= LEVELS.index(wanted)


def message(verdict: Mapping[str, Any], case: str) -> dict[str, Any]:
    """What is told: no value of the sample, no name of its files, and nobody's name."""
    strengths = [candidate["strength"] for candidate in verdict["attribution"]["candidates"]]
    order = ("conclusive", "strong", "lead", "none")
    return {
        "case": case,
        "case_id": verdict["case_id"],
        "created_at": verdict["created_at"],
        "authenticity": verdict["authenticity"]["verdict"],
        "attribution": verdict["attribution"]["verdict"],
        "strength": min(strengths, key=order.index, default="none"),
        "rows": verdict["sample"]["rows"],
        "people": verdict["exposed"]["people"],
        "text": f"leaktrace: case {case} is {verdict['attribution']['verdict']}; read its report.html",
    }
