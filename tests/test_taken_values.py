"""Which values a file holds, asked after one pass over it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import taken_values
from pipeline.files import chunks, describe
from pipeline.taken_values import TakenValues
from schemas.contract import parse
from schemas.errors import OutputError

CONTRACT = parse(
    b"""\
apiVersion: v3.0.2
kind: DataContract
version: 1.0.0
schema:
  - name: people
    properties:
      - {name: no, primaryKey: true, customProperties: [{property: leaktraceKind, value: id}]}
      - {name: phone, customProperties: [{property: leaktraceKind, value: phone}]}
      - {name: at_home, customProperties: [{property: leaktraceKind, value: phone}]}
      - {name: note, customProperties: [{property: leaktraceKind, value: text}]}
""",
    "people.yaml",
)
ROWS = 1_000
PHONES = [f"138{n:08d}" for n in range(0, 3 * ROWS, 3)]


@pytest.fixture(params=["begun", "read when asked"])
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> TakenValues:
    """Of a file of ten chunks, kept in several runs."""
    table = pa.table(
        {
            "no": [f"K{n}" for n in range(ROWS)],
            "phone": [None if n == 5 else f"+86 {phone}" for n, phone in enumerate(PHONES)],
            "at_home": ["01012345678"] * ROWS,
            "note": ["x"] * ROWS,
        }
    )
    pq.write_table(table, tmp_path / "people.parquet", row_group_size=100)
    monkeypatch.setattr(taken_values, "_RUN", 300)
    made = TakenValues(chunks(describe(tmp_path / "people.parquet")), CONTRACT)
    if request.param == "begun":
        made.begin()
    return made


def test_exactly_the_values_of_any_column_of_the_kind_are_there(taken: TakenValues) -> None:
    asked = [*(f"138{n:08d}" for n in range(3 * ROWS)), "01012345678", "K1", None]
    found = taken("phone", pa.array(asked))
    held = {*PHONES, "01012345678"} - {PHONES[5]}
    assert [value for value, there in zip(asked, found, strict=True) if there] == [v for v in asked if v in held]
    assert taken("id", pa.array(["K0", "K999", "K1000"])).tolist() == [True, True, False]


def test_the_file_is_read_once(taken: TakenValues, monkeypatch: pytest.MonkeyPatch) -> None:
    taken("phone", pa.array(["13800000000"]))
    monkeypatch.delattr(taken_values, "read_chunks")
    assert taken("id", pa.array(["K7"])).all()


def test_a_full_disk_is_one_sentence(taken: TakenValues, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(taken_values.tempfile, "TemporaryFile", full)
    taken.begin()  # anew, on the full disk
    with pytest.raises(OutputError, match=r"no room .* set TMPDIR"):
        taken("id", pa.array(["K7"]))
