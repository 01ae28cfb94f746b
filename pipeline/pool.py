"""The pool of coded canaries of a dataset: fictitious people of whom each copy holds those that its code word says.

The n-th person of a pool stands at the n-th position of the plan's `pool` site: a copy holds them exactly when its bit
there is 1. A pool grows when larger tables are tagged, and is never changed or redrawn. It lies in the registry twice
under seal: under pool.key, which whoever tags has, and to the officer, who traces. Neither the registry nor the index
key shows who is fictitious (runbooks/decisions/0120).
"""

import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pipeline.canary_documents import Document, each, from_document, to_document
from pipeline.keystore import KeyStore
from pipeline.registry import Registry
from pipeline.sealing import canonical, open_body, seal_body
from schemas.contract import Contract
from schemas.errors import IntegrityError, KeyFileError, LeaktraceError
from watermarking.canaries import Canaries, Profile, generate
from watermarking.canaries.generate import MUST_BE_NEW, Draft, Taken, draft
from watermarking.normalise import normalise
from watermarking.selection import POOL_BIASES, POOL_POSITIONS

CODED_SHARE = 0.5  # of a copy's canaries; the rest are its alone
_NONCE = 12
KIND = "pool"


@dataclass(frozen=True)
class Pool:
    """People of a pool that fit a table.

    rank: int64[n], their places in the whole pool; canaries: the table of them, in the types of the source.
    """

    rank: np.ndarray
    canaries: Canaries


def people_needed(canaries: int) -> int:
    """How large a pool gives a copy its share of coded canaries, on average."""
    mean = sum(POOL_BIASES) / len(POOL_BIASES)
    return min(POOL_POSITIONS, round(CODED_SHARE * canaries / mean))


def drafted_people(registry: Registry, real: Profile, canaries: int, rng: np.random.Generator) -> Draft | None:
    """The people that the pool seems to lack, drawn before it is known what the data holds; None when it lacks none."""
    lacks = _lacking(registry.pool(real.contract.dataset), shape_of(real.table.schema), people_needed(canaries))
    return draft(real, lacks, rng) if lacks > 0 else None


@contextmanager
def ready_pool(
    registry: Registry,
    keys: KeyStore,
    real: Profile,
    canaries: int,
    taken: Taken,
    rng: np.random.Generator,
    drafted: Draft | None,
) -> Iterator[Pool]:
    """The people of the pool that copies of this table may hold; makes or extends the pool where it is too small.

    Whom it lacked enters the registry when the block ends; until then nobody else makes any, and nothing may be issued.
    canaries: how many a copy has in all; drafted: of `drafted_people`. People whose identifiers or key the table itself
    holds by now are left out, and those made for other columns. What is left out depends on the table alone, never on a
    code word. Raises KeyFileError when the pool is sealed under another pool.key.
    """
    contract, schema = real.contract, real.table.schema
    needed, shape = people_needed(canaries), shape_of(schema)
    if needed == 0:
        yield Pool(np.zeros(0, dtype=np.int64), Canaries(schema.empty_table(), ()))
        return
    with ExitStack() as alone:
        alone.enter_context(registry.alone("pool"))
        batches = registry.pool(contract.dataset)
        key = keys.pool_key(make=not registry.has_pools())
        people = sum(batch["people"] for batch in batches)
        shapes = [batch["shape"] for batch in batches for _ in range(batch["people"])]
        mine = [group for batch in batches if batch["shape"] == shape for group in _opened(key, batch)]
        more, made = _lacking(batches, shape, needed), []
        if more > 0:
            known = from_document(mine, schema).table
            made = to_document(generate(real, more, rng, taken_or_pooled(taken, contract, known), drafted))
            mine, shapes = mine + made, shapes + [shape] * more
        else:
            alone.close()
        rank = np.flatnonzero(np.array([its == shape for its in shapes]))[:needed]
        everybody = from_document(mine, schema)
        found = Canaries(everybody.table.slice(0, len(rank)), everybody.bounds[: len(rank)])
        free = ~present(found.table, contract, taken)
        bounds = tuple(found.bounds[n] for n in np.flatnonzero(free))
        yield Pool(rank[free], Canaries(found.table.filter(pa.array(free)), bounds))
        if made:
            batch = _batch(keys, made, dataset=contract.dataset, first=people, people=more, shape=shape)
            registry.add_to_pool(batch)


def _lacking(batches: Sequence[Mapping[str, Any]], shape: str, needed: int) -> int:
    """How many people are to be made so that as many as are needed fit a table; none where the pool is full."""
    fit = sum(batch["people"] for batch in batches if batch["shape"] == shape)
    return min(needed - fit, POOL_POSITIONS - sum(batch["people"] for batch in batches))


def taken_or_pooled(taken: Taken, contract: Contract, people: pa.Table) -> Taken:
    """Says which values the data or the pool's people hold: of everybody, so that it depends on no code word."""
    theirs = [
        (column.kind, normalise(column.kind, people[column.name].combine_chunks()))
        for column in contract.columns
        if column.name in people.column_names
    ]

    def either(kind: str, cells: pa.Array) -> np.ndarray:
        found = taken(kind, cells)
        for its, values in theirs:
            if its == kind:
                found = found | pc.is_in(cells, value_set=values).to_numpy(zero_copy_only=False)
        return found

    return either


