"""`leaktrace exposed`: whom to notify."""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.commands.common import Result, command, keys_of
from schemas.wording import counted


def add(commands: Any) -> None:
    """The parser of this command."""
    example = "leaktrace exposed cases/post --source customers.csv --contract bank.odcs.yaml -o notify.csv"
    made = command(commands, "exposed", "list whom to notify: the table's rows that a sample holds", example, _exposed)
    made.add_argument("case", metavar="CASE_DIR")
    made.add_argument("--source", metavar="FILE", required=True, help="the dataset's own table")
    made.add_argument("--contract", metavar="C", required=True)
    made.add_argument("-o", "--output", metavar="OUT", required=True, help=".csv or .parquet; holds customers' data")


def _exposed(arguments: Namespace) -> Result:
    from pipeline.exposed import write_exposed
    from pipeline.keystore import KeyStore

    output = Path(arguments.output)
    done = write_exposed(
        Path(arguments.case), Path(arguments.source), Path(arguments.contract), output, KeyStore(keys_of(arguments))
    )
    lines = [
        f"{counted(done.people, 'person is', 'people are')} in {output}, {counted(done.lines, 'line')}; "
        "keep it as you keep the table itself."
    ]
    if done.not_in_table:
        lines.append(
            f"{counted(done.not_in_table, 'row of the sample is a record', 'rows of the sample are records')} "
            "that this table no longer has."
        )
    return Result({"output": str(output), **asdict(done)}, lines)
