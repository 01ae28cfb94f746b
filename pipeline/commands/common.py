"""What every command shares: its parser with the common options, where things are, and what it has to say."""

import argparse
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pipeline.logs import FORMS
from schemas.errors import RegistryError, UsageError

if TYPE_CHECKING:
    from pipeline.progress import Talk

_EPILOG = "example:\n  {}"


@dataclass(frozen=True)
class Result:
    """What a command has to say: a JSON document, lines for a person, the exit code, and counts for metrics."""

    document: Any
    lines: list[str]
    exit_code: int = 0
    counts: Mapping[str, float] = field(default_factory=dict)


Handler = Callable[[Namespace], Result]


class Parser(argparse.ArgumentParser):
    """Wrong usage becomes one sentence and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{self.prog}: {message}; see {self.prog} --help")


def add_globals(parser: argparse.ArgumentParser, *, top: bool = False) -> None:
    """Options of every command; allowed before and after its name."""
    none: Any = None if top else argparse.SUPPRESS
    false: Any = False if top else argparse.SUPPRESS
    parser.add_argument("--registry", metavar="URL", default=none, help="folder or postgresql:// (LEAKTRACE_REGISTRY)")
    parser.add_argument("--keys", metavar="DIR", default=none, help="folder of the keys (or LEAKTRACE_KEYS)")
    parser.add_argument(
        "--key-command", metavar="CMD", default=none, help="prints the key it is given the name of (a KMS or vault)"
    )
    parser.add_argument("--json", action="store_true", default=false, help="one JSON document on standard output")
    parser.add_argument("--log", metavar="FILE", default=none, help="append what is done, - for standard error")
    parser.add_argument("--log-format", choices=FORMS, default=none, help="text (the default) or json, a line an event")
    parser.add_argument("--metrics", metavar="DIR", default=none, help="leave a Prometheus text file there")
    parser.add_argument("-q", "--quiet", action="store_true", default=false, help="errors only")
    parser.add_argument("-v", "--verbose", action="store_true", default=false, help="say what is being done")


def command(commands: Any, name: str, help_text: str, example: str, run: Handler | None) -> argparse.ArgumentParser:
    """A command `name`, done by `run`; one without `run` has actions (`actions`)."""
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_text,
        description=help_text[0].upper() + help_text[1:] + ".",
        epilog=_EPILOG.format(example),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_globals(made)
    if run is not None:
        made.set_defaults(run=run)
    return made


def actions(made: argparse.ArgumentParser) -> Any:
    """Where the actions of a command are added: `leaktrace COMMAND ACTION`."""
    return made.add_subparsers(dest="action", metavar="ACTION", parser_class=Parser, required=True)


def registry_of(arguments: Namespace) -> str:
    """The registry that was named; RegistryError when none was."""
    location = arguments.registry or os.environ.get("LEAKTRACE_REGISTRY")
    if not location:
        raise RegistryError("no registry is named; give --registry DIR or set LEAKTRACE_REGISTRY")
    return str(location)


def keys_of(arguments: Namespace) -> Path:
    """The folder of the keys that was named; RegistryError when none was."""
    folder = arguments.keys or os.environ.get("LEAKTRACE_KEYS")
    if not folder:
        raise RegistryError("no keys are named; give --keys DIR or set LEAKTRACE_KEYS")
    if arguments.key_command:
        os.environ["LEAKTRACE_KEY_COMMAND"] = arguments.key_command  # workers, in processes of their own, need it too
    return Path(folder)


def talker(arguments: Namespace) -> "Talk":
    """Progress for a person: on a terminal, or when asked for with -v."""
    from pipeline.progress import Talk

    terminal = sys.stderr.isatty() and not arguments.quiet
    return Talk(talks=arguments.verbose or terminal, bars=terminal)
