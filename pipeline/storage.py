"""DuckDB is opened here and nowhere else: alone, or with a registry's DuckLake attached.

The extensions are loaded from packages that pip installed, and DuckDB checks their signature; nothing is fetched
and nothing is written to the home folder.
"""

import hashlib
import os
import random
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.places import CATALOGUE, OBJECT_STORE, Place, place_of, store_secret
from pipeline.retrying import (
    ARRIVAL,
    NO_ROOM,
    AbsentError,
    BusyError,
    NotInstalledError,
    UnreachableError,
    disk_error,
    query_sentence,
    retrying,
)
from schemas.errors import InputError, RegistryError

T = TypeVar("T")
Connection = duckdb.DuckDBPyConnection
MEMORY = "128MB"  # what sorting and joining may hold; beyond it DuckDB spills to the registry's own folder
_BUSY_MS = 10_000
_STORE_RETRIES = 6
_LEAST_ROOM = 65_536  # bytes that opening a catalogue needs


def plain(threads: int = 2) -> Connection:
    """A DuckDB in memory that reaches for no extension by itself.

    An answer that stays away because PostgreSQL died is an internal error to its extension (duckdb-postgres, pull
    request 568). DuckDB then refuses everything, even the rollback in a destructor, which ends the process. Nothing of
    ours outlives a transaction in its memory, so it is told to go on: what failed is rolled back and begun again.
    """
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "threads": str(threads),
        "disable_database_invalidation": "true",
    }
    return duckdb.connect(":memory:", config=config)


def attach(
    where: Place | Path, *, data: str | None = None, read_only: bool = False, create: bool = False
) -> Connection:
    """DuckDB with the registry's lake attached and chosen as `lake`; RegistryError when that fails.

    A catalogue in a file uses a write-ahead log: without it, a long look-up keeps every commit waiting. A registry
    with its own `data` folder is found by where it lies, not by the path it was created under, so it can be moved.
    """
    place = where if isinstance(where, Place) else place_of(str(where))
    return _open_lake(plain(), place, data, read_only, create)


@contextmanager
def attached(place: Place, *, data: str | None = None, threads: int = 1) -> Iterator[Connection]:
    """The same for a while; what DuckDB loaded for it, a third of a second, is kept for the process's next registry.

    data: where the tables' files are to lie, when the lake is made here. threads: with one, DuckDB does not wait for
    another by asking for it again and again, which is most of what a short question costs.
    """
    instance = _waiting.pop(os.getpid(), None) or plain()
    try:
        instance.execute(f"SET threads = {threads}")
        with closing(_open_lake(instance.cursor(), place, data, read_only=False, create=data is not None)) as con:
            yield con
    except RegistryError:
        instance.close()  # whatever it is in
        raise
    finally:
        _keep(instance)


_waiting: dict[int, Connection] = {}  # by process: in a forked one, what its parent opened is of no use


def _keep(instance: Connection) -> None:
    """Let go of the registry. What has an object store's keys, or spilled and is bound to a folder, is closed."""
    try:
        instance.execute("DETACH lake")
        instance.execute("SET temp_directory = ''")
        kept = not instance.execute("FROM duckdb_secrets()").fetchall()
    except duckdb.Error:
        kept = False
    if kept:
        _waiting[os.getpid()] = instance
    else:
        instance.close()


def _open_lake(con: Connection, place: Place, data: str | None, read_only: bool, create: bool) -> Connection:
    own = None if place.database else place.folder / "data"
    options = [] if place.database else ["META_JOURNAL_MODE 'WAL'", f"META_BUSY_TIMEOUT {_BUSY_MS}"]
    if data or (own and own.is_dir()):
        options += [f"DATA_PATH '{quoted(data or str(own))}'", "OVERRIDE_DATA_PATH true"]
    options += ["READ_ONLY"] if read_only else []
    options += [] if create else ["CREATE_IF_NOT_EXISTS false"]

    try:
        con.execute(f"SET memory_limit = '{MEMORY}'")
        spill = place.staging / f".spill-{os.getpid()}-{secrets.token_hex(4)}"  # two processes must not share one
        con.execute(f"SET temp_directory = '{quoted(str(spill))}'")
        _attach(con, place, "lake", options)
        _use_lake(con, place)
    except AbsentError as error:
        con.close()
        raise RegistryError(
            f"{place.name} holds no registry; give the right --registry, or run leaktrace init with --data"
        ) from error
    except RegistryError as error:
        con.close()
        passed_on = isinstance(error, (UnreachableError, BusyError, NotInstalledError))
        if place.database or passed_on or not isinstance(error.__cause__, duckdb.Error):
            raise
        if shutil.disk_usage(place.folder).free < _LEAST_ROOM:  # SQLite says "disk I/O error", or less
            raise RegistryError(NO_ROOM) from error
        raise RegistryError(
            f"the registry in {place.name} cannot be opened; check the path and the rights of {CATALOGUE}, or restore "
            "it"
        ) from error
    except BaseException:
        con.close()
        raise
    return con


