"""Reads a contract's YAML by its nodes, which keep their lines, and collects what is wrong with it."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import yaml

from schemas.carriers import CARRIERS
from schemas.contract_model import KINDS, CodeDesign, Column, Contract, Finding, Mark, Rule
from schemas.spellings import BUILDING_PATTERNS

DESIGNS = ("mix50", "pure2", "pure4", "pure6")
RULES = ("nullValues", "missingValues", "duplicateValues", "invalidValues", "rowCount")
_PREFIX = "leaktrace"
# property -> field of the contract, what one of its values looks like, an example
_CANARY_RANGES = {
    "CanaryDomains": ("canary_domains", r"(?:[a-z0-9\-]+\.)+[a-z]{2,}", '["mail.bank.example"]'),
    "CanaryPhones": ("canary_phones", r"[1-9]\d{2,9}", '["7700900"]'),
    "CanaryCards": ("canary_cards", r"[2-9]\d{3,11}", '["620000"]'),
}


class Reader:
    """Walks the YAML nodes, which keep their lines, and collects findings."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self.findings: list[Finding] = []

    def read(self, text: bytes) -> Contract | None:
        """The contract as far as it can be read; None where nothing of it can."""
        try:
            root = yaml.compose(text.decode("utf-8"), Loader=yaml.SafeLoader)
        except UnicodeDecodeError:
            self._note(1, "the contract is not UTF-8; save it as UTF-8")
            return None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            self._note(mark.line + 1 if mark else 1, "this is not YAML; check indentation and quotes here")
            return None
        if not isinstance(root, yaml.MappingNode):
            self._note(1, "the contract is empty or no mapping; start from leaktrace contract infer")
            return None
        top = self._entries(root)
        if self._text(top, "kind") != "DataContract":
            self._note(_line(root), "kind is not DataContract; an ODCS v3 contract says kind: DataContract")
        if not (self._text(top, "apiVersion") or "").startswith("v3."):
            self._note(_line(root), "apiVersion is not v3.x; this program reads ODCS v3")
        tables = top.get("schema")
        if not isinstance(tables, yaml.SequenceNode) or len(tables.value) != 1:
            self._note(_line(tables or root), "schema does not list exactly one table; describe one dataset a file")
            return None
        return self._table(tables.value[0], self._text(top, "version") or "", hashlib.sha256(text).hexdigest())

    def _table(self, node: yaml.Node, version: str, sha256: str) -> Contract | None:
        entries = self._entries(node)
        name, listed = self._text(entries, "name"), entries.get("properties")
        if not name:
            self._note(_line(node), "the table has no name; add name: under schema")
            return None
        if not isinstance(listed, yaml.SequenceNode) or not listed.value:
            self._note(_line(node), "the table has no properties; list its columns")
            return None
        rules: list[Rule] = self._rules(entries.get("quality"), None)
        columns = [column for item in listed.value if (column := self._column(item, rules))]
        seen: set[str] = set()
        for column in columns:
            if column.name in seen:
                self._note(column.line, f"column '{column.name}' is described twice; keep one")
            seen.add(column.name)
        if not any(column.key for column in columns):
            self._note(_line(listed), "no column is the key; say primaryKey: true where a record is identified")
        custom = self._custom(entries.get("customProperties"))
        access_log = self._access_log(custom.pop("AccessLog", None), columns)
        ranges = self._canary_ranges(custom)
        row_order, at = custom.pop("RowOrder", (False, 0))
        if not isinstance(row_order, bool):
            self._note(
                at, f"{_PREFIX}RowOrder is neither true nor false; true lets marks change the order of neighbours"
            )
        settings = {"row_order": row_order is True} | self._settings(custom) | ranges | {"access_log": access_log}
        self._check_references(columns, settings.get("canary_density", Contract.canary_density))
        return Contract(name, version, tuple(columns), tuple(rules), sha256, **settings)

    def _access_log(self, given: tuple[Any, int] | None, columns: list[Column]) -> dict[str, str]:
        """Which columns of an access log are the employee, the time and the key."""
        if given is None:
            return {}
        value, line = given
        needed = ["employee", "time", *(column.name for column in columns if column.key)]
        if not isinstance(value, dict) or sorted(value) != sorted(needed) or not _is_words(list(value.values())):
            self._note(line, f"{_PREFIX}AccessLog does not say, of the log's columns, which are {', '.join(needed)}")
            return {}
        return value

    def _check_references(self, columns: list[Column], density: float) -> None:
        """A canary's reference is that of a real row, so it cannot be one that no other row has."""
        for column in columns:
            if (
                column.references
                and density > 0
                and (column.unique or (column.key and sum(c.key for c in columns) == 1))
            ):
                self._note(
                    column.line,
                    f"column '{column.name}' is unique and refers to another table, so no canary can have a value of "
                    f"its own there; set {_PREFIX}CanaryDensity to 0",
                )

    def _canary_ranges(self, custom: dict[str, tuple[Any, int]]) -> dict[str, tuple[str, ...]]:
        """What of e-mail, phones and cards the organisation keeps free for canaries; taken out of `custom`."""
        found: dict[str, tuple[str, ...]] = {}
        for name, (target, pattern, example) in _CANARY_RANGES.items():
            if name not in custom:
                continue
            value, line = custom.pop(name)
            if not _is_words(value) or not value or not all(re.fullmatch(pattern, word) for word in value):
                self._note(line, f"{_PREFIX}{name} is not a list like {example}; quote each")
            else:
                found[target] = tuple(value)
        return found

    def _settings(self, custom: dict[str, tuple[Any, int]]) -> dict[str, Any]:
        """The dataset's own settings, each checked against its range."""
        ranges = {
            "PopulationShare": ("population_share", 0.0, 1.0),
            "Coalition": ("coalition", 1, 20),
            "Alpha": ("alpha", 1e-12, 0.05),
            "CanaryDensity": ("canary_density", 0.0, 0.1),
            "CodeLength": ("length", 256, 65536),
        }
        settings: dict[str, Any] = {}
        design, length = "mix50", 4096
        for name, (value, line) in custom.items():
            if name == "CodeDesign" and value in DESIGNS:
                design = value
            elif name == "CodeDesign":
                self._note(line, f"the code design is not known; use one of {', '.join(DESIGNS)}")
            elif name not in ranges:
                self._note(line, f"{_PREFIX}{name} is not a property of a dataset; {_PREFIX}PopulationShare is one")
            else:
                target, low, high = ranges[name]
                number, whole = _number(value), target in ("coalition", "length")
                if number is None or not low <= number <= high or (whole and number != int(number)):
                    noun = "whole number" if whole else "number"
                    self._note(line, f"{_PREFIX}{name} is not a {noun} from {low:g} to {high:g}")
                elif target == "length":
                    length = int(number)
                else:
                    settings[target] = int(number) if whole else number
        return settings | {"design": CodeDesign(design, length)}

    def _column(self, node: yaml.Node, rules: list[Rule]) -> Column | None:
        entries, line = self._entries(node), _line(node)
        name = self._text(entries, "name")
        if not name:
            self._note(line, "a column has no name")
            return None
        custom = self._custom(entries.get("customProperties"))
        kind, kind_line = custom.pop("Kind", ("text", line))
        if not isinstance(kind, str) or kind not in KINDS:
            self._note(kind_line, f"the kind of column '{name}' is not known; use one of {', '.join(sorted(KINDS))}")
            kind = "text"
        exclusive, exclusive_line = custom.pop("Exclusive", (False, line))
        if not isinstance(exclusive, bool):
            self._note(exclusive_line, f"{_PREFIX}Exclusive of column '{name}' is neither true nor false")
        mark = self._mark(name, kind, custom.pop("Mark", None))
        references, _ = custom.pop("References", (None, line))
        references = self._relationship(entries.get("relationships")) or references
        for other, (_, at) in custom.items():
            self._note(at, f"{_PREFIX}{other} is not a property of a column; Kind, Exclusive, Mark, References are")
        rules += self._rules(entries.get("quality"), name)
        return Column(
            name=name, kind=kind, logical_type=self._text(entries, "logicalType") or "string",
            physical_type=self._text(entries, "physicalType"), key=self._flag(entries, "primaryKey"),
            exclusive=exclusive is True, required=self._flag(entries, "required"), unique=self._flag(entries, "unique"),
            mark=mark, line=line, references=references,
        )  # fmt: skip

    def _relationship(self, node: yaml.Node | None) -> str | None:
        """Where a column of another table is named (ODCS v3.1: relationships, each with `to`); the first."""
        if node is None:
            return None
        listed = _plain(node)
        if not isinstance(listed, list) or not all(isinstance(one, dict) and one.get("to") for one in listed):
            self._note(_line(node), "relationships is no list of mappings with to: table.column")
            return None
        return str(listed[0]["to"])

    def _mark(self, column: str, kind: str, given: tuple[Any, int] | None) -> Mark | None:
        if given is None or given[0] in (None, "none"):
            return None
        value, line = given
        body = {"carrier": value} if isinstance(value, str) else value
        name = body.get("carrier") if isinstance(body, dict) else None
        spec = CARRIERS.get(name) if isinstance(name, str) else None
        if spec is None:
            self._note(line, f"the carrier of column '{column}' is not known; use one of {', '.join(sorted(CARRIERS))}")
            return None
        options = {key: option for key, option in body.items() if key != "carrier"}
        if kind not in spec.kinds:
            self._note(line, f"carrier {name} marks {', '.join(sorted(spec.kinds))}; column '{column}' is {kind}")
        for _ in set(options) - spec.options:
            self._note(line, f"carrier {name} has no option of that name; it takes {', '.join(sorted(spec.options))}")
        self._check_options(line, str(name), options)
        return Mark(str(name), options)

    def _check_options(self, line: int, name: str, options: dict[str, Any]) -> None:
        """Every option's value; what is said of an option stands beside its test."""
        mix, bits, most = options.get("mix"), options.get("bits", 1), CARRIERS[name].most_bits
        listed = list(mix.values()) if isinstance(mix, dict) else [] if mix is None else [mix]
        tests = (
            (all(_is_share(share) for share in listed), "mix is no share between 0 and 1"),
            (not most or (_is_whole(bits) and 1 <= bits <= most), f"bits is no whole number from 1 to {most}"),
            (_is_words(options.get("skip", [])), "skip is no list of site labels, as in [room, province]"),
            (isinstance(options.get("width", True), bool), "width is neither true nor false"),
            (options.get("decimals", 2) in range(7), "decimals is not 0 to 6"),
            (options.get("building", "栋") in BUILDING_PATTERNS, f"building is none of {', '.join(BUILDING_PATTERNS)}"),
            (_within(name, options), "tolerance is less than bits can change; give fewer bits, or a larger tolerance"),
            (name != "synonym" or _is_pairs(options.get("pairs")), 'pairs is not like [["Ltd", "Limited"]]'),
        )  # fmt: skip
        for holds, message in tests:
            if not holds:
                self._note(line, f"carrier {name}: {message}")

    def _rules(self, node: yaml.Node | None, column: str | None) -> list[Rule]:
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self._note(_line(node), "quality is no list of rules")
            return []
        rules = [self._rule(item, column) for item in node.value]
        return [rule for rule in rules if rule is not None]

    def _rule(self, node: yaml.Node, column: str | None) -> Rule | None:
        """One rule of ODCS's library; rules of type text say something to people and run nothing."""
        body = _plain(node)
        if not isinstance(body, dict):
            self._note(_line(node), "a rule is no mapping")
            return None
        if body.get("type") == "text":
            return None
        check = body.get("metric") or body.get("rule")
        if check not in RULES:
            self._note(_line(node), f"the rule is not known; use one of {', '.join(RULES)}")
            return None
        if column is None and check != "rowCount":
            self._note(_line(node), f"rule {check} is about a column; put it under the column's quality")
            return None
        arguments = {k: v for k, v in body.items() if k not in ("metric", "rule", "name", "type", "description")}
        pattern = {**arguments, **(body.get("arguments") or {})}.get("pattern")
        if pattern is not None and not _is_pattern(pattern):
            self._note(_line(node), "pattern is no regular expression; quote it with single quotes")
            return None
        return Rule(str(body.get("name") or f"{column or 'table'} {check}"), column, check, arguments, _line(node))

    def _custom(self, node: yaml.Node | None) -> dict[str, tuple[Any, int]]:
        """Leaktrace's custom properties: name without prefix -> value and line; others are not ours."""
        found: dict[str, tuple[Any, int]] = {}
        for item in node.value if isinstance(node, yaml.SequenceNode) else []:
            entries = self._entries(item)
            name, value = self._text(entries, "property"), entries.get("value")
            if name is None or not name.startswith(_PREFIX):
                continue
            if value is None:
                self._note(_line(item), f"{name} has no value")
            else:
                found[name.removeprefix(_PREFIX)] = (_plain(value), _line(item))
        return found

    def _entries(self, node: yaml.Node) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._note(_line(node), "a mapping of name: value is expected here")
            return {}
        entries: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if str(key.value) in entries:
                self._note(_line(key), f"{key.value} is said twice here; keep one")
            entries[str(key.value)] = value
        return entries

    def _text(self, entries: Mapping[str, yaml.Node], name: str) -> str | None:
        node = entries.get(name)
        return str(node.value) if isinstance(node, yaml.ScalarNode) and _plain(node) is not None else None

    def _flag(self, entries: Mapping[str, yaml.Node], name: str) -> bool:
        node = entries.get(name)
        value = _plain(node) if node is not None else False
        if not isinstance(value, bool):
            self._note(_line(node), f"{name} is neither true nor false")
        return value is True

    def _note(self, line: int, message: str) -> None:
        self.findings.append(Finding(line, message))


