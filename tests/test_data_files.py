"""What a look-up skips by, as DuckDB writes it, denies nothing that is there; and each data file has its digest."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.bloom import lost_values, xxh64
from pipeline.storage import plain
from tests.registry_support import enter, new_place


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_the_hash_is_the_published_one(text: bytes, expected: int) -> None:
    rows = np.frombuffer(text * 3, np.uint8).reshape(3, len(text))
    assert xxh64(rows).tolist() == [expected] * 3


COLUMNS = {
    "byte": "(i % 200)::UTINYINT",
    "short": "(i % 200 - 100)::INTEGER",
    "long": "(hash(i % 200) >> 1)::BIGINT",
    "unsigned": "hash(i % 200)::UBIGINT",
    "number": "(i % 200)::DOUBLE / 7",
    "text": "repeat('x', (i % 90)::INTEGER) || (i % 7)",
    "bytes": "(i % 200)::VARCHAR::BLOB",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a Bloom filter for each kind of column, some values of it null."""
    path = tmp_path_factory.mktemp("bloom") / "file.parquet"
    columns = ", ".join(f"CASE WHEN i % 50 = 1 THEN NULL ELSE {made} END AS {name}" for name, made in COLUMNS.items())
    con = plain()
    con.execute(f"COPY (SELECT {columns} FROM range(20000) t(i)) TO '{path}' (PARQUET_VERSION V2)")  # noqa: S608
    con.close()
    return path


@pytest.mark.parametrize("column", COLUMNS)
def test_no_value_of_a_file_is_denied_by_its_filter_and_most_others_are(column: str, written: Path) -> None:
    file = pq.ParquetFile(written)
    chunk = file.metadata.row_group(0).column(list(COLUMNS).index(column))
    assert chunk.bloom_filter_offset is not None
    with written.open("rb") as opened:
        opened.seek(chunk.bloom_filter_offset)
        stored = opened.read(chunk.bloom_filter_length)
    values = file.read(columns=[column]).column(0).unique().drop_null()
    assert len(values) > 100
    assert lost_values(stored, values) == 0
    if pa.types.is_floating(values.type) or (pa.types.is_integer(values.type) and column != "byte"):
        strangers = pa.array(np.arange(10**6, 10**6 + 500), values.type)
        assert lost_values(stored, strangers) > 400


def test_a_filter_without_bits_denies_everything() -> None:
    values = pa.array(["a", "b", "cc"])
    assert lost_values(b"head" + bytes(64), values) == 3
    assert lost_values(b"", values) == 3


def test_every_data_file_has_its_digest_beside_it_and_no_other_does(tmp_path: Path) -> None:
    place = new_place(tmp_path)
    data = Path(place.registry) / "data"
    for number in range(3):
        enter(place, f"X-{number}", range(40 * number, 40 * number + 60), "E1")
        said = {
            name: digest for path in data.rglob("*.sha256") for digest, name in [path.read_text().rstrip().split("  ")]
        }
        assert said == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in data.rglob("*.parquet")}
    with place.open() as registry:
        registry.compact(0, lambda size: None)
    names = {path.name for path in data.rglob("*.parquet")}
    assert {path.name.removesuffix(".sha256") for path in data.rglob("*.sha256")} == names
    assert 0 < len(names) < len(said)
