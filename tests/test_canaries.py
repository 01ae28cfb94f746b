"""Canaries: coherent, plausible, nobody's."""

import re
from collections.abc import Callable
from functools import cache

import numpy as np
import phonenumbers
import pyarrow as pa
import pytest
from scipy.stats import binom
from stdnum import iban, luhn
from stdnum.cn import ric

from benchmarks.detecting_canaries import BAR, auc, bank, canaries_of, clumsy
from schemas.contract import Contract, findings, parse
from schemas.errors import InputError
from watermarking.canaries import Profile, generate, positions
from watermarking.canaries.deck import Deck, category, ranked
from watermarking.canaries.mailboxes import RESERVED, forms_of
from watermarking.canaries.numbers import DRAMA, NINO_PREFIXES
from watermarking.canaries.recombine import split_address
from watermarking.normalise import normalise

CONTRACT = """\
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: people
    customProperties:
      - {{property: leaktraceCanaryDensity, value: 0.01}}
{settings}    properties:
{columns}"""


def contract_of(kinds: dict[str, str], settings: str = "", extra: dict[str, str] | None = None) -> Contract:
    """A contract with these columns (name -> kind), the first of them the key."""
    lines = []
    for number, (name, kind) in enumerate(kinds.items()):
        key = "        primaryKey: true\n" if not number else ""
        more = (extra or {}).get(name, "")
        lines.append(
            f"      - name: {name}\n{key}{more}        customProperties: [{{property: leaktraceKind, value: {kind}}}]\n"
        )
    return parse(CONTRACT.format(columns="".join(lines), settings=settings).encode(), "people.yaml")


def nothing_taken(kind: str, cells: pa.Array) -> np.ndarray:
    return np.zeros(len(cells), dtype=bool)


def table_of(columns: dict[str, Callable[[int, np.random.Generator], object]], rows: int = 400) -> pa.Table:
    rng = np.random.default_rng(5)
    return pa.table({name: [make(n, rng) for n in range(rows)] for name, make in columns.items()})


US_CITIES = ["Springfield, IL 62701", "Portland, OR 97201", "Austin, TX 78701"]
US_AREA = {"IL": "217", "OR": "503", "TX": "512"}
FIRST = ["Ann", "Bob", "Carol", "Dan", "Eve", "Frank"]
LAST = ["Smith", "Jones", "O'Neil", "Miller", "Brown"]


def american() -> tuple[Contract, pa.Table]:
    rng = np.random.default_rng(6)
    rows = []
    for n in range(600):
        first, last, city = FIRST[rng.integers(6)], LAST[rng.integers(5)], US_CITIES[rng.integers(3)]
        street = ["Oak St", "Main Street", "Elm Ave"][rng.integers(3)]
        digits = "".join(map(str, rng.integers(1, 9, 30)))
        rows.append(
            {
                "id": n * 7 + 3,
                "name": f"{first} {last}",
                "ssn": f"{rng.integers(100, 600)}-{digits[:2]}-{digits[2:6]}",
                "phone": f"({US_AREA[city.split()[-2]]}) 2{digits[6:8]}-{digits[8:12]}",
                "email": f"{first}.{last.replace(chr(39), '')}{digits[12:15]}@mail.com".lower(),
                "card": "4" + digits[15:30],
                "address": f"{rng.integers(1, 900)} {street}, {city}",
                "born": f"{rng.integers(1950, 2000)}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}",
            }
        )
    kinds = "id person_name national_id phone email card address birth_date".split()
    return contract_of(dict(zip(rows[0], kinds, strict=True))), pa.Table.from_pylist(rows)


def british() -> tuple[Contract, pa.Table]:
    rng = np.random.default_rng(7)
    towns = [("Leeds", "LS", "0113"), ("Bristol", "BS", "0117"), ("London", "SW", "0207")]
    rows = []
    for n in range(600):
        town, area, dial = towns[rng.integers(3)]
        digits = "".join(map(str, rng.integers(1, 9, 30)))
        mobile = f"07{digits[:3]} {digits[3:9]}" if rng.random() < 0.5 else f"{dial}2{digits[:6]}"
        street = ["High Street", "Church Lane"][rng.integers(2)]
        rows.append(
            {
                "id": f"C{n * 3:06d}",
                "first": FIRST[rng.integers(6)].lower(),
                "last": LAST[rng.integers(5)].lower(),
                "nino": f"AB {digits[9:11]} {digits[11:13]} {digits[13:15]} C",
                "phone": mobile,
                "address": f"{rng.integers(1, 9_000)} {street}, {town}",
                "postcode": f"{area}{rng.integers(1, 10)} {rng.integers(1, 10)}AB",
                "account": f"GB82WEST123456{digits[15:23]}",
            }
        )
    kinds = "id given_name surname national_id phone address postcode account".split()
    return contract_of(dict(zip(rows[0], kinds, strict=True))), pa.Table.from_pylist(rows)


@cache
def chinese(rows: int = 3_000) -> tuple[Contract, pa.Table]:
    return bank(rows, 5)


