"""Rows of one export, written as people paste them, resolve to its records: from the bytes of a sample to classes."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import opencc
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from anyascii import anyascii
from conftest import World

from benchmarks import intake_corpus as made
from pipeline.asking import Ours
from pipeline.intake import Said, read_sample
from pipeline.keystore import KeyStore
from pipeline.registry import Registry
from pipeline.resolving import resolve_parts
from pipeline.sample_columns import kinds_of
from pipeline.sample_part import part_of
from schemas.contract import parse
from watermarking.keys import IndexKey
from watermarking.resolve import CLASSES

Row = dict[str, str]
ROWS = 12
_WIDE = {code: code + 0xFEE0 for code in range(ord("!"), ord("~") + 1)}
_TRADITIONAL = opencc.OpenCC("s2t").convert


def _lines(form: Callable[[Row], str], first: str = "") -> Callable[[list[Row]], bytes]:
    return lambda rows: (first + "\n".join(map(form, rows))).encode()


def _pinyin(row: Row) -> str:
    return f"{anyascii(row['name'][0])} {anyascii(row['name'][1:])}"


def _masked(row: Row) -> str:
    name, number, phone = row["name"], row["national_id"], row["phone"]
    return f"{name[0]}{'*' * (len(name) - 1)},{number[:6]}********{number[-4:]},{phone[:3]}****{phone[-4:]}"


def _apart(row: Row) -> str:
    number, phone, card = row["national_id"], row["phone"], row["card_no"]
    return f"+86 {phone[:3]}-{phone[3:7]}-{phone[7:]},{number[:6]} {number[6:14]} {number[14:]},{card[:4]} {card[4:]}"


def _dump(rows: list[Row]) -> bytes:
    return made.postgres_copy(made.People(("name", "phone"), (), [[row["name"], row["phone"]] for row in rows]))


SAMPLES: dict[str, tuple[Callable[[list[Row]], bytes], str]] = {
    "decimal comma": (_lines(lambda r: f"{r['phone']};{r['name']};{r['balance'].replace('.', ',')}"), "held"),
    "request": (_lines(lambda r: f"name={r['name']}&mobile={r['phone']}&idcard={r['national_id']}"), "held"),
    "prose": (_lines(lambda r: f"姓名：{r['name']}；电话：{r['phone'].translate(_WIDE)}", "某银行客户\n"), "held"),
    "unlabelled": (_lines(lambda r: f"1. {r['name']}，男，身份证{r['national_id']}，手机{r['phone']}"), "held"),
    "traditional": (_lines(lambda r: f"{_TRADITIONAL(r['name'])} {r['phone']} {_TRADITIONAL(r['address'])}"), "held"),
    "pinyin": (_lines(lambda r: f"{_pinyin(r)},{r['phone']}"), "partial"),
    "merged": (_lines(lambda r: f"{r['name']}{r['phone']},{r['address']}"), "held"),
    "split": (_lines(lambda r: f"{r['name'][0]},{r['name'][1:]},{r['phone']}"), "held"),
    "split, turned": (_lines(lambda r: f"{r['name'][1:]},{r['name'][0]},{r['phone']}", "名,姓,电话\n"), "held"),
    "masked": (_lines(_masked, "姓名,证件,手机\n"), "partial"),
    "set apart": (_lines(_apart), "held"),
    "numbers": (_lines(lambda r: f"{r['name']},{float(r['phone']):.10E},{int(r['customer_no'])}", "n,p,no\n"), "held"),
    "quoted": (_lines(lambda r: f"'{r['name']}','{r['phone']}','=\"{r['national_id']}\"'"), "held"),
    "one under the other": (_lines(lambda r: f"{r['name']}\n{r['phone']}\n{r['national_id']}"), "held"),
    "dump": (_dump, "held"),
}  # fmt: skip


@pytest.fixture(scope="module")
def resolved(shared: World) -> Iterator[Callable[[bytes], list[str]]]:
    """Which class each row of a sample has: everything but the chunks and the verdict."""
    with Registry.open(str(shared.folder / "registry")) as registry:
        contracts = [parse(text, "contract") for _, _, text in registry.datasets()]
        key = IndexKey(KeyStore(shared.folder / "keys").index_key(registry.epochs()[-1]))
        index = registry.index_files()

        def resolve(content: bytes) -> list[str]:
            with tempfile.TemporaryDirectory() as folder:
                (sheet,) = read_sample(content, Path(folder)).sheets
                part = part_of(sheet.table, kinds_of(sheet, Said()), contracts, key)
                (found,) = resolve_parts([part], Ours.of(contracts, key, index))
            return [str(CLASSES[code]) for code in found.resolved.row_class]

        yield resolve


@pytest.mark.parametrize("name", SAMPLES)
def test_rows_resolve_however_they_are_written(
    shared: World, resolved: Callable[[bytes], list[str]], name: str
) -> None:
    write, expected = SAMPLES[name]
    assert resolved(write(rows_of(shared, ROWS))) == [expected] * ROWS


def test_another_name_in_pinyin_is_another_name(shared: World, resolved: Callable[[bytes], list[str]]) -> None:
    rows = rows_of(shared, 3)
    names = [_pinyin(row) for row in rows]
    lines = _lines(lambda row: f"{row['pinyin']},{row['phone']}")
    mixed = [row | {"pinyin": name} for row, name in zip(rows, [names[0], names[2], names[1]], strict=True)]
    assert resolved(lines(mixed)) == ["partial", "altered", "altered"]


def rows_of(world: World, count: int) -> list[Row]:
    copy = pq.read_table(world.folder / "E2.parquet")
    table = copy.filter(pc.is_in(copy["customer_no"], pq.read_table(world.table)["customer_no"])).slice(100, count)
    return [{column: str(cell or "") for column, cell in row.items()} for row in table.to_pylist()]
