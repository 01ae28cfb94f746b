"""`leaktrace forecast`: how small a sample still identifies, before anything is issued."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from pipeline.commands.common import Result, command
from schemas.errors import OutputError


def add(commands: Any) -> None:
    """The parser of this command."""
    example = "leaktrace forecast --contract bank.odcs.yaml --exports 1000 --file customers.csv --chart forecast.svg"
    made = command(commands, "forecast", "say how small a sample still identifies", example, _forecast)
    made.add_argument("--contract", metavar="C", required=True)
    made.add_argument("--exports", metavar="N", type=int, required=True, help="how many copies there will be")
    made.add_argument("--rows", metavar="R", type=int, nargs="+", default=[], help="say the chance for so many rows")
    made.add_argument("--file", metavar="FILE", help="a table of the dataset, to count its real sites a row")
    made.add_argument("--chart", metavar="SVG", help="write the chart there")


def _forecast(arguments: Namespace) -> Result:
    from pipeline.forecasting import chart_of, lines_of, make_forecast

    chart = Path(arguments.chart) if arguments.chart else None
    if chart is not None and chart.exists():
        raise OutputError(f"{chart} exists; nothing is overwritten: choose another --chart, or remove it first")
    file = Path(arguments.file) if arguments.file else None
    made = make_forecast(Path(arguments.contract), arguments.exports, arguments.rows, file)
    if chart is not None:
        try:
            chart.write_text(chart_of(made), "utf-8")
        except OSError as error:
            raise OutputError(f"{chart} cannot be written ({error.strerror}); choose another --chart") from error
    return Result(made.to_json(), lines_of(made))
