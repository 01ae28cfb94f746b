"""Which values a table holds, asked once its chunks have left them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import taken_values
from pipeline.parts import remove_folder
from pipeline.taken_values import TakenValues, leave
from schemas.contract import parse
from schemas.errors import InputError, OutputError
from watermarking.held_values import held_values
from watermarking.keys import IndexKey
from watermarking.tokens import fields_of, normal_forms, tokens_of

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
      - {name: serial, unique: true, customProperties: [{property: leaktraceKind, value: text}]}
      - {name: note, customProperties: [{property: leaktraceKind, value: text}]}
""",
    "people.yaml",
)
ROWS = 1_000
PHONES = [f"138{n:08d}" for n in range(0, 3 * ROWS, 3)]


KEY = IndexKey(bytes(32))
TABLE = pa.table(
    {
        "no": [f"K{n}" for n in range(ROWS)],
        "phone": [None if n == 5 else f"+86 {phone}" for n, phone in enumerate(PHONES)],
        "at_home": ["01012345678"] * ROWS,
        "serial": [f"S {n}" for n in range(ROWS)],
        "note": ["x"] * ROWS,
    }
)


def left_in(folder: Path) -> None:
    """What ten chunks leave."""
    for number in range(10):
        rows = TABLE.slice(100 * number, 100)
        fields = fields_of(normal_forms(rows, CONTRACT), CONTRACT)
        leave(held_values(rows, CONTRACT, fields, tokens_of(fields, KEY), KEY), folder, number)


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TakenValues:
    """Of a table in ten chunks, kept in several runs."""
    monkeypatch.setattr(taken_values, "_RUN", 300)
    made = TakenValues(tmp_path, KEY)
    with made.while_read():
        left_in(tmp_path)
    return made


def test_exactly_the_values_of_any_column_of_the_kind_are_there(taken: TakenValues) -> None:
    asked = [*(f"138{n:08d}" for n in range(3 * ROWS)), "01012345678", "K1", None]
    found = taken("phone", pa.array(asked))
    held = {*PHONES, "01012345678"} - {PHONES[5]}
    assert [value for value, there in zip(asked, found, strict=True) if there] == [v for v in asked if v in held]
    assert taken("id", pa.array(["K0", "K999", "K1000"])).tolist() == [True, True, False]


def test_a_unique_column_without_a_token_of_its_own_counts_too(taken: TakenValues) -> None:
    assert taken("text", pa.array(["S 0", "S 999", "S 1000", "x"])).tolist() == [True, True, False, True]


def test_who_asks_waits_for_the_last_chunk(tmp_path: Path) -> None:
    taken = TakenValues(tmp_path, KEY)
    with ThreadPoolExecutor(1) as beside:
        with taken.while_read():
            asked = beside.submit(taken, "id", pa.array(["K7", "L7"]))
            left_in(tmp_path)
            assert not asked.done()
        assert asked.result().tolist() == [True, False]


def test_who_asks_fails_where_reading_failed(tmp_path: Path) -> None:
    taken = TakenValues(tmp_path, KEY)
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(taken, "id", pa.array(["K7"]))
        with pytest.raises(InputError, match="truncated"), taken.while_read():
            raise InputError("truncated")
        with pytest.raises(InputError, match="truncated"):
            asked.result()


def test_a_folder_goes_while_a_worker_writes_into_it(tmp_path: Path) -> None:
    folder, over = tmp_path / "job", threading.Event()
    folder.mkdir()

    def write() -> None:
        for number in range(100_000):
            try:
                (folder / f"part-{number}").touch()
                time.sleep(0.0005)
            except FileNotFoundError:
                over.set()
                return

    with ThreadPoolExecutor(1) as worker:
        worker.submit(write)
        remove_folder(folder)
    assert over.is_set()
    assert not folder.exists()


def test_a_full_disk_is_one_sentence(taken: TakenValues, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(taken_values.tempfile, "TemporaryFile", full)
    with pytest.raises(OutputError, match=r"no room .* set TMPDIR"):
        taken("id", pa.array(["K7"]))
