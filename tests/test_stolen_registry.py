"""A stolen registry: without the index key no phone number can be tried against it; with the key what is lost shows.

Canaries are recognisable in neither case: unique ones and those of the pool alike.
"""

import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import World

from pipeline.keystore import KeyStore
from pipeline.storage import attach
from schemas.contract import parse
from watermarking.keys import IndexKey
from watermarking.tokens import TokenKind, fields_of, normal_forms, records_of, tokens_of, versions_of


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


WHOLE = (TokenKind.PHONE, TokenKind.NATIONAL_ID, TokenKind.EMAIL)  # what belongs to one person alone


def canaries(world: World) -> dict[str, pa.Table]:
    """The canaries of E1's copy: `coded`, of the pool, which another copy has too, and `unique` to it."""
    copies = [pq.read_table(world.folder / f"E{number}.parquet") for number in (1, 2, 3)]
    real, others = pq.read_table(world.table)["customer_no"], pa.concat_tables(copies[1:])["customer_no"]
    added = copies[0].filter(pc.invert(pc.is_in(copies[0]["customer_no"], value_set=real.combine_chunks())))
    shared = pc.is_in(added["customer_no"], value_set=others.combine_chunks())
    return {"coded": added.filter(shared), "unique": added.filter(pc.invert(shared))}


def known(world: World, rows: pa.Table, key: bytes) -> dict[str, int]:
    """How many versions, records and tokens of whole identifiers of some rows the registry has."""
    contract = parse(world.contract.read_bytes(), "contract")
    forms = normal_forms(rows, contract)
    fields = fields_of(forms, contract)
    tokens = tokens_of(fields, IndexKey(key))
    versions = versions_of(forms, contract, IndexKey(key), fields, tokens)
    found = {"versions": versions, "members": versions, "records": records_of(forms, contract, IndexKey(key))}
    found["tokens"] = np.concatenate([one.values for one in tokens if one.kind in WHOLE])
    con = attach(world.folder / "registry")
    queries = {
        "versions": "SELECT version FROM lake.versions",
        "members": "SELECT version FROM lake.members",
        "records": "SELECT record FROM lake.versions",
        "tokens": f"SELECT token FROM lake.tokens WHERE kind IN ({', '.join(str(int(kind)) for kind in WHOLE)})",  # noqa: S608
    }
    there = {name: con.execute(query).to_arrow_table().column(0).to_numpy() for name, query in queries.items()}
    con.close()
    return {name: int(np.isin(found[name], there[name]).sum()) for name in queries}


@pytest.mark.parametrize("kind", ["unique", "coded"])
def test_with_the_index_key_the_registry_holds_nothing_of_a_canary(shared: World, kind: str) -> None:
    """Every version, record and whole identifier there is of a real row, so none of them can be told to be a canary."""
    key = KeyStore(shared.folder / "keys").index_key()
    rows = canaries(shared)[kind]
    assert rows.num_rows > 2
    assert known(shared, rows, key) == {"versions": 0, "members": 0, "records": 0, "tokens": 0}
    real = pq.read_table(shared.table).slice(0, 50)
    assert known(shared, real, key)["records"] == 50


@pytest.mark.parametrize("kind", ["unique", "coded"])
def test_no_value_of_a_canary_is_readable_in_what_was_stolen(shared: World, kind: str) -> None:
    rows = canaries(shared)[kind]
    values = [rows[name].to_pylist() for name in ("phone", "national_id", "email", "address", "card_no")]
    files = [path for path in (shared.folder / "registry").rglob("*") if path.is_file()]
    stolen_bytes = b"".join(path.read_bytes() for path in files)
    assert b"spring campaign" in stolen_bytes  # what is readable there is found
    for value in (value for column in values for value in column if value):
        for encoded in (value.encode(), value.encode("utf-16-le")):
            assert encoded not in stolen_bytes


def test_whoever_has_index_key_and_a_copy_too_can_tell_its_canaries(shared: World) -> None:
    """What is lost then, and the runbook says so: they are the rows that the registry does not know."""
    key = KeyStore(shared.folder / "keys").index_key()
    copy = pq.read_table(shared.folder / "E1.parquet")
    added = sum(rows.num_rows for rows in canaries(shared).values())
    assert known(shared, copy, key)["records"] == copy.num_rows - added
    assert known(shared, copy, bytes(32))["records"] == 0
