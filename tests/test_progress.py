"""A bar while a command works: on a terminal, never in a pipe."""

import os
import pty
import sys
import time
from pathlib import Path

import pytest

from pipeline.progress import Talk, watching, watching_size


def test_a_bar_counts_the_parts_that_lie_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main, other = pty.openpty()
    with os.fdopen(other, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with watching(Talk(talks=True, bars=True), "tagging", 4, tmp_path, "tokens-*.json"):
            for part in range(3):
                (tmp_path / f"tokens-{part}.json").touch()
            time.sleep(0.7)
        terminal.flush()
        shown = os.read(main, 65_536).decode()
    os.close(main)
    assert "tagging" in shown
    assert "75%" in shown


def test_a_bar_counts_the_bytes_of_files_that_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main, other = pty.openpty()
    with os.fdopen(other, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with watching_size(Talk(talks=True, bars=True), "writing", 200, [tmp_path / "a", tmp_path / "b"]):
            (tmp_path / "a").write_bytes(bytes(80))
            time.sleep(0.7)
        terminal.flush()
        shown = os.read(main, 65_536).decode()
    os.close(main)
    assert "writing" in shown
    assert "40%" in shown


def test_without_a_terminal_nothing_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with watching(Talk(talks=False, bars=False), "tagging", 4, tmp_path, "*"), watching(print, "x", 1, tmp_path, "*"):
        pass
    assert capsys.readouterr() == ("", "")
