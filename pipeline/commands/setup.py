"""`leaktrace init` and `leaktrace registry`: making a registry and looking after it."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.commands import budget, registry_care
from pipeline.commands.common import Result, actions, command, keys_of, registry_of, talker
from schemas.errors import IntegrityError, UsageError
from schemas.wording import counted


def add(commands: Any) -> None:
    """The parsers of these commands."""
    example = "leaktrace --registry registry --keys keys init"
    made = command(commands, "init", "create a registry and its keys", example, _init)
    made.add_argument(
        "--data", metavar="URL", help="where the tables' files go instead: a folder or s3://BUCKET/PREFIX"
    )
    made.add_argument(
        "--tagger", action="store_true", help="only a tagger's half: needs index.key and officer.pub in --keys"
    )
    made.add_argument(
        "--passphrase", action="store_true", help="protect private keys with that of LEAKTRACE_PASSPHRASE_FILE"
    )
    parts = actions(command(commands, "registry", "look after the registry", "leaktrace registry check", None))
    example = "leaktrace registry compact"
    compact = command(
        parts, "compact", "make the index small and quick, while tags and traces go on", example, _compact
    )
    compact.add_argument(
        "--keep-minutes", metavar="N", type=int, default=60, help="how long replaced files stay for running traces (60)"
    )
    checked = command(parts, "check", "check signatures, the chain and digests", "leaktrace registry check", _check)
    checked.add_argument("--head", metavar="HEAD", action="append", help="NUMBER:DIGEST or a witness's file of heads")
    example = "leaktrace registry head --timestamp https://timestamps.example.org/tsr"
    head = command(parts, "head", "print the chain's end, for a witness outside to keep", example, _head)
    head.add_argument("--timestamp", metavar="URL", help="have it stamped (RFC 3161), and enter the stamp in the chain")
    registry_care.add_to(parts)
    budget.add_to(parts)


def _init(arguments: Namespace) -> Result:
    from pipeline.key_sources import passphrase
    from pipeline.keystore import KeyStore, init_keys
    from pipeline.registry import create

    keys = keys_of(arguments)
    location = None if arguments.tagger else registry_of(arguments)
    protect = passphrase(str(keys)) if arguments.passphrase else None
    with _nothing_left(keys):
        made = init_keys(keys, tagger=arguments.tagger, protect=protect)
        if location is not None:
            try:
                create(location, arguments.data)
            except BaseException:
                for name in made:  # keys without their registry would keep the next init from making both
                    (keys / name).unlink(missing_ok=True)
                raise
    lines = [
        f"Registry {location} and keys {keys} are ready." if location else f"Keys {keys} are ready.",
        "In production, keep the keys apart: officer.key never lies where tagging happens; escrow a copy of it.",
    ]
    if arguments.tagger:
        lines[1:] = [f"Give {keys / 'issuer.pub'} to the officer as issuer-NAME.pub, or its receipts are not known."]
        if KeyStore(keys).pool_key_if_any() is None:
            lines.append(f"Copy pool.key from the officer's machine to {keys} too, before the first tag.")
    return Result({"registry": location, "keys": str(keys), "created": made}, lines)


@contextmanager
def _nothing_left(keys: Path) -> Iterator[None]:
    """A folder of keys that was not there before is not there after a failure either."""
    new = not keys.exists()
    try:
        yield
    except BaseException:
        if new and keys.is_dir():
            with suppress(OSError):  # somebody else's file in it: not ours to take away
                keys.rmdir()
        raise


def _compact(arguments: Namespace) -> Result:
    from pipeline.registry import Registry

    if arguments.keep_minutes < 0:
        raise UsageError("leaktrace registry compact: --keep-minutes is negative; give 0 or more")
    say = talker(arguments)
    with Registry.open(registry_of(arguments)) as registry:
        registry.recover()
        before = registry.size()
        after = registry.compact(60 * arguments.keep_minutes, lambda size: say(f"{size.files} files left"))
    lines = [f"{before.files} files of {_mib(before.bytes)} are now {after.files} of {_mib(after.bytes)}."]
    if after.waiting:
        lines.append(
            f"{_mib(after.waiting)} of replaced files stay for running traces; run it again in "
            f"{arguments.keep_minutes} minutes, or with --keep-minutes 0 when nothing runs."
        )
    return Result({"before": asdict(before), "after": asdict(after)}, lines)


def _mib(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"


def _check(arguments: Namespace) -> Result:
    from pipeline.audit import check
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry
    from pipeline.witness import heads

    keys = KeyStore(keys_of(arguments))
    witnessed, read = [head for given in arguments.head or () for head in heads(given)], [0]
    with Registry.open(registry_of(arguments), threads=2) as registry:
        registry.recover()
        total = registry.size().bytes
        with talker(arguments).watch("reading data files", total, lambda: min(sum(read), total)):
            problems = check(
                registry, keys.issuer_public(), keys.officers(), others=keys.other_issuers(), heads=witnessed,
                stamp_roots=keys.stamp_roots(), examiners=keys.examiners(), pool_key=keys.pool_key_if_any(),
                advance=read.append,
            )  # fmt: skip
        count = registry.exports().num_rows
    if problems:
        raise IntegrityError("; ".join(problems))
    return Result(
        {"exports": count, "problems": []}, [f"{counted(count, 'export')}: every signature, digest and link holds."]
    )


def _head(arguments: Namespace) -> Result:
    from pipeline.heads import current_head, stamp_head
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry

    if arguments.timestamp is None:
        with Registry.open(registry_of(arguments)) as registry:
            said = current_head(registry)
        return Result(said, [said["line"]])
    keys = KeyStore(keys_of(arguments))
    with Registry.open(registry_of(arguments), issuer=keys.issuer()) as registry:
        registry.recover()
        said = stamp_head(registry, keys, arguments.timestamp)
    return Result(said, [said["line"]])
