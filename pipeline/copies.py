"""What each copy has of its own: its id, its secret, its canaries."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from pipeline.canary_documents import from_document, to_document
from pipeline.files import Chunk, read_chunks
from pipeline.keystore import KeyStore
from pipeline.pool import Pool, present
from watermarking.canaries import Canaries, Profile, generate, positions
from watermarking.canaries.generate import Taken
from watermarking.fingerprint_code import code_word
from watermarking.selection import Plan

_PROFILE_ROWS = 5_000
_PROFILE_CHUNKS = 8


@dataclass(frozen=True)
class NewCopy:
    """A copy before it is written: its names, its secret, its canaries.

    canaries: its own; coded: those of the pool that its code word says; planted: both, shuffled, one for each slot.
    """

    export_id: str
    series_id: str
    recipient: str
    secret: bytes
    nonce: bytes
    canaries: Canaries
    slots: np.ndarray
    coded: int
    planted: pa.Table


def new_id() -> str:
    """A fresh export id, X- and 80 random bits."""
    return "X-" + secrets.token_hex(10).upper()


def new_copy(
    real: Profile,
    recipient: str,
    rows: int,
    taken: Taken,
    keys: KeyStore,
    epoch: int,
    pool: Pool,
    marks: Plan,
    *,
    series: bool,
) -> NewCopy:
    """Draw a copy's secret and canaries; a series keeps those of its first copy.

    Of the pool it holds exactly those people whose bit of the code word is 1; the other slots are for its own. taken:
    says what the data and the pool hold; none of its own shares an identifier or a key with them, and of a series,
    whoever does by now is left out.
    """
    contract, rng = real.contract, np.random.default_rng(secrets.randbits(256))
    slots = positions(rows, contract.canary_density, rng)
    export_id, series_id, secret = new_id(), None, secrets.token_bytes(32)
    kept = json.loads(keys.series(contract.dataset, recipient, epoch) or b"null") if series else None
    if kept:
        secret = bytes.fromhex(kept["secret"])
    coded = held_of(pool, secret, marks).slice(0, len(slots))
    if not kept:
        own = generate(real, len(slots) - coded.num_rows, rng, taken)
    if series and not kept:
        body = {"series": export_id, "secret": secret.hex(), "canaries": to_document(own)}
        kept = json.loads(keys.keep_series(contract.dataset, recipient, epoch, json.dumps(body).encode()))
        if kept["secret"] != secret.hex():  # another job of the series was first
            secret = bytes.fromhex(kept["secret"])
            coded = held_of(pool, secret, marks).slice(0, len(slots))
    if kept:
        series_id, own = kept["series"], from_document(kept["canaries"], real.table.schema)
        still = np.flatnonzero(~present(own.table, contract, taken))[: len(slots) - coded.num_rows]
        own = replace(own, table=own.table.take(still), bounds=tuple(own.bounds[n] for n in still))
    both = pa.concat_tables([own.table, coded]).combine_chunks()
    planted = both.take(pa.array(rng.permutation(both.num_rows)))
    return NewCopy(
        export_id, series_id or export_id, recipient, secret, secrets.token_bytes(32), own,
        slots[: planted.num_rows], coded.num_rows, planted,
    )  # fmt: skip


def held_of(pool: Pool, secret: bytes, marks: Plan) -> pa.Table:
    """The people of a pool that the code word of a secret says."""
    word = code_word(secret, marks.p)
    return pool.canaries.table.filter(pa.array(word[marks.pool.offset + pool.rank] == 1))


def profile_of(descriptors: Sequence[Chunk]) -> tuple[pa.Table, int]:
    """Up to 5,000 rows spread over the file, and how many rows it has.

    Of a file with many row groups they are the first of some, because what is not read need not be unpacked.
    """
    rows, parquet = sum(chunk.rows for chunk in descriptors), descriptors[0].file.format == "parquet"
    begins = [chunk for chunk in descriptors if parquet and chunk.start == 0]
    few = len(begins) < _PROFILE_CHUNKS
    used = _some(descriptors if few else begins)
    share = max(1, _PROFILE_ROWS // len(used))
    parts = []
    for _, table in read_chunks(used if few else [replace(chunk, rows=min(share, chunk.rows)) for chunk in used]):
        parts.append(table.take(np.linspace(0, table.num_rows - 1, min(share, table.num_rows), dtype=np.int64)))
    return pa.concat_tables(parts).combine_chunks(), rows


def _some(parts: Sequence[Chunk]) -> Sequence[Chunk]:
    return parts[:: max(1, len(parts) // _PROFILE_CHUNKS)]
