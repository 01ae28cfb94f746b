"""The canaries' identifiers, for whoever watches mailboxes, phones and DLP, and for leaving them out of counts.

Canaries are sealed, so all of this needs the officer's key. A list says nothing of who received which canary unless
asked to: whoever watches need not know, and a list that leaks then teaches no leaker which rows are false.
"""

import csv
import json
import os
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from pipeline.emitters.stix import PATTERNS, indicator, moment
from pipeline.keystore import KeyStore
from pipeline.pool import open_pool
from pipeline.registry import Registry
from pipeline.sealing import OpenedSecret, open_secret
from schemas.contract import Contract, parse
from schemas.errors import KeyFileError, OutputError
from watermarking.fingerprint_code import code_word
from watermarking.keys import IndexKey
from watermarking.normalise import normalise
from watermarking.selection import plan

_WATCHED = ("phone", "email", "national_id", "card", "account")  # what somebody rings, writes to, or searches for
_BATCH = 1_000  # secrets that are open at once


@dataclass(frozen=True)
class Watched:
    """One identifier of a canary. `column` is the dataset's; `exports` are the copies of the series that hold it.

    A coded canary has no exports and no recipient here: which copies hold it is what their code words say.
    """

    kind: str
    value: str
    dataset: str
    column: str
    canary: int
    exports: tuple[str, ...]
    recipient: str
    bound: float


def watched(registry: Registry, keys: KeyStore) -> Iterator[Watched]:
    """Every identifier and key of every canary, series by series. KeyFileError without the officer's key."""
    officers = keys.officers()
    if not officers:
        raise KeyFileError("officer.key is not at hand, and canaries are sealed to it; give --keys with officer.key")
    contracts = _contracts(registry)
    for copy in _opened(registry, officers):
        yield from _of_copy(contracts[copy.dataset], copy.recipient, copy.secret.canaries, copy.exports)
    for contract in contracts.values():  # coded canaries belong to no single copy
        yield from _of_copy(contract, "", open_pool(registry, officers, contract.dataset), ())


@dataclass(frozen=True)
class _Copy:
    """The copies of one series, with their secret opened."""

    dataset: str
    recipient: str
    epoch: int
    exports: tuple[str, ...]
    secret: OpenedSecret


def _contracts(registry: Registry) -> dict[str, Contract]:
    return {name: parse(text, f"contract of {name}") for name, _, text in registry.datasets()}


def _opened(registry: Registry, officers: Sequence[X25519PrivateKey]) -> Iterator[_Copy]:
    """Series by series, some secrets at a time."""
    series: dict[str, list[dict[str, Any]]] = {}
    for export in registry.exports().to_pylist():
        series.setdefault(export["series_id"], []).append(export)
    firsts = {exports[0]["export_id"]: exports for exports in series.values()}
    ids = list(firsts)
    for at in range(0, len(ids), _BATCH):
        for row in registry.sealed(ids[at : at + _BATCH]).to_pylist():
            exports = firsts[row["export_id"]]
            names = tuple(export["export_id"] for export in exports)
            yield _Copy(row["dataset"], row["recipient"], exports[0]["epoch"], names, open_secret(officers, row))


def _of_copy(
    contract: Contract, recipient: str, canaries: Iterable[Any], exports: tuple[str, ...]
) -> Iterator[Watched]:
    """The identifiers and keys of one copy's canaries."""
    for number, canary in enumerate(canaries):
        for column in contract.columns:
            value = canary["values"].get(column.name)
            if value and (column.key or column.kind in (*_WATCHED, "person_name")):
                bound = float(canary["bounds"].get(column.kind, 1.0))
                yield Watched(column.kind, value, contract.dataset, column.name, number, exports, recipient, bound)


def write_watchlist(
    registry: Registry, keys: KeyStore, path: Path, form: str = "csv", *, exports: bool = False, replace: bool = False
) -> int:
    """Write the list, readable by its owner only; how many lines it has.

    form: csv (everything, with the dataset's column), txt (one value a line), stix (a bundle of indicators), mail
    (addresses for a mail filter). exports: say in the CSV which copies hold each. OutputError when the file exists
    and is not to be replaced.
    """
    writers: dict[str, Callable[[IO[str], Iterable[Watched]], int]] = {
        "csv": _with_exports if exports else _csv,
        "txt": _txt,
        "stix": _stix,
        "mail": _mail,
    }
    if path.exists() and not replace:
        raise OutputError(f"{path} exists; give --replace to write it anew, or choose another -o")
    with _whole_file(path) as file:
        return writers[form](file, watched(registry, keys))


