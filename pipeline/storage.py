"""DuckDB is opened here and nowhere else: alone, or with a registry's DuckLake attached.

The extensions are loaded from packages that pip installed, and DuckDB checks their signature; nothing is fetched
and nothing is written to the home folder.
"""

import os
import random
import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import InputError, RegistryError

T = TypeVar("T")
Connection = duckdb.DuckDBPyConnection
CATALOGUE = "catalog.sqlite"
MEMORY = "128MB"  # what sorting and joining may hold; beyond it DuckDB spills to the registry's own folder
_TRIES = 40
_BUSY_MS = 10_000
# What another writer's commit looks like from here: SQLite's lock, or DuckLake's check of changed rows.
_CONFLICTS = ("database is locked", "database table is locked", "transaction conflict", "conflict on")
_FULL = ("no space left", "disk is full", "disk quota", "no room", "failed to allocate space")
_READ_ONLY = ("readonly database", "read-only file system", "permission denied")


def plain(threads: int = 2) -> Connection:
    """A DuckDB in memory that reaches for no extension by itself."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "threads": str(threads),
    }
    return duckdb.connect(":memory:", config=config)


def attach(folder: Path, *, data: str | None = None, read_only: bool = False, create: bool = False) -> Connection:
    """DuckDB with the registry's lake attached and chosen as `lake`; RegistryError when that fails.

    The catalogue uses a write-ahead log: without it, a long look-up keeps every commit waiting. A registry with
    its own `data` folder is found by where it lies, not by the path it was created under, so it can be moved.
    """
    con = plain()
    where, own = quoted(str(folder / CATALOGUE)), folder / "data"
    options = ["META_JOURNAL_MODE 'WAL'", f"META_BUSY_TIMEOUT {_BUSY_MS}"]
    if data or own.is_dir():
        options += [f"DATA_PATH '{quoted(data or str(own))}'", "OVERRIDE_DATA_PATH true"]
    options += ["READ_ONLY"] if read_only else []
    options += [] if create else ["CREATE_IF_NOT_EXISTS false"]

    def attached() -> None:
        con.execute(f"ATTACH 'ducklake:sqlite:{where}' AS lake ({', '.join(options)})")

    try:
        _load_extensions(con)
        con.execute(f"SET memory_limit = '{MEMORY}'")
        spill = folder / "staging" / f".spill-{os.getpid()}-{secrets.token_hex(4)}"  # two processes must not share one
        con.execute(f"SET temp_directory = '{quoted(str(spill))}'")
        retrying(attached)
        con.execute("USE lake")
    except (duckdb.Error, RegistryError) as error:
        con.close()
        raise RegistryError(
            f"the registry in {folder} cannot be opened; check the path and the rights of {CATALOGUE}, or restore it"
        ) from error
    return con


def _load_extensions(con: Connection) -> None:
    for name in ("sqlite_scanner", "ducklake"):
        _load(con, name)


def _load(con: Connection, name: str) -> None:
    version = f"v{duckdb.__version__}"
    path = files(f"duckdb_extension_{name}") / "extensions" / version / f"{name}.duckdb_extension"
    con.execute(f"LOAD '{quoted(str(path))}'")


def retrying(work: Callable[[], T]) -> T:
    """Run `work` again, with growing random pauses, while another process is in the way.

    Raises RegistryError when it stays so for about a minute, and for anything else that DuckDB reports.
    """
    for attempt in range(_TRIES):
        try:
            return work()
        except duckdb.Error as error:
            if not any(word in str(error).lower() for word in _CONFLICTS):
                raise RegistryError(_sentence(error)) from error
            last = error
            time.sleep(random.uniform(0.01, min(2.0, 0.02 * 1.4**attempt)))  # noqa: S311 - jitter, no secret
    raise RegistryError("the registry stays busy with other jobs; run the command again later") from last


def adopt(con: Connection, table: str, path: Path, name: str) -> None:
    """Make a file that a worker wrote part of a table, under a name that is its own for ever.

    It is linked, or copied, into the folder of the data files first: until the transaction commits, it belongs to
    nothing, and a sweep removes it. In an object store its rows are inserted.
    """
    target = _place_of(con, table, name)
    if target is None:
        con.execute(f"INSERT INTO lake.{table} FROM read_parquet(?)", [str(path)])
        return
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        _link_or_copy(path, target)
    except OSError as error:
        raise RegistryError(_sentence(error)) from error
    con.execute("CALL ducklake_add_data_files('lake', ?, ?)", [table, str(target)])


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another file system
        shutil.copyfile(path, target)


def disown(con: Connection, table: str, name: str) -> None:
    """Remove what a try of a transaction put into place and the next one does not want."""
    target = _place_of(con, table, name)
    if target is not None:
        target.unlink(missing_ok=True)


def _place_of(con: Connection, table: str, name: str) -> Path | None:
    folder = data_folder(con)
    return None if folder is None else folder / "main" / table / name


def query_to_parquet(
    query: str, path: Path, folder: Path, postgres: str | None = None, types: Mapping[str, pa.DataType] | None = None
) -> None:
    """Write the answer of one SELECT to a Parquet file. InputError in our own words: DuckDB's quote values.

    folder: what relative paths in the query start from; postgres: how to reach a database, whose tables the query
    then sees, read-only; types: columns that get this type, where nothing is lost (DuckDB counts time in
    microseconds, files often do not).
    """
    con = plain()
    try:
        con.execute(f"SET memory_limit = '{MEMORY}'")
        con.execute(f"SET temp_directory = '{quoted(str(path.parent))}'")
        con.execute(f"SET file_search_path = '{quoted(str(folder.resolve()))}'")
        if postgres is not None:
            _load(con, "postgres_scanner")
            con.execute(f"ATTACH '{quoted(postgres)}' AS source (TYPE postgres, READ_ONLY)")
            con.execute("USE source")
        reader = con.execute(f"FROM ({query.strip().rstrip(';')})").to_arrow_reader(131_072)
        schema = pa.schema([field.with_type((types or {}).get(field.name, field.type)) for field in reader.schema])
        with pq.ParquetWriter(path, schema) as writer:
            for batch in reader:
                writer.write_table(pa.Table.from_batches([batch]).cast(schema))
    except pa.ArrowInvalid as error:
        raise InputError("the answer of sql does not fit the contract's types without loss; cast it there") from error
    except (duckdb.Error, ModuleNotFoundError) as error:
        raise InputError(_query_sentence(error)) from error
    finally:
        con.close()


def _query_sentence(error: Exception) -> str:
    """Why a query has no answer, without DuckDB's text."""
    if isinstance(error, ModuleNotFoundError):
        return "this installation cannot read PostgreSQL; install duckdb-extension-postgres-scanner of DuckDB's version"
    if isinstance(error, duckdb.ParserException):
        return "sql is not one SELECT that DuckDB can read; try it in DuckDB first"
    if isinstance(error, (duckdb.CatalogException, duckdb.BinderException)):
        return "sql names a table or column that is not there; try it in DuckDB first"
    if any(word in str(error).lower() for word in _FULL):
        return "the registry's disk is full, so the query's answer cannot be kept; free some space"
    return f"the source of sql cannot be reached or read ({type(error).__name__}); check its paths and its database"


