"""Kill -9 at random moments over tag, compact and trace; the harness is benchmarks/kills.py, which does 200 by hand."""

import random
import time
from pathlib import Path

import pytest

from benchmarks.kills import Killer, kill_all


def sleep_and_write(path: str, seconds: float) -> None:
    time.sleep(seconds)
    Path(path).write_text("ended", "utf-8")


def fail() -> None:
    raise SystemExit(3)


def test_the_harness_kills_what_runs_and_spares_what_ended(tmp_path: Path) -> None:
    killer = Killer(random.Random(1), ["tests.test_kills"])
    killer.run(sleep_and_write, str(tmp_path / "first"), 0.0)
    assert (tmp_path / "first").exists()
    assert killer.kill(0.5, (sleep_and_write, [str(tmp_path / "long"), 60.0])) == 1
    assert not (tmp_path / "long").exists()
    with pytest.raises(RuntimeError, match="failed without being killed"):
        killer.run(fail)


@pytest.mark.slow
def test_twenty_kills_leave_nothing_half_made(tmp_path: Path) -> None:
    assert kill_all(tmp_path, 20, seed=random.randrange(2**31)) == []
