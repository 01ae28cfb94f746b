"""A bar while a command works: on a terminal, never in a pipe."""

import os
import pty
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.progress import Talk, watching, watching_size


@contextmanager
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Standard error is a terminal in the block; what it showed is in the list afterwards."""
    main, other = pty.openpty()
    shown: list[str] = []
    with os.fdopen(other, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        yield shown
        terminal.flush()
        shown.append(os.read(main, 65_536).decode())
    os.close(main)


def test_a_bar_counts_the_parts_that_lie_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        on_a_terminal(monkeypatch) as shown,
        watching(Talk(talks=True, bars=True), "tagging", 4, tmp_path, "tokens-*.json"),
    ):
        for part in range(3):
            (tmp_path / f"tokens-{part}.json").touch()
        time.sleep(0.7)
    assert "tagging" in shown[0]
    assert "75%" in shown[0]


def test_a_bar_counts_the_bytes_of_files_that_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        on_a_terminal(monkeypatch) as shown,
        watching_size(Talk(talks=True, bars=True), "writing", 200, [tmp_path / "a", tmp_path / "b"]),
    ):
        (tmp_path / "a").write_bytes(bytes(80))
        time.sleep(0.7)
    assert "writing" in shown[0]
    assert "40%" in shown[0]


def test_without_a_terminal_nothing_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with watching(Talk(talks=False, bars=False), "tagging", 4, tmp_path, "*"), watching(print, "x", 1, tmp_path, "*"):
        pass
    assert capsys.readouterr() == ("", "")