def _use_lake(con: Connection, place: Place) -> None:
    """The first question to the catalogue."""
    try:
        retrying(lambda: con.execute("USE lake"), ARRIVAL)
    except (UnreachableError, BusyError):
        raise
    except RegistryError as error:
        raise RegistryError(f"the catalogue of {place.name} is damaged; restore it from a backup") from error


def is_closed(con: Connection) -> bool:
    """Whether a connection can be asked no more."""
    try:
        con.cursor().close()
    except duckdb.ConnectionException:
        return True
    return False


def attach_second(con: Connection, place: Place, name: str) -> None:
    """Attach another registry's lake under a name of its own, to copy into it."""
    _attach(con, place, name, ["CREATE_IF_NOT_EXISTS false"])


def _attach(con: Connection, place: Place, name: str, options: Sequence[str]) -> None:
    for extension in ("postgres_scanner" if place.database else "sqlite_scanner", "ducklake"):
        _load(con, extension)
    query = f"ATTACH 'ducklake:{quoted(place.metadata)}' AS {name} ({', '.join(options)})"

    def attached() -> None:
        con.execute(f"DETACH DATABASE IF EXISTS {name}")  # what an attempt that failed half-way left
        try:
            con.execute(query)
        except duckdb.Error as error:
            if "requires the extension httpfs" not in str(error):
                raise
            _reach(con, OBJECT_STORE)  # only the catalogue knows that the data lie in one
            con.execute(query)

    retrying(attached, ARRIVAL)


def _reach(con: Connection, data: str) -> None:
    """Get ready to read and write where the data lie: an object store needs its extension and its keys.

    The keys live in this connection alone. A store that refuses is asked again, ever later, before it counts.
    """
    if not data.startswith(OBJECT_STORE):
        return
    _load(con, "httpfs")
    con.execute(f"SET http_retries = {_STORE_RETRIES}")
    con.execute("SET http_retry_wait_ms = 50")
    con.execute("SET http_retry_backoff = 2")
    secret = ", ".join(f"{name} '{quoted(value)}'" for name, value in store_secret().items())
    con.execute(f"CREATE SECRET registry_store (TYPE s3, {secret})")


def _load(con: Connection, name: str) -> None:
    """Load an extension from its package; NotInstalledError when that is not there, or not of DuckDB's version."""
    version = f"v{duckdb.__version__}"
    try:
        path = files(f"duckdb_extension_{name}") / "extensions" / version / f"{name}.duckdb_extension"
        con.execute(f"LOAD '{quoted(str(path))}'")
    except (duckdb.Error, ModuleNotFoundError) as error:
        package = f"duckdb-extension-{name.replace('_', '-')}"
        raise NotInstalledError(f"this installation lacks a part of DuckDB; install {package} {version[1:]}") from error


def roll_back(con: Connection) -> None:
    """Give up a transaction, which may be gone already with the error that is being raised."""
    with suppress(Exception):
        con.execute("ROLLBACK")


def adopt(con: Connection, table: str, files: Mapping[str, Path]) -> None:
    """Make files that workers wrote part of a table, under names that are their own for ever (name -> file).

    They are linked, or copied, into the folder of the data files first: until the transaction commits, they belong to
    nothing, and a sweep removes them. In an object store their rows are inserted.
    """
    folder = data_folder(con)
    if folder is None:
        for path in files.values():
            con.execute(f"INSERT INTO lake.{table} FROM read_parquet(?)", [str(path)])
        return
    targets = {folder / "main" / table / name: path for name, path in files.items()}
    try:
        (folder / "main" / table).mkdir(mode=0o700, parents=True, exist_ok=True)
        for target, path in targets.items():
            target.unlink(missing_ok=True)
            _link_or_copy(path, target)
    except OSError as error:
        raise disk_error(error) from error
    if targets:
        con.execute("CALL ducklake_add_data_files('lake', ?, ?)", [table, [str(target) for target in targets]])


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another file system
        shutil.copyfile(path, target)


