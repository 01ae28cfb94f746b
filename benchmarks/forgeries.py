"""Forgeries that benchmarks/framing.py tries: an office with a chosen innocent, and attacks on its registry."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.alterations import signed_anew
from benchmarks.office import COLUMNS, CONTRACT
from examples import bank_table
from pipeline.acknowledge import acknowledgement, enter
from pipeline.heads import current_head
from pipeline.keystore import KeyStore, init_keys, make_pair, signing_key
from pipeline.registry import Registry, create
from pipeline.sealing import commitment, open_secret, seal_secret
from pipeline.storage import Connection, attach
from pipeline.tagging import TagRequest, tag
from pipeline.tracing import TraceRequest, trace
from schemas.contract import parse
from schemas.errors import LeaktraceError
from watermarking.embed import embed, find_sites
from watermarking.fingerprint_code import code_word
from watermarking.keys import IndexKey
from watermarking.selection import Plan, plan
from watermarking.tokens import normal_forms, records_of

PEOPLE, INNOCENT, FORGERS = tuple(f"E{n}" for n in range(1, 13)), "E5", ("E1", "E2", "E3")


@dataclass(frozen=True)
class Office:
    """A registry with twelve copies, in its folder."""

    folder: Path

    @property
    def registry(self) -> str:
        """Where it is."""
        return str(self.folder / "registry")

    @property
    def keys(self) -> KeyStore:
        """All keys, the officer's too: of these the forger uses every other."""
        return KeyStore(self.folder / "keys")

    @cached_property
    def source(self) -> pa.Table:
        """The table that was tagged."""
        return pq.read_table(self.folder / "source.parquet")

    @cached_property
    def plan(self) -> Plan:
        """Where its marks are."""
        return plan(parse(CONTRACT.read_bytes(), "contract"), IndexKey(self.keys.index_key()))

    @cached_property
    def exports(self) -> dict[str, dict[str, Any]]:
        """Each one's first copy, with its receipt and sealed body."""
        with Registry.open(self.registry) as registry:
            every = {row["recipient"]: row for row in registry.exports().to_pylist()[::-1]}
            ids = [row["export_id"] for row in every.values()]
            said, sealed = registry.receipts(ids), {row["export_id"]: row for row in registry.sealed(ids).to_pylist()}
        return {who: {"receipt": said[row["export_id"]], "row": sealed[row["export_id"]]} for who, row in every.items()}

    def secret(self, who: str) -> bytes:
        """What only the officer can open."""
        officer = self.keys.officer_private()
        assert officer is not None  # noqa: S101 - the benchmark made it
        return open_secret(officer, self.exports[who]["row"]).secret

    def copy(self, folder: Path) -> "Office":
        """Another, to be altered."""
        shutil.copytree(self.folder, folder)
        return Office(folder)


def build(folder: Path) -> Office:
    """Twelve copies; the innocent signs for theirs, and a witness notes the head."""
    office = Office(folder)
    folder.mkdir(parents=True)
    pq.write_table(bank_table.generate(900, seed=11).select(range(COLUMNS)), folder / "source.parquet")
    init_keys(folder / "keys")
    create(office.registry)
    issue(office, PEOPLE)
    private, public = make_pair(folder / "own", INNOCENT)
    (folder / "keys" / "recipients").mkdir()
    shutil.copy(public, folder / "keys" / "recipients" / public.name)
    receipt = office.exports[INNOCENT]["receipt"]
    with Registry.open(office.registry, issuer=office.keys.issuer()) as registry:
        said = acknowledgement(receipt, "recipient", INNOCENT, signing_key(private), "2026-01-01T00:00:00.000Z")
        enter(registry, office.keys, [said])
        (folder / "heads.txt").write_text(current_head(registry)["line"] + "\n")
    return office


def issue(office: Office, recipients: Sequence[str], name: str = "{recipient}") -> None:
    """What a tagger does, with a tagger's keys."""
    request = TagRequest(
        source=office.folder / "source.parquet", contract=CONTRACT, recipients=tuple(recipients), purpose="benchmark",
        output=str(office.folder / f"{name}.parquet"), registry=office.registry, keys=office.folder / "keys",
        quality=False,
    )  # fmt: skip
    tag(request, lambda text: None)


def _again(office: Office, con: Connection, who: str, **changes: Any) -> None:
    """The receipt of somebody's copy says otherwise, and the chain from there is signed anew with the issuer's key."""
    signed_anew(con, office.keys.issuer(), {office.exports[who]["receipt"]["number"]: changes})


def fake_issue(office: Office, con: Connection) -> str:
    """A copy tagged today in the innocent's name."""
    con.close()
    issue(office, [INNOCENT], "fake")
    return "fake"


def fake_issue_back_dated(office: Office, con: Connection) -> str:
    """The same, and its receipt says that it was issued before the sample."""
    fake_issue(office, con)
    con = attach(Path(office.registry))
    (number,) = con.execute("SELECT max(number) FROM lake.receipts WHERE kind = 'export'").fetchall()[0]
    signed_anew(con, office.keys.issuer(), {number: {"issued_at": "2026-01-01T00:00:00.000Z"}})
    con.execute("UPDATE lake.exports SET issued_at = '2026-01-01T00:00:00.000Z' WHERE number = ?", [number])
    con.close()
    return "fake"


