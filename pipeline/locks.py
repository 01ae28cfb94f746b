"""Locks of a registry: a lock file on this machine, and in the database where several machines share the registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.places import Place
from pipeline.recovery import locked
from pipeline.retrying import retrying
from pipeline.storage import connect_database, roll_back, wait_for_lock


@contextmanager
def everywhere(place: Place, path: Path) -> Iterator[None]:
    """Nobody else holds the lock of this name meanwhile; RegistryError after ten minutes of waiting.

    The file comes first, so that of one machine one process alone waits at the database. There the lock lives as long
    as a connection: a machine that dies lets go.
    """
    with locked(path):
        if place.database is None:
            yield
            return
        con = retrying(lambda: connect_database(str(place.database)))
        try:
            wait_for_lock(con, path.name)
            yield
        finally:
            roll_back(con)  # closing does it too, but where the server went away that ends the process
            con.close()
