"""What DuckDB, PostgreSQL and an object store say when they fail, in our words; what may work again is tried again."""

import math
import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

import duckdb

from schemas.errors import RegistryError

T = TypeVar("T")
_LOST, _PAUSE = 3, 0.2  # how often an object that is not there is looked for again, and after how many seconds
_LONG_ONES = 3  # how often work of more than a minute begins again
# What another writer's commit looks like from here: SQLite's lock, or DuckLake's check of changed rows.
_CONFLICTS = ("database is locked", "database table is locked", "transaction conflict", "conflict on")
_GONE = (  # how PostgreSQL's client says that the server is away, or going, or coming
    "unable to connect to postgres",
    "connection refused",
    "server closed the connection",
    "terminating connection",
    "no connection to the server",
    "could not receive data from server",
    "ssl syscall error",
    "database system is",
    'failed to execute query "rollback": ',
    "connection not open",
    "current transaction is aborted",  # as DuckLake's own connection to it says a moment later
    "attempted to access index 0 within vector of size 0",  # as its extension says when an answer stays away
)
_NO_REASON = re.compile(r'failed to prepare copy .*":\s*$', re.DOTALL)  # a connection that is gone gives none
_AGAIN = (408, 429)  # answers that ask for patience, as those from 500 on do
_STORE_GONE = "error for http "  # "Could not connect to server error for HTTP GET to …", and the like
_DATA_FILE = re.compile(r"[\w.-]+\.parquet")
_PATIENCE = 60.0  # seconds
ARRIVAL = 10.0  # seconds to wait for a server that was not there at the beginning: its address may be wrong
_BUSY = "the registry stays busy with other jobs; run the command again later"
_FULL = ("no space left", "disk is full", "disk quota", "no room", "failed to allocate space")
NO_ROOM = "the registry's disk is full; free some space, then run the command again"
_READ_ONLY = ("readonly database", "read-only file system", "permission denied")


class UnreachableError(RegistryError):
    """A server that the registry needs does not answer."""

    waited = False  # whether it was asked again for as long as it is worth


class RefusedError(UnreachableError):
    """A server answers, and refuses: asking again is of no use."""


class BusyError(RegistryError):
    """Others were in the way all the time."""


class AbsentError(RegistryError):
    """A database without a registry in it."""


class NotInstalledError(RegistryError):
    """A part of DuckDB that is not there, or not of its version."""


def retrying(work: Callable[[], T], patience: float | None = None) -> T:
    """Run `work` again, with growing random pauses, while another process is in the way or a server is away.

    Raises RegistryError when it stays so for a minute from the first failure on, with a server for `patience` seconds,
    and for anything else that DuckDB reports. Work that took longer than that is begun again as well, three times.
    Work inside a transaction has no patience with a server, which has forgotten the transaction: what began it, under a
    `retrying` of its own, begins again.
    """
    since, attempt, long_ones, lost = math.inf, 0, 0, 0
    while True:
        begun = time.monotonic()
        failed: BusyError | UnreachableError
        try:
            return work()
        except UnreachableError as error:
            if error.waited or isinstance(error, RefusedError):
                raise
            failed = error
        except duckdb.Error as error:
            if not _passing(error):
                if patience == 0 or lost == _LOST or not isinstance(error, duckdb.HTTPException):
                    raise told(error) from error
                lost += 1  # what a transaction wrote that its server has forgotten is gone: the next one writes it anew
                time.sleep(_PAUSE)
                continue
            away = told(error) if _away(error) else None
            failed = away if isinstance(away, UnreachableError) else BusyError(_BUSY)
            failed.__cause__ = error
        limit = _PATIENCE if patience is None or isinstance(failed, BusyError) else min(patience, _PATIENCE)
        now = time.monotonic()
        if now - begun > limit > 0 and long_ones < _LONG_ONES:
            since, long_ones = now, long_ones + 1
        since = min(since, now)
        if now - since >= limit:
            if isinstance(failed, UnreachableError):
                failed.waited = limit > 0
            raise failed
        time.sleep(random.uniform(0.01, min(2.0, 0.02 * 1.4 ** min(attempt, 20))))  # noqa: S311 - jitter, no secret
        attempt += 1


def _passing(error: duckdb.Error) -> bool:
    """Whether the same again may work: somebody was in the way, or a server was."""
    return any(word in str(error).lower() for word in _CONFLICTS) or _away(error)


def _away(error: duckdb.Error) -> bool:
    text, status = str(error).lower(), getattr(error, "status_code", 0)
    if status and status not in _AGAIN and status < 500:  # the store answers: it has no such thing, or refuses the keys
        return False
    return isinstance(error, duckdb.HTTPException) or _STORE_GONE in text or _database_gone(text)


def _database_gone(text: str) -> bool:
    return any(word in text for word in _GONE) or _NO_REASON.search(text) is not None


def told(error: duckdb.Error) -> RegistryError:
    """The error in our own words."""
    text = str(error).lower()
    status = getattr(error, "status_code", 0)
    away, refused = _away(error), status in (401, 403)
    if _DATA_FILE.search(text) and not away and not refused:  # it is gone, cut off or damaged
        return RegistryError(_sentence(error))
    if isinstance(error, duckdb.HTTPException) or "s3://" in text or _STORE_GONE in text:
        why = "refuses these keys" if refused else "does not answer as it should"
        kind = UnreachableError if away else RefusedError
        return kind(
            f"the registry's object store {why}; check AWS_ENDPOINT_URL_S3, the AWS_ keys and the bucket, then run "
            "the command again"
        )
    if _database_gone(text):
        return UnreachableError(
            "the registry's database does not answer; see that PostgreSQL runs and lets this user in, then run the "
            "command again"
        )
    if "does not exist" in text and "ducklake" in text:
        return AbsentError("no registry")
    return RegistryError(_sentence(error))


def disk_error(error: OSError) -> RegistryError:
    """What a disk that refuses means for a registry."""
    return RegistryError(_sentence(error))


def query_sentence(error: Exception) -> str:
    """Why a query has no answer, without DuckDB's text."""
    if isinstance(error, NotInstalledError):
        return "this installation cannot read PostgreSQL; install duckdb-extension-postgres-scanner of DuckDB's version"
    if isinstance(error, duckdb.ParserException):
        return "sql is not one SELECT that DuckDB can read; try it in DuckDB first"
    if isinstance(error, (duckdb.CatalogException, duckdb.BinderException)):
        return "sql names a table or column that is not there; try it in DuckDB first"
    if any(word in str(error).lower() for word in _FULL):
        return "the registry's disk is full, so the query's answer cannot be kept; free some space"
    return f"the source of sql cannot be reached or read ({type(error).__name__}); check its paths and its database"


def _sentence(error: Exception) -> str:
    """What went wrong, in one sentence, with the name of a file but with no text of DuckDB's: it may quote values."""
    text = str(error)
    named = _DATA_FILE.search(text)
    if any(word in text.lower() for word in _FULL):
        return NO_ROOM
    if any(word in text.lower() for word in _READ_ONLY):
        return "the registry cannot be written by this user; check the owner and mode of its folder and files"
    if named:
        return (
            f"the registry's data file {named.group()} is missing or damaged; run leaktrace registry check, "
            "then restore the file from a backup"
        )
    if isinstance(error, (duckdb.CatalogException, duckdb.BinderException)):
        return "the registry lacks a table or column that this program needs; run leaktrace registry upgrade"
    kind = type(error).__name__
    return f"the registry cannot be used ({kind}); run leaktrace registry check, or restore it from a backup"