def relabelled(office: Office, con: Connection) -> str:
    """The forger's own copy is the innocent's in the tables."""
    con.execute("UPDATE lake.exports SET recipient = ? WHERE recipient = ?", [INNOCENT, FORGERS[0]])
    return FORGERS[0]


def relabelled_and_signed(office: Office, con: Connection) -> str:
    """The same in the receipt too, and the tail of the chain rewritten."""
    _again(office, con, FORGERS[0], recipient=INNOCENT)
    return relabelled(office, con)


def secret_replaced(office: Office, con: Connection) -> str:
    """The innocent's copy gets a secret that the forger knows and a commitment to match; the tail is rewritten."""
    about, secret, nonce = office.exports[INNOCENT], bytes(range(32)), bytes(32)
    receipt = about["receipt"]
    names = {"export_id": receipt["export_id"], "dataset": receipt["dataset"], "recipient": INNOCENT}
    body = seal_secret(office.keys.officer_public(), **names, nonce=nonce, secret=secret, canaries=[])
    said = commitment(receipt["export_id"], nonce, secret, [])
    values = [body, said, receipt["export_id"]]
    con.execute("UPDATE lake.sealed SET sealed = ?, commitment = ? WHERE export_id = ?", values)
    _again(office, con, INNOCENT, commitment=said)
    return written(office, secret)


def secret_copied(office: Office, con: Connection) -> str:
    """The sealed body of the forger's copy stands at the innocent's, with its commitment."""
    mine, theirs = office.exports[FORGERS[0]]["row"], office.exports[INNOCENT]["row"]
    values = [bytes(mine["sealed"]), mine["commitment"], theirs["export_id"]]
    con.execute("UPDATE lake.sealed SET sealed = ?, commitment = ? WHERE export_id = ?", values)
    _again(office, con, INNOCENT, commitment=mine["commitment"])
    return FORGERS[0]


ATTACKS: Mapping[str, Callable[[Office, Connection], str]] = {
    "a copy issued in their name": fake_issue,
    "the same, back-dated": fake_issue_back_dated,
    "a copy relabelled": relabelled,
    "relabelled, tail signed anew": relabelled_and_signed,
    "secret replaced, tail signed anew": secret_replaced,
    "secret copied, tail signed anew": secret_copied,
}


def written(office: Office, secret: bytes, name: str = "forged") -> str:
    """A file of the source's rows with the marks of a secret."""
    contract, key = parse(CONTRACT.read_bytes(), "contract"), IndexKey(office.keys.index_key())
    records = records_of(normal_forms(office.source, contract), contract, key)
    sites = find_sites(office.source, office.plan, key, records)
    marked = embed(office.source, sites, code_word(secret, office.plan.p))
    pq.write_table(marked, office.folder / f"{name}.parquet")
    return name


def traced(office: Office, name: str, witnessed: bool, number: int) -> tuple[str, Mapping[str, bool]]:
    """What a trace of 40 rows of a file says of the innocent, and the custody of the copy that it names.

    Nothing; refused; the innocent's own copy; or another copy in their name.
    """
    table = pq.read_table(office.folder / f"{name}.parquet")
    rows = np.sort(np.random.default_rng([23, number]).choice(table.num_rows, 40, replace=False))
    sample, case = office.folder / f"leak-{number}.csv", office.folder / f"case-{number}"
    pa_csv.write_csv(pa.table({n: table[n].cast(pa.string()) for n in table.column_names}).take(rows), sample)
    heads = (str(office.folder / "heads.txt"),) if witnessed else ()
    request = TraceRequest((sample,), case, office.registry, office.folder / "keys", heads=heads)
    try:
        verdict = trace(request, lambda text: None)
    except LeaktraceError:
        return "refused", {}
    for one in verdict["attribution"]["candidates"]:
        if one["recipient"] == INNOCENT and one["strength"] == "conclusive":
            own = one["export_id"] == Office(office.folder).exports[INNOCENT]["receipt"]["export_id"]
            return "own copy" if own else "another copy in their name", one["custody"]
    return "nothing", {}


def attacked(office: Office, folder: Path, number: int) -> list[dict[str, Any]]:
    """Each attack on the registry, with and without the witness's head; and the officer's key in the forger's hand."""
    out = []
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for at, (name, attack) in enumerate(ATTACKS.items()):
        forged = office.copy(folder / str(at))
        con = attach(Path(forged.registry))
        leak = attack(forged, con)
        con.close()
        for witnessed in (True, False):
            said, custody = traced(forged, leak, witnessed, 2 * number + witnessed)
            out.append({"attack": name, "witnessed": witnessed, "said": said, "custody": dict(custody)})
    stolen = office.copy(folder / "officer")
    said, custody = traced(stolen, written(stolen, stolen.secret(INNOCENT)), True, number)
    out.append({"attack": "with the officer's key", "witnessed": True, "said": said, "custody": dict(custody)})
    shutil.rmtree(folder)
    return out
