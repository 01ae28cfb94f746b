"""What else a sample shows: sources, outdated values, repeated rows, columns only we hold, shared errors."""

from collections import Counter
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from conftest import World
from hypothesis import given
from hypothesis import strategies as st

from watermarking.membership import Pattern, explained, fewest_exports
from watermarking.outdated import spans

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
    assert not any(ids[n] in str(answer.json()) for n in range(10))
