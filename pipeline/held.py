"""What the registry holds of many member sets and of many receipts, as digests: in few passes over its tables.

One by one (pipeline/members.py), each set reads all tiles and each receipt all tokens: a check of a thousand exports
would read a thousand times what there is.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.members import BATCH, Digested, index_document, members_of, runs
from pipeline.parts import little_endian
from pipeline.storage import Connection
from pipeline.tiles import Bitmaps, tiles_there

_BITMAPS = 128 << 20  # bytes of members that are held at once
_TOKENS = 20_000_000  # tokens that are sorted at once; beyond memory, on disk
Together = tuple[str, ...]


def digests_of(con: Connection, together: Collection[Together]) -> dict[Together, str]:
    """The digest of the members of each combination of sets: what `members_of` gives for one."""
    alone = pa.table({"set_id": pa.array([names[0] for names in together if len(names) == 1], pa.string())})
    con.register("alone", alone)
    lines = con.execute("SELECT set_id, number FROM lake.member_sets SEMI JOIN alone USING (set_id)").fetchall()
    loose = _loose(con, alone["set_id"].to_pylist())
    names, numbers = Counter(name for name, _ in lines), Counter(number for _, number in lines)
    packed = {
        number: name
        for name, number in lines
        if number is not None and names[name] == numbers[number] == 1 and name not in loose
    }
    unpacked = {name for name, number in lines if number is None and names[name] == 1}
    digests = {name: digest for name, digest in loose.items() if name in unpacked}
    digests |= {packed[number]: digest for number, digest in _packed(con, sorted(packed)).items()}
    one_by_one = {its: members_of(con, its) for its in together if len(its) != 1 or its[0] not in digests}
    return {(name,): digest for name, digest in digests.items()} | one_by_one


def _loose(con: Connection, names: list[str]) -> dict[str, str]:
    """The digest of the members of each set that has any which are not in tiles."""
    con.register("numbered", pa.table({"set_id": pa.array(names, pa.string()), "n": np.arange(len(names))}))
    query = "SELECT n, version FROM lake.members JOIN numbered USING (set_id) ORDER BY n, version"
    hashers: dict[int, Any] = {}
    for batch in con.execute(query).to_arrow_reader(BATCH):
        for n, rows in runs(batch):
            hashers.setdefault(n, hashlib.sha256()).update(little_endian(rows.column(0)))
    return {names[n]: hasher.hexdigest() for n, hasher in hashers.items()}


def _packed(con: Connection, numbers: list[int]) -> dict[int, str]:
    """The digest of each packed set, by number; none of one that has a tile twice."""
    tiles, out = tiles_there(con), dict[int, str]()
    some = max(1, _BITMAPS // max(1, 512 * len(tiles)))
    for at in range(0, len(numbers) if len(tiles) else 0, some):
        sets = np.array(numbers[at : at + some], dtype=np.int64)
        held, hashers = Bitmaps.of(con, tiles, sets), [hashlib.sha256() for _ in sets]
        query = "SELECT version, number FROM lake.versions WHERE number IS NOT NULL ORDER BY version"
        for batch in con.execute(query).to_arrow_reader(BATCH):
            version = batch.column("version").to_numpy()
            for hasher, mine in zip(hashers, held.holding(batch.column("number").to_numpy()), strict=True):
                hasher.update(little_endian(version[mine]))
        out |= {int(n): h.hexdigest() for n, h, t in zip(sets, hashers, held.twice, strict=True) if not t}
    return out


def added_by_each(con: Connection, tokens: Mapping[int, int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """What the registry holds of what each receipt added: its number, and what `added_by` gives for it.

    tokens: of each receipt's number, how many tokens it says that it added.
    """
    numbers = sorted(tokens)
    ends = np.cumsum([tokens[number] for number in numbers])
    at = 0
    while at < len(numbers):
        before = int(ends[at - 1]) if at else 0
        to = max(at + 1, int(np.searchsorted(ends, before + _TOKENS, side="right")))
        some = numbers[at:to]
        con.register("asked_receipts", pa.table({"added": pa.array(some, pa.int64())}))
        versions = _by_receipt(con, "versions", ("version", "record"), _VERSIONS)
        its_tokens = _by_receipt(con, "tokens", ("token", "kind", "version"), _TOKENS_ADDED)
        for number in some:
            none = Digested("versions", ()), Digested("tokens", ())
            yield number, index_document(versions.get(number, none[0]), its_tokens.get(number, none[1]))
        at = to


_VERSIONS = "SELECT added, part, version, record FROM lake.versions SEMI JOIN asked_receipts USING (added) ORDER BY ALL"
_TOKENS_ADDED = (
    "SELECT added, part, token, kind, t.version FROM lake.tokens t JOIN (SELECT DISTINCT version, part, added "
    "FROM lake.versions SEMI JOIN asked_receipts USING (added)) v ON t.version = v.version ORDER BY ALL"
)


def _by_receipt(con: Connection, name: str, columns: tuple[str, ...], query: str) -> dict[int, Digested]:
    out: dict[int, Digested] = {}
    for batch in con.execute(query).to_arrow_reader(BATCH):
        for number, rows in runs(batch):
            out.setdefault(number, Digested(name, columns)).add(rows)
    return out