def known_files(con: Connection) -> dict[str, int]:
    """Every data file that the catalogue refers to: name (unique) -> size in bytes; -1 where only a deletion is due."""
    catalogue = "__ducklake_metadata_lake"
    found = con.execute(
        f"SELECT path, file_size_bytes FROM {catalogue}.ducklake_data_file UNION ALL "
        f"SELECT path, file_size_bytes FROM {catalogue}.ducklake_delete_file UNION ALL "
        f"SELECT path, -1 FROM {catalogue}.ducklake_files_scheduled_for_deletion"
    )
    return {str(path).rsplit("/", 1)[-1]: int(size) for path, size in found.fetchall()}


def data_folder(con: Connection) -> Path | None:
    """The folder of the data files; None when they lie in an object store."""
    row = con.execute("SELECT data_path FROM ducklake_settings('lake')").fetchone()
    text = str(row[0]) if row else ""
    return None if "://" in text else Path(text)


def _sentence(error: Exception) -> str:
    """What went wrong, in one sentence, with the name of a file but with no text of DuckDB's: it may quote values."""
    text = str(error)
    named = re.search(r"[\w.-]+\.parquet", text)
    if any(word in text.lower() for word in _FULL):
        return "the registry's disk is full; free some space, then run the command again"
    if any(word in text.lower() for word in _READ_ONLY):
        return "the registry cannot be written by this user; check the owner and mode of its folder and files"
    if named:
        return (
            f"the registry's data file {named.group()} is missing or damaged; run leaktrace registry check, "
            "then restore the file from a backup"
        )
    kind = type(error).__name__
    return f"the registry cannot be used ({kind}); run leaktrace registry check, or restore it from a backup"


def quoted(text: str) -> str:
    """For the inside of a quoted word of SQL."""
    return text.replace("'", "''")
