"""The registry's tables. An `epoch` stands wherever a key was used.

Digests are unsigned 64-bit numbers; nothing here is a customer's value in readable form.
"""

import pyarrow as pa

SCHEMA_VERSION = 1

META = pa.schema([("name", pa.string()), ("value", pa.string())])
DATASETS = pa.schema(
    [("dataset", pa.string()), ("contract_sha256", pa.string()), ("contract", pa.binary()), ("added_at", pa.string())]
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
        ("receipt", pa.string()),
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
VERSIONS = pa.schema(
    [("version", pa.uint64()), ("record", pa.uint64()), ("dataset", pa.string()), ("epoch", pa.int32())]
)
TOKENS = pa.schema([("token", pa.uint64()), ("kind", pa.uint8()), ("version", pa.uint64())])
MEMBER_SETS = pa.schema(
    [("set_id", pa.string()), ("dataset", pa.string()), ("digest", pa.string()), ("rows", pa.int64())]
)
MEMBERS = pa.schema([("set_id", pa.string()), ("version", pa.uint64())])
MEMBERSHIPS = pa.schema([("export_id", pa.string()), ("set_id", pa.string())])
CASES = pa.schema(
    [("sample_digest", pa.string()), ("attempt", pa.int32()), ("case_id", pa.string()), ("created_at", pa.string())]
)
HEAD = pa.schema([("number", pa.int64()), ("digest", pa.string())])

TABLES = {
    "meta": META,
    "datasets": DATASETS,
    "exports": EXPORTS,
    "sealed": SEALED,
    "versions": VERSIONS,
    "tokens": TOKENS,
    "member_sets": MEMBER_SETS,
    "members": MEMBERS,
    "memberships": MEMBERSHIPS,
    "cases": CASES,
    "head": HEAD,
}
