"""The functions of `from pipeline import …`: what the commands do, without a command line.

Each raises one of schemas.errors with a single sentence, and then has issued, registered or overwritten nothing.
"""

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.alerts import Alarm
from pipeline.doctor import Check
from pipeline.jobs import Outcome
from pipeline.sweep import Swept
from schemas.contract import Finding
from schemas.errors import RegistryError

PathLike = str | os.PathLike[str]


def create_registry(*, registry: str | None = None, keys: PathLike | None = None) -> list[str]:
    """Create an empty registry and its keys; the names of the key files made. Refuses to overwrite."""
    from pipeline.keystore import init_keys
    from pipeline.registry import create

    location, folder = _registry(registry), _keys(keys)
    made = init_keys(folder)
    create(location)
    return made


def infer_contract(file: PathLike) -> str:
    """Propose a data contract for a table's file, as YAML; InputError when the file cannot be read."""
    from pipeline.inference import infer

    return infer(Path(file))


def check_contract(contract: PathLike, file: PathLike | None = None) -> list[Finding]:
    """Every problem of a contract, and of a file against it; empty when there is none."""
    from pipeline.inference import check

    return check(Path(contract), None if file is None else Path(file))


def tag_export(
    file: PathLike,
    contract: PathLike,
    recipients: Sequence[str],
    purpose: str,
    output: str,
    *,
    registry: str | None = None,
    keys: PathLike | None = None,
    idempotency_key: str | None = None,
    series: bool = False,
    quality: bool = True,
) -> list[dict[str, Any]]:
    """Issue one tagged copy a recipient; the signed receipts (schemas/receipt.schema.json), in their order.

    output: holds {recipient} when there are several. The same idempotency key again returns the first receipts.
    """
    from pipeline.tagging import TagRequest, tag

    request = TagRequest(
        Path(file), Path(contract), tuple(recipients), purpose, output, _registry(registry), _keys(keys),
        idempotency_key=idempotency_key, series=series, quality=quality,
    )  # fmt: skip
    return tag(request, _silent)


def preview_export(
    file: PathLike, contract: PathLike, recipients: Sequence[str], *, keys: PathLike | None = None
) -> dict[str, Any]:
    """What `tag_export` would change: cells by column, canaries, drift. Changes nothing."""
    from pipeline.preview import dry_run

    return dry_run(Path(file), Path(contract), tuple(recipients), _keys(keys))


def register_export(
    file: PathLike,
    contract: PathLike,
    recipients: Sequence[str],
    purpose: str,
    *,
    registry: str | None = None,
    keys: PathLike | None = None,
    idempotency_key: str | None = None,
    quality: bool = True,
) -> list[dict[str, Any]]:
    """Enter a file that was issued without tagging (membership only); the receipts."""
    from pipeline.tagging import TagRequest, register

    request = TagRequest(
        Path(file), Path(contract), tuple(recipients), purpose, None, _registry(registry), _keys(keys),
        idempotency_key=idempotency_key, quality=quality,
    )  # fmt: skip
    return register(request, _silent)


def trace_sample(
    sample: PathLike | Sequence[PathLike] | bytes,
    case: PathLike,
    *,
    columns: Mapping[int, str] | None = None,
    format: str | None = None,
    encoding: str | None = None,
    registry: str | None = None,
    keys: PathLike | None = None,
) -> dict[str, Any]:
    """Trace a leaked sample and write its case; the verdict (schemas/verdict.schema.json).

    sample: a file, a folder, several of them, or the bytes themselves. columns: kinds of columns, from 1; format,
    encoding: what it is, where the guess is wrong; UsageError when one of them makes no sense.
    """
    from pipeline.intake import corrected
    from pipeline.tracing import TraceRequest, trace

    given: tuple[Path, ...] | bytes
    if isinstance(sample, bytes):
        given = sample
    elif isinstance(sample, (str, os.PathLike)):
        given = (Path(sample),)
    else:
        given = tuple(map(Path, sample))
    said = corrected(format, encoding, columns or {})
    return trace(TraceRequest(given, Path(case), _registry(registry), _keys(keys), said=said), _silent)


