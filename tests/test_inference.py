"""A proposed contract is right as it stands, and a file that does not fit its contract is told by line."""

import datetime
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


def bank(rows: int = 2000, seed: int = 7) -> pa.Table:
    """Customers of a Chinese bank; symbol 1 (栋, no 室, capital letter) in 31%, 70% and 20% of the cells."""
    rng = np.random.default_rng(seed)
    pick = lambda words: rng.choice(list(words), rows)  # noqa: E731
    digits = lambda count: ["".join(map(str, row)) for row in rng.integers(0, 10, (rows, count))]  # noqa: E731
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
            "name": [a + b for a, b in zip(pick("王李张刘陈杨赵黄周吴"), pick(["伟", "秀英", "娜", "志强", "敏", "丽华"]), strict=True)],
            "national_id": [body + check_character(body) for body in bodies],
            "phone": [f"1{second}{tail}" for second, tail in zip(pick(["38", "39", "50", "86"]), digits(8), strict=True)],
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
            "opened_at": pa.array([datetime.datetime(2003, 1, 1) + datetime.timedelta(seconds=int(s)) for s in seconds]),
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


def test_a_proposal_holds_no_value_of_the_file() -> None:
    table = bank(200)
    text = infer(
        written(table, Path(pytest.ensuretemp("v") if hasattr(pytest, "ensuretemp") else "/tmp") / "v.parquet")
    )
    for name in ("name", "national_id", "phone", "email", "card_no", "address"):
        assert not any(value in text for value in table[name].to_pylist())
