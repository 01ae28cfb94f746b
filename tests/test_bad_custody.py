"""What goes wrong with keys and cases: one sentence each, with the exit code that scripts rely on, and nothing done."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import Answer, World

from pipeline.keystore import KeyStore, init_keys, new_pair
from tests.test_bundle import VERDICT


@pytest.fixture(scope="module")
def _world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A registry without exports."""
    made = World(tmp_path_factory.mktemp("bad") / "world")
    made.folder.mkdir()
    assert made.run("init").code == 0
    return made


@pytest.fixture
def world(_world: World, tmp_path: Path) -> World:
    """A copy of its own."""
    shutil.copytree(_world.folder, tmp_path / "world")
    return World(tmp_path / "world")


@pytest.fixture
def case(world: World) -> Path:
    """A case that the world's examiner signed."""
    return signed(world, world.folder / "keys", "leaktrace.verdict/1")


def signed(world: World, keys: Path, schema: str) -> Path:
    from pipeline.bundle import write_bundle

    folder = world.folder / "case"
    (folder / "sample").mkdir(parents=True)
    verdict = {**VERDICT, "schema": schema, "attribution": {"verdict": "lead", "candidates": []}}
    (folder / "verdict.json").write_text(json.dumps(verdict), "utf-8")
    for name in ("report.html", "rows.parquet", "sample/post.txt"):
        (folder / name).write_bytes(b"x")
    write_bundle(folder, KeyStore(keys).examiner(), {"number": 0, "digest": "00" * 32})
    return folder


def said(answer: Answer, code: int, words: str) -> None:
    """One sentence on standard error, with its exit code."""
    assert answer.code == code, answer.err
    assert words in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("passphrase", "words"),
    [("wrong", "the passphrase does not open"), ("", "is empty"), (None, "set LEAKTRACE_PASSPHRASE_FILE")],
)
def test_a_wrong_or_missing_passphrase(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: str | None, words: str
) -> None:
    file = tmp_path / "words"
    file.touch(mode=0o600)
    monkeypatch.delenv("LEAKTRACE_PASSPHRASE_FILE", raising=False)
    if passphrase is not None:
        file.write_text(passphrase)
        monkeypatch.setenv("LEAKTRACE_PASSPHRASE_FILE", str(file))
    for name, body in new_pair("issuer", b"open sesame").items():
        (world.folder / "keys" / name).write_bytes(body)
    before = sorted(path.name for path in (world.folder / "keys").iterdir())
    answer = world.run("registry", "rotate-key")
    said(answer, 1, words)
    assert "sesame" not in answer.err
    assert sorted(path.name for path in (world.folder / "keys").iterdir()) == before


def test_a_key_that_others_can_read(world: World) -> None:
    (world.folder / "keys" / "issuer.key").chmod(0o644)
    said(world.run("registry", "rotate-key"), 1, "run chmod 600 on it")


@pytest.mark.parametrize(
    ("command", "words"),
    [("false", "gave no issuer.key"), ("no-such-vault", "cannot be run"), ("echo", "holds no readable key")],
)
def test_a_key_command_that_fails(world: World, monkeypatch: pytest.MonkeyPatch, command: str, words: str) -> None:
    monkeypatch.delenv("LEAKTRACE_KEY_COMMAND", raising=False)
    (world.folder / "keys" / "issuer.key").unlink()
    said(world.run("registry", "rotate-key", "--key-command", command), 1, words)


@pytest.mark.parametrize("command", ["verify", "report"])
def test_a_case_of_another_version(world: World, tmp_path: Path, command: str) -> None:
    folder = signed(world, world.folder / "keys", "leaktrace.verdict/2")
    output = ("-o", tmp_path / "report.html") if command == "report" else ()
    said(world.run(command, folder, *output), 1, "is a case of another version")
    assert not (tmp_path / "report.html").exists()


def test_a_case_signed_by_a_key_that_is_not_known(world: World, tmp_path: Path) -> None:
    init_keys(tmp_path / "others")
    folder = signed(world, tmp_path / "others", "leaktrace.verdict/1")
    said(world.run("verify", folder), 3, "evidence.dsse.json")
    said(world.run("report", folder, "-o", tmp_path / "report.html"), 3, "evidence.dsse.json")


def test_a_second_signature_by_a_key_that_is_not_known(world: World, case: Path, tmp_path: Path) -> None:
    assert world.run("keys", "make", "li", "-o", tmp_path).code == 0
    assert world.run("verify", case, "--countersign", tmp_path / "li.key").code == 0
    said(world.run("verify", case), 3, "unknown key")
    (world.folder / "keys" / "persons").mkdir()
    (tmp_path / "li.pub").rename(world.folder / "keys" / "persons" / "li.pub")
    assert world.run("verify", case).code == 0


def test_the_examiner_cannot_review_their_own_case(world: World, case: Path) -> None:
    own = world.folder / "keys" / "examiner.key"
    said(world.run("verify", case, "--countersign", own), 1, "second person")


def test_a_sample_that_arrives_tomorrow(world: World, tmp_path: Path) -> None:
    (tmp_path / "post.txt").write_text("x")
    command = ("trace", tmp_path / "post.txt", "-o", tmp_path / "case", "--received", "2100-01-01T00:00:00Z")
    said(world.run(*command), 2, "lies in the future")
    assert not (tmp_path / "case").exists()


def test_a_folder_that_is_no_case(world: World, tmp_path: Path) -> None:
    said(world.run("verify", tmp_path), 1, "is no case")
    said(world.run("cases", "delete", tmp_path, "--reason", "tidy"), 1, "is no case of this version")
    said(world.run("cases", "retain", tmp_path / "nowhere", "--older-than", "1"), 1, "is no folder")
