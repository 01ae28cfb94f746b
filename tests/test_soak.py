"""Three processes, random kills: every unit and every sample exactly once (by hand with 1,000 and 300)."""

from pathlib import Path

import pytest

from benchmarks.soak import soak


@pytest.mark.slow
def test_nothing_is_missing_or_double_after_random_kills(tmp_path: Path) -> None:
    assert soak(tmp_path, units=50, samples=20, seed=7) == []
