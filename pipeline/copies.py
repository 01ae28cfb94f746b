"""What each copy has of its own: its id, its secret, its canaries."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from pipeline.canary_documents import Document, from_document, to_document
from pipeline.files import Chunk, read_chunks
from pipeline.keystore import KeyStore
from pipeline.pool import Pool, people_needed, present
from pipeline.sealing import commitment, seal_secret
from watermarking.canaries import Canaries, Profile, generate, positions
from watermarking.canaries.generate import Draft, Taken, draft
from watermarking.fingerprint_code import code_word
from watermarking.issue import Planted
from watermarking.selection import Plan

_PROFILE_ROWS = 5_000
_PROFILE_CHUNKS = 8


@dataclass(frozen=True)
class NewCopy:
    """A copy before anything of it is made: its names and its secret.

    series_id: the id of the first copy of its series; series: dataset, recipient and epoch, by which the keys keep
    that; None for a copy that belongs to none.
    """

    export_id: str
    series_id: str
    recipient: str
    secret: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    series: tuple[str, str, int] | None


@dataclass(frozen=True)
class CopyCanaries:
    """The canaries of a copy: its own; and those with the ones of the pool that its code word says, shuffled."""

    own: Canaries
    planted: Planted


def new_id() -> str:
    """A fresh export id, X- and 80 random bits."""
    return "X-" + secrets.token_hex(10).upper()


def new_copy(keys: KeyStore, dataset: str, recipient: str, epoch: int, *, series: bool) -> NewCopy:
    """Draw a copy's names and its secret; a series keeps that of its first copy."""
    export_id, secret = new_id(), secrets.token_bytes(32)
    series_id, of = export_id, (dataset, recipient, epoch)
    if series:
        body = json.dumps({"series": export_id, "secret": secret.hex()}).encode()
        kept = json.loads(keys.keep_series(*of, "secret", body))
        series_id, secret = kept["series"], bytes.fromhex(kept["secret"])
    return NewCopy(export_id, series_id, recipient, secret, secrets.token_bytes(32), of if series else None)


@dataclass(frozen=True)
class Envelope:
    """A copy's secret and canaries as the registry keeps them: sealed to the officer, and committed to."""

    sealed: bytes
    commitment: str


def envelope_of(copy: NewCopy, its: CopyCanaries, dataset: str, officer: X25519PublicKey) -> Envelope:
    """Seal what only this copy has."""
    canaries = to_document(its.own)
    sealed = seal_secret(
        officer, export_id=copy.export_id, dataset=dataset, recipient=copy.recipient,
        nonce=copy.nonce, secret=copy.secret, canaries=canaries,
    )  # fmt: skip
    return Envelope(sealed, commitment(copy.export_id, copy.nonce, copy.secret, canaries))


def drafted_for(copy: NewCopy, real: Profile, due: int, keys: KeyStore, marks: Plan) -> Draft | None:
    """The people of whom a copy's own canaries will be, drawn before it is known what the data holds.

    due: how many canaries the copy has in all, of which about so many are of the pool as its code word says. None for
    a series that has canaries, and for a copy that is to have none of its own.
    """
    if copy.series and _kept_canaries(keys, *copy.series) is not None:
        return None
    people = marks.pool.offset + np.arange(people_needed(due))
    coded = int(code_word(copy.secret, marks.p)[people].sum())
    return draft(real, due - coded, np.random.default_rng(secrets.randbits(256))) if due > coded else None


def canaries_for(
    copy: NewCopy,
    real: Profile,
    rows: int,
    taken: Taken,
    keys: KeyStore,
    pool: Pool,
    marks: Plan,
    drafted: Draft | None,
) -> CopyCanaries:
    """Draw the canaries of a copy of a table of some rows; a series keeps those of its first copy.

    Of the pool it holds exactly those people whose bit of the code word is 1; the other slots are for its own. taken:
    says what the data and the pool hold; none of its own shares an identifier or a key with them, and of a series,
    whoever does by now is left out.
    """
    contract, rng = real.contract, np.random.default_rng(secrets.randbits(256))
    slots = positions(rows, contract.canary_density, rng)
    coded = held_of(pool, copy.secret, marks).slice(0, len(slots))
    many = len(slots) - coded.num_rows
    kept = _kept_canaries(keys, *copy.series) if copy.series else None
    if kept is None:
        own = generate(real, many, rng, taken, drafted)
        if copy.series:
            kept = json.loads(keys.keep_series(*copy.series, "canaries", json.dumps(to_document(own)).encode()))
    if kept is not None:  # by another job of the series meanwhile, perhaps
        own = from_document(kept, real.table.schema)
        still = np.flatnonzero(~present(own.table, contract, taken))[:many]
        own = replace(own, table=own.table.take(still), bounds=tuple(own.bounds[n] for n in still))
    both = pa.concat_tables([own.table, coded]).combine_chunks()
    planted = both.take(pa.array(rng.permutation(both.num_rows)))
    return CopyCanaries(own, Planted(planted, slots[: planted.num_rows]))


def _kept_canaries(keys: KeyStore, dataset: str, recipient: str, epoch: int) -> Document | None:
    """The canaries of a series; versions before this one kept them with its secret."""
    body = keys.series(dataset, recipient, epoch, "canaries")
    if body is not None:
        return json.loads(body)
    return json.loads(keys.series(dataset, recipient, epoch, "secret") or b"{}").get("canaries")


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
