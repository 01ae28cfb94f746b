"""The facts that a notification of a breach asks for, as far as the case holds them; in English and in Chinese.

How many people, which kinds of data, when at the earliest and at the latest, and what is not known. What only people
know (consequences, measures, whom to ask) stands there as open. It names no recipient: a regulator is told what
happened to whom, not who is suspected.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.report import LANGUAGES, Background, Language, language
from pipeline.report.page import moment

SCHEMA = "leaktrace.notice/1"
_OPEN = (
    "what is likely to follow for the people",
    "what was done and is going to be done",
    "whom they can ask",
)


def notice(verdict: Mapping[str, Any], background: Background) -> dict[str, Any]:
    """The facts as a JSON document (schemas/notice.schema.json), with the same in sentences by language."""
    exposed = verdict["exposed"]
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "case_id": verdict["case_id"],
        "made_at": verdict["created_at"],
        "is_ours": verdict["authenticity"]["verdict"],
        "people_in_sample": exposed["people"],
        "people_at_most": _at_most(verdict, background),
        "kinds": dict(exposed["kinds"]),
        "rows_in_sample": verdict["sample"]["rows"],
        "time": _time(verdict, background),
        "open": list(_OPEN),
        "envelope_sha256": background.envelope,
    }
    return body | {"sentences": {code: _sentences(body, language(code)) for code in LANGUAGES}}


def notice_text(body: Mapping[str, Any]) -> str:
    """The sentences of a notice, one language after the other."""
    return "\n\n".join("\n".join(body["sentences"][code]) for code in LANGUAGES) + "\n"


def _at_most(verdict: Mapping[str, Any], background: Background) -> int | None:
    """Rows of the copies that are named for sure: so many people, if all of them leaked; None without receipts."""
    sure = [c["export_id"] for c in verdict["attribution"]["candidates"] if c["strength"] == "conclusive"]
    rows = [background.rows_of(export) for export in sure]
    known = [count for count in rows if count]
    return sum(known) if known and len(known) == len(rows) else None


def _time(verdict: Mapping[str, Any], background: Background) -> dict[str, Any]:
    """Between which moments the rows left, each with what it rests on; a lower end only when something gives one."""
    sure = [c["issued_at"] for c in verdict["attribution"]["candidates"] if c["strength"] == "conclusive"]
    outdated = [line["from"] for line in verdict["authenticity"].get("outdated", ())]
    before, why = (min(sure), "issued") if sure else (min(outdated), "outdated") if outdated else (None, None)
    after = background.received or verdict["created_at"]
    return {
        "not_before": before, "not_before_because": why,
        "not_after": after, "not_after_because": "received" if background.received else "traced",
    }  # fmt: skip


_BECAUSE = {
    "issued": "Not before {when}: the named copy was issued then.",
    "outdated": "Probably not before {when}: the sample holds values that became current then.",
    "received": "Not after {when}: the sample was received then.",
    "traced": "Not after {when}: the sample was traced then.",
}


def _sentences(body: Mapping[str, Any], lang: Language) -> list[str]:
    """The facts in sentences."""
    time = body["time"]
    said = [lang.say("Facts for a notification, case {id}, {when}", id=body["case_id"], when=moment(body["made_at"]))]
    said.append(lang.count("{n} person of ours is in the sample.", "{n} people of ours are in the sample.",
                           body["people_in_sample"]))  # fmt: skip
    if body["people_at_most"] is not None:
        said.append(
            lang.say("If the named copies leaked whole, at most {n} people are concerned.", n=body["people_at_most"])
        )
    else:
        said.append(lang.say("How many more may be concerned is not known."))
    for kind, number in body["kinds"].items():
        said.append(lang.say("Kind of data: {kind}, of {n} people.", kind=lang.say(kind.replace("_", " ")), n=number))
    if time["not_before"]:
        said.append(lang.say(_BECAUSE[time["not_before_because"]], when=moment(time["not_before"])))
    else:
        said.append(lang.say("Nothing says how early the rows left."))
    said.append(lang.say(_BECAUSE[time["not_after_because"]], when=moment(time["not_after"])))
    said += [lang.say("Still open: {what}.", what=lang.say(what)) for what in body["open"]]
    said.append(lang.say("This is a first estimate from one sample; more of the leak may turn up."))
    return said
