"""Escrow of keys in shares: enough of them bring the key back and prove it, fewer or others do not."""

from pathlib import Path

import pytest
from conftest import World


def shares(world: World, folder: Path, *more: str) -> list[Path]:
    answer = world.run("keys", "split", "--shares", "5", "--threshold", "3", "-o", folder, "--json", *more)
    assert answer.code == 0, answer.err
    return [Path(path) for path in answer.json()["shares"]]


def test_any_three_of_five_bring_the_officer_key_back(issued: World, tmp_path: Path) -> None:
    paths = shares(issued, tmp_path / "shares")
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    (issued.folder / "keys" / "officer.key").rename(tmp_path / "lost.key")
    rehearsed = issued.run("keys", "restore", paths[4], paths[0], paths[2], "--rehearse")
    assert rehearsed.code == 0, rehearsed.err
    assert "opens the secret of X-" in rehearsed.out
    assert not (issued.folder / "keys" / "officer.key").exists()
    restored = issued.run("keys", "restore", *paths[1:4], "-o", issued.folder / "keys" / "officer.key")
    assert restored.code == 0, restored.err
    assert issued.run("registry", "check").code == 0
    assert issued.run("watchlist", "-o", tmp_path / "canaries.csv").code == 0


def test_the_index_key_comes_back_too(issued: World, tmp_path: Path) -> None:
    paths = shares(issued, tmp_path / "shares", "--role", "index")
    key = issued.folder / "keys" / "index.key"
    before = key.read_bytes()
    done = issued.run("keys", "restore", *paths[:3], "--role", "index", "-o", tmp_path / "index.key")
    assert done.code == 0, done.err
    assert (tmp_path / "index.key").read_bytes() == before


def test_too_few_shares_bring_nothing_back(issued: World, tmp_path: Path) -> None:
    paths = shares(issued, tmp_path / "shares")
    answer = issued.run("keys", "restore", *paths[:2], "--rehearse")
    assert (answer.code, len(answer.err.strip().splitlines())) == (1, 1)
    assert "too few" in answer.err


def test_more_shares_than_it_takes_are_each_proved(issued: World, fresh: World, tmp_path: Path) -> None:
    paths = shares(issued, tmp_path / "shares")
    rehearsed = issued.run("keys", "restore", *paths, "--rehearse")
    assert rehearsed.code == 0, rehearsed.err
    foreign = shares(fresh, tmp_path / "foreign")[1]
    refused = issued.run("keys", "restore", *paths[:3], foreign, "--rehearse")
    assert refused.code == 1
    assert "of different keys" in refused.err


def test_a_wrong_word_is_said_and_never_shown(issued: World, tmp_path: Path) -> None:
    said = []
    for folder in ("first", "second"):
        paths = shares(issued, tmp_path / folder)
        words = paths[0].read_text().splitlines()[1].split()
        words[7] = "academic" if words[7] != "academic" else "acid"
        paths[0].write_text(" ".join(words) + "\n")
        answer = issued.run("keys", "restore", *paths[:3], "--rehearse")
        assert answer.code == 1
        assert "word is wrong" in answer.err
        said.append(answer.err)
    # Shares are random words, and a few of those are in any sentence ("says"): what is shown of them would differ.
    assert said[0] == said[1]


def test_shares_of_another_key_do_not_pass_a_rehearsal(issued: World, fresh: World, tmp_path: Path) -> None:
    paths = shares(fresh, tmp_path / "shares")
    answer = issued.run("keys", "restore", *paths[:3], "--rehearse")
    assert answer.code == 1
    assert "does not open the secret" in answer.err
    role = issued.run("keys", "restore", *paths[:3], "--rehearse", "--role", "index")
    assert role.code == 1
    assert "not of the index key" in role.err


def test_shares_typed_in_again_need_no_first_line(issued: World, tmp_path: Path) -> None:
    paths = shares(issued, tmp_path / "shares")
    for path in paths:
        path.write_text(path.read_text().splitlines()[1].replace(" ", "\n", 3))
    assert issued.run("keys", "restore", *paths[:3], "--rehearse").code == 0


@pytest.mark.parametrize("numbers", [("5", "6"), ("5", "1"), ("17", "3")])
def test_numbers_that_make_no_escrow_are_wrong_usage(issued: World, tmp_path: Path, numbers: tuple[str, str]) -> None:
    command = ("keys", "split", "--shares", numbers[0], "--threshold", numbers[1], "-o", tmp_path / "shares")
    assert issued.run(*command).code == 2
    assert not (tmp_path / "shares").exists()


def test_a_restore_overwrites_nothing(issued: World, tmp_path: Path) -> None:
    paths = shares(issued, tmp_path / "shares")
    answer = issued.run("keys", "restore", *paths[:3], "-o", issued.folder / "keys" / "officer.key")
    assert answer.code == 1
    assert issued.run("keys", "split", "-o", tmp_path / "shares").code == 1
