"""The JSON Schemas (draft 2020-12) of the documents that leaktrace emits, as part of the package."""

import json
from importlib.resources import files
from typing import Any

DOCUMENTS = ("verdict", "receipt", "notice")


def schema_of(document: str) -> dict[str, Any]:
    """The schema of "verdict" or "notice" (of a case: verdict.json, notice.json) or "receipt" (`tag --json`).

    Fields may be added to a document freely, so unknown ones are allowed, but for copies that are not named.
    Raises KeyError for another document.
    """
    if document not in DOCUMENTS:
        raise KeyError(document)
    return json.loads(files("schemas").joinpath(f"{document}.schema.json").read_text("utf-8"))
