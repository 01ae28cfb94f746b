"""`registry check`: every signature, link, digest and commitment, each problem with its place.

1. Each entry of the chain is signed by an issuer, follows the one before, and the last is the head; heads that a
   witness noted are those of this chain.
2. Each table says of an export what its receipt says, and holds nothing that no receipt speaks of.
3. Members, versions and tokens have the digests of the receipts; contracts have theirs.
4. With the officer's key: each sealed secret is the one its receipt commits to, and none occurs twice.
5. Each data file is there, of its size, and there is no other; nothing that a look-up skips by denies what is there
   (pipeline/data_files.py).

What no signature covers: how often a sample was traced (only that the count is without gaps), and which of the
prepared exports are issued (a trace counts both).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pipeline import data_files, epochs, pool, receipts, timestamps, trace_log
from pipeline.entries import export_row
from pipeline.erase import with_tombstones
from pipeline.held import added_by_each, digests_of
from pipeline.registry import Registry
from pipeline.retrying import UnreachableError, retrying
from pipeline.sealing import canonical, open_secret
from pipeline.storage import Connection, known_files, stored_files
from pipeline.witness import Head, contradicted, contradictions
from schemas.errors import LeaktraceError, RegistryError

Line = dict[str, Any]
Officer = X25519PrivateKey | Sequence[X25519PrivateKey] | None  # several after a rotation


def check(
    registry: Registry,
    issuer: Ed25519PublicKey,
    officer: Officer,
    *,
    others: Sequence[Ed25519PublicKey] = (),
    heads: Sequence[Head] = (),
    stamp_roots: timestamps.Certificates = (),
    examiners: Sequence[Ed25519PublicKey] = (),
    pool_key: bytes | None = None,
    advance: data_files.Advance | None = None,
) -> list[str]:
    """Every problem of a registry, in plain words with its place; empty when there is none.

    others: further issuers, of taggers with keys of their own. heads: of this chain, as a witness noted them.
    stamp_roots: certificates of time-stamp servers that are trusted. examiners: whoever signs the log of traces.
    pool_key: what the pools of coded canaries are sealed under, where it is at hand. advance: called with the bytes of
    data files that were read; again from the first when a server went away meanwhile. Raises UnreachableError when one
    stays away: then nothing was found out.
    """

    def found(con: Connection) -> tuple[list[str], bool]:
        problems: list[str] = []
        problems += _guarded(con, lambda: _files(con))
        problems += _guarded(con, lambda: data_files.problems_of(con, advance))
        state = _guarded(con, lambda: [_read(con)])
        if not isinstance(state[0], Read):
            return problems + state, False
        read: Read = state[0]
        problems += _guarded(con, lambda: _chain(read, (issuer, *others)))
        digests = {line["number"]: receipts.digest(entry) for line, entry in read.chain}
        problems += contradicted(heads, digests)
        problems += _guarded(con, lambda: _stamps(read, digests, stamp_roots))
        problems += _guarded(con, lambda: _secrets(con, read, officer))
        problems += _guarded(con, lambda: _log(con, examiners))
        problems += _guarded(con, lambda: _pools(con, read, officer, pool_key))
        for part in (_exports, _contracts, _members, _index, _attempts):
            problems += _guarded(con, partial(part, con, read))
        return problems, True

    problems, readable = registry.at_one_moment(found)
    orphans = registry.orphans() if readable else []
    return problems + [f"data file {name}: it belongs to nothing" for name in orphans]


@dataclass(frozen=True)
class Read:
    """The chain as it was read: each line of `receipts` with its document, and the receipts of exports by id."""

    head: Line
    chain: list[tuple[Line, Line]]
    receipts: Mapping[str, Line]
    void: frozenset[str]


def _read(con: Connection) -> Read:
    chain = [(line, _document(line)) for line in _lines(con, "receipts ORDER BY number")]
    heads = _lines(con, "head")
    documents = [document for _, document in chain]
    exports = {str(d.get("export_id")): d for d in documents if d.get("kind") == "export"}
    void = frozenset(str(d.get("export_id")) for d in documents if d.get("kind") == "void")
    return Read(heads[0] if len(heads) == 1 else {}, chain, with_tombstones(exports, documents), void)


def _chain(read: Read, issuers: Sequence[Ed25519PublicKey]) -> Iterator[str]:
    """Signatures and links."""
    previous, due = receipts.GENESIS, 1
    retired: dict[str, int] = {}
    for line, document in read.chain:
        where = f"chain entry {line['number']} (export {line['export_id']})"
        if line["receipt"] != canonical(document).decode() or not receipts.holds(document, *issuers):
            yield f"{where}: it is not signed by this issuer, or was altered"
        since = retired.get(receipts.signer(document, issuers)) if retired else None
        if since is not None:
            yield f"{where}: it is signed with a key that entry {since} retired"
        if document.get("kind") == epochs.KIND and "issuer_retired" in document:
            retired[str(document["issuer_retired"])] = int(line["number"])
        if any(line[name] != document.get(name) for name in ("number", "kind", "export_id")):
            yield f"{where}: the table's number, kind or export is not what the entry says"
        if line["number"] != due:
            yield f"{where}: number {due} is due here; an entry was removed, added or moved"
        if document.get("previous") != previous:
            yield f"{where}: it does not follow the entry before it"
        previous, due = receipts.digest(document), int(line["number"]) + 1
    if read.head != {"number": due - 1, "digest": previous}:
        yield f"head: it is not the last entry of the chain ({due - 1}); entries were cut off, or the head was altered"


def _stamps(read: Read, digests: Mapping[int, str], roots: timestamps.Certificates) -> Iterator[str]:
    """Time stamps in the chain: each is over an earlier head of this chain, and holds where its server is trusted."""
    stamps = [(line, document) for line, document in read.chain if document.get("kind") == timestamps.KIND]
    over = {line["number"]: _head(document) for line, document in stamps}
    wrong = {head for head, _ in contradictions([head for head in over.values() if head], digests)}
    for line, document in stamps:
        where, head = f"chain entry {line['number']} (time stamp)", over[line["number"]]
        if head is None:
            yield f"{where}: it is over no head"
            continue
        if head in wrong or head.number >= line["number"]:
            yield f"{where}: it is over a head that this chain never had; an entry before it was rewritten"
        if roots and timestamps.verified(str(document.get("token")), head.text, roots) is None:
            yield f"{where}: it does not hold under the certificates that are trusted"


def _head(document: Line) -> Head | None:
    """What a time stamp is over, if it is a head."""
    try:
        return Head.parsed(document["head"], None)
    except (KeyError, TypeError, ValueError):
        return None


def _exports(con: Connection, read: Read) -> Iterator[str]:
    """The tables that repeat what receipts say."""
    lines = _lines(con, "exports")
    yield from _unpaired("exports", [line["export_id"] for line in lines], list(read.receipts))
    for line in lines:
        receipt = read.receipts.get(line["export_id"])
        if receipt is not None:
            expected = export_row(receipt, line["state"])
            differing = [name for name, value in expected.items() if line[name] != value]
            if differing:
                yield f"exports, {line['export_id']}: {', '.join(differing)} is not what the receipt says"
        if (line["state"] == "void") != (line["export_id"] in read.void):
            yield f"exports, {line['export_id']}: the state is '{line['state']}', which the chain contradicts"
        elif line["state"] not in ("prepared", "issued", "void"):
            yield f"exports, {line['export_id']}: the state is unknown"


def _contracts(con: Connection, read: Read) -> Iterator[str]:
    """Every contract that a receipt names, as it was."""
    lines = _lines(con, "datasets")
    for line in lines:
        if hashlib.sha256(line["contract"] or b"").hexdigest() != line["contract_sha256"]:
            yield f"datasets, {line['dataset']}: the contract {line['contract_sha256'][:12]} was altered"
    needed = {f"{r['dataset']} {r['contract_sha256']}" for r in read.receipts.values()}
    yield from _unpaired("datasets", [f"{line['dataset']} {line['contract_sha256']}" for line in lines], list(needed))


def _members(con: Connection, read: Read) -> Iterator[str]:
    """Member sets against the digests of the receipts; equal combinations of sets are read once."""
    sets: dict[str, list[str]] = {}
    for line in _lines(con, "memberships"):
        sets.setdefault(line["export_id"], []).append(line["set_id"])
    yield from _unpaired("memberships", list(sets), list(read.receipts))
    digests = digests_of(con, {tuple(sorted(names)) for names in sets.values()})
    for export, names in sets.items():
        if len(set(names)) < len(names):
            yield f"memberships, {export}: a line is there twice"
        if export in read.receipts and digests[tuple(sorted(names))] != read.receipts[export]["members"]:
            yield f"memberships, {export}: its members are not those of its receipt"
    rows = {line["set_id"]: line["rows"] for line in _query(con, _SET_ROWS)}
    known = _lines(con, "member_sets")
    used = {name for names in sets.values() for name in names}
    yield from _unpaired("member_sets", [line["set_id"] for line in known], list(used | set(rows)))
    facts = {(r["members"], r["dataset"], r["epoch"]) for r in read.receipts.values()}
    for number, times in Counter(line["number"] for line in known if line["number"] is not None).items():
        if times > 1:
            yield f"member_sets: {times} sets have the number {number}"
    packed = {line["set_number"] for line in _query(con, "SELECT DISTINCT set_number FROM lake.member_tiles")}
    for line in known:
        if line["number"] is not None and line["rows"] and line["number"] not in packed:
            yield f"member_sets, {line['set_id'][:14]}: it has a number, but no tiles"
        held = rows.get(line["set_id"], 0)
        if line["rows"] != held:
            yield f"member_sets, {line['set_id'][:14]}: it holds {held:,} members, not {line['rows']:,}"
        held_alone = digests.get((line["set_id"],))
        said = (line["digest"], line["dataset"], line["epoch"])
        if held_alone is not None and (held_alone != line["digest"] or said not in facts):
            yield f"member_sets, {line['set_id'][:14]}: digest, dataset or epoch is not what the receipts say"


def _index(con: Connection, read: Read) -> Iterator[str]:
    """Versions and tokens against what each receipt says that it added."""
    by_number = {receipt["number"]: receipt for receipt in read.receipts.values()}
    adding = {n: receipt["index"] for n, receipt in by_number.items() if receipt["index"]["versions"]}
    for number, found in added_by_each(con, {n: index["tokens"] for n, index in adding.items()}):
        if found != adding[number]:
            yield f"versions or tokens added by chain entry {number}: they are not those of its receipt"
    for line in _query(con, "SELECT DISTINCT added, dataset, epoch FROM lake.versions"):
        receipt = by_number.get(line["added"], {"index": {"versions": 0}})
        if not receipt["index"]["versions"]:
            yield f"versions: some say that chain entry {line['added']} added them, which it did not"
        elif (line["dataset"], line["epoch"]) != (receipt["dataset"], receipt["epoch"]):
            yield f"versions added by chain entry {line['added']}: dataset or epoch is not what its receipt says"
    due = sum(receipt["index"]["tokens"] for receipt in by_number.values())
    (counted,) = _query(con, _TOKENS)
    if counted["tokens"] != due:
        yield f"tokens: there are {counted['tokens']:,}, the receipts add up to {due:,}"
    if counted["other_epoch"]:
        yield f"tokens: {counted['other_epoch']:,} are of another epoch than their version"
    missing = _query(con, _UNKNOWN)[0]["members"]
    if missing:
        yield f"versions: {missing:,} that exports hold are missing"


def _log(con: Connection, examiners: Sequence[Ed25519PublicKey]) -> Iterator[str]:
    """The log of traces against its signatures, its own links, and the traces that were counted."""
    lines = _lines(con, "log ORDER BY number")
    read = [{**line, "document": _document({"receipt": line["entry"]})} for line in lines]
    for line in read:
        if line["entry"] != canonical(line["document"]).decode():
            yield f"log, entry {line['number']}: it is not written as it was signed"
    yield from trace_log.problems_of(read, _lines(con, "cases"), examiners)


def _pools(con: Connection, read: Read, officer: Officer, key: bytes | None) -> Iterator[str]:
    """The pools of coded canaries against what the chain says was entered."""
    notes = [document for _, document in read.chain if document.get("kind") == pool.KIND]
    officers = (officer,) if isinstance(officer, X25519PrivateKey) else tuple(officer or ())
    yield from pool.problems_of(_lines(con, "pool ORDER BY dataset, first"), notes, officers, key)


def _attempts(con: Connection, read: Read) -> Iterator[str]:
    """The count of traces has no gap."""
    attempts: dict[str, list[int]] = {}
    for line in _lines(con, "cases"):
        attempts.setdefault(line["sample_digest"], []).append(line["attempt"])
    for sample, numbers in attempts.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            yield f"cases, sample {sample[:12]}: its attempts are not 1 to {len(numbers)}"
    names = Counter(line["name"] for line in _lines(con, "meta"))
    counted = [line["value"] for line in _lines(con, "meta") if line["name"] == "attempts"]
    if names != Counter(("schema_version", "attempts")) or counted != [str(sum(map(len, attempts.values())))]:
        yield "meta: the number of traces begun is not that of the cases; cases were removed or added"


def _secrets(con: Connection, read: Read, officer: Officer) -> Iterator[str]:
    """Sealed secrets against commitments; what is inside only with the officer's key."""
    lines = _lines(con, "sealed")
    committed = [export for export, receipt in read.receipts.items() if receipt["commitment"]]
    yield from _unpaired("sealed", [line["export_id"] for line in lines], committed)
    series: dict[bytes, set[str]] = {}
    for line in lines:
        receipt = read.receipts.get(line["export_id"])
        if receipt is None:
            continue
        said = (receipt["series"], receipt["epoch"], receipt["commitment"])
        if (line["series_id"], line["epoch"], line["commitment"]) != said:
            yield f"sealed, {line['export_id']}: series, epoch or commitment is not what the receipt says"
        if not officer:
            continue
        try:
            opened = open_secret(officer, {**receipt, "sealed": line["sealed"]})
            series.setdefault(opened.secret, set()).add(str(receipt["series"]))
        except LeaktraceError as error:
            yield f"sealed, {line['export_id']}: {error}"
    for several in series.values():
        if len(several) > 1:
            yield f"sealed: series {', '.join(sorted(several))} share one secret, so none of them can be named"


