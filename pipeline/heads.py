"""The end of the chain, for a witness outside: as a line to keep, or stamped by a time-stamp server."""

from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline import timestamps
from pipeline.custody import chain_digests
from pipeline.entries import time_text
from pipeline.keystore import KeyStore
from pipeline.registry import Registry, now
from pipeline.witness import Head, head_of
from schemas.errors import KeyFileError, OutputError


def current_head(registry: Registry) -> dict[str, Any]:
    """Number, digest, root and time of the chain's end, and the `line` that a witness keeps."""
    return _said(_head(registry), now())


def stamp_head(registry: Registry, keys: KeyStore, url: str) -> dict[str, Any]:
    """Have the chain's end stamped and enter the stamp; what `current_head` gives, with the server's time.

    Raises KeyFileError when no server is trusted, InputError when the stamp cannot be had; then nothing is entered.
    """
    roots = keys.stamp_roots()
    if not roots:
        raise KeyFileError(
            "--keys trusts no time-stamp server; put the root certificate of yours there as timestamps/NAME.pem"
        )
    head = _head(registry)
    token, at = timestamps.stamped(url, head.text, roots, now())
    entry = registry.note(timestamps.KIND, "", timestamps.facts(head, token))
    return {**_said(head, at), "entry": entry["number"]}


def keep_daily(registry: Registry, keys: KeyStore, file: Path | None, url: str | None) -> bool:
    """Give this day's head (UTC) to the witnesses, once: appended to a file, stamped by a server; whether it was due.

    Raises OutputError when the file cannot be written, else what `stamp_head` raises.
    """
    today, due = time_text(now())[:10], False
    try:
        if file is not None and not any(line[:10] == today for line in _lines(file)):
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as opened:
                opened.write(current_head(registry)["line"] + "\n")
            due = True
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(
            f"{file} cannot be written ({type(error).__name__}); give the job file another one"
        ) from error
    if url is not None and not any(note["recorded_at"][:10] == today for note in registry.notes(timestamps.KIND)):
        stamp_head(registry, keys, url)
        due = True
    return due


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines() if file.exists() else []


def _head(registry: Registry) -> Head:
    return registry.at_one_moment(lambda con: head_of(chain_digests(con)))


def _said(head: Head, at: datetime) -> dict[str, Any]:
    moment = time_text(at)
    body = {"number": head.number, "digest": head.digest, "root": head.root, "at": moment}
    return {**body, "line": f"{moment} {head.text}"}
