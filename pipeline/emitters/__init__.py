"""A case for other systems: an OCSF finding, a STIX bundle, the facts of a notification. None holds a customer's value.

Written by `trace --emit` they stand in the case and are signed with it; written by `report --emit` they stand outside
and are not, but hold the digest of the signed envelope.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.emitters.notice import notice, notice_text
from pipeline.emitters.ocsf import finding
from pipeline.emitters.stix import case_bundle
from pipeline.report import Background

__all__ = ["FORMS", "emit"]

Document = Callable[[Mapping[str, Any], Background], dict[str, Any]]
_DOCUMENTS: Mapping[str, tuple[str, Document]] = {
    "ocsf": ("finding.ocsf.json", finding),
    "stix": ("bundle.stix.json", case_bundle),
    "notice": ("notice.json", notice),
}
FORMS = tuple(_DOCUMENTS)


def emit(forms: Sequence[str], verdict: Mapping[str, Any], background: Background) -> dict[str, str]:
    """The text of each file by its name; `notice` also as a page of plain text, in English and in Chinese."""
    files: dict[str, str] = {}
    for form in dict.fromkeys(forms):
        name, document = _DOCUMENTS[form]
        body = document(verdict, background)
        files[name] = json.dumps(body, ensure_ascii=False, indent=1) + "\n"
        if form == "notice":
            files["notice.txt"] = notice_text(body)
    return files
