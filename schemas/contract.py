"""Data contracts: Open Data Contract Standard (ODCS v3) files with leaktrace's custom properties.

A contract says what each column is, what identifies a record, and which harmless variations may be written.
Every problem is reported with the line it is on.
"""

from schemas.contract_model import (
    IDENTITY_KINDS,
    KINDS,
    CodeDesign,
    Column,
    Contract,
    Finding,
    Mark,
    Rule,
)
from schemas.contract_reader import DESIGNS, RULES, Reader
from schemas.errors import ContractError

__all__ = [
    "DESIGNS",
    "IDENTITY_KINDS",
    "KINDS",
    "RULES",
    "CodeDesign",
    "Column",
    "Contract",
    "Finding",
    "Mark",
    "Rule",
    "findings",
    "parse",
]


def parse(text: bytes, where: str) -> Contract:
    """The contract in a YAML text; ContractError naming file and line when something is wrong."""
    reader = Reader()
    contract = reader.read(text)
    if contract is None or reader.findings:
        first, *rest = _in_order(reader)
        tail = f" ({len(rest)} more findings; leaktrace contract check lists them)" if rest else ""
        raise ContractError(f"{where}:{first.line}: {first.message}{tail}")
    return contract


def findings(text: bytes, where: str) -> list[Finding]:
    """Every problem of a contract, in the order of its lines."""
    reader = Reader()
    reader.read(text)
    return _in_order(reader)


def _in_order(reader: Reader) -> list[Finding]:
    return sorted(reader.findings, key=lambda finding: finding.line)
