"""Propose a data contract from a file, and check one against a file.

A proposal says in comments what was seen and how sure it is, in shares and counts: never a value. It can be
used as it stands; marks that change values wait in it as comments.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import yaml

from pipeline.checks import same_type
from pipeline.facts import Fact, Facts, empty_cells, find_key, gather, is_unique
from pipeline.files import TableFile, describe
from pipeline.marking import Proposal, propose, shares
from pipeline.oracles import second_opinion
from schemas.carriers import CARRIERS
from schemas.contract import IDENTITY_KINDS, Column, Contract, Finding, Mark, findings, parse
from schemas.errors import ContractError
from watermarking.lexicon import EXCLUSIVE_HEADERS
from watermarking.normalise import normalise, read_masked

_READ_AS_KIND = IDENTITY_KINDS | {"date"}
_MIX_MOVED = 0.1
_HEAD = """\
# Proposed by leaktrace contract infer from {file}: {rows:,} rows, {selected:,} of them looked at.
# Read it, correct it, commit it. Shares and counts only; no values of the file are in it.
apiVersion: v3.0.2
kind: DataContract
id: {name}
version: 1.0.0
status: draft
schema:
  - name: {name}
    physicalType: table
    customProperties:
      # Which share of the people around us are in this table: how often strangers' rows match by chance.
      - property: leaktracePopulationShare
        value: 0.18
      # How many recipients may compare their copies, and the bound on naming an innocent.
      - property: leaktraceCoalition
        value: 4
      - property: leaktraceAlpha
        value: 1.0e-6
      # Fictitious records a copy is given, as a share of its rows.
      - property: leaktraceCanaryDensity
        value: 0.005
"""


def infer(path: Path) -> str:
    """A contract for a table's file, as YAML; InputError when the file cannot be read.

    Kinds come from the cells, with the header as a hint; the key is unique in all rows; marks keep the
    observed mix of spellings.
    """
    file = describe(path)
    facts = gather(file)
    key = find_key(facts)
    name = re.sub(r"[^0-9A-Za-z_]+", "_", path.name.split(".")[0]).strip("_") or "table"
    lines = [_HEAD.format(file=_in_comment(path.name), rows=facts.rows, selected=facts.selected, name=_scalar(name))]
    if not key:
        lines.append("    # No column, and no two or three together, identify a row: add a key to the table, or say\n")
        lines.append("    # primaryKey: true where one is meant to be.\n")
    lines.append("    properties:\n")
    for fact in facts.columns:
        lines += [line + "\n" for line in _column(fact, facts, key)]
    return "".join(lines)


def check(contract_path: Path, file: Path | None = None) -> list[Finding]:
    """Every problem of a contract, and of a file against it, by line of the contract.

    ContractError when the contract cannot be read, InputError when the file cannot.
    """
    try:
        text = contract_path.read_bytes()
    except OSError as error:
        raise ContractError(
            f"{contract_path.name} cannot be read ({error.strerror}); give the contract's path"
        ) from error
    found = findings(text, contract_path.name)
    if file is None or found:
        return found
    return sorted(_against(parse(text, contract_path.name), describe(file)), key=lambda finding: finding.line)


# -- a proposal --------------------------------------------------------------------------------------------------


def _column(fact: Fact, facts: Facts, key: Sequence[str]) -> Iterator[str]:
    """The lines of one column."""
    kind, is_key = fact.seen.kind, fact.name in key
    yield f"      # {_seen(fact, facts)}"
    yield f"      - name: {_scalar(fact.name)}"
    yield f"        logicalType: {_logical(fact.cells.type)}"
    yield f"        physicalType: {_scalar(str(fact.cells.type))}"
    if is_key:
        yield "        primaryKey: true"
        yield f"        primaryKeyPosition: {list(key).index(fact.name) + 1}"
        yield "        required: true"
        if len(key) == 1:
            yield "        unique: true"
    yield "        customProperties:"
    yield "          - property: leaktraceKind"
    yield f"            value: {kind}"
    if _is_exclusive(fact, is_key):
        yield "          # Only we hold these values; say false if partners do too."
        yield "          - property: leaktraceExclusive"
        yield "            value: true"
    mark = None if is_key else propose(kind, fact.cells)
    if mark is not None:
        yield from _mark(mark)


def _mark(proposal: Proposal) -> Iterator[str]:
    options = {"carrier": proposal.mark.carrier, **proposal.mark.options}
    value = yaml.safe_dump(options, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10_000)
    if not proposal.changes_values:
        yield f"          # {proposal.seen}."
        yield "          - property: leaktraceMark"
        yield f"            value: {value.strip()}"
        return
    yield f"          # {proposal.seen}"
    yield "          # It changes values, so it is off; to use it, take the # of the next two lines away."
    yield "          # - property: leaktraceMark"
    yield f"          #   value: {value.strip()}"


def _seen(fact: Fact, facts: Facts) -> str:
    """What was seen of a column and how sure it is."""
    told = [f"{fact.seen.confidence:.0%} sure: {fact.seen.saw}", f"{fact.distinct:,} different"]
    if fact.empty:
        told.append(f"{fact.empty:,} of {facts.selected:,} empty or unreadable")
    opinion = second_opinion(fact.seen.kind, fact.cells)
    if opinion is not None:
        name, agreed, asked = opinion
        told.append(f"{name} agrees on {agreed} of {asked}" + (" (look at it)" if agreed * 2 < asked else ""))
    return "; ".join(told) + "."


def _is_exclusive(fact: Fact, is_key: bool) -> bool:
    """Cards and accounts are ours alone; so is a key that the header calls a customer's, but no running number."""
    kind = fact.seen.kind
    if kind in ("account", "card"):
        return True
    running = pa.types.is_integer(fact.cells.type)
    return kind == "id" and is_key and not running and bool(re.search(EXCLUSIVE_HEADERS, fact.name.lower()))


