"""`leaktrace doctor`: says what is wrong with this machine and what to do, and changes nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.doctor import Check, check_health
from pipeline.keystore import init_keys
from tests.conftest import World


def health(world: World, now: datetime | None = None) -> dict[str, Check]:
    now = now or datetime.now(UTC)
    return {c.name: c for c in check_health(str(world.folder / "registry"), world.folder / "keys", now)}


def test_a_machine_in_order_passes_and_says_what_it_looked_at(issued: World) -> None:
    answer = issued.run("doctor", "--json")
    assert answer.code == 0, answer.out
    names = {check["name"] for check in answer.json()["checks"]}
    assert names >= {"python", "duckdb", "index.key", "officer.key", "registry", "clock", "disk", "rights"}
    assert health(issued)["separation"].state == "warning"


def test_a_key_that_others_can_read_fails_with_the_command_that_helps(issued: World) -> None:
    (issued.folder / "keys" / "index.key").chmod(0o644)
    answer = issued.run("doctor")
    assert answer.code == 1
    assert "chmod 600" in answer.out


def test_halves_of_two_pairs_are_noticed(issued: World, tmp_path: Path) -> None:
    init_keys(tmp_path / "other")
    (issued.folder / "keys" / "issuer.pub").write_bytes((tmp_path / "other" / "issuer.pub").read_bytes())
    assert health(issued)["issuer pair"].state == "failed"
    assert health(issued)["examiner pair"].state == "ok"


def test_a_clock_that_runs_behind_the_registry_is_noticed(issued: World) -> None:
    assert health(issued)["clock"].state == "ok"
    assert health(issued, datetime.now(UTC) - timedelta(hours=1))["clock"].state == "failed"


def test_a_registry_that_is_missing_or_damaged_is_one_line(issued: World) -> None:
    (issued.folder / "registry" / "catalog.sqlite").write_bytes(b"not a database")
    answer = issued.run("doctor")
    assert answer.code == 1
    assert "Traceback" not in answer.out + answer.err
    assert [line for line in answer.out.splitlines() if line.startswith("failed   registry")]


def test_the_doctor_leaves_everything_as_it_was(issued: World) -> None:
    def state() -> dict[Path, bytes]:
        files = [p for p in issued.folder.rglob("*") if p.is_file() and ".sqlite-" not in p.name]
        return {p: p.read_bytes() for p in files}

    before = state()
    issued.run("doctor")
    assert state() == before
