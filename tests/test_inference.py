"""A proposed contract is right as it stands, and a file that does not fit its contract is told by line."""

import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from stdnum import luhn

from pipeline.inference import check, infer
from pipeline.oracles import second_opinion
from schemas.contract import Contract, Mark, findings, parse
from schemas.errors import ContractError, InputError

HISTORY = Path(__file__).parent.parent / "examples" / "data" / "historical_people.parquet"
KINDS = {
    "customer_no": "id",
    "name": "person_name",
    "national_id": "national_id",
    "phone": "phone",
    "email": "email",
    "card_no": "card",
    "address": "address",
    "balance": "amount",
    "opened_at": "timestamp",
    "branch": "category",
    "remark": "text",
}


OPENED = datetime.datetime(2003, 1, 1)
GIVEN = ["伟", "秀英", "娜", "志强", "敏", "丽华"]
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def bank(rows: int = 2000, seed: int = 7) -> pa.Table:
    """Customers of a Chinese bank; symbol 1 (栋, no 室, capital letter) in 31%, 70% and 20% of the cells."""
    rng = np.random.default_rng(seed)

    def pick(words: Sequence[str]) -> list[str]:
        return [words[place] for place in rng.integers(0, len(words), rows)]

    def digits(count: int) -> list[str]:
        return ["".join(map(str, row)) for row in rng.integers(0, 10, (rows, count))]

    births = [datetime.date(1945, 1, 1) + datetime.timedelta(days=int(day)) for day in rng.integers(0, 22000, rows)]
    bodies = [f"330106{day:%Y%m%d}{tail}" for day, tail in zip(births, digits(3), strict=True)]
    cards = [f"622848{tail}" for tail in digits(12)]
    buildings = np.where(rng.random(rows) < 0.31, "栋", "号楼")
    rooms = np.where(rng.random(rows) < 0.70, "", "室")
    emails = [f"{a}{b}@example.com" for a, b in zip(pick("abcxyz"), digits(6), strict=True)]
    capital = rng.random(rows) < 0.20
    seconds = rng.integers(0, 600_000_000, rows)
    return pa.table(
        {
            "customer_no": [f"C{number:08d}" for number in rng.permutation(rows)],
            "name": [a + b for a, b in zip(pick("王李张刘陈杨赵黄周吴"), pick(GIVEN), strict=True)],
            "national_id": [body + check_character(body) for body in bodies],
            "phone": [head + tail for head, tail in zip(pick(["138", "139", "150", "186"]), digits(8), strict=True)],
            "email": [mail.capitalize() if up else mail for mail, up in zip(emails, capital, strict=True)],
            "card_no": [card + luhn.calc_check_digit(card) for card in cards],
            "address": [
                f"浙江省杭州市西湖区文三路{n}号{b}{building}1单元{r}{room}"
                for n, b, building, r, room in zip(
                    rng.integers(1, 900, rows), rng.integers(1, 30, rows), buildings, rng.integers(101, 3000, rows),
                    rooms, strict=True,
                )
            ],
            "balance": pa.array(rng.integers(100_000, 90_000_000, rows) / 100, pa.float64()),
            "opened_at": pa.array([OPENED + datetime.timedelta(seconds=int(second)) for second in seconds]),
            "branch": pick(["文三路支行", "延安路支行", "滨江支行"]),
            "remark": [f"say {a} then {b} and again" for a, b in zip(pick("abcdef"), digits(3), strict=True)],
        }
    )  # fmt: skip


