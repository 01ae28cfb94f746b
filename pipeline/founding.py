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
from pipeline.storage import Connection, attach, retrying, stored_files
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
            _make_data_folder(Path(elsewhere), empty=place.database is None)
        if place.database:
            _found_in_database(place, str(elsewhere))
        else:
            _found_in_folder(place, elsewhere)
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


def _make_data_folder(folder: Path, *, empty: bool) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if empty and any(folder.iterdir()):
        raise RegistryError(f"{folder} is not empty; give --data a folder of its own")


def _found_in_folder(place: Place, elsewhere: str | None) -> None:
    """The catalogue gets its name last."""
    if elsewhere is None:
        (place.folder / "data").mkdir(mode=0o700, exist_ok=True)
    making = place.folder / f".new-{secrets.token_hex(4)}"
    making.mkdir(mode=0o700)
    try:
        with _attached(replace(place, folder=making), elsewhere or str(place.folder / "data")) as con:
            _fill(con, place)
        os.chmod(making / CATALOGUE, 0o600)
        publish(making / CATALOGUE, place.folder / CATALOGUE)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _found_in_database(place: Place, data: str) -> None:
    """What says that it is whole is written last: half a registry has no version, and is filled by the next try."""
    with everywhere(place, place.folder / "founding.lock"), _attached(place, data) as con:
        if _is_founded(con):
            raise RegistryError(
                f"{place.name} already holds a registry; nothing is overwritten: choose another database"
            )
        _fill(con, place)


def _is_founded(con: Connection) -> bool:
    query = "SELECT 1 FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = 'meta'"
    if retrying(lambda: con.execute(query).fetchone()) is None:
        return False
    return retrying(lambda: con.execute("SELECT 1 FROM lake.meta").fetchone()) is not None


def _fill(con: Connection, place: Place) -> None:
    """Every table, empty, at the beginning of the chain."""
    if retrying(lambda: stored_files(con)):
        raise RegistryError(f"the place of --data for {place.name} is not empty; give --data a place of its own")
    retrying(lambda: create_tables(con))
    retrying(lambda: set_options(con))
    con.execute("BEGIN")
    con.execute("INSERT INTO lake.meta VALUES ('schema_version', ?), ('attempts', '0')", [str(SCHEMA_VERSION)])
    con.execute("INSERT INTO lake.head VALUES (0, ?)", [GENESIS])
    con.execute("COMMIT")


@contextmanager
def _attached(place: Place, data: str) -> Iterator[Connection]:
    con = attach(place, data=data, create=True)
    try:
        yield con
    finally:
        con.close()
