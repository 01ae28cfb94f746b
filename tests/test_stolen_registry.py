"""A stolen registry: without the index key no phone number can be tried against it; with the key what is lost shows."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from conftest import World

from pipeline.keystore import KeyStore
from pipeline.storage import attach
from schemas.contract import parse
from watermarking.keys import IndexKey
from watermarking.tokens import TokenKind, fields_of, normal_forms, tokens_of


def stolen(world: World) -> np.ndarray:
    """The tokens of phones in the registry; uint64."""
    con = attach(world.folder / "registry")
    found = con.execute("SELECT token FROM lake.tokens WHERE kind = ?", [int(TokenKind.PHONE)]).to_arrow_table()
    con.close()
    return found["token"].to_numpy()


def tried(world: World, key: bytes) -> tuple[list[str], np.ndarray]:
    """Every phone of one customer's prefix, and its token under a key."""
    source, contract = pq.read_table(world.table), parse(world.contract.read_bytes(), "contract")
    prefix = source["phone"][0].as_py()[:7]
    phones = [f"{prefix}{number:04d}" for number in range(10_000)]
    many = source.take(pa.array(np.zeros(len(phones), dtype=np.int64)))
    many = many.set_column(many.schema.get_field_index("phone"), "phone", pa.array(phones, source["phone"].type))
    columns = tokens_of(fields_of(normal_forms(many, contract), contract), IndexKey(key))
    (column,) = [one for one in columns if one.kind == TokenKind.PHONE]
    return phones, column.values


def test_without_the_index_key_no_phone_of_a_prefix_is_found(shared: World) -> None:
    there = stolen(shared)
    assert len(there) > 1_000
    keys = shared.folder / "keys"
    public = [(keys / name).read_bytes()[-33:-1] for name in ("officer.pub", "issuer.pub", "examiner.pub")]
    for guess in (bytes(32), bytes(range(32)), os.urandom(32), *public):
        assert not np.isin(tried(shared, guess)[1], there).any()


def test_with_the_index_key_every_customer_of_the_prefix_is_found(shared: World) -> None:
    phones, tokens = tried(shared, KeyStore(shared.folder / "keys").index_key())
    found = {phones[n] for n in np.flatnonzero(np.isin(tokens, stolen(shared)))}
    customers = set(pq.read_table(shared.table)["phone"].to_pylist())
    assert found == customers & set(phones)
    assert found
