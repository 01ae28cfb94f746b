"""The command line: parsing only. Nothing heavy is imported before a command runs (see commands/)."""

import argparse
import gc
import json
import logging
import os
import sys
from collections.abc import Sequence

from pipeline import left_out
from pipeline.commands import GROUPS
from pipeline.commands.common import Parser, Result, add_globals
from pipeline.observing import observed
from schemas.errors import LeaktraceError

_SWITCH = 1e-4  # seconds; 5 ms by itself (runbooks/decisions/0265)


def build_parser() -> argparse.ArgumentParser:
    """Every command with its options and an example."""
    parser = Parser(
        prog="leaktrace",
        description="Tag internal exports so that a leaked sample leads back to the copy it came from.",
        epilog="example:\n  leaktrace trace leaked.txt -o cases/forum-post",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    add_globals(parser, top=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for group in GROUPS:
        group.add(commands)
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
    finally:
        if argv is None:  # the program ends: it would look for garbage among a million objects, a quarter of a second
            gc.freeze()


def _run(arguments: argparse.Namespace) -> int:
    from pipeline.memory import few_heaps

    few_heaps()
    sys.setswitchinterval(_SWITCH)  # so long a worker waits to go on while another thread only interprets
    gc.set_threshold(100_000, 20, 20)  # imports make objects and no garbage: a tenth of their time was looking for it
    with left_out.hidden(), observed(arguments) as state:
        result: Result = arguments.run(arguments)
        state.exit_code, state.counts = result.exit_code, result.counts
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


if __name__ == "__main__":
    sys.exit(main())
