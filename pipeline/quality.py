"""The contract's rules as a Great Expectations suite, run over the file through DuckDB; counts only, no values.

The one module that imports Great Expectations, which takes 6 CPU-seconds: import it where it is needed.

Each rule becomes one column of a view over the file (rule_view.py) and one expectation of that column. Great
Expectations counts; the contract's own operator (`mustBe: 0` where it has none) decides. Names of columns never
reach Great Expectations, and its results hold no value.
"""

import logging
import operator
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import great_expectations as gx
from duckdb_engine import ConnectionWrapper, CursorWrapper
from great_expectations import expectations
from great_expectations.data_context.types.base import ProgressBarsConfig

from pipeline.files import TableFile, describe
from pipeline.rule_view import READABLE, columns_of, text_literal, view
from pipeline.storage import Connection, plain
from schemas.contract import Column, Contract, Rule
from schemas.errors import QualityError
from schemas.wording import counted

_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": 0, "include_unexpected_rows": False}
_MEMORY = "512MB"  # finding duplicates in more than this spills to a private folder
_VIEW = "checked"
_SHOWN = 5
_gxe: Any = expectations  # its type information names none of its expectations
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "mustBe": operator.eq,
    "mustNotBe": operator.ne,
    "mustBeGreaterThan": operator.gt,
    "mustBeGreaterOrEqualTo": operator.ge,
    "mustBeLessThan": operator.lt,
    "mustBeLessOrEqualTo": operator.le,
    "mustBeBetween": lambda found, ends: ends[0] <= found <= ends[1],
    "mustNotBeBetween": lambda found, ends: not ends[0] <= found <= ends[1],
}


@dataclass(frozen=True)
class RuleResult:
    """One rule: its name, the column (None: the table), whether it held, and how many rows did not.

    Of a rule on the number of rows, `unexpected` is that number.
    """

    rule: str
    column: str | None
    passed: bool
    unexpected: int


