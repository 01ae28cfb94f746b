"""The contract's rules as a Great Expectations suite, run over the file through DuckDB; counts only, no values.

The one module that imports Great Expectations, which takes seconds: import it where it is needed.
"""

import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
logging.getLogger("great_expectations").setLevel(logging.ERROR)

import great_expectations as gx  # noqa: E402 - its settings come first
from great_expectations import expectations as gxe  # noqa: E402
from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: E402
from great_expectations.execution_engine import sqlalchemy_execution_engine as gx_sql  # noqa: E402

from pipeline.storage import view_of  # noqa: E402
from schemas.contract import Contract, Rule  # noqa: E402
from schemas.errors import QualityError  # noqa: E402



class _DuckDB(str):
    """The name of a dialect, in the shape that Great Expectations keeps such names in."""

    value = "duckdb"


# Results of DuckDB die with their connection, as SQLite's do: Great Expectations has to keep it open.
gx_sql._PERSISTED_CONNECTION_DIALECTS = (*gx_sql._PERSISTED_CONNECTION_DIALECTS, _DuckDB("duckdb"))  # noqa: SLF001
_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": 0, "include_unexpected_rows": False}


@dataclass(frozen=True)
class RuleResult:
    """One rule: its name, the column (None: the table), whether it held, and how many rows did not."""

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
        shown = ", ".join(f"{r.rule} ({r.unexpected:,} rows)" for r in failed[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        return (
            f"{len(failed)} quality rules fail on the {self.where}: {shown}{more}; correct the data or the contract's "
            "rules, or skip them with --no-quality (the receipt then says so)"
        )


def check_quality(path: Path, contract: Contract, where: str) -> QualityResult:
    """Run every rule of a contract over a file; QualityError when the file cannot be checked at all."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return QualityResult(where, tuple(_run(path, contract)))
    except Exception as error:
        raise QualityError(
            f"the quality rules cannot be run on the {where} ({type(error).__name__}); check the contract's rules "
            "against the file's columns and types, or skip them with --no-quality"
        ) from error


def rules_of(contract: Contract) -> tuple[Rule, ...]:
    """The contract's own rules, and those that its columns imply (required, unique)."""
    implied: list[Rule] = []
    for column in contract.columns:
        if column.required or column.key:
            implied.append(Rule(f"{column.name} is never null", column.name, "nullValues", {"mustBe": 0}, column.line))
        if column.unique or (column.key and len(contract.keys()) == 1):
            implied.append(Rule(f"{column.name} is unique", column.name, "duplicateValues", {"mustBe": 0}, column.line))
    return (*implied, *contract.rules)


def _run(path: Path, contract: Contract) -> Iterator[RuleResult]:
    rules = rules_of(contract)
    if not rules:
        return
    with tempfile.TemporaryDirectory(prefix="leaktrace-") as folder:
        database = Path(folder) / "view.duckdb"
        view_of(path, database)
        yield from _validate(rules, database, contract.dataset)


def _validate(rules: Sequence[Rule], database: Path, dataset: str) -> Iterator[RuleResult]:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    source = context.data_sources.add_sql("files", connection_string=f"duckdb:///{database}")
    batch = source.add_table_asset("export", table_name="export").add_batch_definition_whole_table("all").get_batch()
    suite = gx.ExpectationSuite(name=re.sub(r"\W", "_", dataset))
    made = [(rule, expectation) for rule in rules for expectation in _expectations(rule)]
    for _, expectation in made:
        suite.add_expectation(expectation)
    outcome = batch.validate(suite, result_format=_FORMAT)
    for (rule, _), result in zip(made, outcome.results, strict=True):
        if _raised(result.exception_info or {}):
            raise QualityError(f"rule '{rule.name}' cannot be run")
        yield RuleResult(rule.name, rule.column, bool(result.success), _unexpected(result.result))


def _raised(info: dict[str, Any]) -> bool:
    """Whether a rule could not be run; its information is flat, or keyed by metric."""
    entries = [info, *(value for value in info.values() if isinstance(value, dict))]
    return any(entry.get("raised_exception") for entry in entries)


def _unexpected(result: dict[str, Any]) -> int:
    return int(result.get("unexpected_count") or 0)


def _expectations(rule: Rule) -> Sequence[Any]:
    """The expectation of one rule; ODCS's mustBe is zero unless it says otherwise."""
    values, column = rule.arguments, rule.column
    inner = values.get("arguments") or values
    if rule.check == "rowCount":
        low, high = _range(values)
        return [gxe.ExpectTableRowCountToBeBetween(min_value=low, max_value=high)]
    if column is None:
        return []
    if rule.check in ("nullValues", "missingValues"):
        return [gxe.ExpectColumnValuesToNotBeNull(column=column, mostly=_mostly(values))]
    if rule.check == "duplicateValues":
        return [gxe.ExpectColumnValuesToBeUnique(column=column)]
    if inner.get("validValues"):
        return [gxe.ExpectColumnValuesToBeInSet(column=column, value_set=inner["validValues"])]
    if inner.get("pattern"):
        return [_pattern(column, str(inner["pattern"]))]
    low, high = inner.get("min"), inner.get("max")
    return [gxe.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high)]


def _pattern(column: str, pattern: str) -> Any:
    """DuckDB's own regular expressions, which Great Expectations does not know."""
    name, quoted = column.replace('"', '""'), pattern.replace("'", "''").replace("{", "{{").replace("}", "}}")
    query = f"SELECT 1 FROM {{batch}} WHERE \"{name}\" IS NOT NULL AND NOT regexp_full_match(\"{name}\"::VARCHAR, '{quoted}')"  # noqa: S608
    return gxe.UnexpectedRowsExpectation(unexpected_rows_query=query)


def _mostly(values: Any) -> float:
    limit = values.get("mustBeLessThan") or values.get("mustBeLessOrEqualTo")
    return 1.0 if limit is None or values.get("unit") != "percent" else 1.0 - float(limit) / 100


def _range(values: Any) -> tuple[Any, Any]:
    between = values.get("mustBeBetween") or (None, None)
    low = values.get("mustBeGreaterThan", values.get("mustBeGreaterOrEqualTo", between[0]))
    return low, values.get("mustBeLessThan", values.get("mustBeLessOrEqualTo", between[1]))