def verify_case(case: PathLike, *, keys: PathLike | None = None) -> list[str]:
    """Every way in which a case is not what was signed, checked with examiner.pub; empty when it is."""
    from pipeline.bundle import known_of, verify_bundle
    from pipeline.keystore import KeyStore

    store = KeyStore(_keys(keys))
    return verify_bundle(Path(case), store.examiner_public(), known_of(store))


def list_exports(
    *, recipient: str | None = None, dataset: str | None = None, registry: str | None = None
) -> list[dict[str, Any]]:
    """The exports of a registry, oldest first: the columns of schemas.tables.EXPORTS."""
    from pipeline.registry import Registry

    with Registry.open(_registry(registry)) as opened:
        return opened.exports(recipient=recipient, dataset=dataset).to_pylist()


def check_registry(*, registry: str | None = None, keys: PathLike | None = None) -> list[str]:
    """Every signature, link and digest that does not hold, in plain words; empty when all do."""
    from pipeline.audit import check
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry

    store = KeyStore(_keys(keys))
    with Registry.open(_registry(registry), threads=2) as opened:
        opened.recover()
        return check(opened, store.issuer_public(), store.officers(), others=store.other_issuers())


def run_due_jobs(
    jobs: PathLike,
    *,
    only: str | None = None,
    dry_run: bool = False,
    now: datetime | None = None,
    registry: str | None = None,
    keys: PathLike | None = None,
) -> list[Outcome]:
    """Issue what a job file says is due, each unit once; what became of each job and interval.

    now: the moment that decides what is due; the clock's unless given.
    """
    from pipeline.jobs import RunRequest, run_jobs

    moment = now or datetime.now(UTC)
    return run_jobs(RunRequest(Path(jobs), _registry(registry), _keys(keys), moment, only, dry_run), _silent)


def sweep_folder(
    inbox: PathLike,
    cases: PathLike,
    *,
    alarm: Alarm | None = None,
    registry: str | None = None,
    keys: PathLike | None = None,
) -> list[Swept]:
    """Trace every new file of a folder, once; what became of each."""
    from pipeline.sweep import SweepRequest, sweep_inbox

    request = SweepRequest(Path(inbox), Path(cases), _registry(registry), _keys(keys), alarm)
    return sweep_inbox(request, _silent, time.time())


def write_canary_list(
    path: PathLike,
    form: str = "csv",
    *,
    exports: bool = False,
    replace: bool = False,
    registry: str | None = None,
    keys: PathLike | None = None,
) -> int:
    """Write the canaries' identifiers (csv, txt, stix or mail) with the officer's key; how many lines."""
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry
    from pipeline.watchlist import write_watchlist

    with Registry.open(_registry(registry)) as opened:
        return write_watchlist(opened, KeyStore(_keys(keys)), Path(path), form, exports=exports, replace=replace)


def check_machine(*, registry: str | None = None, keys: PathLike | None = None) -> list[Check]:
    """Keys, registry, clock, disk and versions, and what to do about each."""
    from pipeline.doctor import check_health

    return check_health(_registry(registry), _keys(keys), datetime.now(UTC))


def _silent(_: str) -> None:
    return


def _registry(given: str | None) -> str:
    found = given or os.environ.get("LEAKTRACE_REGISTRY")
    if not found:
        raise RegistryError("no registry is named; give registry=, or set LEAKTRACE_REGISTRY")
    return str(found)


def _keys(given: PathLike | None) -> Path:
    found = given or os.environ.get("LEAKTRACE_KEYS")
    if not found:
        raise RegistryError("no keys are named; give keys=, or set LEAKTRACE_KEYS")
    return Path(found)
