"""What else a sample shows: sources, outdated values, repeated rows, columns only we hold, shared errors."""

import time
from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import World
from hypothesis import given
from hypothesis import strategies as st

from pipeline import parts
from pipeline.parts import write_arrow
from pipeline.people import exposed
from pipeline.report.language import language
from pipeline.sightings import KEPT, _shared, over_chunks
from watermarking.membership import Pattern, explained, fewest_exports
from watermarking.outdated import spans
from watermarking.tokens import SINGLE
from watermarking.trace_rows import Counts
from watermarking.verdict import Findings, _findings, _more_reasons

Write = Callable[[pa.Table, Path], Path]
PATTERNS = st.dictionaries(
    st.frozensets(st.sampled_from("ABCDEF"), min_size=1).map(lambda s: tuple(sorted(s))), st.integers(1, 5), max_size=7
)


@given(PATTERNS)
def test_no_smaller_set_of_exports_explains_every_row(counts: dict[Pattern, int]) -> None:
    found = fewest_exports(counts)
    assert all(set(pattern) & set(found) for pattern in counts)
    smaller = [set(some) for size in range(len(found)) for some in combinations("ABCDEF", size)]
    assert not any(all(set(pattern) & some for pattern in counts) for some in smaller)


def test_the_smallest_set_is_found_where_the_greedy_one_is_larger() -> None:
    counts = {("A", "G"): 4, ("B", "G"): 4, ("A",): 3, ("B",): 3}
    assert sorted(fewest_exports(counts)) == ["A", "B"]
    assert [(c.export_id, c.rows, c.exclusive) for c in explained(counts, ["A", "B"])] == [("A", 7, 7), ("B", 7, 7)]


def test_of_exports_that_explain_as_many_rows_the_one_that_is_named_is_told() -> None:
    counts = {("A", "B", "C"): 4, ("C",): 1, ("D", "E"): 9}
    assert fewest_exports(counts) == ["D", "C"]
    assert fewest_exports(counts, {"B", "E"}) == ["E", "C"]


def test_a_version_is_outdated_from_its_first_export_until_another_replaced_it() -> None:
    versions = pa.table({"version": pa.array([1, 2, 3], pa.uint64()), "record": pa.array([7, 7, 8], pa.uint64())})
    members = pa.table(
        {"version": pa.array([1, 1, 2, 3, 3], pa.uint64()), "export_id": ["jan", "feb", "mar", "jan", "mar"]}
    )
    issued = {"jan": "2026-01-05T08:00:00Z", "feb": "2026-02-05T08:00:00Z", "mar": "2026-03-05T08:00:00Z"}
    found = spans(np.array([1, 1, 2, 3], dtype=np.uint64), versions, members, issued)
    assert found == Counter({"2026-01-05|2026-03-05": 2})


def test_a_version_that_came_back_is_not_outdated() -> None:
    versions = pa.table({"version": pa.array([1, 2], pa.uint64()), "record": pa.array([7, 7], pa.uint64())})
    members = pa.table({"version": pa.array([1, 2, 1], pa.uint64()), "export_id": ["jan", "feb", "mar"]})
    issued = {"jan": "2026-01-05T08:00:00Z", "feb": "2026-02-05T08:00:00Z", "mar": "2026-03-05T08:00:00Z"}
    found = spans(np.array([1, 2], dtype=np.uint64), versions, members, issued)
    assert found == Counter({"2026-02-05|2026-03-05": 1})


def test_a_verdict_tells_sources_repeated_rows_outdated_values_and_shared_errors(
    fresh: World, tmp_path: Path, write_sample: Write
) -> None:
    old = pq.read_table(fresh.table)
    ids = old["national_id"].to_pylist()
    ids[0] = ids[0][:-1] + ("1" if ids[0][-1] != "1" else "2")  # a typing error that the bank itself has
    old = old.set_column(old.column_names.index("national_id"), "national_id", pa.array(ids))
    phones = pa.array([f"199{n:08}" for n in range(old.num_rows)])
    new = old.set_column(old.column_names.index("phone"), "phone", phones)
    for name, table in (("old", old), ("new", new)):
        pq.write_table(table, tmp_path / f"{name}.parquet")
        command = ("register", tmp_path / f"{name}.parquet", "--contract", fresh.contract, "--recipient", name)
        answer = fresh.run(*command, "--purpose", "test", "--no-quality", "--json")
        assert answer.code == 0, answer.err
    sample = pa.concat_tables([old.slice(0, 10), old.slice(0, 2), new.slice(20, 5)])
    sample = sample.select(["name", "national_id", "phone", "card_no"])
    answer = fresh.run("trace", write_sample(sample, tmp_path / "leak.csv"), "-o", tmp_path / "case", "--json")
    assert answer.code == 0, answer.err
    found, sources = answer.json()["authenticity"], answer.json()["attribution"]["decomposition"]
    assert found["duplicates"]["inside"] == 2
    assert sum(span["rows"] for span in found["outdated"]) == 12
    assert found["agreeing_errors"] == {"rows": 2}
    assert {"kind": "card", "rows": 17} in found["exclusive"]
    assert sorted((one["rows"], one["only"]) for one in sources["exports"]) == [(5, 5), (12, 12)]
    rows = pq.read_table(tmp_path / "case" / "rows.parquet")
    assert (
        rows["reason"].to_pylist()[0]
        == "R1: every field that can be read is that of one record: name, id number, phone, card."
    )
    old_copy, new_copy = (one["export_id"] for one in sorted(sources["exports"], key=lambda one: -one["rows"]))
    assert rows["only_source"].to_pylist() == [old_copy] * 12 + [new_copy] * 5
    assert rows.schema.field("exports").type == pa.list_(pa.field("element", pa.string()))
    assert rows["exports"].to_pylist() == [[old_copy]] * 12 + [[new_copy]] * 5
    assert not any(ids[n] in str(answer.json()) for n in range(10))
    # Sold again, with other columns, with rows of a stranger's before it.
    first = answer.json()["case_id"]
    stranger = pa.table({"name": ["Ann Lee"] * 3, "national_id": [f"11010119900307{n:04}" for n in range(3)]})
    again = pa.concat_tables([stranger, old.slice(5, 8).select(["name", "national_id"]).cast(stranger.schema)])
    time.sleep(1.1)  # cases are told apart by the second
    answer = fresh.run("trace", write_sample(again, tmp_path / "again.csv"), "-o", tmp_path / "second", "--json")
    found = answer.json()["authenticity"]
    assert found["duplicates"]["earlier_cases"] == [{"case_id": first, "rows": 5}]
    assert f"A11: 5 rows were already in the sample of case {first}." in found["reasons"]
    # The phone, which tells old from new, is not in this sample: both exports held its rows, and nothing dates it.
    held = answer.json()["attribution"]["candidates"]
    assert [(one["coverage"]["rows"], one["coverage"]["exclusive"]) for one in held] == [(8, 0), (8, 0)]
    assert found["outdated"] == []
    assert fresh.run("verify", tmp_path / "second", "--reproduce").code == 0
    assert fresh.run("verify", tmp_path / "case", "--reproduce").code == 0