def _line(node: yaml.Node | None) -> int:
    return node.start_mark.line + 1 if node is not None else 1


def _plain(node: yaml.Node) -> Any:
    """The value of a node as Python has it (safe types only)."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError):  # a tag that is not ours, a date that does not exist
        return None
    finally:
        loader.dispose()


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _within(carrier: str, options: dict[str, Any]) -> bool:
    """Whether low bits stay within the largest change that is allowed, in units of the column (seconds for times)."""
    if "tolerance" not in options:
        return True
    tolerance, bits, decimals = _number(options["tolerance"]), options.get("bits", 2), options.get("decimals", 2)
    if tolerance is None or not _is_whole(bits) or not _is_whole(decimals):
        return False
    return (2**bits - 1) / (10**decimals if carrier == "amount_low_digits" else 1) <= tolerance * (1 + 1e-12)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_pattern(value: Any) -> bool:
    try:
        re.compile(str(value))
    except re.error:
        return False
    return True


def _is_share(value: Any) -> bool:
    return (number := _number(value)) is not None and 0.0 < number < 1.0


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _is_pairs(value: Any) -> bool:
    """Pairs of words, all different: a word of two pairs would not say which it stands for."""
    good = isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(word, str) and word for word in pair)
        for pair in value
    )
    words = [word for pair in value for word in pair] if good and value else []
    return bool(words) and len(set(words)) == len(words)
