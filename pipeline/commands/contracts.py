"""`leaktrace contract`: proposing and checking data contracts."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from pipeline.commands.common import Result, actions, command
from schemas.errors import ContractError, OutputError


def add(commands: Any) -> None:
    """The parsers of these commands."""
    example = "leaktrace contract infer customers.csv"
    parts = actions(command(commands, "contract", "propose or check a data contract", example, None))
    example = "leaktrace contract infer customers.csv -o bank.odcs.yaml"
    infer = command(parts, "infer", "propose a contract from a file", example, _infer)
    infer.add_argument("file", metavar="FILE")
    infer.add_argument("-o", "--output", metavar="CONTRACT", help="write it here instead of standard output")
    example = "leaktrace contract check bank.odcs.yaml customers.csv"
    check = command(parts, "check", "say what is wrong with a contract", example, _check)
    check.add_argument("contract", metavar="CONTRACT")
    check.add_argument("file", metavar="FILE", nargs="?")


def _infer(arguments: Namespace) -> Result:
    from pipeline.inference import infer

    text = infer(Path(arguments.file))
    if arguments.output is None:
        return Result({"contract": text}, [text.rstrip("\n")])
    path = Path(arguments.output)
    if path.exists():
        raise OutputError(f"{path} exists; nothing is overwritten: choose another -o, or remove it first")
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); choose another -o") from error
    return Result({"contract": text, "path": str(path)}, [f"{path} written. Read it, correct it, commit it."])


def _check(arguments: Namespace) -> Result:
    from pipeline.inference import check

    found = check(Path(arguments.contract), Path(arguments.file) if arguments.file else None)
    name = Path(arguments.contract).name
    document = {"findings": [{"line": f.line, "message": f.message} for f in found]}
    if not found:
        return Result(document, [f"{name} is in order."])
    return Result(document, [f"{name}:{f.line}: {f.message}" for f in found], ContractError.exit_code)
