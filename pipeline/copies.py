"""What each copy has of its own: its id, its secret, its canaries."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.files import Chunk, read_chunk
from pipeline.keystore import KeyStore
from schemas.contract import Contract
from watermarking.canaries import Canaries, generate, positions
from watermarking.normalise import normalise

_PROFILE_ROWS = 5_000


@dataclass(frozen=True)
class NewCopy:
    """A copy before it is written: its names, its secret, its canaries."""

    export_id: str
    series_id: str
    recipient: str
    secret: bytes
    nonce: bytes
    canaries: Canaries
    slots: np.ndarray


def new_id() -> str:
    """A fresh export id, X- and 80 random bits."""
    return "X-" + secrets.token_hex(10).upper()


def new_copy(
    contract: Contract,
    recipient: str,
    profile: pa.Table,
    rows: int,
    descriptors: Sequence[Chunk],
    keys: KeyStore,
    epoch: int,
    *,
    series: bool,
) -> NewCopy:
    """Draw a copy's secret and canaries; a series keeps those of its first copy."""
    rng = np.random.default_rng(secrets.randbits(256))
    slots = positions(rows, contract.canary_density, rng)
    export_id = new_id()

    def fresh() -> tuple[bytes, Canaries]:
        taken = TakenValues(descriptors, contract)
        return secrets.token_bytes(32), generate(contract, profile, len(slots), rng, taken)

    if not series:
        secret, canaries = fresh()
        return NewCopy(export_id, export_id, recipient, secret, secrets.token_bytes(32), canaries, slots)
    kept = keys.series(contract.dataset, recipient, epoch)
    if kept is None:
        secret, canaries = fresh()
        body = {"series": export_id, "secret": secret.hex(), "canaries": canaries_to_json(canaries)}
        kept = keys.keep_series(contract.dataset, recipient, epoch, json.dumps(body).encode())
    body = json.loads(kept)
    canaries = canaries_from_json(body["canaries"], profile.schema)
    count = min(len(slots), canaries.table.num_rows)
    canaries = replace(canaries, table=canaries.table.slice(0, count), bounds=canaries.bounds[:count])
    return NewCopy(
        export_id, body["series"], recipient, bytes.fromhex(body["secret"]), secrets.token_bytes(32), canaries,
        slots[:count],
    )  # fmt: skip


def profile_of(descriptors: Sequence[Chunk]) -> tuple[pa.Table, int]:
    """Up to 5,000 rows spread over the file, and how many rows it has."""
    rows = sum(chunk.rows for chunk in descriptors)
    used = descriptors[:: max(1, len(descriptors) // 8)]
    share = max(1, _PROFILE_ROWS // len(used))
    parts = []
    for chunk in used:
        table = read_chunk(chunk)
        parts.append(table.take(np.linspace(0, table.num_rows - 1, min(share, table.num_rows), dtype=np.int64)))
    return pa.concat_tables(parts).combine_chunks(), rows


@dataclass(frozen=True)
class TakenValues:
    """Says which values are present in the file, for one kind at a time, reading only those columns."""

    descriptors: Sequence[Chunk]
    contract: Contract

    def __call__(self, kind: str, cells: pa.Array) -> np.ndarray:
        """cells: string[n], normalised; bool[n], true where the file holds the value."""
        found = np.zeros(len(cells), dtype=bool)
        names = [column.name for column in self.contract.columns if column.kind == kind]
        for chunk in self.descriptors:
            table = read_chunk(chunk, columns=names)
            for name in names:
                there = normalise(kind, table[name].combine_chunks())
                both = there.filter(pc.is_in(there, value_set=cells))
                if len(both):
                    found |= pc.is_in(cells, value_set=both).to_numpy(zero_copy_only=False)
        return found


def canaries_to_json(canaries: Canaries) -> list[dict[str, Any]]:
    """Canaries as plain values: texts of the cells, and the bound of each field."""
    texts = {name: canaries.table[name].cast(pa.string()).to_pylist() for name in canaries.table.column_names}
    return [
        {"values": {name: texts[name][n] for name in texts}, "bounds": dict(canaries.bounds[n])}
        for n in range(canaries.table.num_rows)
    ]


def canaries_from_json(body: Sequence[dict[str, Any]], schema: pa.Schema) -> Canaries:
    """What `canaries_to_json` gave, in the types of `schema`."""
    columns = [
        pa.array([one["values"].get(field.name) for one in body], pa.string()).cast(field.type) for field in schema
    ]
    return Canaries(pa.Table.from_arrays(columns, schema=schema), tuple(one["bounds"] for one in body))
