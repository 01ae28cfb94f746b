"""A contract's quality rules as a DuckDB view over the file: one column a rule, of what the rule looks at.

A CSV file is text, so the view says what is read from a cell; a rule on nulls or duplicates looks at the cell
itself, a rule on valid values at whether the cell is valid (NULL where it is empty).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.files import TableFile
from schemas.contract import Rule

# What a text cell of a logical type must be readable as; {c} is the column.
READABLE = {
    "integer": "regexp_full_match(trim({c}), '[+-]?[0-9]+')",
    "number": "try_cast(replace({c}, ',', '') AS DOUBLE) IS NOT NULL",
    "boolean": "try_cast({c} AS BOOLEAN) IS NOT NULL",
}


def view(name: str, file: TableFile, rules: Sequence[Rule]) -> str:
    """The statement that makes view `name` over a file, with columns rule_0, rule_1 and so on."""
    text = {field.name for field in file.schema if str(field.type) in ("string", "large_string")}
    columns = ", ".join(f"{_tested(rule, text)} AS rule_{n}" for n, rule in enumerate(rules))
    return f"CREATE OR REPLACE VIEW {name} AS SELECT {columns} FROM {_reader(file)}"  # noqa: S608 - every part is quoted


def _reader(file: TableFile) -> str:
    path = text_literal(str(Path(file.path).resolve()))
    if file.format == "parquet":
        return f"read_parquet({path})"
    names = ", ".join(f"{text_literal(name)}: 'VARCHAR'" for name in file.schema.names)
    return (
        f"read_csv({path}, auto_detect = false, compression = 'none', header = true, "
        f"delim = {text_literal(file.dialect.delimiter)}, quote = '\"', escape = '\"', columns = {{{names}}})"
    )


def _tested(rule: Rule, text: set[str]) -> str:
    """The SQL of what a rule's expectation looks at: the cell, or whether it is valid (NULL where it is empty)."""
    names = [_name(name) for name in columns_of(rule)]
    if not names:
        return "1"
    if len(names) > 1:
        return f"row({', '.join(names)})"
    column, arguments = names[0], {**rule.arguments, **(rule.arguments.get("arguments") or {})}
    if rule.check == "missingValues":
        values = ["", *(value for value in arguments.get("missingValues") or () if value is not None)]
        missing = ", ".join(text_literal(_spelled(value)) for value in values)
        return f"CASE WHEN {column}::VARCHAR IN ({missing}) THEN NULL ELSE {column} END"
    if rule.check == "invalidValues":
        tests = " AND ".join(_tests(column, arguments, str(rule.column) in text)) or "true"
        return f"CASE WHEN {column} IS NULL THEN NULL ELSE coalesce({tests}, false) END"
    return column


def _tests(column: str, arguments: Mapping[str, Any], is_text: bool) -> Iterator[str]:
    """The conditions of a valid cell."""
    if "logicalType" in arguments and is_text:  # a column of another type is what it says
        yield READABLE[arguments["logicalType"]].format(c=column)
    if arguments.get("validValues") is not None:
        values = ", ".join(text_literal(_spelled(value)) for value in arguments["validValues"])
        yield f"{column}::VARCHAR IN ({values})" if values else "false"
    if arguments.get("pattern") is not None:
        yield f"regexp_full_match({column}::VARCHAR, {text_literal(str(arguments['pattern']))})"
    for name, sign in (("min", ">="), ("max", "<=")):
        limit = arguments.get(name)
        if isinstance(limit, (int, float)):
            yield f"try_cast(replace({column}::VARCHAR, ',', '') AS DOUBLE) {sign} {json.dumps(limit)}"
        elif limit is not None:
            yield f"{column}::VARCHAR {sign} {text_literal(str(limit))}"  # dates and times: ISO text sorts as they do


def _spelled(value: Any) -> str:
    """A value of a contract as DuckDB spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def text_literal(value: str) -> str:
    """Text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def columns_of(rule: Rule) -> Sequence[str]:
    """The columns that a rule is about; none for the table."""
    return [rule.column] if rule.column is not None else rule.arguments.get("columns", [])
