"""A job whose rows come from PostgreSQL: read-only, and without a word of the database's in an error."""

import importlib.util
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from pipeline.storage import query_to_parquet
from schemas.errors import InputError
from tests.conftest import World
from tests.servers import postgres, program
from tests.test_jobs import exports_of, job, job_file

needs_extension = pytest.mark.skipif(
    importlib.util.find_spec("duckdb_extension_postgres_scanner") is None,
    reason="duckdb-extension-postgres-scanner is not installed",
)


@pytest.fixture
def database() -> Iterator[str]:
    """A PostgreSQL of our own on a free port: its connection text."""
    with postgres() as server:
        yield server.words


@needs_extension
def test_a_table_of_postgresql_is_tagged(fresh: World, database: str, monkeypatch) -> None:
    table = pq.read_table(fresh.table).select(["customer_no", "name", "phone", "national_id", "address"])
    pq.write_table(table, fresh.folder / "five.parquet")
    pa_csv.write_csv(table, fresh.folder / "five.csv")
    columns = ", ".join(f"{name} text" for name in table.column_names)
    sql = f"CREATE TABLE customers ({columns}); "
    with (fresh.folder / "five.csv").open("rb") as rows:
        copy = [program("psql") or "psql", database, "-q", "-c", sql, "-c", r"\copy customers FROM STDIN CSV HEADER"]
        subprocess.run(copy, stdin=rows, check=True)
    assert fresh.run("contract", "infer", fresh.folder / "five.parquet", "-o", fresh.folder / "pg.yaml").code == 0
    monkeypatch.setenv("BANK_DSN", database)
    source = '{sql: "SELECT * FROM customers ORDER BY customer_no", postgres: BANK_DSN}'
    text = job(source=source, contract="pg.yaml", recipients="[E1]")
    answer = fresh.run("run", job_file(fresh, text))
    assert answer.code == 0, answer.out
    (export,) = exports_of(fresh)
    assert export["rows_out"] >= table.num_rows


@needs_extension
def test_the_database_cannot_be_changed_through_a_query(tmp_path: Path, database: str) -> None:
    with pytest.raises(InputError):
        query_to_parquet("CREATE TABLE mine (a int)", tmp_path / "out.parquet", tmp_path, database)
    with pytest.raises(InputError):
        query_to_parquet("SELECT * FROM postgres_execute('source', 'CREATE TABLE b (a int)')", tmp_path / "out.parquet",
                         tmp_path, database)  # fmt: skip


@needs_extension
def test_a_database_that_is_not_there_is_one_sentence_without_its_password(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        text = f"host=127.0.0.1 port={unused.getsockname()[1]} user=u password=geheim connect_timeout=2"
        with pytest.raises(InputError, match="cannot be reached or read") as error:
            query_to_parquet("SELECT 1", tmp_path / "out.parquet", tmp_path, text)
    assert "geheim" not in str(error.value)
    assert not (tmp_path / "out.parquet").exists()
