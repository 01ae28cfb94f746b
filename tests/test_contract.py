"""A contract is read with its lines, and every problem is named by its line."""

from pathlib import Path

import pytest
import yaml

from schemas.carriers import CARRIERS
from schemas.contract import CodeDesign, Finding, Mark, findings, parse
from schemas.errors import ContractError
from watermarking.carriers import CARRIER_CLASSES, carrier
from watermarking.fingerprint_code import DESIGNS

GOOD = """\
apiVersion: v3.0.2
kind: DataContract
id: bank
version: 2.1.0
status: active
schema:
  - name: bank
    customProperties:
      - property: leaktracePopulationShare
        value: 0.05
      - property: leaktraceCoalition
        value: 6
      - property: leaktraceAlpha
        value: 1e-7
      - property: leaktraceCodeDesign
        value: pure6
      - property: leaktraceCodeLength
        value: 2048
      - property: owner
        value: someone
    quality:
      - {name: enough, metric: rowCount, mustBeGreaterThan: 10}
      - {type: text, description: ask the owner before the first export}
    properties:
      - name: customer_no
        logicalType: string
        physicalType: string
        primaryKey: true
        required: true
        unique: true
        customProperties:
          - {property: leaktraceKind, value: id}
          - {property: leaktraceExclusive, value: true}
      - name: address
        customProperties:
          - {property: leaktraceKind, value: address}
          - {property: leaktraceMark, value: {carrier: address_zh, mix: {building: 0.31}, skip: [room]}}
      - name: sex
        customProperties:
          - {property: leaktraceKind, value: category}
        quality:
          - {metric: invalidValues, arguments: {validValues: [M, F]}, mustBe: 0}
"""


def test_a_contract_says_what_its_columns_are() -> None:
    contract = parse(GOOD.encode(), "bank.yaml")
    assert (contract.dataset, contract.version, len(contract.sha256)) == ("bank", "2.1.0", 64)
    assert [column.name for column in contract.keys()] == ["customer_no"]
    assert [column.name for column in contract.identity()] == ["address"]
    assert [column.name for column in contract.marked()] == ["address"]
    assert contract.column("address").mark == Mark("address_zh", {"mix": {"building": 0.31}, "skip": ["room"]})
    customer = contract.column("customer_no")
    assert (customer.kind, customer.exclusive, customer.required, customer.unique) == ("id", True, True, True)
    assert (customer.physical_type, customer.line) == ("string", 25)
    with pytest.raises(KeyError):
        contract.column("no such column")


def test_a_contract_says_how_its_dataset_is_protected() -> None:
    contract = parse(GOOD.encode(), "bank.yaml")
    assert (contract.population_share, contract.coalition, contract.alpha) == (0.05, 6, 1e-7)
    assert contract.design == CodeDesign("pure6", 2048)
    assert contract.canary_density == 0.005


def test_rules_are_values_with_their_lines() -> None:
    rules = parse(GOOD.encode(), "bank.yaml").rules
    assert [(rule.name, rule.column, rule.check, rule.line) for rule in rules] == [
        ("enough", None, "rowCount", 22),
        ("sex invalidValues", "sex", "invalidValues", 42),
    ]


def test_without_settings_the_defaults_of_the_design_hold() -> None:
    text = "apiVersion: v3.1.0\nkind: DataContract\nschema:\n- {name: t, properties: [{name: a, primaryKey: true}]}\n"
    contract = parse(text.encode(), "t.yaml")
    assert (contract.population_share, contract.coalition, contract.alpha) == (0.18, 4, 1e-6)
    assert contract.design == CodeDesign("mix50", 4096)
    assert contract.identity() == contract.columns


