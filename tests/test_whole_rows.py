"""Rows that show a record whole are resolved by one look-up; what comes out is what searching finds."""

import dataclasses
import io
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from conftest import World

from examples import bank_table
from pipeline import agreeing as agreeing_parts
from pipeline import resolving
from pipeline.asking import Ours
from pipeline.index import IndexFiles
from pipeline.intake import Said, read_sample
from pipeline.intake import sheet as sheet_module
from pipeline.keystore import KeyStore
from pipeline.parts import read_arrow
from pipeline.registry import Registry
from pipeline.sample_columns import kinds_of
from pipeline.sample_part import SamplePart
from pipeline.trace_steps import SampleTracer
from pipeline.tracing import runs_of
from schemas.contract import Contract, parse
from watermarking.agreeing_rows import agreeing, candidates
from watermarking.agreement import Hits
from watermarking.finders import finders
from watermarking.keys import IndexKey
from watermarking.normalise import masked
from watermarking.resolve import CLASSES, Resolved, RowClass
from watermarking.tokens import Field, TokenKind, single_tokens, tokens_of
from watermarking.trace_rows import sample_fields
from watermarking.whole_rows import rows_between


@dataclasses.dataclass(frozen=True)
class Office:
    """What resolving needs of a registry."""

    contracts: list[Contract]
    key: IndexKey
    index: IndexFiles

    def resolve(self, table: pa.Table, spool: Path) -> Resolved:
        """The rows of a sample, as it would be posted."""
        (found,) = resolving.resolve_parts(self.parts([table], spool), self.ours())
        return found.resolved

    def ours(self) -> Ours:
        """What rows are looked for in."""
        return Ours.of(self.contracts, self.key, self.index)

    def parts(self, tables: list[pa.Table], spool: Path) -> list[SamplePart]:
        """Rows of a sample that came in parts."""
        fields = [self.fields(table, spool) for table in tables]
        return [SamplePart(its, single_tokens(its, self.key), len(its[0].whole)) for its in fields]

    def fields(self, table: pa.Table, spool: Path) -> tuple[Field, ...]:
        """Its fields, as intake and detection see them."""
        out = io.BytesIO()
        pa_csv.write_csv(pa.table({n: table[n].cast(pa.string()) for n in table.column_names}), out)
        sheet = read_sample(out.getvalue(), spool).sheets[0]
        return sample_fields(sheet.table, kinds_of(sheet, Said()), self.contracts)[0]


@pytest.fixture(scope="module")
def office(shared: World) -> Office:
    with Registry.open(str(shared.folder / "registry")) as registry:
        contracts = [parse(text, name) for name, _, text in registry.datasets()]
        return Office(contracts, IndexKey(KeyStore(shared.folder / "keys").index_key()), registry.index_files())


def mixed_sample(world: World) -> pa.Table:
    """Rows of a copy as they are, and rows with strangers' phones, with no phone, masked, made of two, and strange."""
    copy = pq.read_table(world.folder / "E1.parquet").select(range(10))
    strange = bank_table.generate(40, 99).select(range(10)).cast(copy.schema)
    parts = [copy.slice(first, 40) for first in range(0, 280, 40)]
    phones = pc.utf8_slice_codeunits(parts[4]["phone"], 0, 3)
    hidden = pc.binary_join_element_wise(phones, pc.utf8_slice_codeunits(parts[4]["phone"], 7, 11), "****")
    return pa.concat_tables([
        parts[0],
        _with(parts[1], phone=strange["phone"]),
        _with(parts[2], phone=pa.chunked_array([pa.nulls(40, pa.string())])),
        _with(parts[3], name=parts[5]["name"], phone=parts[5]["phone"]),
        _with(parts[4], phone=hidden),
        parts[0].slice(0, 5),
        parts[6],
        strange,
    ])  # fmt: skip


def _with(table: pa.Table, **columns: pa.ChunkedArray) -> pa.Table:
    for name, cells in columns.items():
        table = table.set_column(table.column_names.index(name), name, cells.cast(table[name].type))
    return table