def find_hits(registry: Registry, keys: KeyStore, value: str) -> list[Watched]:
    """The canaries that an arriving mail or a ringing phone belongs to: any way of writing the value.

    A coded canary belongs to every copy whose code word says that it holds it: one line a copy.
    """
    asked = {kind: normalise(kind, pa.array([value], pa.string()))[0].as_py() for kind in (*_WATCHED, "id")}
    hits: list[Watched] = []
    batch: list[Watched] = []
    for one in watched(registry, keys):
        if one.kind in asked:
            batch.append(one)
        if len(batch) >= 10_000:
            hits += _equal(batch, asked)
            batch = []
    hits += _equal(batch, asked)
    coded = [hit for hit in hits if not hit.exports]
    return [hit for hit in hits if hit.exports] + (list(_holders(registry, keys, coded)) if coded else [])


def _holders(registry: Registry, keys: KeyStore, coded: list[Watched]) -> Iterator[Watched]:
    """Each coded canary once for every copy whose code word says that it holds it."""
    contracts = _contracts(registry)
    index_keys = {epoch.number: IndexKey(keys.index_key(epoch)) for epoch in registry.epochs()}
    plans = {(name, epoch): plan(contracts[name], key) for name in contracts for epoch, key in index_keys.items()}
    for copy in _opened(registry, keys.officers()):
        marks = plans[copy.dataset, copy.epoch]
        word = code_word(copy.secret.secret, marks.p)
        for hit in coded:
            if hit.dataset == copy.dataset and word[marks.pool.offset + hit.canary] == 1:
                yield replace(hit, exports=copy.exports, recipient=copy.recipient)


def _equal(batch: list[Watched], asked: dict[str, Any]) -> list[Watched]:
    found = []
    for kind in {one.kind for one in batch}:
        of_kind = [one for one in batch if one.kind == kind]
        forms = normalise(kind, pa.array([one.value for one in of_kind], pa.string())).to_pylist()
        found += [one for one, form in zip(of_kind, forms, strict=True) if form is not None and form == asked[kind]]
    return found


def _csv(file: IO[str], found: Iterable[Watched]) -> int:
    return _rows(file, ("kind", "value", "dataset", "column"), ((w.kind, w.value, w.dataset, w.column) for w in found))


def _with_exports(file: IO[str], found: Iterable[Watched]) -> int:
    header = ("kind", "value", "dataset", "column", "exports", "recipient")
    return _rows(
        file, header, ((w.kind, w.value, w.dataset, w.column, " ".join(w.exports), w.recipient) for w in found)
    )


def _rows(file: IO[str], header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> int:
    writer, count = csv.writer(file, lineterminator="\n"), 0
    writer.writerow(header)
    for row in rows:
        writer.writerow(row)
        count += 1
    return count


def _txt(file: IO[str], found: Iterable[Watched]) -> int:
    return _lines(file, (w.value for w in found if w.kind in _WATCHED))


def _mail(file: IO[str], found: Iterable[Watched]) -> int:
    return _lines(file, (w.value.lower() for w in found if w.kind == "email"))


def _lines(file: IO[str], values: Iterable[str]) -> int:
    count = 0
    for count, value in enumerate(values, 1):  # noqa: B007 - the number of lines is what is wanted
        file.write(value + "\n")
    return count


def _stix(file: IO[str], found: Iterable[Watched]) -> int:
    """A STIX 2.1 bundle, written one indicator at a time; ids follow from the values, so lists can be merged."""
    now = moment(datetime.now(UTC))
    file.write(f'{{"type": "bundle", "id": "bundle--{uuid.uuid4()}", "objects": [')
    count = 0
    for one in found:
        if one.kind in PATTERNS:
            body = indicator(one.kind, one.value, one.dataset, now)
            file.write((",\n" if count else "\n") + json.dumps(body, ensure_ascii=False))
            count += 1
    file.write("\n]}\n")
    return count


@contextmanager
def _whole_file(path: Path) -> Iterator[IO[str]]:
    """A file under a temporary name, mode 0600, that gets its own when it is complete."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); choose another -o") from error
    finally:
        temporary.unlink(missing_ok=True)
