"""Time stamps (RFC 3161) over heads of the chain: an outside server signs that a head existed at a time.

What is stamped is the SHA-256 of the head's line, `NUMBER:DIGEST ROOT`. The answer is entered in the chain as an entry
of its own. Whoever checks trusts the certificates in their own keys folder (timestamps/*.pem), brought there by a way
that no tagger can change; a thief of every other key cannot make a stamp of an earlier time.
"""

import base64
import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from pipeline.witness import Head
from schemas.errors import InputError, KeyFileError

KIND = "timestamp"
FOLDER = "timestamps"
CLOCK = timedelta(minutes=5)  # by how much this machine's clock may differ from the server's
_SECONDS = 20
_MOST = 1 << 20  # bytes of an answer
Certificates = Sequence[x509.Certificate]


def trusted(keys: Path) -> tuple[x509.Certificate, ...]:
    """The certificates that a keys folder trusts for time stamps; KeyFileError when one cannot be read."""
    found: list[x509.Certificate] = []
    for path in sorted((keys / FOLDER).glob("*.pem")):
        try:
            found += x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            raise KeyFileError(f"{path} is no PEM certificate; put the time-stamp server's root there") from error
    return tuple(found)


def stamped(url: str, text: str, roots: Certificates, now: datetime) -> tuple[str, datetime]:
    """A time stamp of a text by a server, in base64, and its time.

    Raises InputError when the server does not answer, answers something else, or its clock and this one differ.
    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"--timestamp {url.split(':')[0]} is no http or https address; give the time-stamp server's")
    asked = TimestampRequestBuilder(data=text.encode(), hash_algorithm=HashAlgorithm.SHA256).build()
    request = urllib.request.Request(  # noqa: S310 - http and https only
        url, asked.as_bytes(), {"Content-Type": "application/timestamp-query"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - http and https only
            body = answer.read(_MOST)
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise InputError(
            f"the time-stamp server does not answer ({type(error).__name__}); the head is printed without one by "
            "registry head: send it to another witness, or try again later"
        ) from error
    token = base64.b64encode(body).decode()
    at = verified(token, text, roots, asked.nonce)
    if at is None:
        raise InputError(
            f"the time-stamp server's answer does not hold under the certificates in {FOLDER}/ of --keys; check the "
            "address, and that the certificate is that server's root"
        )
    if abs(at - now) > CLOCK:
        raise InputError(
            f"this machine's clock and the time-stamp server's differ by {abs(at - now).total_seconds():,.0f} seconds; "
            "correct the clock, then run the command again"
        )
    return token, at


def verified(token: str, text: str, roots: Certificates, nonce: int | None = None) -> datetime | None:
    """When a text was stamped, if the stamp holds under one of the certificates; else None. UTC."""
    try:
        answer = decode_timestamp_response(base64.b64decode(token, validate=True))
        builder = VerifierBuilder(roots=list(roots), nonce=nonce)
        builder.build().verify(answer, hashlib.sha256(text.encode()).digest())
        return answer.tst_info.gen_time.astimezone(UTC)
    except (VerificationError, ValueError, TypeError):
        return None


def facts(head: Head, token: str) -> dict[str, Any]:
    """What the chain's entry says of a stamp."""
    return {"head": head.text, "token": token}


def heads_of(notes: Iterable[Mapping[str, Any]], roots: Certificates) -> list[tuple[Head, str]]:
    """The heads that the chain's stamps witness, each with its token; those that do not hold are left out."""
    found = []
    for note in notes:
        at = verified(str(note.get("token")), str(note.get("head")), roots) if roots else None
        if at is not None:
            found.append((Head.parsed(str(note["head"]), at), str(note["token"])))
    return found
