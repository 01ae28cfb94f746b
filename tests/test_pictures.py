"""What the pictures of a report are drawn from."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.report.pictures import coverage_strips


def test_a_strip_shows_which_rows_an_export_held_whatever_the_row_groups(tmp_path: Path) -> None:
    rows = [["A", "B"], ["B"], None, [], ["A", "C", "B"]]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"exports": pa.array(rows, pa.list_(pa.string()))}), path, row_group_size=2)
    strips = coverage_strips(path, ["B", "A", "D"])
    assert {name: strip.width for name, strip in strips.items()} == {"B": 5, "A": 5, "D": 5}
    assert strips["A"].paths == ("", "", "", "M0 0h1v1h-1zM4 0h1v1h-1z")
    assert strips["B"].paths == ("", "", "", "M0 0h2v1h-2zM4 0h1v1h-1z")
    assert strips["D"].paths == ("", "", "", "")