def test_outdated_rows_say_when_their_copy_was_issued_or_that_there_is_more_than_one() -> None:
    one = _more_reasons(Findings(outdated={"2026-01-05|2026-03-05": 4, "2026-02-05|2026-04-05": 2}))
    assert one[0].endswith("; a copy that holds them all was issued from 2026-02-05 on and not after 2026-03-05.")
    two = _more_reasons(Findings(outdated={"2026-01-05|2026-02-05": 4, "2026-03-05|2026-04-05": 2}))
    assert two[0].endswith("not all in one copy: some were issued not after 2026-02-05, others from 2026-03-05 on.")
    assert all(language("zh").knows(said.removeprefix("A9: ")) for said in (*one, *two))


def test_a_sample_sold_often_has_a_few_reasons_and_a_count() -> None:
    found = Findings(earlier_cases=[{"case_id": f"C-{n}", "rows": 40 - n} for n in range(30)])
    said = [reason for reason in _more_reasons(found) if reason.startswith("A11")]
    assert said[0] == "A11: 40 rows were already in the sample of case C-0."
    assert said[3:] == ["A11: 27 more earlier cases share rows with the sample."]
    duplicates = _findings(found)["duplicates"]
    assert (len(duplicates["earlier_cases"]), duplicates["earlier_cases_in_all"]) == (20, 30)


@pytest.mark.parametrize("at_once", [1, 2, 1_000])
def test_rows_that_repeat_a_row_of_another_chunk_are_counted_once(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_AT_ONCE", at_once)
    said = [[1, 2, 2, 0], [2, 3, 1], [1]]
    for number, words in enumerate(said):
        table = pa.table(
            {
                "said": pa.array([word or None for word in words], pa.uint64()),
                "sheet": pa.array([number // 2] * len(words), pa.int32()),
                "record": pa.array([7 if word == 2 else None for word in words], pa.uint64()),
                "able": pa.array([word != 3 for word in words], pa.bool_()),
            }
        )
        write_arrow(table, tmp_path / f"rows-{number:05d}.arrow")
    counts = over_chunks(Counts(people=5, matched=2, repeated=1), tmp_path)
    assert (counts.people, counts.matched, counts.able, counts.repeated) == (4, 1, 3, 3)


@pytest.mark.parametrize("at_once", [1, 2, 1_000])
def test_people_are_counted_once_however_often_and_in_whatever_way_they_are_shown(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_AT_ONCE", at_once)
    name, phone = (1 << list(SINGLE).index(kind) for kind in ("person_name", "phone"))
    said = [
        [(7, name, None, 0), (8, name | phone, None, 0), (None, name, None, 0)],
        [(7, phone, None, 0), (7, name, 9, phone)],  # the last puts 7 and 9 together
    ]
    for number, rows in enumerate(said):
        record, shown, second, also = zip(*rows, strict=True)
        table = pa.table(
            {
                "record": pa.array(record, pa.uint64()),
                "shown": pa.array(shown, pa.int32()),
                "second_record": pa.array(second, pa.uint64()),
                "second_shown": pa.array(also, pa.int32()),
            }
        )
        write_arrow(table, tmp_path / f"rows-{number:05d}.arrow")
    assert exposed(tmp_path) == {"people": 3, "kinds": {"person_name": 2, "phone": 3}}


def test_rows_shared_with_a_large_sample_are_estimated_from_its_smallest_words() -> None:
    rng = np.random.default_rng(1)
    theirs = np.sort(rng.integers(1, 2**63, 100_000).astype(np.uint64))
    mine = np.sort(np.concatenate([theirs[::4], rng.integers(1, 2**63, 25_000).astype(np.uint64)]))
    assert _shared(mine, theirs) == 25_000
    assert abs(_shared(mine, theirs[:KEPT]) - 25_000) < 2_500