@dataclass(frozen=True)
class QualityResult:
    """All rules of a contract over one file; `where` is "input" or "output"."""

    where: str
    results: tuple[RuleResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every rule held."""
        return all(result.passed for result in self.results)

    def message(self) -> str:
        """The rules that failed, with counts and without values."""
        failed = [result for result in self.results if not result.passed]
        shown = ", ".join(f"{r.rule} ({counted(r.unexpected, 'row')})" for r in failed[:_SHOWN])
        more = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        fail = "fails" if len(failed) == 1 else "fail"
        return (
            f"{counted(len(failed), 'quality rule')} {fail} on the {self.where}: {shown}{more}; correct the data or "
            "the contract's rules, or skip them with --no-quality (the receipt then says so)"
        )


def check_quality(path: Path, contract: Contract, where: str, canaries: int = 0) -> QualityResult:
    """Run every rule of a contract over a file.

    `where` ("input", "output") is for messages. `canaries` of the file's rows are ours and are left out of rules
    on the number of rows. Raises QualityError when a rule cannot be run, InputError when the file cannot be read.
    """
    rules = rules_of(contract)
    if not rules:
        return QualityResult(where, ())
    file = describe(path)
    _refuse_unusable(rules, file, where)
    with tempfile.TemporaryDirectory(prefix="leaktrace-") as spill, plain() as con, _quiet():
        try:
            con.execute(f"SET memory_limit = '{_MEMORY}'")
            con.execute(f"SET temp_directory = {text_literal(spill)}")
            con.execute(view(_VIEW, file, rules))
            counts = list(_counted(con, rules))
        except Exception as error:
            # DuckDB's messages quote values, so neither the message nor the cause may go on.
            raise _not_run(con, file, rules, where, type(error).__name__) from None
    results = [_judged(rule, count, rows, canaries) for rule, (count, rows) in zip(rules, counts, strict=True)]
    return QualityResult(where, tuple(results))


def rules_of(contract: Contract) -> tuple[Rule, ...]:
    """The contract's own rules, after those that its columns imply: filled, unique, readable as their type."""
    return (*_implied(contract), *contract.rules)


# -- rules -------------------------------------------------------------------------------------------------------


def _implied(contract: Contract) -> Iterator[Rule]:
    keys = contract.keys()
    for column in contract.columns:
        name, line = column.name, column.line
        if column.required or column.key:
            yield Rule(f"{name} is never empty", name, "nullValues", {}, line)
        if column.unique or (column.key and len(keys) == 1):
            yield Rule(f"{name} is unique", name, "duplicateValues", {}, line)
        if column.logical_type in READABLE:
            yield Rule(f"{name} is {_a(column)}", name, "invalidValues", {"logicalType": column.logical_type}, line)
    if len(keys) > 1:
        names = [column.name for column in keys]
        rule = f"{', '.join(names)} are unique together"
        yield Rule(rule, None, "duplicateValues", {"columns": names}, keys[0].line)


def _a(column: Column) -> str:
    return f"{'an' if column.logical_type == 'integer' else 'a'} {column.logical_type}"


def _refuse_unusable(rules: Sequence[Rule], file: TableFile, where: str) -> None:
    """QualityError for a rule that cannot be run on this file, before Great Expectations is asked."""
    names = set(file.schema.names)
    for rule in rules:
        wanted = {*columns_of(rule)}
        if not wanted <= names:
            raise QualityError(
                f"rule '{rule.name}' (line {rule.line} of the contract) is about a column that the {where} lacks; "
                "add the column to the file, or take the rule out"
            )
        for name, limit in rule.arguments.items():
            if name.startswith("must") and not (name in _OPERATORS and _is_limit(limit, pair="Between" in name)):
                raise QualityError(
                    f"rule '{rule.name}' (line {rule.line} of the contract): {name} with this limit is no operator of "
                    f"ODCS; use one of {', '.join(_OPERATORS)} with a number, or with two for Between"
                )


def _is_limit(limit: Any, *, pair: bool) -> bool:
    if pair:
        return isinstance(limit, list) and len(limit) == 2 and all(_is_limit(end, pair=False) for end in limit)
    return isinstance(limit, int | float) and not isinstance(limit, bool)


def _judged(rule: Rule, count: int, rows: int, canaries: int) -> RuleResult:
    """Whether a rule's operators hold for what was counted."""
    found: float = count - canaries if rule.check == "rowCount" else count
    if rule.arguments.get("unit") == "percent":
        found = 100.0 * found / max(rows, 1)
    wanted = {name: limit for name, limit in rule.arguments.items() if name in _OPERATORS} or {"mustBe": 0}
    passed = all(_OPERATORS[name](found, limit) for name, limit in wanted.items())
    return RuleResult(rule.name, rule.column, passed, count)


# -- Great Expectations ------------------------------------------------------------------------------------------


class _Cursor(CursorWrapper):
    """A cursor that holds its rows: those of DuckDB die when the connection goes back to SQLAlchemy's pool.

    Great Expectations returns the connection first and fetches afterwards ("list index out of range").
    """

    def __init__(self, con: Connection, wrapper: ConnectionWrapper) -> None:
        super().__init__(con, wrapper)
        self._con = con
        self._rows: Iterator[Any] = iter(())
        self.description: Any = None

    def execute(self, statement: str, parameters: Any = None, context: Any = None) -> None:
        super().execute(statement, parameters, context)
        self.description = self._con.description
        self._rows = iter(self._con.fetchall() if self.description else [])

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return list(islice(self._rows, size or 1))


class _Connected(ConnectionWrapper):
    """The connection in the shape that SQLAlchemy's driver gives it; closed by who opened it."""

    def __init__(self, con: Connection) -> None:
        super().__init__(con)
        self._con = con

    def cursor(self) -> CursorWrapper:
        return _Cursor(self._con, self)

    def close(self) -> None:
        self.closed = True


def _counted(con: Connection, rules: Sequence[Rule]) -> Iterator[tuple[int, int]]:
    """Of each rule, how many rows break it (for rowCount: how many there are) and how many it looked at."""
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    sources: Any = context.data_sources
    source = sources.add_sql(
        "files", connection_string="duckdb:///:memory:", kwargs={"creator": lambda: _Connected(con)}
    )
    batch = source.add_table_asset(_VIEW, table_name=_VIEW).add_batch_definition_whole_table("all").get_batch()
    suite = gx.ExpectationSuite(name=_VIEW)
    for number, rule in enumerate(rules):
        suite.add_expectation(_expectation(rule, number))
    outcome = batch.validate(suite, result_format=_FORMAT)
    # They come back in another order when one of them could not be run.
    results = {_number(result): result.result for result in outcome.results}
    for number in range(len(rules)):
        count = results[number].get("unexpected_count", results[number].get("observed_value"))
        if count is None:
            raise ValueError(f"rule {number} was not counted")
        yield int(count), int(results[number].get("element_count", 0))


def _not_run(con: Connection, file: TableFile, rules: Sequence[Rule], where: str, error: str) -> QualityError:
    """Which rule cannot be run: Great Expectations counts many in one query, so one fails them all."""
    told = f"the rules cannot be run on the {where} ({error})"
    for rule in rules:
        try:
            con.execute(view(_VIEW, file, [rule]))
            con.execute(f"SELECT count(rule_0) FROM {_VIEW}").fetchall()  # noqa: S608 - our own names
        except Exception:
            told = f"rule '{rule.name}' (line {rule.line} of the contract) cannot be run on the {where}"
            break
    return QualityError(
        f"{told}; check its arguments and the column's type, or skip the rules with --no-quality (the receipt then "
        "says so)"
    )


def _number(result: Any) -> int:
    return int(result.expectation_config.meta["rule"])


def _expectation(rule: Rule, number: int) -> Any:
    column, meta = f"rule_{number}", {"rule": number}
    if rule.check == "rowCount":
        return _gxe.ExpectTableRowCountToBeBetween(min_value=0, meta=meta)
    if rule.check in ("nullValues", "missingValues"):
        return _gxe.ExpectColumnValuesToNotBeNull(column=column, meta=meta)
    if rule.check == "duplicateValues":
        return _gxe.ExpectColumnValuesToBeUnique(column=column, meta=meta)
    return _gxe.ExpectColumnValuesToBeInSet(column=column, value_set=[True], meta=meta)


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings, and no log lines: what Great Expectations logs of a failure may quote values."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
