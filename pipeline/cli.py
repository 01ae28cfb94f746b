"""The command line: parsing only. Nothing heavy is imported before a command runs (see commands.py)."""

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from schemas.errors import LeaktraceError, UsageError

_EPILOG = "example:\n  {}"


class _Parser(argparse.ArgumentParser):
    """Wrong usage becomes one sentence and exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}; see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """Every command with its options and an example."""
    parser = _Parser(
        prog="leaktrace",
        description="Tag internal exports so that a leaked sample leads back to the copy it came from.",
        epilog=_EPILOG.format("leaktrace trace leaked.txt -o cases/forum-post"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    _globals(parser, top=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    _init(commands)
    _contract(commands)
    _tag(commands)
    _trace(commands)
    _registry(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (0 done, 1 input or key, 2 usage, 3 integrity)."""
    own, beam_args = _split(list(sys.argv[1:] if argv is None else argv))
    try:
        parser = build_parser()
        arguments = parser.parse_args(own)
        arguments.beam_args = tuple(beam_args)
        if arguments.version:
            from importlib.metadata import version

            _print(f"leaktrace {version('leaktrace')}")
            return 0
        if arguments.command is None:
            parser.print_help()
            return 0
        logging.basicConfig(level=logging.ERROR, format="leaktrace: %(message)s")  # before Beam installs its own
        return _run(arguments)
    except LeaktraceError as error:
        sys.stderr.write(f"leaktrace: {_one_line(error)}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("leaktrace: interrupted; nothing was issued, run the command again\n")
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the last resort: a message of another library could hold a customer's value
        if os.environ.get("LEAKTRACE_DEBUG"):
            raise
        sys.stderr.write(
            f"leaktrace: a fault of this program ({type(error).__name__}{_place(error)}); nothing was issued: report "
            "it, and set LEAKTRACE_DEBUG=1 to see more (it may show data)\n"
        )
        return 1


def _run(arguments: argparse.Namespace) -> int:
    from pipeline import commands

    result: commands.Result = commands.run(arguments)
    if arguments.json:
        _print(json.dumps(result.document, ensure_ascii=False, indent=1))
    elif not arguments.quiet:
        for line in result.lines:
            _print(line)
    return result.exit_code


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


def _place(error: BaseException) -> str:
    """Where in this program an error arose."""
    place, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if name.split(".")[0] in ("pipeline", "watermarking", "schemas"):
            place = f" in {name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Our arguments, and what stands after the first `--` (Beam's)."""
    if "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _globals(parser: argparse.ArgumentParser, *, top: bool = False) -> None:
    """Options of every command; allowed before and after its name."""
    none: Any = None if top else argparse.SUPPRESS
    false: Any = False if top else argparse.SUPPRESS
    parser.add_argument("--registry", metavar="DIR", default=none, help="the registry (or LEAKTRACE_REGISTRY)")
    parser.add_argument("--keys", metavar="DIR", default=none, help="folder of the keys (or LEAKTRACE_KEYS)")
    parser.add_argument("--json", action="store_true", default=false, help="one JSON document on standard output")
    parser.add_argument("-q", "--quiet", action="store_true", default=false, help="errors only")
    parser.add_argument("-v", "--verbose", action="store_true", default=false, help="say what is being done")


def _command(commands: Any, name: str, help_text: str, example: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=_EPILOG.format(example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _globals(made)
    return made


def _init(commands: Any) -> None:
    made = _command(
        commands, "init", "create a registry and its keys", "leaktrace --registry registry --keys keys init"
    )
    made.add_argument("--data", metavar="URL", help="keep the tables' files here instead of beside the catalogue")
    made.add_argument(
        "--tagger",
        action="store_true",
        help="only a tagger's half: needs index.key and officer.pub in --keys",
    )


def _contract(commands: Any) -> None:
    made = _command(commands, "contract", "propose or check a data contract", "leaktrace contract infer customers.csv")
    parts = made.add_subparsers(dest="action", metavar="ACTION", parser_class=_Parser, required=True)
    infer = _command(
        parts,
        "infer",
        "propose a contract from a file",
        "leaktrace contract infer customers.csv -o bank.odcs.yaml",
    )
    infer.add_argument("file", metavar="FILE")
    infer.add_argument("-o", "--output", metavar="CONTRACT", help="write it here instead of standard output")
    check = _command(
        parts,
        "check",
        "say what is wrong with a contract",
        "leaktrace contract check bank.odcs.yaml customers.csv",
    )
    check.add_argument("contract", metavar="CONTRACT")
    check.add_argument("file", metavar="FILE", nargs="?")


def _tag(commands: Any) -> None:
    tag = _command(
        commands,
        "tag",
        "issue one tagged copy of a table for each recipient",
        "leaktrace tag customers.csv --contract bank.odcs.yaml --recipient E1003 --purpose 'spring campaign' "
        "-o E1003.csv",
    )
    register = _command(
        commands,
        "register",
        "enter a file that was issued without tagging (membership only)",
        "leaktrace register customers.csv --contract bank.odcs.yaml --recipient E1004 --purpose audit",
    )
    for made in (tag, register):
        made.add_argument("file", metavar="FILE")
        made.add_argument("--contract", metavar="C", required=True)
        made.add_argument("--recipient", metavar="ID", action="append", required=True, help="may be given again")
        made.add_argument("--purpose", metavar="TEXT", required=True)
        made.add_argument("--idempotency-key", metavar="K", help="the same key again changes nothing")
        made.add_argument("--no-quality", action="store_true", help="skip the quality rules; the receipt says so")
    tag.add_argument("-o", "--output", metavar="OUT", help="the copy; holds {recipient} for several recipients")
    tag.add_argument("--dry-run", action="store_true", help="say what would change; change nothing")
    tag.add_argument("--series", action="store_true", help="mark like the recipient's earlier copies of this dataset")


def _trace(commands: Any) -> None:
    trace = _command(commands, "trace", "trace a leaked sample", "leaktrace trace post.txt -o cases/forum-post")
    trace.add_argument("sample", metavar="SAMPLE", nargs="+", help="files, folders, or - for standard input")
    trace.add_argument("-o", "--output", metavar="CASE_DIR", required=True)
    verify = _command(
        commands,
        "verify",
        "check a case's signatures and digests offline",
        "leaktrace --keys keys verify cases/forum-post",
    )
    verify.add_argument("case", metavar="CASE_DIR")


def _registry(commands: Any) -> None:
    exports = _command(commands, "exports", "list the exports", "leaktrace exports --recipient E1003")
    exports.add_argument("--recipient", metavar="ID")
    exports.add_argument("--dataset", metavar="D")
    registry = _command(commands, "registry", "look after the registry", "leaktrace registry check")
    parts = registry.add_subparsers(dest="action", metavar="ACTION", parser_class=_Parser, required=True)
    _command(parts, "check", "check signatures, the chain and digests", "leaktrace registry check")


if __name__ == "__main__":
    sys.exit(main())
