"""Small registries for tests, made through the same functions that a tag command uses."""

import functools
import hashlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.keystore import KeyStore, init_keys
from pipeline.parts import write_index
from pipeline.recovery import publish
from pipeline.registry import NewExport, Registry, create
from pipeline.sealing import commitment, seal_secret

CONTRACT = b"kind: DataContract\n"
TOKENS = 3  # tokens a version


@dataclass(frozen=True)
class Place:
    """A registry and its keys in a test's folder."""

    registry: str
    keys: Path

    @property
    def store(self) -> KeyStore:
        """Its keys."""
        return KeyStore(self.keys)

    def open(self) -> Any:
        """The registry, able to sign."""
        return Registry.open(self.registry, issuer=self.store.issuer())


@functools.cache
def _empty() -> tempfile.TemporaryDirectory[str]:
    """One empty registry a process, to be copied: making one takes a second."""
    folder = tempfile.TemporaryDirectory(prefix="leaktrace-")
    create(f"{folder.name}/registry")
    return folder


def new_place(folder: Path) -> Place:
    """An empty registry with keys."""
    init_keys(folder / "keys")
    return copied(Place(f"{_empty().name}/registry", folder / "keys"), folder)


def copied(place: Place, folder: Path) -> Place:
    """A copy of a registry, with the same keys."""
    return Place(shutil.copytree(place.registry, str(folder / "registry")), place.keys)


def rows_of(numbers: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(version, record) of numbered rows; the same number is always the same row."""
    number = np.asarray(numbers, dtype=np.uint64)
    return number * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1), number * np.uint64(0xC2B2AE3D27D4EB4F) + np.uint64(2)


def tokens_of(versions: np.ndarray) -> pa.Table:
    """The tokens of versions."""
    kinds = np.tile(np.arange(1, TOKENS + 1, dtype=np.uint8), len(versions))
    of = np.repeat(versions, TOKENS)
    token = (of ^ kinds.astype(np.uint64)) * np.uint64(0xD6E8FEB86659FD93)
    return pa.table({"token": token, "kind": kinds, "version": of})


def stage(folder: Path, numbers: Sequence[int], parts: int = 2) -> None:
    """Write index parts as the workers do."""
    for part, chosen in enumerate(np.array_split(np.asarray(list(numbers)), parts)):
        version, record = rows_of(chosen)
        tokens = tokens_of(version).sort_by([(name, "ascending") for name in ("token", "kind", "version")])
        write_index(pa.table({"version": version, "record": record}), tokens, 1, folder, part)


def new_export(place: Place, name: str, recipient: str = "E1", **changed: Any) -> NewExport:
    """An export with a sealed secret of its own; `changed` replaces fields."""
    secret, nonce = hashlib.sha256(name.encode()).digest(), os.urandom(32)
    canaries = [{"values": {"phone": "0"}, "bounds": {"phone": 1e-8}}]
    dataset = changed.get("dataset", "bank")
    sealed = seal_secret(
        place.store.officer_public(), export_id=name, dataset=dataset, recipient=recipient, nonce=nonce,
        secret=secret, canaries=canaries,
    )  # fmt: skip
    fields: dict[str, Any] = {
        "export_id": name, "dataset": dataset, "recipient": recipient, "purpose": "audit", "series_id": name,
        "epoch": 1, "idempotency_key": None, "rows_in": 5, "rows_out": 6, "canaries": 1, "marked_sites": 9,
        "output": None, "contract_sha256": hashlib.sha256(CONTRACT).hexdigest(), "quality": "passed",
        "commitment": commitment(name, nonce, secret, canaries), "sealed": sealed, "temp_path": None, "parent": None,
    }  # fmt: skip
    return NewExport(**{**fields, **changed})


def enter(place: Place, name: str, numbers: Sequence[int], recipient: str = "E1", **changed: Any) -> dict[str, Any]:
    """Prepare and issue one export without a file; its receipt."""
    with place.open() as registry, registry.job([name], ()) as folder:
        stage(folder, numbers)
        (receipt,) = registry.prepare([new_export(place, name, recipient, **changed)], folder, CONTRACT)
        registry.issue([name])
    return dict(receipt)


def enter_file(place: Place, name: str, numbers: Sequence[int], output: Path, **changed: Any) -> dict[str, Any]:
    """The whole of what a tag command does with one copy."""
    temporary, body = output.with_name(f".{name}.{output.name}"), name.encode() * 100
    with place.open() as registry:
        registry.recover()
        with registry.job([name], [str(temporary)], [str(output)]) as folder:
            stage(folder, numbers)
            temporary.write_bytes(body)
            said = {"path": str(output), "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
            entry = new_export(place, name, output=said, temp_path=str(temporary), **changed)
            (receipt,) = registry.prepare([entry], folder, CONTRACT)
            publish(temporary, output)
            registry.issue([name])
    return dict(receipt)


def enter_many(place: Place, worker: int, exports: int) -> None:
    """What each of several processes does at once: rows of its own and rows that all share."""
    for number in range(exports):
        own = range(1_000 * (worker + 1) + 10 * number, 1_000 * (worker + 1) + 10 * number + 10)
        enter(place, f"X-{worker}-{number}", [*range(100), *own], f"E{worker}")


def tag_until_killed(place: Place, folder: Path, first: int) -> None:
    """Enter one file after another until somebody ends the process."""
    for number in range(first, first + 1_000):
        enter_file(place, f"X-{number}", range(10 * number, 10 * number + 50), folder / f"{number}.csv")


def kill_after(process: Any, seconds: float) -> None:
    """Kill -9 a process after a while."""
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
