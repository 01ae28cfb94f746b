"""`leaktrace registry erase`, `retain`, `rotate-key`, `upgrade` and `move`: what is old goes, is renewed, or moves."""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.commands.common import Result, command, keys_of, registry_of, talker
from schemas.errors import UsageError


def add_to(parts: Any) -> None:
    """The parsers of these actions of `registry`."""
    example = "leaktrace registry erase --subject-file subject.csv"
    erase = command(parts, "erase", "erase a person's tokens and memberships, on record", example, _erase)
    erase.add_argument("--subject-file", metavar="FILE", required=True, help="rows with the key columns of a dataset")
    example = "leaktrace registry retain --older-than 730"
    retain = command(parts, "retain", "give up what old exports held, by policy", example, _retain)
    retain.add_argument("--older-than", metavar="DAYS", type=float, required=True)
    example = "leaktrace registry rotate-key --role index --role officer"
    rotated = command(parts, "rotate-key", "begin new keys; what is older stays traceable", example, _rotate)
    roles = ("index", "officer", "issuer", "examiner")
    rotated.add_argument("--role", action="append", choices=roles, help="whose key; the index key, unless given")
    command(parts, "upgrade", "add what an older version lacks", "leaktrace registry upgrade", _upgrade)
    example = "leaktrace --registry registry registry move --to postgresql://leaktrace@db/leaktrace --data s3://lake/it"
    move = command(parts, "move", "move a registry in a folder to a team's database", example, _move)
    move.add_argument("--to", metavar="URL", required=True, help="postgresql://USER@HOST/DATABASE, or another folder")
    move.add_argument("--data", metavar="URL", help="where the tables' files go: s3://BUCKET/PREFIX or a folder")


def _upgrade(arguments: Namespace) -> Result:
    from pipeline.registry import Registry
    from schemas.tables import SCHEMA_VERSION

    with Registry.open(registry_of(arguments)) as registry:
        added = registry.upgrade()
    done = f"added {', '.join(added)}" if added else "nothing was missing"
    return Result({"version": SCHEMA_VERSION, "added": list(added)}, [f"Version {SCHEMA_VERSION}: {done}."])


def _move(arguments: Namespace) -> Result:
    from pipeline.moving import MOVED, move

    source = registry_of(arguments)
    exports = move(source, arguments.to, arguments.data, talker(arguments))
    lines = [
        f"{exports} exports moved to {arguments.to}.",
        f"The old catalogue is {source}/{MOVED} now.",
    ]
    return Result({"exports": exports, "registry": arguments.to}, lines)


def _rotate(arguments: Namespace) -> Result:
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry
    from pipeline.rotation import rotate

    folder = keys_of(arguments)
    with Registry.open(registry_of(arguments), issuer=KeyStore(folder).issuer()) as registry:
        registry.recover()
        done = rotate(registry, folder, tuple(dict.fromkeys(arguments.role or ("index",))))
    what = "the rotation that was interrupted is finished" if done.finished else "new keys are in force"
    lines = [f"{', '.join(done.roles)}: {what}; entry {done.entry} of the chain says so, the epoch is {done.epoch}."]
    if done.kept:
        lines.append(f"Kept in {folder}, and needed for what is older: {', '.join(done.kept)}. Back them up.")
    if "index" in done.roles or "officer" in done.roles:
        lines.append(
            "Every tagger needs the new index.key and officer.pub; until then it is refused, or seals to the old."
        )
    return Result(asdict(done), lines)


def _erase(arguments: Namespace) -> Result:
    from pipeline.erase import erase_subjects
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry

    keys = KeyStore(keys_of(arguments))
    with Registry.open(registry_of(arguments), issuer=keys.issuer()) as registry:
        registry.recover()
        return _result(erase_subjects(Path(arguments.subject_file), registry, keys))


def _retain(arguments: Namespace) -> Result:
    from datetime import UTC, datetime, timedelta

    from pipeline.erase import retain_newer
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry

    if not 0 <= arguments.older_than <= 36_500:
        raise UsageError("leaktrace registry retain: --older-than is no number of days from 0 to 36500")
    keys = KeyStore(keys_of(arguments))
    cutoff = datetime.now(UTC) - timedelta(days=arguments.older_than)
    with Registry.open(registry_of(arguments), issuer=keys.issuer()) as registry:
        registry.recover()
        return _result(retain_newer(cutoff, registry))


def _result(erased: Any) -> Result:
    if erased.entry is None and erased.words:
        line = f"{erased.words:,} words of traced samples erased; the index holds nothing of it."
        return Result(asdict(erased), [line])
    if erased.entry is None:
        return Result(asdict(erased), ["The registry holds nothing of it; nothing was changed."])
    line = (
        f"{erased.versions:,} versions, {erased.tokens:,} tokens, {erased.members:,} memberships and {erased.words:,} "
        f"words of traced samples erased; entry {erased.entry} of the chain says so, and not whose they were. Back-ups "
        "made before still hold them."
    )
    return Result(asdict(erased), [line])