@pytest.mark.slow
def test_a_classifier_cannot_tell_canaries_of_the_bank_table() -> None:
    contract, table = chinese(6_000)
    found = auc(table.slice(0, 2_500), canaries_of(contract, table, 800, 1))
    assert max(found.values()) < BAR


@pytest.mark.slow
def test_the_same_classifier_finds_clumsy_canaries() -> None:
    _, table = chinese(6_000)
    assert max(auc(table.slice(0, 2_500), clumsy(table, 800, 1)).values()) > 0.8


def test_chinese_people_agree_with_themselves() -> None:
    contract, table = chinese()
    made = canaries_of(contract, table, 300, 2)
    districts = {}
    for row in table.to_pylist():
        districts.setdefault(row["national_id"][:6], set()).add(split_address(row["address"])[0])
    for row in made.to_pylist():
        assert ric.calc_check_digit(row["national_id"]) == row["national_id"][-1]
        assert ric.get_birth_date(row["national_id"]).year >= 1939
        assert luhn.is_valid(row["card_no"])
        assert row["card_no"].startswith("620000")
        assert phonenumbers.is_valid_number(phonenumbers.parse(row["phone"], "CN"))
        assert row["email"] is None or RESERVED.search(row["email"].split("@")[1])
        assert split_address(row["address"])[0] in districts[row["national_id"][:6]]
        assert row["opened_at"].year - int(row["national_id"][6:10]) >= 16
        assert row["branch"].removesuffix("支行")[-3:] in row["address"]


def test_an_americans_numbers_are_nobodys_and_agree() -> None:
    contract, table = american()
    made = canaries_of(contract, table, 150, 3)
    for row in made.to_pylist():
        area, group, serial = row["ssn"].split("-")
        assert area == "666" or area >= "900"
        assert 1 <= int(group) < 50
        assert serial != "0000"
        assert re.fullmatch(r"\(\d{3}\) 555-01\d\d", row["phone"])
        assert row["phone"][1:4] == US_AREA[row["address"].split()[-2]]
        assert phonenumbers.is_valid_number(phonenumbers.parse(row["phone"], "US"))
        assert luhn.is_valid(row["card"])
        assert len(row["card"]) == 16
        assert row["email"].split("@")[1] in ("example.com", "example.net", "example.org")
        last = row["name"].split()[-1].lower().replace("'", "")
        assert last in row["email"]


def test_a_britons_numbers_are_nobodys_and_agree() -> None:
    contract, table = british()
    made = canaries_of(contract, table, 150, 4)
    for row in made.to_pylist():
        assert row["nino"][:2] in NINO_PREFIXES
        digits = row["phone"].replace(" ", "")[1:]
        assert digits.startswith("7700900") or digits[:6] in DRAMA
        assert len(digits) == 10
        assert {"Leeds": "LS", "Bristol": "BS", "London": "SW"}[row["address"].split(", ")[1]] == row["postcode"][:2]
        assert iban.is_valid(row["account"])
        assert row["first"] == row["first"].lower()


@pytest.mark.parametrize("make", [chinese, american, british])
def test_no_two_values_of_a_canary_come_from_one_person(make: Callable[[], tuple[Contract, pa.Table]]) -> None:
    contract, table = make()
    personal = [c.name for c in contract.columns if c.kind in ("national_id", "phone", "email", "card", "account")]
    names = [c.name for c in contract.columns if c.kind in ("person_name", "surname", "address")]
    made = canaries_of(contract, table, 200, 8)
    for name in personal:
        real = set(table[name].to_pylist()) - {None}
        assert not real & set(made[name].to_pylist())
    together = {tuple(row[name] for name in names) for row in table.to_pylist()}
    assert not together & {tuple(row[name] for name in names) for row in made.to_pylist()}


def test_every_column_is_filled_as_far_as_the_real_one_is() -> None:
    contract, table = chinese()
    made = canaries_of(contract, table, 500, 9)
    for name in table.column_names:
        share = table[name].null_count / table.num_rows
        assert abs(made[name].null_count / 500 - share) < 0.05, name
    assert made.schema == table.schema


def test_values_that_the_data_hold_are_never_used() -> None:
    contract, table = american()

    def mostly_taken(kind: str, cells: pa.Array) -> np.ndarray:
        return np.array([kind == "phone" and cell is not None and cell[-1] != "7" for cell in cells.to_pylist()])

    made = generate(Profile(contract, table), 10, np.random.default_rng(1), mostly_taken)
    assert all(cell.endswith("7") for cell in made.table["phone"].to_pylist())
    free = generate(Profile(contract, table), 10, np.random.default_rng(1), nothing_taken)
    assert made.bounds[0]["phone"] > 5 * free.bounds[0]["phone"]
    with pytest.raises(InputError, match="CanaryDensity"):
        generate(Profile(contract, table), 10, np.random.default_rng(1), lambda kind, cells: np.ones(len(cells), bool))


