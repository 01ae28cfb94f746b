"""A short run of benchmarks/tampering.py: alterations drawn by chance are found, and untouched ones raise no alarm."""

from benchmarks.attribution import State
from benchmarks.tampering import measured


def test_alterations_drawn_by_chance_are_all_found_and_nothing_else_is() -> None:
    found = measured(36, 4, State(None))
    assert found["alterations"] == 36
    assert len(found["kinds"]) > 15
    assert (found["missed"], found["false_alarms"]) == ([], [])