WRONG = [
    ("kind: DataContract", "kind: Something", 1, "kind is not DataContract"),
    ("v3.0.2", "v2.2.0", 1, "apiVersion is not v3"),
    ("value: 0.05", "value: 2", 9, "from 0 to 1"),
    ("value: 6", "value: 2.5", 11, "whole number from 1 to 20"),
    ("value: 1e-7", "value: .nan", 13, "leaktraceAlpha is not a number"),
    ("pure6", "pure9", 15, "code design is not known"),
    ("leaktraceCoalition", "leaktraceColour", 11, "leaktraceColour is not a property of a dataset"),
    ("metric: rowCount", "metric: colour", 22, "the rule is not known"),
    ("metric: rowCount", "metric: nullValues", 22, "put it under the column's quality"),
    ("validValues: [M, F]", "pattern: '['", 42, "pattern is no regular expression"),
    ("value: id", "value: identity", 32, "kind of column 'customer_no' is not known"),
    ("value: id", "value: [id]", 32, "kind of column 'customer_no' is not known"),
    ("leaktraceExclusive, value: true", "leaktraceExclusive, value: maybe", 33, "neither true nor false"),
    ("required: true", "required: perhaps", 29, "required is neither true nor false"),
    ("leaktraceExclusive", "leaktraceColour", 33, "leaktraceColour is not a property of a column"),
    ("primaryKey: true", "primaryKey: false", 25, "no column is the key"),
    ("carrier: address_zh", "carrier: rot13", 37, "carrier of column 'address' is not known"),
    ("carrier: address_zh", "carrier: email_case", 37, "marks email; column 'address' is address"),
    ("building: 0.31", "building: 1.31", 37, "mix is no share"),
    ("mix: {building", "mixture: {building", 37, "no option of that name"),
    ("skip: [room]", "skip: room", 37, "skip is no list"),
    ("skip: [room]", "building: shed", 37, "building is none of"),
    ("skip: [room]", "width: 3", 37, "width is neither"),
    ("name: sex", "name: address", 38, "described twice"),
    ("name: sex", "name: null", 38, "a column has no name"),
    ("logicalType: string", "name: again", 26, "name is said twice"),
    ("value: 0.05", "values: 0.05", 9, "has no value"),
    ("status: active", "status: [", 0, "not YAML"),
    ("schema:", "tables:", 1, "exactly one table"),
]


@pytest.mark.parametrize(("old", "new", "line", "says"), WRONG, ids=[says for *_, says in WRONG])
def test_a_problem_is_named_with_its_line(old: str, new: str, line: int, says: str) -> None:
    text = GOOD.replace(old, new, 1).encode()
    found = findings(text, "bank.yaml")
    assert any(says in finding.message and line in (0, finding.line) for finding in found), found
    with pytest.raises(ContractError, match=rf"^bank\.yaml:{found[0].line if line else '[0-9]+'}: "):
        parse(text, "bank.yaml")


def test_all_problems_are_listed_in_the_order_of_their_lines() -> None:
    text = GOOD.replace("value: 0.05", "value: 7").replace("address_zh", "rot13").replace("pure6", "pure9")
    found = findings(text.encode(), "bank.yaml")
    assert [finding.line for finding in found] == [9, 15, 37]
    with pytest.raises(ContractError, match=r"^bank\.yaml:9: .*\(2 more findings"):
        parse(text.encode(), "bank.yaml")


@pytest.mark.parametrize(
    "text", [b"", b"\xff\xfe", b"- a", b"a: \x00", b"schema: [1]", b"schema:\n- {name: t, properties: [1]}", b"a: *b"]
)
def test_what_is_no_contract_is_refused_with_a_line(text: bytes) -> None:
    with pytest.raises(ContractError, match=r"^x\.yaml:[0-9]+: "):
        parse(text, "x.yaml")


def test_a_strange_value_is_a_finding_and_not_a_crash() -> None:
    for value in ("!!python/object:os.system {}", "2024-13-45", "!!int x"):
        text = GOOD.replace("value: 0.05", f"value: {value}").encode()
        assert any(finding.line == 9 for finding in findings(text, "bank.yaml"))


