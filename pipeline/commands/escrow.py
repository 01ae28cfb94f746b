"""`leaktrace keys`: a pair for somebody who signs; escrow of a key in shares, and bringing it back."""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.commands.common import Result, actions, command, keys_of, registry_of
from schemas.errors import UsageError

_ROLES = ("officer", "index")


def add(commands: Any) -> None:
    """The parsers of these commands."""
    parts = actions(
        command(commands, "keys", "make pairs for who signs; escrow a key in shares", "leaktrace keys split", None)
    )
    example = "leaktrace keys make E1003 -o own"
    make = command(parts, "make", "make a pair for a recipient, a second person or a delivery log", example, _make)
    make.add_argument("name", metavar="NAME", help="whose: the files are NAME.key and NAME.pub")
    make.add_argument("-o", "--output", metavar="DIR", required=True)
    make.add_argument("--passphrase", action="store_true", help="protect it with that of LEAKTRACE_PASSPHRASE_FILE")
    example = "leaktrace keys split --shares 5 --threshold 3 -o shares"
    split = command(parts, "split", "write the shares of a key, one file a holder", example, _split)
    split.add_argument("--shares", metavar="N", type=int, default=5, help="how many holders (5)")
    split.add_argument("--threshold", metavar="K", type=int, default=3, help="how many bring it back (3)")
    split.add_argument("-o", "--output", metavar="DIR", required=True)
    example = "leaktrace keys restore shares/officer-share-1-of-5.txt shares/officer-share-4-of-5.txt … --rehearse"
    restore = command(parts, "restore", "bring a key back from its shares", example, _restore)
    restore.add_argument("shares", metavar="SHARE", nargs="+", help="files of the shares")
    restore.add_argument("-o", "--output", metavar="FILE", help="where the key goes, mode 0600")
    restore.add_argument("--rehearse", action="store_true", help="prove that they open a secret; write nothing")
    for made in (split, restore):
        made.add_argument("--role", choices=_ROLES, default="officer", help="whose key (officer)")


def _make(arguments: Namespace) -> Result:
    from pipeline.key_sources import passphrase
    from pipeline.keystore import make_pair

    if not arguments.name:
        raise UsageError("leaktrace keys make: the NAME is empty; give whose key it is")
    folder = Path(arguments.output)
    made = make_pair(folder, arguments.name, passphrase(str(folder)) if arguments.passphrase else None)
    lines = [
        f"Keep {made[0]} to yourself. The officer puts {made[1]} into recipients/, persons/ or logs/ of their --keys, "
        "by a way that no tagger can change."
    ]
    return Result({"key": str(made[0]), "public": str(made[1])}, lines)


def _split(arguments: Namespace) -> Result:
    from pipeline.escrow import split
    from pipeline.keystore import KeyStore

    keys = KeyStore(keys_of(arguments))
    paths = split(keys, arguments.role, arguments.shares, arguments.threshold, Path(arguments.output))
    lines = [
        f"{len(paths)} shares in {arguments.output}: any {arguments.threshold} bring the {arguments.role} key back.",
        "Give each to its holder by a way of its own, delete them here, then rehearse: leaktrace keys restore.",
    ]
    return Result({"role": arguments.role, "threshold": arguments.threshold, "shares": list(map(str, paths))}, lines)


def _restore(arguments: Namespace) -> Result:
    from pipeline.escrow import restore
    from pipeline.keystore import KeyStore

    if arguments.rehearse == (arguments.output is not None):
        raise UsageError("leaktrace keys restore: give either -o FILE or --rehearse")
    output = Path(arguments.output) if arguments.output else None
    shares = [Path(share) for share in arguments.shares]
    done = restore(shares, arguments.role, KeyStore(keys_of(arguments)), registry_of(arguments), output)
    what = f"written to {done.written}" if done.written else "nothing was written"
    return Result(asdict(done), [f"The {done.role} key is whole: {done.proof}; {what}."])