def _logical(stored: pa.DataType) -> str:
    """The logical type of ODCS 3.0."""
    if pa.types.is_boolean(stored):
        return "boolean"
    if pa.types.is_integer(stored):
        return "integer"
    if pa.types.is_floating(stored) or pa.types.is_decimal(stored):
        return "number"
    return "date" if pa.types.is_date(stored) or pa.types.is_timestamp(stored) else "string"


def _scalar(text: str) -> str:
    """Text as a YAML scalar: plain where it reads back as itself, else quoted."""
    if re.fullmatch(r"[A-Za-z_][0-9A-Za-z_\-]*", text) and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _in_comment(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


# -- a file against its contract ---------------------------------------------------------------------------------


def _against(contract: Contract, file: TableFile) -> Iterator[Finding]:
    name, top = Path(file.path).name, contract.columns[0].line
    known = {column.name for column in contract.columns}
    for extra in [column for column in file.schema.names if column not in known]:
        yield Finding(top, f"{name} has a column '{extra}' that the contract does not describe; add it")
    present = []
    for column in contract.columns:
        if column.name not in file.schema.names:
            yield Finding(column.line, f"column '{column.name}' is not in {name}; export it, or take it out here")
        else:
            present.append(column)
    facts = gather(file, {column.name: column.kind for column in present})
    for column in present:
        yield from _type_findings(column, file)
        yield from _kind_findings(column, facts.column(column.name))
        yield from _mark_findings(column, facts.column(column.name))
    key = contract.keys()
    if all(column in present for column in key):
        yield from _key_findings(contract, file)


def _type_findings(column: Column, file: TableFile) -> Iterator[Finding]:
    found = str(file.schema.field(column.name).type)
    if file.format == "parquet" and column.physical_type and not same_type(found, column.physical_type):
        yield Finding(
            column.line,
            f"column '{column.name}' is {found} in {Path(file.path).name}, the contract says "
            f"{column.physical_type}; cast it, or change physicalType",
        )


def _kind_findings(column: Column, fact: Fact) -> Iterator[Finding]:
    """Cells that the kind cannot read have no token: nothing would be found by them."""
    content = len(fact.cells) - normalise("text", fact.cells).null_count
    if column.kind not in _READ_AS_KIND or not content:
        return
    masked = len(fact.cells) - read_masked(column.kind, fact.cells).null_count
    readable = (len(fact.cells) - fact.empty + masked) / content
    if readable < 0.5:
        hint = f"; they look like {fact.seen.kind}" if fact.seen.kind != column.kind else ""
        yield Finding(
            column.line,
            f"column '{column.name}' is {column.kind} in the contract, and {readable:.0%} of its cells can be read "
            f"so{hint}: correct leaktraceKind",
        )


def _mark_findings(column: Column, fact: Fact) -> Iterator[Finding]:
    if column.mark is None:
        return
    sites = shares(column.mark, fact.cells)
    skip = column.mark.options.get("skip", ())
    if not any(site.cells for site in sites if site.label not in skip):
        yield Finding(
            column.line,
            f"carrier {column.mark.carrier} finds no site in column '{column.name}'; take leaktraceMark out",
        )
        return
    if not CARRIERS[column.mark.carrier].meaning_preserving:
        return
    rows = len(fact.cells) - fact.empty
    for site in sites:
        if site.label in skip:
            continue
        if not site.usable(rows):
            yield Finding(
                column.line,
                f"column '{column.name}' hardly shows both spellings of site '{site.label}' ({site.ones:.1%} of "
                f"{site.cells:,} cells have symbol 1), so a mark would stand out; add it to skip",
            )
        elif abs(site.ones - _mix(column.mark, site.label)) > _MIX_MOVED:
            yield Finding(
                column.line,
                f"column '{column.name}' has symbol 1 at site '{site.label}' in {site.ones:.1%} of its cells, the "
                f"contract says {_mix(column.mark, site.label):.1%}; correct mix",
            )


def _mix(mark: Mark, label: str) -> float:
    mix = mark.options.get("mix")
    share = mix.get(label) if isinstance(mix, dict) else mix
    return 0.5 if share is None else float(share)


def _key_findings(contract: Contract, file: TableFile) -> Iterator[Finding]:
    key = contract.keys()
    kinds = {column.name: column.kind for column in key}
    line, names = key[0].line, ", ".join(f"'{name}'" for name in kinds)
    empty = empty_cells(file, kinds)
    if empty:
        yield Finding(line, f"key {names} has {empty:,} empty or unreadable cells; a record needs its key")
    elif not is_unique(file, kinds):
        yield Finding(line, f"key {names} is the same in several rows; remove the duplicates or add a column to it")