def test_what_the_data_says_of_carriers_is_what_the_carriers_take() -> None:
    assert set(CARRIERS) == set(CARRIER_CLASSES)
    values = {"width": True, "building": "幢", "bits": 3, "decimals": 0, "pairs": [["Ltd", "Limited"]]}
    for name, spec in CARRIERS.items():
        assert carrier(Mark(name, {key: values[key] for key in spec.options if key in values})).labels()
        kind = sorted(spec.kinds)[0]
        body = yaml.safe_dump({"carrier": name, **{k: values[k] for k in spec.options if k in values}}, width=999)
        text = GOOD.replace("{carrier: address_zh, mix: {building: 0.31}, skip: [room]}", body_of(body))
        assert findings(text.replace("value: address}", f"value: {kind}}}").encode(), "x") == []


def body_of(block: str) -> str:
    return yaml.safe_dump(yaml.safe_load(block), default_flow_style=True, width=9999, allow_unicode=True).strip()


@pytest.mark.parametrize(
    ("name", "most"), [(name, spec.most_bits) for name, spec in CARRIERS.items() if spec.most_bits]
)
def test_as_many_bits_as_the_contract_allows_are_taken(name: str, most: int) -> None:
    assert len(carrier(Mark(name, {"bits": most})).labels()) == most
    with pytest.raises(ContractError):
        carrier(Mark(name, {"bits": most + 1}))


@pytest.mark.parametrize("pairs", ['[["a", "a"]]', '[["a"]]', "[]", '[["a", "b"], ["b", "c"]]', "word"])
def test_pairs_that_a_carrier_refuses_are_findings(pairs: str) -> None:
    mark = f"{{carrier: synonym, pairs: {pairs}}}"
    text = GOOD.replace("{carrier: address_zh, mix: {building: 0.31}, skip: [room]}", mark)
    assert findings(text.encode(), "x") == [Finding(37, 'carrier synonym: pairs is not like [["Ltd", "Limited"]]')]


def test_the_code_designs_are_those_that_the_code_has() -> None:
    for design in DESIGNS:
        assert findings(GOOD.replace("pure6", design).encode(), "x") == []


def test_a_contract_pickles_for_workers(tmp_path: Path) -> None:
    import pickle

    contract = parse(GOOD.encode(), "bank.yaml")
    assert pickle.loads(pickle.dumps(contract)) == contract  # noqa: S301 - our own bytes


def test_density_tolerance_alpha_design_and_length_are_read_and_held_to_their_ranges() -> None:
    text = """\
apiVersion: v3.0.2
kind: DataContract
schema:
  - name: t
    customProperties:
      - {property: leaktraceAlpha, value: 1.0e-7}
      - {property: leaktraceCanaryDensity, value: 0.01}
      - {property: leaktraceCodeDesign, value: pure4}
      - {property: leaktraceCodeLength, value: 2048}
    properties:
      - {name: id, primaryKey: true}
      - name: balance
        customProperties:
          - {property: leaktraceKind, value: amount}
          - {property: leaktraceMark, value: {carrier: amount_low_digits, bits: 3, tolerance: 0.07}}
"""
    contract = parse(text.encode(), "t.yaml")
    assert (contract.alpha, contract.canary_density, contract.design) == (1e-7, 0.01, CodeDesign("pure4", 2048))
    assert contract.column("balance").mark.options["tolerance"] == 0.07
    for right, wrong, line in (
        ("1.0e-7", "0.5", 6),
        ("0.01}", "0.5}", 7),
        ("pure4", "pure5", 8),
        ("2048", "100", 9),
        ("tolerance: 0.07", "tolerance: 0.03", 15),  # three bits change up to 0.07
        ("tolerance: 0.07", "tolerance: much", 15),
    ):
        assert [finding.line for finding in findings(text.replace(right, wrong).encode(), "t.yaml")] == [line]
