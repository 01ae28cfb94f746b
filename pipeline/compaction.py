"""Making the index small and quick again: many small files become a few large sorted ones.

What the registry says does not change, so no receipt does, and `registry check` holds before and after. Each merge
is a transaction of its own: interrupted, it changes nothing but for files that belong to nothing, which the next
command removes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.storage import Connection, data_folder, known_files, stored_files
from schemas.tables import NOT_INLINED

_MEMORY = "256MB"


@dataclass(frozen=True)
class Size:
    """Data files in use, and their bytes; `waiting`: bytes of replaced files that a running trace may still read."""

    files: int
    bytes: int
    waiting: int


def merge_once(con: Connection, table: str) -> bool:
    """Merge one group of small files of a table into one, sorted; false when there is none left to merge."""
    query = f"CALL ducklake_merge_adjacent_files('lake', '{table}', max_compacted_files => 1)"
    with _with_room(con):
        return any(int(row[-1]) for row in con.execute(query).fetchall())


def drop_deleted(con: Connection, table: str) -> None:
    """Write every file of a table anew that still holds deleted rows, without them."""
    with _with_room(con):
        con.execute(f"CALL ducklake_rewrite_data_files('lake', '{table}', delete_threshold => 0)")


@contextmanager
def _with_room(con: Connection) -> Iterator[None]:
    """One thread and twice the memory: where tiles are sorted that memory does not hold, DuckDB gives up with less."""
    rows = con.execute("SELECT current_setting('threads'), current_setting('memory_limit')").fetchall()
    con.execute(f"SET threads = 1; SET memory_limit = '{_MEMORY}'")
    try:
        yield
    finally:
        for threads, memory in rows:
            con.execute(f"SET threads = {int(threads)}; SET memory_limit = '{memory}'")


def drop_words(con: Connection) -> None:
    """The same for the words of samples, which lie in the catalogue while they are few: they become a file first."""
    con.execute("CALL ducklake_flush_inlined_data('lake', table_name => 'sightings')")
    drop_deleted(con, "sightings")


def forget(con: Connection, keep_seconds: int) -> None:
    """Give up older snapshots, and delete the files that were replaced, once the last was replaced long enough ago."""
    since = f"now() - INTERVAL {keep_seconds} SECOND"
    con.execute(f"CALL ducklake_expire_snapshots('lake', older_than => {since})")
    # All or none: over a SQLite catalogue, DuckLake's own older_than compares times as text and takes every file.
    row = con.execute(f"SELECT count(*) FROM {_REPLACED} WHERE schedule_start::TIMESTAMPTZ > {since}").fetchone()
    if row == (0,):
        con.execute("CALL ducklake_cleanup_old_files('lake', cleanup_all => true)")


def size_of(con: Connection) -> Size:
    """What the index takes on disk now."""
    live = {row[0].rsplit("/", 1)[-1] for row in con.execute(_LIVE).fetchall()}
    known = known_files(con)
    held = stored_files(con) if data_folder(con) else known
    return Size(
        len(live),
        sum(size for name, size in held.items() if name in live),
        sum(size for name, size in held.items() if name in known and name not in live),
    )


_REPLACED = "__ducklake_metadata_lake.ducklake_files_scheduled_for_deletion"
_LIVE = "SELECT path FROM __ducklake_metadata_lake.ducklake_data_file WHERE end_snapshot IS NULL"
TABLES = NOT_INLINED
