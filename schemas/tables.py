"""The registry's tables. An `epoch` stands wherever a key was used.

Digests are unsigned 64-bit numbers; nothing here is a customer's value in readable form. What a table says of an
export is a copy of what its signed receipt says; `registry check` compares the two.
"""

import pyarrow as pa

# A change of the tables below is a new version; pipeline/upgrade.py adds what an older registry lacks. A new column
# goes last and may be null. 3: what came after 2 was given its number, and some registries of version 2 lack it.
SCHEMA_VERSION = 3

# `schema_version`, and `attempts`: how many traces were begun, over all samples.
META = pa.schema([("name", pa.string()), ("value", pa.string())])
DATASETS = pa.schema([("dataset", pa.string()), ("contract_sha256", pa.string()), ("contract", pa.binary())])
# The chain: one signed entry a line. `kind` is `export` or `void`; acknowledgements, tombstones and the like are
# further kinds, so that nothing that changes what a trace says stands outside the chain.
RECEIPTS = pa.schema(
    [("number", pa.int64()), ("kind", pa.string()), ("export_id", pa.string()), ("receipt", pa.string())]
)
EXPORTS = pa.schema(
    [
        ("number", pa.int64()),
        ("export_id", pa.string()),
        ("dataset", pa.string()),
        ("recipient", pa.string()),
        ("purpose", pa.string()),
        ("series_id", pa.string()),
        ("epoch", pa.int32()),
        ("state", pa.string()),
        ("issued_at", pa.string()),
        ("idempotency_key", pa.string()),
        ("rows_in", pa.int64()),
        ("rows_out", pa.int64()),
        ("contract_sha256", pa.string()),
        ("parent", pa.string()),
    ]
)
SEALED = pa.schema(
    [
        ("export_id", pa.string()),
        ("series_id", pa.string()),
        ("epoch", pa.int32()),
        ("commitment", pa.string()),
        ("sealed", pa.binary()),
    ]
)
# `added`: number of the receipt that brought a version, and with it its tokens, into the index; `part`: in which
# part of its export it came, because a receipt's digest of what it added goes part by part. `number`: its place in
# tiles, as it came; null in what version 1 wrote, until a compaction.
VERSIONS = pa.schema(
    [
        ("version", pa.uint64()),
        ("record", pa.uint64()),
        ("dataset", pa.string()),
        ("epoch", pa.int32()),
        ("added", pa.int64()),
        ("part", pa.int32()),
        ("number", pa.int64()),
    ]
)
TOKENS = pa.schema([("token", pa.uint64()), ("kind", pa.uint8()), ("version", pa.uint64()), ("epoch", pa.int32())])
# An export may have several sets, and exports may share one. `number`: of a set that compaction packed into tiles; its
# members stand there, and no longer in `members`.
MEMBER_SETS = pa.schema(
    [
        ("set_id", pa.string()),
        ("dataset", pa.string()),
        ("epoch", pa.int32()),
        ("digest", pa.string()),
        ("rows", pa.int64()),
        ("number", pa.int64()),
    ]
)
MEMBERS = pa.schema([("set_id", pa.string()), ("version", pa.uint64())])
# Large sets as bitmaps over the versions' numbers, 4,096 a tile (pipeline/tiles.py).
MEMBER_TILES = pa.schema([("tile", pa.int32()), ("set_number", pa.int64()), ("bits", pa.binary())])
MEMBERSHIPS = pa.schema([("export_id", pa.string()), ("set_id", pa.string())])
# `alpha`: what the trace spent of the year's budget; 0 where the budget did not cover it, none where no secret opened.
CASES = pa.schema(
    [
        ("sample_digest", pa.string()),
        ("attempt", pa.int32()),
        ("case_id", pa.string()),
        ("created_at", pa.string()),
        ("alpha", pa.float64()),
    ]
)
# The smallest words of each case's sample, by which a leak that is sold again is known: a record's digest, or a token.
SIGHTINGS = pa.schema(
    [("case_id", pa.string()), ("sample_digest", pa.string()), ("seen_at", pa.string()), ("word", pa.uint64())]
)
# Coded canaries: `people` of them from rank `first` on, for tables of one `shape`; `sealed` under pool.key, and once
# more to the officer.
POOL = pa.schema(
    [
        ("dataset", pa.string()),
        ("first", pa.int64()),
        ("people", pa.int64()),
        ("shape", pa.string()),
        ("sealed", pa.binary()),
        ("officer", pa.binary()),
    ]
)
# Who traced what and when, and which cases were deleted: entries signed by the examiner, each naming the one before.
LOG = pa.schema([("number", pa.int64()), ("kind", pa.string()), ("case_id", pa.string()), ("entry", pa.string())])
HEAD = pa.schema([("number", pa.int64()), ("digest", pa.string())])

TABLES = {
    "meta": META,
    "datasets": DATASETS,
    "receipts": RECEIPTS,
    "exports": EXPORTS,
    "sealed": SEALED,
    "versions": VERSIONS,
    "tokens": TOKENS,
    "member_sets": MEMBER_SETS,
    "members": MEMBERS,
    "member_tiles": MEMBER_TILES,
    "memberships": MEMBERSHIPS,
    "cases": CASES,
    "sightings": SIGHTINGS,
    "pool": POOL,
    "log": LOG,
    "head": HEAD,
}
# Looked up by number: always Parquet, whose statistics let a look-up skip what it does not need.
NOT_INLINED = ("versions", "tokens", "members", "member_tiles")
