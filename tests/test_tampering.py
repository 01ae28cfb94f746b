"""A short run of benchmarks/tampering.py: alterations drawn by chance are found, and untouched ones raise no alarm."""

from benchmarks.tampering import measured


def test_alterations_drawn_by_chance_are_all_found_and_nothing_else_is() -> None:
    found = measured(40, 3)
    assert found == {"alterations": 40, "missed": [], "untouched": 3, "false_alarms": 0}
