"""Making a registry: in a folder, or in a team's PostgreSQL database; its data beside it, elsewhere, or in a store."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.locks import everywhere
from pipeline.places import CATALOGUE, OBJECT_STORE, Place, data_path, place_of
from pipeline.receipts import GENESIS
from pipeline.recovery import publish
from pipeline.retrying import retrying
from pipeline.storage import Connection, attached, stored_files
from pipeline.upgrade import create_tables, set_options
from schemas.errors import RegistryError
from schemas.tables import SCHEMA_VERSION


def create(location: str, data: str | None = None) -> None:
    """Create an empty registry; refuses to overwrite one.

    data: an empty folder or s3:// address for the tables' files, when they are to lie elsewhere than the catalogue; a
    database needs one. A registry that could not be made whole does not exist, or in a database is made whole by the
    next try. Raises RegistryError.
    """
    place = place_of(location)
    with prepared(place, data) as making, attached(making) as con:
        con.execute("BEGIN")
        con.execute("INSERT INTO lake.meta VALUES ('schema_version', ?), ('attempts', '0')", [str(SCHEMA_VERSION)])
        con.execute("INSERT INTO lake.head VALUES (0, ?)", [GENESIS])
        con.execute("COMMIT")


@contextmanager
def prepared(place: Place, data: str | None) -> Iterator[Place]:
    """Empty tables at a place, which the block fills: what says that a registry is whole are its lines in `meta`.

    Yields where the tables are until the block ends. Refuses a place that holds a registry. A folder gets its
    catalogue when the block has ended; in a database half a registry has no lines, and the next try fills it.
    """
    if place.database is None and not place.absent():
        raise RegistryError(f"{place.name} already holds a registry; nothing is overwritten: choose another --registry")
    if place.database and data is None:
        raise RegistryError(
            "a registry in PostgreSQL keeps its tables' files elsewhere; give --data s3://BUCKET/PREFIX, or a folder "
            "that every machine of the team sees"
        )
    elsewhere = data_path(data) if data else None
    try:
        make_folders(place)
        if elsewhere and not elsewhere.startswith(OBJECT_STORE):
            Path(elsewhere).mkdir(mode=0o700, parents=True, exist_ok=True)
        with _in_database(place, str(elsewhere)) if place.database else _in_folder(place, elsewhere) as making:
            yield making
    except OSError as error:
        raise RegistryError(f"{place.name} cannot be created ({error.strerror}); choose another --registry") from error


def make_folders(place: Place) -> None:
    """The folders of jobs and locks on this machine; RegistryError when they cannot be made."""
    try:
        for path in (place.folder, place.staging):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryError(
            f"{place.folder} cannot be made ({error.strerror}); choose another folder for this machine's jobs, with "
            "LEAKTRACE_WORK for a registry in a database"
        ) from error


@contextmanager
def _in_folder(place: Place, elsewhere: str | None) -> Iterator[Place]:
    """The catalogue gets its name last."""
    if elsewhere is None:
        (place.folder / "data").mkdir(mode=0o700, exist_ok=True)
    making = replace(place, folder=place.folder / f".new-{secrets.token_hex(4)}")
    making.folder.mkdir(mode=0o700)
    try:
        with attached(making, data=elsewhere or str(place.folder / "data")) as con:
            _lay_out(con, place)
        yield making
        os.chmod(making.folder / CATALOGUE, 0o600)
        publish(making.folder / CATALOGUE, place.folder / CATALOGUE)
    finally:
        shutil.rmtree(making.folder, ignore_errors=True)


@contextmanager
def _in_database(place: Place, data: str) -> Iterator[Place]:
    with everywhere(place, place.folder / "founding.lock"):
        with attached(place, data=data) as con:
            found = _tables(con)
            if "meta" in found and retrying(lambda: con.execute("SELECT 1 FROM lake.meta").fetchone()):
                raise RegistryError(
                    f"{place.name} already holds a registry; nothing is overwritten: choose another database"
                )
            _lay_out(con, place, again=bool(found))
        yield place


def _tables(con: Connection) -> set[str]:
    query = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'"
    return {str(row[0]) for row in retrying(lambda: con.execute(query).fetchall())}


def _lay_out(con: Connection, place: Place, again: bool = False) -> None:
    """Every table, empty. again: a try was interrupted here, and may have left files that a later sweep removes."""
    if not again and retrying(lambda: stored_files(con)):
        raise RegistryError(f"the place of --data for {place.name} is not empty; give --data a place of its own")
    retrying(lambda: create_tables(con))
    retrying(lambda: set_options(con))
