"""The tables of a registry: made anew, or brought up to this program's version where an older one made them.

An upgrade adds what schemas.tables has and the catalogue lacks: whole tables, empty, and columns, without a value in
the rows that are there. So a new column is nullable and stands last. One transaction adds columns and sets the version;
tables come before it, because DuckLake takes options only of a table that is committed. Interrupted, an upgrade leaves
at most empty tables that the older program does not know; of two at once, one finds it done.
"""

from collections.abc import Mapping

import pyarrow as pa

from pipeline.storage import Connection
from schemas.errors import RegistryError
from schemas.tables import NOT_INLINED, SCHEMA_VERSION, TABLES

_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.uint64(): "UBIGINT",
    pa.uint8(): "UTINYINT",
    pa.float64(): "DOUBLE",
}


def create_tables(con: Connection) -> None:
    """The tables of schemas.tables that are not there, empty; the large ones always go to files. Commits by itself."""
    for name, schema in TABLES.items():
        if name in _columns(con):
            continue
        columns = ", ".join(f"{field.name} {_SQL_TYPES[field.type]}" for field in schema)
        con.execute(f"CREATE TABLE IF NOT EXISTS lake.{name} ({columns})")
        if name in NOT_INLINED:
            con.execute(f"CALL lake.set_option('data_inlining_row_limit', 0, table_name => '{name}')")
        if name == "member_tiles":
            _set_tile_options(con)


def set_options(con: Connection) -> None:
    """How the files of a new registry are written. Commits by itself."""
    # Digests do not compress, but sorted ones differ by less than they hold, which version 2 of Parquet can write.
    con.execute("CALL lake.set_option('parquet_version', 2)")
    con.execute("ALTER TABLE lake.tokens SET SORTED BY (token ASC, kind ASC, version ASC)")  # as merging leaves it


def _set_tile_options(con: Connection) -> None:
    """Tiles lie sorted, in groups small enough that a look-up reads little more than it asks for."""
    con.execute("CALL lake.set_option('parquet_compression', 'zstd', table_name => 'member_tiles')")
    con.execute("CALL lake.set_option('parquet_row_group_size', 4096, table_name => 'member_tiles')")
    con.execute("ALTER TABLE lake.member_tiles SET SORTED BY (tile ASC, set_number ASC)")


def version_of(con: Connection, where: str) -> int:
    """The version of a registry's tables; RegistryError when it is none, or newer than this program.

    where: the registry, as its user knows it.
    """
    row = con.execute("SELECT value FROM lake.meta WHERE name = 'schema_version'").fetchone()
    found = int(row[0]) if row and str(row[0]).isdigit() else None
    if found is None:
        raise RegistryError(f"{where} holds a catalogue, but no registry; give the right --registry, or restore it")
    if found > SCHEMA_VERSION:
        raise RegistryError(
            f"the registry in {where} is of a newer version ({found}, this program knows {SCHEMA_VERSION}); "
            "upgrade leaktrace"
        )
    return found


def missing(con: Connection) -> list[str]:
    """What the catalogue lacks of schemas.tables: `TABLE` or `TABLE.COLUMN`, in their order."""
    there, lacking = _columns(con), []
    for name, schema in TABLES.items():
        columns = there.get(name)
        lacking += [name] if columns is None else [f"{name}.{field}" for field in schema.names if field not in columns]
    return lacking


def upgrade(con: Connection, where: str) -> None:
    """Add the columns that an older version lacks and set the version. Needs `create_tables` before it.

    Runs inside a transaction. The version is one row: where two upgrade at once, one collides and looks again.
    """
    before = version_of(con, where)
    for table, _, column in (name.partition(".") for name in missing(con)):
        con.execute(f"ALTER TABLE lake.{table} ADD COLUMN {column} {_SQL_TYPES[TABLES[table].field(column).type]}")
    if before < SCHEMA_VERSION:
        con.execute("UPDATE lake.meta SET value = ? WHERE name = 'schema_version'", [str(SCHEMA_VERSION)])


def _columns(con: Connection) -> Mapping[str, set[str]]:
    """The columns of each table of the catalogue."""
    there: dict[str, set[str]] = {}
    found = con.execute(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'lake' AND schema_name = 'main'"
    )
    for table, column in found.fetchall():
        there.setdefault(table, set()).add(column)
    return there