def open_pool(registry: Registry, officers: Sequence[X25519PrivateKey], dataset: str) -> list[dict[str, Any]]:
    """Everybody of a dataset's pool, by rank, with the officer's keys.

    Raises IntegrityError when the chain does not say that this pool was entered.
    """
    entered = {(note["dataset"], note["first"]): note["sha256"] for note in registry.notes(KIND)}
    people: list[dict[str, Any]] = []
    for batch in registry.pool(dataset):
        body = open_body(officers, bytes(batch["officer"]), _info(batch))
        if hashlib.sha256(body).hexdigest() != entered.get((dataset, batch["first"])):
            raise IntegrityError(
                f"the pool of coded canaries of dataset {dataset} is not the one its chain entered; the registry was "
                "altered: run leaktrace registry check"
            )
        people += each(json.loads(body))
    return people


def sealed_anew(line: Mapping[str, Any], officers: Sequence[X25519PrivateKey], new: X25519PublicKey) -> bytes:
    """What a line of the table `pool` holds for the officer, sealed to a new one."""
    return seal_body(new, open_body(officers, bytes(line["officer"]), _info(line)), _info(line))


def problems_of(
    lines: Sequence[Mapping[str, Any]],
    notes: Sequence[Mapping[str, Any]],
    officers: Sequence[X25519PrivateKey],
    key: bytes | None,
) -> Iterator[str]:
    """What is wrong with pools; lines: of the table; notes: of the chain. What is sealed is read with keys at hand."""
    said = {(note["dataset"], note["first"]): note for note in notes}
    count = Counter((line["dataset"], line["first"]) for line in lines)
    for dataset, first in sorted(said.keys() | count.keys()):
        where, times = f"pool, {dataset} from person {first}", count[dataset, first]
        if (dataset, first) not in said:
            yield f"{where}: no entry of the chain knows it"
        elif times != 1:
            yield f"{where}: it is " + ("missing" if times == 0 else f"there {times} times")
    for line in lines:
        note = said.get((line["dataset"], line["first"]))
        if note is None:
            continue
        where = f"pool, {line['dataset']} from person {line['first']}"
        if line["people"] != note["people"]:
            yield f"{where}: the number of people is not what the chain says"
        to_officer = partial(open_body, officers, bytes(line["officer"]), _info(line))
        if officers and _digest(to_officer) != note["sha256"]:
            yield f"{where}: what is sealed to the officer is not what the chain entered"
        if key is not None and _digest(partial(_body, key, line)) != note["sha256"]:
            yield f"{where}: what is sealed under pool.key is not what the chain entered, or this is another pool.key"


def _digest(opened: Callable[[], bytes]) -> str:
    try:
        return hashlib.sha256(opened()).hexdigest()
    except (LeaktraceError, InvalidTag, zlib.error):
        return ""


def shape_of(schema: pa.Schema) -> str:
    """What canaries are made for: names and types of the columns, as a digest."""
    return hashlib.sha256(str([(field.name, str(field.type)) for field in schema]).encode()).hexdigest()[:32]


def _batch(keys: KeyStore, made: Document, **line: Any) -> dict[str, Any]:
    """A line of the table `pool`, and what the chain says of it; line: dataset, first, people and shape."""
    body, nonce = canonical(made), os.urandom(_NONCE)
    officer: X25519PublicKey = keys.officer_public()
    return line | {
        "sealed": nonce + AESGCM(keys.pool_key()).encrypt(nonce, zlib.compress(body), _info(line)),
        "officer": seal_body(officer, body, _info(line)),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def _opened(key: bytes, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The document of a batch; KeyFileError when it is sealed under another key."""
    try:
        document: list[dict[str, Any]] = json.loads(_body(key, batch))
    except InvalidTag as error:
        raise KeyFileError(
            f"pool.key does not open the coded canaries of dataset {batch['dataset']}; copy it from the machine that "
            "tagged this dataset first"
        ) from error
    return document


def _body(key: bytes, line: Mapping[str, Any]) -> bytes:
    """What is sealed under pool.key; InvalidTag when it is under another, or altered."""
    sealed = bytes(line["sealed"])
    return zlib.decompress(AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _info(line)))


def _info(line: Mapping[str, Any]) -> bytes:
    return canonical(["pool", line["dataset"], line["first"], line["people"], line["shape"]])


def present(table: pa.Table, contract: Contract, taken: Taken) -> np.ndarray:
    """Which people share an identifier, a key or another value that must be unique with what is taken; bool[people]."""
    out = np.zeros(table.num_rows, dtype=bool)
    alone = len(contract.keys()) == 1  # a part of a key may well occur again
    for column in contract.columns:
        once = not column.references and (
            column.unique or column.kind in MUST_BE_NEW
        )  # a reference is to what is there
        if column.name in table.column_names and (once or (column.key and alone)):
            cells = normalise(column.kind, table[column.name].combine_chunks())
            out |= taken(column.kind, cells) & cells.is_valid().to_numpy(zero_copy_only=False)
    return out