def test_rows_found_by_their_version_are_what_searching_finds(
    shared: World, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = mixed_sample(shared)
    quick = office.resolve(sample, tmp_path)
    monkeypatch.setattr(resolving, "whole_rows", lambda *_: [])
    monkeypatch.setattr(resolving, "_MANY", 10**9)
    searched = office.resolve(sample, tmp_path)
    assert_same(quick, searched)
    classes = {str(CLASSES[c]) for c in np.unique(quick.row_class)}
    assert classes >= {RowClass.HELD, RowClass.PARTIAL, RowClass.ALTERED, RowClass.RECOMBINED, RowClass.UNKNOWN}


@pytest.mark.parametrize("dropped", [["customer_no"], ["customer_no", "card_no", "name"], ["national_id", "address"]])
def test_rows_found_by_all_that_they_show_are_what_searching_finds(
    dropped: list[str], shared: World, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = mixed_sample(shared).drop_columns(dropped)
    searched = office.resolve(sample, tmp_path)
    monkeypatch.setattr(resolving, "_MANY", 1)
    asked: list[int] = []
    search = resolving.look_up
    monkeypatch.setattr(
        resolving, "look_up", lambda tokens, *rest: (asked.append(len(tokens[0].values)), search(tokens, *rest))[1]
    )
    quick = office.resolve(sample, tmp_path)
    assert_same(quick, searched)
    assert sum(asked) < 0.7 * sample.num_rows  # whole rows, and those without a phone
    monkeypatch.setattr(agreeing_parts, "completions", lambda *_: [])
    assert_same(office.resolve(sample, tmp_path), quick)  # the index is asked for all else the rows show


def test_tokens_that_only_find_are_left_out_where_what_they_find_is_nobody(
    shared: World, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = pa.concat_tables([mixed_sample(shared), _misspelt(pq.read_table(shared.folder / "E1.parquet").slice(300))])
    asked: list[int] = []
    search = resolving.look_up
    monkeypatch.setattr(
        resolving,
        "look_up",
        lambda tokens, *rest: (asked.append(sum(int(t.there.sum()) for t in tokens)), search(tokens, *rest))[1],
    )
    few = office.resolve(sample, tmp_path)
    monkeypatch.setattr(resolving, "finders", lambda _, tokens, *__: list(tokens))
    every = office.resolve(sample, tmp_path)
    assert asked[0] < 0.8 * asked[1]
    assert 30 < few.found()[-160:].sum() <= 40  # those with an e-mail
    for name in ("row_class", "dataset", "version", "record", "able", "tied_version"):
        np.testing.assert_array_equal(getattr(few, name), getattr(every, name), err_msg=name)
    np.testing.assert_array_equal(few.agreed[few.found()], every.agreed[every.found()])


def _misspelt(rows: pa.Table) -> pa.Table:
    """160 rows whose numbers have a wrong digit that masking hides, all of them but the e-mail of some."""
    wrong = rows.select(range(10)).slice(0, 160)
    for name in ("customer_no", "national_id", "phone", "card_no"):
        seventh = pc.utf8_slice_codeunits(wrong[name], 6, 7)
        other = pc.if_else(pc.equal(seventh, "1"), "2", "1")
        around = [pc.utf8_slice_codeunits(wrong[name], *place) for place in ((0, 6), (7, 99))]
        wrong = _with(wrong, **{name: pc.binary_join_element_wise(around[0], other, around[1], "")})
    keeps = pa.array(np.arange(160) >= 120)
    nothing = pa.scalar(None, pa.string())
    wrong = _with(wrong, address=pa.chunked_array([pa.nulls(160, pa.string())]))
    return _with(wrong, email=pc.if_else(keeps, wrong["email"], nothing))


@pytest.mark.parametrize(
    ("more", "versions", "left_out"),
    [
        ({}, [3_000_000], True),
        ({}, [3_000_000, 1_000], False),  # in the small one a row resolves by less
        ({"birth_date": ["1980-02-03", None], "postcode": ["710000", None]}, [3_000_000], False),
        ({"phone": ["13912345678", None]}, [3_000_000], False),  # the second row can be found by nothing but its name
    ],
)
def test_where_what_only_finds_may_be_left_out(
    more: dict[str, list[str | None]], versions: list[int], left_out: bool
) -> None:
    cells = {"person_name": ["王芳", "李娜"], "phone": ["13912345678", "13812345678"], **more}
    fields = [
        Field(kind, kind, pa.array(its), masked(kind, pa.array(its)) if kind == "phone" else None)
        for kind, its in cells.items()
    ]
    hidden = Field("card", "card", pa.nulls(2, pa.string()), pa.array(["622588******1234", None]))
    tokens = tokens_of([*fields, hidden], IndexKey(bytes(32)), budget=None)
    kinds = [frozenset((*cells, "card"))] * len(versions)
    kept = {t.kind: t.there.tolist() for t in finders([*fields, hidden], tokens, 2, versions, kinds)}
    before = {t.kind: t.there.tolist() for t in tokens}
    find_only = {TokenKind.PHONE_MASKED, TokenKind.NAME_PHONE_MASKED}
    assert {kind: there for kind, there in before.items() if kind not in find_only}.items() <= kept.items()
    assert before[TokenKind.CARD_MASKED] == [True, False]  # it cannot be read whole: it says something
    for kind in find_only:
        assert kept[kind] == ([False, False] if left_out else before[kind])


def test_parts_that_are_asked_for_at_once_are_what_the_sample_is_as_one(
    shared: World, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolving, "_MANY", 1)
    for dropped in ([], ["customer_no"]):
        sample = mixed_sample(shared).drop_columns(dropped)
        whole = office.parts([sample], tmp_path)
        (one,) = resolving.resolve_parts(whole, office.ours())
        parts = [whole[0].at(np.arange(start, end)) for start, end in ((0, 100), (100, 101), (101, sample.num_rows))]
        for number, part in enumerate(parts):
            part.save(tmp_path / f"{number}.arrow")
        parts = [SamplePart.load(tmp_path / f"{number}.arrow") for number in range(len(parts))]
        for most in (10**6, 1):  # searched for together, and part by part
            monkeypatch.setattr(resolving, "_TOGETHER", most)
            start = 0
            for found in resolving.resolve_parts(parts, office.ours()):
                end = start + found.part.rows
                assert_same(found.resolved, rows_between(one.resolved, start, end))
                mine = {(token.kind, token.fields): token for token in found.every_token() if token.whole}
                for token in one.every_token():
                    if token.whole:
                        np.testing.assert_array_equal(mine[token.kind, token.fields].values, token.values[start:end])
                start = end
            assert start == sample.num_rows


def test_a_sample_in_parts_leaves_the_lines_of_one_in_one(
    shared: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = mixed_sample(shared).drop_columns(["customer_no"]).select(range(6))
    pa_csv.write_csv(pa.table({n: sample[n].cast(pa.string()) for n in sample.column_names}), tmp_path / "leak.csv")
    lines, counts = [], []
    for rows in (10**6, 80):
        monkeypatch.setattr(sheet_module, "PART_ROWS", rows)
        folder = tmp_path / str(rows)
        folder.mkdir()
        (sheet,) = read_sample((tmp_path / "leak.csv",), folder).sheets
        runs = runs_of(sheet, 0, 0)
        assert [len(run) for run in runs] == ([1] if rows > 80 else [2, 2])
        with Registry.open(str(shared.folder / "registry")) as registry:
            contracts = tuple(parse(text, name) for name, _, text in registry.datasets())
            where = (str(shared.folder / "keys"), str(folder))
            tracer = SampleTracer((kinds_of(sheet, Said()),), contracts, registry.index_files(), *where).opened()
            tallies = [tracer.trace(run) for run in runs]
        assert not list(folder.glob("fields-*"))  # they hold customers' values
        parts = sorted(folder.glob("rows-*.arrow"))
        lines.append([line for part in parts for line in read_arrow(part).to_pylist()])
        counts.append(reduce(add, tallies).counts)
    assert len(lines[0]) == sample.num_rows
    assert lines[0] == lines[1]
    for name in ("rows", "readable", "patterns", "outdated"):  # repeated rows are counted over all parts
        assert getattr(counts[0], name) == getattr(counts[1], name), name


def assert_same(one: Resolved, other: Resolved) -> None:
    for name in ("row_class", "dataset", "version", "record", "agreed", "readable", "differs", "hidden"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_a_row_that_two_records_have_is_left_to_the_search() -> None:
    kinds = [frozenset(("phone", "national_id"))]
    fields = [Field(kind, kind, pa.array(["1", "2"]), None) for kind in ("phone", "national_id")]
    singles = single_tokens(fields, IndexKey(bytes(32)))
    lines = np.array([(0, 0, 7), (0, 0, 8), (0, 1, 7), (0, 1, 8), (1, 0, 9), (1, 1, 9)])
    version = lines[:, 2].astype(np.uint64)
    nought = np.zeros(len(lines), dtype=np.int64)
    hits = Hits(lines[:, 0], lines[:, 1], nought, nought + 1, version, version)
    pairs = candidates(singles, hits, 2, kinds)
    found = agreeing(fields, singles, pairs, [np.zeros(3, dtype=bool)] * 2, [3_000_000], kinds, 2)
    assert found.found().tolist() == [False, True]
    assert found.version.tolist() == [0, 9]


def test_whole_rows_cost_no_search(
    shared: World, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = pq.read_table(shared.folder / "E1.parquet").select(range(10))
    canaries = copy.num_rows - 3_000
    searched: list[int] = []
    search = resolving.look_up
    monkeypatch.setattr(
        resolving, "look_up", lambda tokens, *rest: (searched.append(len(tokens[0].values)), search(tokens, *rest))[1]
    )
    resolved = office.resolve(copy, tmp_path)
    assert sum(searched) == canaries
    assert int(resolved.found().sum()) == 3_000


def test_a_sample_without_the_key_or_with_a_second_phone_is_searched(
    shared: World, office: Office, tmp_path: Path
) -> None:
    copy = pq.read_table(shared.folder / "E1.parquet").select(range(10)).slice(0, 200)
    for sample in (copy.drop_columns(["customer_no"]), copy.append_column("mobile 2", copy["phone"])):
        fields = office.fields(sample, tmp_path)
        versions = [office.index.version_count(c.dataset) for c in office.contracts]
        kinds = [frozenset(c.kind for c in contract.columns) for contract in office.contracts]
        singles = single_tokens(fields, office.key)
        assert resolving.whole_rows(fields, singles, office.contracts, versions, kinds, office.key) == []
        assert (office.resolve(sample, tmp_path).row_class == CLASSES.index(RowClass.HELD)).sum() > 190
