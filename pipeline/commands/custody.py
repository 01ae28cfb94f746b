"""`leaktrace exports acknowledge`: signing that a copy arrived, and entering that in the chain."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from pipeline.commands.common import Result, command, keys_of, registry_of
from schemas.errors import InputError, OutputError, UsageError


def add_acknowledge(parts: Any) -> None:
    """The parser of this action of `exports`."""
    example = (
        "leaktrace exports acknowledge receipt.json --sign-with E1003.key --by recipient --name E1003 -o signed.json\n"
        "  leaktrace exports acknowledge signed.json"
    )
    made = command(parts, "acknowledge", "sign for copies that arrived, or enter who signed", example, _acknowledge)
    made.add_argument("file", metavar="FILE", help="with --sign-with: receipts to sign for; else what was signed")
    made.add_argument("--sign-with", metavar="KEY", help="private key (Ed25519, PEM, mode 0600) of who signs")
    made.add_argument("--by", choices=("recipient", "log", "person"), default="recipient", help="in which role")
    made.add_argument("--name", metavar="NAME", help="who signs: the recipient's id, the log's or the person's name")
    made.add_argument("-o", "--output", metavar="OUT", help="where the signed acknowledgements go")


def _acknowledge(arguments: Namespace) -> Result:
    from pipeline.acknowledge import read_documents

    found = read_documents(Path(arguments.file))
    if arguments.sign_with is None:
        return _entered(arguments, found)
    if arguments.name is None or arguments.output is None:
        raise UsageError("leaktrace exports acknowledge: --sign-with needs --name NAME and -o OUT too")
    return _signed(arguments, found)


def _signed(arguments: Namespace, receipts: list[dict[str, Any]]) -> Result:
    """Away from the registry: whoever signs needs their key and the receipt, nothing else."""
    from pipeline.acknowledge import acknowledgement
    from pipeline.entries import time_text
    from pipeline.keystore import signing_key
    from pipeline.registry import now

    key, at = signing_key(Path(arguments.sign_with)), time_text(now())
    if not all({"export_id", "recipient", "signature"} <= receipt.keys() for receipt in receipts):
        raise InputError(f"{arguments.file} holds something else than receipts; give what tag --json printed")
    made = [acknowledgement(receipt, arguments.by, arguments.name, key, at) for receipt in receipts]
    try:
        with Path(arguments.output).open("x", encoding="utf-8") as file:
            file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in made)
    except OSError as error:
        raise OutputError(f"{arguments.output} cannot be written ({error.strerror}); choose another -o") from error
    return Result(made, [f"{len(made)} signed, in {arguments.output}; exports acknowledge enters them."])


def _entered(arguments: Namespace, given: list[dict[str, Any]]) -> Result:
    from pipeline.acknowledge import enter
    from pipeline.keystore import KeyStore
    from pipeline.registry import Registry

    keys = KeyStore(keys_of(arguments))
    with Registry.open(registry_of(arguments), issuer=keys.issuer()) as registry:
        registry.recover()
        made = enter(registry, keys, given)
    lines = [f"{note['export_id']} acknowledged by {note['by']} {note['name']}." for note in made]
    return Result(made, lines or ["Nothing new: the chain holds these acknowledgements already."])