def check_character(body: str) -> str:
    """The last character of a Chinese id, the other way round from how the validator tests it."""
    return "10X98765432"[
        sum(int(d) * w for d, w in zip(body, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11
    ]


@pytest.fixture(params=["parquet", "csv"])
def bank_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return written(bank(), tmp_path / f"bank.{request.param}")


def written(table: pa.Table, path: Path) -> Path:
    if path.suffix == ".csv":
        pacsv.write_csv(table, path)
    else:
        pq.write_table(table, path, row_group_size=700)
    return path


def contract_of(path: Path) -> Contract:
    text = infer(path).encode()
    assert findings(text, "it") == []
    return parse(text, "it")


def test_a_bank_table_gets_its_kinds_key_and_marks(bank_file: Path) -> None:
    contract = contract_of(bank_file)
    assert {column.name: column.kind for column in contract.columns} == KINDS
    assert [column.name for column in contract.keys()] == ["customer_no"]
    assert {column.name for column in contract.columns if column.exclusive} == {"customer_no", "card_no"}
    address, email = contract.column("address").mark, contract.column("email").mark
    assert {column.name for column in contract.marked()} == {"address", "email"}
    assert isinstance(address, Mark)
    assert isinstance(email, Mark)
    assert address.carrier == "address_zh"
    assert address.options["mix"] == pytest.approx({"building": 0.31, "room": 0.70}, abs=0.04)
    assert set(address.options["skip"]) == {"province", "unit"}
    assert email.options == {"mix": pytest.approx(0.20, abs=0.04)}


def test_a_proposal_fits_its_own_file(bank_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "bank.odcs.yaml"
    path.write_text(infer(bank_file), "utf-8")
    assert check(path) == []
    assert check(path, bank_file) == []


def test_marks_that_change_values_can_be_uncommented(bank_file: Path) -> None:
    text = infer(bank_file)
    uncommented = text.replace("# - property: leaktraceMark", "- property: leaktraceMark").replace(
        "#   value:", "  value:"
    )
    contract = parse(uncommented.encode(), "it")
    balance, opened = contract.column("balance").mark, contract.column("opened_at").mark
    assert balance is not None
    assert balance.carrier == "amount_low_digits"
    assert opened == Mark("timestamp_second", {"bits": 2})


def test_a_proposal_holds_no_value_of_the_file(tmp_path: Path) -> None:
    table = bank(200)
    text = infer(written(table, tmp_path / "bank.parquet"))
    for name in ("name", "national_id", "phone", "email", "card_no", "address"):
        assert not any(value in text for value in table[name].to_pylist())


def test_an_even_mix_is_left_out_and_a_lone_spelling_makes_no_mark(tmp_path: Path) -> None:
    half = [f"{'A' if n % 2 else 'a'}{n}@example.com" for n in range(1000)]
    lone = [f"{'A' if n % 25 == 0 else 'a'}{n}@example.com" for n in range(1000)]
    path = written(pa.table({"customer_no": ids(1000), "email": half, "second_email": lone}), tmp_path / "t.parquet")
    contract = contract_of(path)
    assert contract.column("email").mark == Mark("email_case", {})
    assert contract.column("second_email").mark is None


def ids(count: int) -> list[str]:
    return [f"C{number:06d}" for number in range(count)]


def test_real_people_of_history_have_their_kinds_and_key() -> None:
    contract = contract_of(HISTORY)
    assert {column.name: column.kind for column in contract.columns} == {
        "person_id": "id",
        "full_name": "person_name",
        "first_name": "given_name",
        "surname": "surname",
        "dob": "birth_date",
        "birth_place": "category",
        "postcode": "postcode",
        "gender": "category",
        "occupation": "category",
    }
    assert [column.name for column in contract.keys()] == ["person_id"]
    assert not any(column.exclusive for column in contract.columns)
    assert contract.marked() == ()


def test_a_census_has_a_key_and_only_its_weight_may_be_marked(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    table = pa.table(
        {
            "Id": np.arange(3000),
            "age": rng.integers(17, 90, 3000),
            "fnlwgt": rng.integers(20_000, 600_000, 3000),
            "education-num": rng.integers(1, 17, 3000),
            "capital-gain": np.where(rng.random(3000) < 0.1, rng.integers(1, 99_999, 3000), 0),
            "race": rng.choice(["White", "Black", "Other"], 3000),
        }
    )
    path = written(table, tmp_path / "census.parquet")
    contract, text = contract_of(path), infer(path)
    assert [column.name for column in contract.keys()] == ["Id"]
    assert not contract.column("Id").exclusive
    assert contract.marked() == ()
    assert text.count("# - property: leaktraceMark") == 1
    assert "carrier: amount_low_digits, bits: 4, decimals: 0" in text.split("name: fnlwgt")[1].split("- name:")[0]


def test_a_key_is_unique_in_all_rows_and_not_only_in_those_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.facts.MOST_ROWS", 100)
    numbers = ids(2000)
    numbers[1999] = numbers[998]
    table = pa.table({"customer_no": numbers, "serial_no": [f"S{n}" for n in range(2000)]})
    contract = contract_of(written(table, tmp_path / "t.parquet"))
    assert [column.name for column in contract.keys()] == ["serial_no"]


def test_two_columns_are_the_key_where_no_column_is(tmp_path: Path) -> None:
    table = pa.table(
        {
            "customer_no": [f"C{n // 3:06d}" for n in range(3000)],
            "day": [f"2024-01-0{n % 3 + 1}" for n in range(3000)],
            "note": ["nothing to say"] * 3000,
        }
    )
    contract = contract_of(written(table, tmp_path / "t.parquet"))
    assert {column.name for column in contract.keys()} == {"customer_no", "day"}
    assert not any(column.unique for column in contract.columns)


def test_a_table_without_a_key_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.odcs.yaml"
    path.write_text(infer(written(pa.table({"a": ["x", "x"], "b": ["y", "y"]}), tmp_path / "t.parquet")), "utf-8")
    assert [finding.message for finding in check(path)] == [
        "no column is the key; say primaryKey: true where a record is identified"
    ]


def test_odd_column_names_stay_what_they_are(tmp_path: Path) -> None:
    names = ["客户号", "a: b", "- x", "yes", "12", 'q"uote', "#", "tab\there", "{x}", "null"]
    table = pa.table({name: ids(50) for name in names})
    contract = contract_of(written(table, tmp_path / "odd name.v2.parquet"))
    assert [column.name for column in contract.columns] == names
    assert contract.dataset == "odd_name"


def changed(bank_table: pa.Table, name: str, cells: list[str | None]) -> pa.Table:
    return bank_table.set_column(bank_table.schema.get_field_index(name), name, pa.array(cells, pa.string()))


def test_a_file_that_does_not_fit_is_told_by_line(tmp_path: Path) -> None:
    table = bank()
    contract_path = tmp_path / "bank.odcs.yaml"
    contract_path.write_text(infer(written(table, tmp_path / "bank.parquet")), "utf-8")
    contract = parse(contract_path.read_bytes(), "it")
    doubled = changed(table, "customer_no", ["C1", *table["customer_no"].to_pylist()[:-2], "C1"])
    holes = changed(table, "customer_no", [None, *table["customer_no"].to_pylist()[1:]])
    one_way = changed(table, "email", [mail.lower() for mail in table["email"].to_pylist()])
    other_way = changed(
        table, "email", [mail.capitalize() if n % 2 else mail for n, mail in enumerate(one_way["email"].to_pylist())]
    )
    cases = [
        (table.drop_columns(["phone"]), "phone", "is not in bank2.parquet"),
        (table.set_column(7, "balance", table["balance"].cast(pa.string())), "balance", "is string in bank2.parquet"),
        (
            changed(table, "phone", table["email"].to_pylist()),
            "phone",
            "0% of its cells can be read so; they look like email",
        ),
        (changed(table, "address", ["somewhere"] * 2000), "address", "finds no site"),
        (one_way, "email", "hardly shows both spellings of site 'first_letter'"),
        (other_way, "email", "correct mix"),
        (doubled, "customer_no", "is the same in several rows"),
        (holes, "customer_no", "has 1 empty or unreadable cells"),
    ]
    for broken, name, says in cases:
        found = check(contract_path, written(broken, tmp_path / "bank2.parquet"))
        assert [finding.line for finding in found] == [contract.column(name).line], (name, found)
        assert says in found[0].message
    more = check(contract_path, written(table.append_column("extra", table["name"]), tmp_path / "bank2.parquet"))
    assert "has a column 'extra'" in more[0].message


def test_a_contract_with_findings_is_not_held_against_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("schema: []", "utf-8")
    assert check(path, tmp_path / "there is none.parquet") == check(path)
    with pytest.raises(ContractError, match="cannot be read"):
        check(tmp_path / "none.yaml")
    with pytest.raises(InputError):
        infer(tmp_path / "none.parquet")


def test_the_oracles_are_asked_about_a_few_cells() -> None:
    table = bank()
    for kind, name in (("phone", "phone"), ("national_id", "national_id"), ("card", "card_no")):
        opinion = second_opinion(kind, table[name].combine_chunks())
        assert opinion is not None
        assert opinion[1] >= 190
        assert opinion[2] == 200
    wrong = second_opinion("national_id", pa.array(["330106194912310021", "330106194913310021"]))
    assert wrong is not None
    assert wrong[1] == 0
    assert second_opinion("phone", pa.array(["", None], pa.string())) is None
    assert second_opinion("email", pa.array(["a@b.example"])) is None