def disown(con: Connection, table: str, names: Iterable[str]) -> None:
    """Remove what a try of a transaction put into place and the next one does not want."""
    folder = data_folder(con)
    if folder is not None:
        for name in names:
            (folder / "main" / table / name).unlink(missing_ok=True)


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
    except (duckdb.Error, NotInstalledError) as error:
        raise InputError(query_sentence(error)) from error
    finally:
        con.close()


def connect_database(address: str) -> Connection:
    """DuckDB with a PostgreSQL database attached as `server`, for locks alone; duckdb.Error when it is away."""
    con = plain(threads=1)
    try:
        _load(con, "postgres_scanner")
        con.execute(f"ATTACH '{quoted(address)}' AS server (TYPE postgres)")
    except BaseException:
        con.close()
        raise
    return con


def wait_for_lock(con: Connection, name: str, seconds: float = 600.0) -> None:
    """Hold the database's lock of a name until `con` closes; RegistryError when others hold it for ten minutes."""
    number = int.from_bytes(hashlib.sha256(f"leaktrace {name}".encode()).digest()[:8], "big", signed=True)
    query = f"SELECT * FROM postgres_query('server', 'SELECT pg_try_advisory_xact_lock({number})')"

    def asked() -> bool:
        con.execute("BEGIN")
        try:
            row = con.execute(query).fetchone()
        except duckdb.Error:
            con.execute("ROLLBACK")
            raise
        if row == (True,):
            return True
        con.execute("ROLLBACK")
        return False

    until = time.monotonic() + seconds
    while not retrying(asked):
        if time.monotonic() > until:
            raise RegistryError(
                f"another machine has held the registry's lock {name} for ten minutes; see whether a command hangs "
                "there, then run this again"
            )
        time.sleep(random.uniform(0.01, 0.05))  # noqa: S311 - jitter, no secret


def known_files(con: Connection) -> dict[str, int]:
    """Every data file that the catalogue refers to: name (unique) -> size in bytes; -1 where only a deletion is due."""
    catalogue = "__ducklake_metadata_lake"
    found = con.execute(
        f"SELECT path, file_size_bytes FROM {catalogue}.ducklake_data_file UNION ALL "
        f"SELECT path, file_size_bytes FROM {catalogue}.ducklake_delete_file UNION ALL "
        f"SELECT path, -1 FROM {catalogue}.ducklake_files_scheduled_for_deletion"
    )
    return {str(path).rsplit("/", 1)[-1]: int(size) for path, size in found.fetchall()}


def stored_at(con: Connection) -> str:
    """Where the data files lie: a folder, or an s3:// address."""
    row = con.execute("SELECT data_path FROM ducklake_settings('lake')").fetchone()
    return str(row[0]) if row else ""


def data_folder(con: Connection) -> Path | None:
    """The folder of the data files; None when they lie in an object store."""
    text = stored_at(con)
    return None if text.startswith(OBJECT_STORE) else Path(text)


def stored_files(con: Connection) -> dict[str, int]:
    """Every data file that is there: name -> size in bytes; -1 in an object store, which is asked for names only."""
    text = stored_at(con)
    if text.startswith(OBJECT_STORE):
        found = con.execute("SELECT file FROM glob(?)", [f"{text.rstrip('/')}/**/*.parquet"]).fetchall()
        return {str(path).rsplit("/", 1)[-1]: -1 for (path,) in found}
    return {path.name: path.stat().st_size for path in Path(text).rglob("*.parquet")}


def orphans_of(con: Connection, older_than: str) -> list[str]:
    """Paths of data files that belong to nothing and are older than an interval (SQL), where several machines write."""
    query = (
        f"CALL ducklake_delete_orphaned_files('lake', older_than => now() - INTERVAL '{older_than}', dry_run => true)"
    )
    return sorted(str(row[0]) for row in con.execute(query).fetchall())


def delete_orphans(con: Connection, older_than: str) -> None:
    """Delete them."""
    con.execute(f"CALL ducklake_delete_orphaned_files('lake', older_than => now() - INTERVAL '{older_than}')")


def quoted(text: str) -> str:
    """For the inside of a quoted word of SQL."""
    return text.replace("'", "''")