def _files(con: Connection) -> Iterator[str]:
    there = stored_files(con)
    for name, size in known_files(con).items():
        if size >= 0 and name not in there:
            yield f"data file {name}: it is missing"
        elif size >= 0 and there[name] not in (size, -1):
            yield f"data file {name}: it has {there[name]:,} bytes, the catalogue says {size:,}"


_SET_ROWS = (
    "SELECT set_id, sum(rows)::BIGINT AS rows FROM (SELECT set_id, count(DISTINCT version) AS rows FROM lake.members "
    "GROUP BY set_id UNION ALL SELECT coalesce(c.set_id, 'tiles of set ' || t.set_number), "
    "sum(bit_count(t.bits::BIT)) FROM lake.member_tiles t LEFT JOIN lake.member_sets c ON c.number = t.set_number "
    "GROUP BY ALL) GROUP BY set_id"
)
_TOKENS = (
    "SELECT count(*) AS tokens, count(*) FILTER (t.epoch IS DISTINCT FROM v.epoch) AS other_epoch "
    "FROM lake.tokens t LEFT JOIN (SELECT DISTINCT version, epoch FROM lake.versions) v USING (version)"
)
_UNKNOWN = "SELECT count(DISTINCT version) AS members FROM lake.members ANTI JOIN lake.versions USING (version)"


