"""`leaktrace watchlist` and `doctor`: what is watched every day."""

import sys
from argparse import Namespace
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.commands.common import Parser, Result, command, keys_of, registry_of
from schemas.errors import UsageError

_FORMATS = ("csv", "txt", "stix", "mail")


def add(commands: Any) -> None:
    """The parsers of these commands."""
    example = "leaktrace watchlist -o canaries.csv\n  leaktrace watchlist hit 138-0013-8000"
    made = command(commands, "watchlist", "list the canaries' identifiers, or say whose one is", example, _watchlist)
    made.add_argument("-o", "--output", metavar="FILE")
    made.add_argument("--format", choices=_FORMATS, default="csv")
    made.add_argument("--with-exports", action="store_true", help="say in the CSV which copies hold each")
    made.add_argument("--replace", action="store_true", help="write an existing file anew")
    actions = made.add_subparsers(dest="action", metavar="hit", parser_class=Parser)
    example = "leaktrace watchlist hit 138-0013-8000"
    hit = command(actions, "hit", "say which copy a phone, mail or number belongs to", example, _hit)
    hit.add_argument("value", metavar="VALUE", help="or - for one line of standard input")
    example = "leaktrace --registry office/registry --keys office/keys doctor"
    command(commands, "doctor", "check keys, registry, clock, disk and versions", example, _doctor)


def _watchlist(arguments: Namespace) -> Result:
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry
    from pipeline.watchlist import write_watchlist

    if arguments.output is None:
        raise UsageError("leaktrace watchlist: -o is missing; say where the list goes, as in -o canaries.csv")
    path = Path(arguments.output)
    with Registry.open(registry_of(arguments)) as registry:
        lines = write_watchlist(
            registry, KeyStore(keys_of(arguments)), path, arguments.format, exports=arguments.with_exports,
            replace=arguments.replace,
        )  # fmt: skip
    document = {"path": str(path), "format": arguments.format, "lines": lines}
    return Result(document, [f"{path} written: {lines:,} identifiers of canaries. Whoever has it can remove them."])


def _hit(arguments: Namespace) -> Result:
    from pipeline.keystore import KeyStore
    from pipeline.parents import made_from
    from pipeline.registry import Registry
    from pipeline.watchlist import find_hits

    value = sys.stdin.readline().strip() if arguments.value == "-" else arguments.value
    with Registry.open(registry_of(arguments)) as registry:
        hits = find_hits(registry, KeyStore(keys_of(arguments)), value)
        later = [made_from(h.exports, registry) for h in hits]
    shown = [
        {"kind": h.kind, "dataset": h.dataset, "exports": h.exports, "recipient": h.recipient, "bound": h.bound,
         "made_from_them": copies}
        for h, copies in zip(hits, later, strict=True)
    ]  # fmt: skip
    lines = [
        f"A canary ({h.kind}) of {h.dataset}, in copy {' and '.join(h.exports)} for {h.recipient}; a stranger's "
        f"{h.kind} is this one with probability at most {h.bound:.1g}."
        + (f" It may also have left through what was made from it: {', '.join(copies)}." if copies else "")
        for h, copies in zip(hits, later, strict=True)
    ]
    return Result({"hits": shown}, lines or ["No canary has this as its phone, mail or number."])


def _doctor(arguments: Namespace) -> Result:
    import os

    from pipeline.doctor import check_health

    registry = arguments.registry or os.environ.get("LEAKTRACE_REGISTRY")
    keys = arguments.keys or os.environ.get("LEAKTRACE_KEYS")
    checks = check_health(registry, Path(keys) if keys else None, datetime.now(UTC))
    lines = [f"{c.state:<8} {c.name:<24} {c.found}" + (f"; {c.todo}" if c.todo else "") for c in checks]
    failed = any(check.state == "failed" for check in checks)
    return Result({"checks": [asdict(check) for check in checks]}, lines, int(failed))
