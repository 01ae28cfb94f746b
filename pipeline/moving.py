"""Moving a registry out of its folder: to a database and an object store, when a team shares it.

Everything goes over in one transaction, what says that a registry is there with it: interrupted, the new place holds
no registry and the old one is as it was. Only when the new one is whole does the old catalogue lose its name.
"""

from collections.abc import Callable

from pipeline.founding import prepared
from pipeline.locks import everywhere
from pipeline.places import CATALOGUE, Place, place_of
from pipeline.recovery import locked
from pipeline.registry import Registry
from pipeline.retrying import retrying
from pipeline.storage import Connection, attach, attach_second, roll_back
from schemas.errors import IntegrityError, RegistryError
from schemas.tables import TABLES

MOVED = f"{CATALOGUE}.moved"


def move(source: str, target: str, data: str | None, say: Callable[[str], None]) -> int:
    """Move a registry in a folder to another place; how many exports it has.

    Raises RegistryError when jobs run, or when the target holds a registry already; then nothing has moved.
    """
    old, new = place_of(source), place_of(target)
    if old.database:
        raise RegistryError(
            "a registry in a database is moved with PostgreSQL's own tools; give a folder as --registry"
        )
    with Registry.open(source) as registry:
        registry.recover()
        exports = registry.exports().num_rows
        with locked(old.staging / ".lock"), everywhere(old, old.folder / "commit.lock"):
            _refuse_running(old)
            with prepared(new, data) as making:
                _copy(old, making, say)
    (old.folder / CATALOGUE).rename(old.folder / MOVED)
    return exports


def _refuse_running(place: Place) -> None:
    running = [path for path in place.staging.iterdir() if path.is_dir() and not path.name.startswith(".")]
    if running:
        raise RegistryError(f"{len(running)} jobs run in {place.name}; wait until they end, then move it")


def _copy(source: Place, target: Place, say: Callable[[str], None]) -> None:
    """All tables into the empty ones of the target, in one transaction; IntegrityError when a row is missing there."""
    con = attach(source, read_only=True)
    try:
        attach_second(con, target, "target")
        retrying(lambda: _copy_tables(con, say))
    finally:
        con.close()


def _copy_tables(con: Connection, say: Callable[[str], None]) -> None:
    con.execute("BEGIN")
    try:
        for name in TABLES:
            say(f"moving {name}")
            con.execute(f"INSERT INTO target.{name} BY NAME SELECT * FROM lake.{name}")
            counts = [con.execute(f"SELECT count(*) FROM {lake}.{name}").fetchone() for lake in ("lake", "target")]
            if counts[0] != counts[1]:
                raise IntegrityError(f"{name} did not arrive whole, so nothing has moved; run registry check first")
        con.execute("COMMIT")
    except BaseException:
        roll_back(con)
        raise