def _unpaired(table: str, found: list[str], due: list[str]) -> Iterator[str]:
    """Lines of a table that are missing, double, or spoken of nowhere."""
    counts, wanted = Counter(found), set(due)
    for name in sorted(wanted - counts.keys()):
        yield f"{table}, {name}: its line is missing"
    for name in sorted(counts.keys() - wanted):
        yield f"{table}, {name}: no receipt speaks of it"
    for name in sorted(name for name, count in counts.items() if count > 1):
        yield f"{table}, {name}: it is there {counts[name]} times"


def _guarded(con: Connection, work: Callable[[], Iterable[Any]]) -> list[Any]:
    """What `work` found; a table that cannot be read is a finding too, and the next part begins afresh.

    UnreachableError when a server does not answer: that says nothing of the registry.
    """
    try:
        return retrying(lambda: list(work()), 0)
    except UnreachableError:
        raise
    except RegistryError as error:
        found = str(error)
    except (KeyError, TypeError, ValueError, AttributeError):
        found = "receipts: one is malformed, so the checks that need it could not be made"
    with suppress(Exception):
        con.execute("ROLLBACK")
    con.execute("BEGIN")
    return [found]


def _document(line: Line) -> Line:
    try:
        found = json.loads(line["receipt"])
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _lines(con: Connection, table: str) -> list[Line]:
    return _query(con, f"SELECT * FROM lake.{table}")  # noqa: S608 - our own names


def _query(con: Connection, query: str) -> list[Line]:
    return list(con.execute(query).to_arrow_table().to_pylist())
