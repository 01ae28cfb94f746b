"""Where a registry is: a folder with its catalogue, or a team's PostgreSQL database; and where its data may lie.

Whatever lets somebody in comes from the environment, never from an argument, and is never stored or shown: libpq
reads PGPASSWORD, PGPASSFILE and its other variables itself; an object store's are AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION and AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL).
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from schemas.errors import RegistryError

CATALOGUE = "catalog.sqlite"
_DATABASES = ("postgresql", "postgres")
OBJECT_STORE = "s3://"


@dataclass(frozen=True)
class Place:
    """A registry's place.

    name: as its user knows it. database: the PostgreSQL address, or None where the catalogue is a file of `folder`.
    folder: of jobs, locks and spilled digests on this machine; for a registry in a folder it is that folder.
    """

    name: str
    database: str | None
    folder: Path

    @property
    def staging(self) -> Path:
        """Where the jobs of this machine keep their parts."""
        return self.folder / "staging"

    @property
    def metadata(self) -> str:
        """What DuckLake attaches."""
        return f"postgres:{self.database}" if self.database else f"sqlite:{self.folder / CATALOGUE}"

    def absent(self) -> bool:
        """Whether nothing is there, as far as it can be said without a database."""
        return self.database is None and not (self.folder / CATALOGUE).exists()


def place_of(location: str) -> Place:
    """The place that a location names; RegistryError for an address that this version does not know."""
    scheme = location.split("://")[0] if "://" in location else ""
    if not scheme:
        folder = Path(location).resolve()
        return Place(str(folder), None, folder)
    if scheme not in _DATABASES:
        raise RegistryError(
            f"{scheme}:// is not a place this version keeps a registry; give a folder or postgresql://USER@HOST/DATABASE"
        )
    parts = urlsplit(location)
    if parts.password or "password" in parse_qs(parts.query):
        raise RegistryError(
            "the address of --registry holds a password, which others on this machine can read; take it out and set "
            "PGPASSWORD or PGPASSFILE"
        )
    digest = hashlib.sha256(location.encode()).hexdigest()[:16]
    return Place(location, location, _state_folder() / digest)


def data_path(data: str) -> str:
    """Where --data says that the tables' files go: an s3:// address, or a folder; RegistryError for anything else."""
    if data.startswith(OBJECT_STORE):
        if not urlsplit(data).netloc:
            raise RegistryError("--data names no bucket; give s3://BUCKET/PREFIX")
        return data.rstrip("/") + "/"
    if "://" in data:
        raise RegistryError(f"{data.split('://')[0]}:// is not a place for --data; give a folder or s3://BUCKET/PREFIX")
    return str(Path(data).resolve())


def store_secret(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What DuckDB needs to reach an object store, by its own names; RegistryError when the keys are missing."""
    missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environment.get(name)]
    if missing:
        raise RegistryError(f"{missing[0]} is not set, so the registry's object store cannot be reached; set it")
    found = {
        "KEY_ID": environment["AWS_ACCESS_KEY_ID"],
        "SECRET": environment["AWS_SECRET_ACCESS_KEY"],
        "REGION": environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1",
    }
    if token := environment.get("AWS_SESSION_TOKEN"):
        found["SESSION_TOKEN"] = token
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if endpoint:
        parts = urlsplit(endpoint)
        found |= {"ENDPOINT": parts.netloc + parts.path.rstrip("/"), "URL_STYLE": "path"}
        found["USE_SSL"] = "false" if parts.scheme == "http" else "true"
    return found


def _state_folder() -> Path:
    """Where this machine keeps what belongs to a registry elsewhere; LEAKTRACE_WORK names another folder."""
    named = os.environ.get("LEAKTRACE_WORK")
    if named:
        return Path(named).resolve()
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "leaktrace"