@pytest.mark.parametrize("make", [chinese, american, british])
def test_bounds_are_at_least_how_often_a_value_is_made(make: Callable[[], tuple[Contract, pa.Table]]) -> None:
    """Of the canaries no value of a field occurs more often than its bound allows (by chance: once in 1e6)."""
    contract, table = make()
    count = 4_000
    made = generate(Profile(contract, table), count, np.random.default_rng(2), nothing_taken)
    for column in contract.columns:
        bound = made.bounds[0].get(column.kind)
        if bound is None or column.kind in ("given_name", "surname"):
            continue
        forms = normalise(column.kind, made.table[column.name].combine_chunks()).drop_null()
        most = max(pa.compute.value_counts(forms).field("counts").to_pylist())
        assert most <= max(binom.ppf(1 - 1e-6 / count, count, bound), 1), column.kind


def test_the_contracts_own_ranges_are_used() -> None:
    _, table = american()
    settings = (
        '      - {property: leaktraceCanaryDomains, value: ["bank.com"]}\n'
        '      - {property: leaktraceCanaryPhones, value: ["2125550"]}\n'
        '      - {property: leaktraceCanaryCards, value: ["40000012"]}\n'
    )
    kinds = {"id": "id", "name": "person_name", "phone": "phone", "email": "email", "card": "card"}
    contract = contract_of(kinds, settings)
    made = canaries_of(contract, table.select(list(kinds)), 50, 3)
    for row in made.to_pylist():
        assert row["email"].endswith("@bank.com")
        assert row["phone"].startswith("(212) 555-0")
        assert row["card"].startswith("40000012")


def test_wrong_ranges_are_named_with_their_line() -> None:
    text = CONTRACT.format(
        columns="      - {name: id, primaryKey: true}\n",
        settings='      - {property: leaktraceCanaryDomains, value: ["no domain"]}\n'
        "      - {property: leaktraceCanaryPhones, value: 7}\n",
    ).encode()
    assert [finding.line for finding in findings(text, "c.yaml")] == [8, 9]


def test_a_foreign_key_holds_only_values_that_exist() -> None:
    relation = "        relationships: [{type: foreignKey, to: branches.id}]\n"
    contract = contract_of({"id": "id", "name": "person_name", "branch_id": "id"}, extra={"branch_id": relation})
    assert contract.column("branch_id").references == "branches.id"
    table = table_of(
        {"id": lambda n, _: n * 5, "name": lambda n, _: f"{FIRST[n % 6]} {LAST[n % 5]}", "branch_id": lambda n, _: n}
    )
    made = canaries_of(contract, table, 40, 3)
    assert set(made["branch_id"].to_pylist()) <= set(table["branch_id"].to_pylist())


def test_a_unique_foreign_key_leaves_no_room_for_canaries() -> None:
    text = CONTRACT.format(
        columns="      - name: id\n        primaryKey: true\n        relationships: [{to: customers.id}]\n", settings=""
    ).encode()
    found = findings(text, "c.yaml")
    assert [(f.line, "CanaryDensity" in f.message) for f in found] == [(9, True)]


@pytest.mark.parametrize(("rows", "density"), [(1_000, 0.005), (17_345, 0.003), (50_000, 0.01), (64_007, 0.0007)])
def test_any_block_of_a_thousand_rows_holds_its_share_within_one(rows: int, density: float) -> None:
    for seed in range(20):
        slots = positions(rows, density, np.random.default_rng(seed))
        held = np.zeros(rows + 1, dtype=np.int64)
        np.add.at(held, slots, 1)
        inside = np.cumsum(held)
        blocks = inside[999:rows] - np.concatenate([[0], inside[: rows - 1_000]])
        share = len(slots) / rows * 1_000
        assert len(slots) == max(1, round(rows * density))
        assert np.abs(blocks - share).max() <= 1


def test_the_deck_keeps_what_goes_together_and_no_donor_gives_twice() -> None:
    rng = np.random.default_rng(3)
    place = rng.integers(0, 8, 3_000)
    wealth = rng.normal(size=3_000)
    attributes = {
        "place": category(pa.array(place)), "branch": category(pa.array(place * 10)),
        "wealth": ranked(wealth), "limit": ranked(wealth + rng.normal(size=3_000) * 0.05),
    }  # fmt: skip
    deck, rows = Deck(attributes, 500, rng), np.arange(3_000)
    drawn = {name: deck.draw(name, rows)[0] for name in attributes}
    assert (place[drawn["place"]] == place[drawn["branch"]]).all()
    assert np.corrcoef(wealth[drawn["wealth"]], wealth[drawn["limit"]])[0, 1] > 0.95
    assert not (drawn["place"] == drawn["branch"]).any()
    assert not (drawn["wealth"] == drawn["limit"]).any()


@pytest.mark.parametrize(
    ("surname", "given", "together"),
    [
        ("Fitzgerald", "Mr Guy", "fitzgeraldguy"),
        ("Ali", "Dr. Bradley", "alibradley"),
        ("Ray Jr.", "Drew", "raydrew"),
        ("Sirota", "Missy", "sirotamissy"),
    ],
)
def test_a_mailbox_is_named_without_titles(surname: str, given: str, together: str) -> None:
    assert forms_of(surname, given)["sg"] == together
