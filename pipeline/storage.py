"""DuckDB is opened here and nowhere else: alone, or with a registry's DuckLake attached.

The extensions come from packages that pip installed and DuckDB checks their signature; nothing is fetched.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import duckdb
import duckdb_extensions
import pyarrow as pa

from schemas.errors import RegistryError
from schemas.tables import TABLES

T = TypeVar("T")
Connection = duckdb.DuckDBPyConnection
CATALOGUE = "catalog.sqlite"
_TRIES = 40
_CONFLICTS = ("conflict", "locked", "database is busy", "failed to commit", "has been altered")
_FULL = ("no space left", "disk is full", "disk quota")
_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.uint64(): "UBIGINT",
    pa.uint8(): "UTINYINT",
}


def plain(threads: int = 2) -> Connection:
    """A DuckDB in memory that reaches for no extension by itself."""
    config = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "threads": str(threads)}
    return duckdb.connect(":memory:", config=config)


def view_of(path: Path, database: Path) -> None:
    """A DuckDB database file with one view, `export`, over a Parquet or CSV file (all text)."""
    reader = "read_parquet('{}')" if path.suffix == ".parquet" else "read_csv('{}', all_varchar = true, header = true)"
    with duckdb.connect(str(database)) as con:
        con.execute(f"CREATE VIEW export AS SELECT * FROM {reader.format(_quoted(str(path.resolve())))}")


def attach(folder: Path, *, data: str | None = None, read_only: bool = False, create: bool = False) -> Connection:
    """DuckDB with the registry's lake attached and chosen as `lake`; RegistryError when that fails."""
    con = plain()
    duckdb_extensions.import_extension("ducklake", con=con)
    duckdb_extensions.import_extension("sqlite_scanner", con=con)
    options = [f"DATA_PATH '{_quoted(data or str(folder / 'data'))}'"] if create else []
    options += ["READ_ONLY"] if read_only else []
    options += [] if create else ["CREATE_IF_NOT_EXISTS false"]
    where = _quoted(str(folder / CATALOGUE))

    def attached() -> None:
        con.execute(f"ATTACH 'ducklake:sqlite:{where}' AS lake ({', '.join(options)})")

    try:
        retrying(attached)
        con.execute("USE lake")
    except duckdb.Error as error:
        con.close()
        raise RegistryError(
            f"the registry in {folder} cannot be opened; check the path and the rights of {CATALOGUE}, or restore it"
        ) from error
    return con


def create_tables(con: Connection) -> None:
    """Every table of schemas.tables, empty."""
    for name, schema in TABLES.items():
        columns = ", ".join(f"{field.name} {_SQL_TYPES[field.type]}" for field in schema)
        con.execute(f"CREATE TABLE lake.{name} ({columns})")


def retrying(work: Callable[[], T]) -> T:
    """Run `work` again, with growing random pauses, while another process is in the way.

    Raises RegistryError when it stays so for about a minute.
    """
    for attempt in range(_TRIES):
        try:
            return work()
        except duckdb.Error as error:
            text = str(error).lower()
            if any(word in text for word in _FULL):
                raise RegistryError(
                    "the registry's disk is full; free some space, then run the command again"
                ) from error
            if not any(word in text for word in _CONFLICTS):
                raise
            if attempt == _TRIES - 1:
                raise RegistryError("the registry stays busy with other jobs; run the command again later") from error
            time.sleep(random.uniform(0.01, min(2.0, 0.02 * 1.4**attempt)))  # noqa: S311 - jitter, no secret
    raise RegistryError("the registry stays busy with other jobs; run the command again later")


def _quoted(text: str) -> str:
    return text.replace("'", "''")
