"""A team's registry: its catalogue in PostgreSQL, its data in an S3-compatible store; real servers on loopback."""

import json
import multiprocessing
import random
import secrets
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyarrow.csv import write_csv

from pipeline.audit import check
from pipeline.keystore import init_keys
from pipeline.locks import everywhere
from pipeline.places import place_of
from pipeline.registry import Registry, create
from schemas.errors import RegistryError
from schemas.tables import TABLES
from tests.conftest import World
from tests.registry_support import Place, enter, enter_many
from tests.servers import SECRET, ObjectStore, Postgres, free_port, object_store, postgres, refusing
from tests.test_runbooks import RUNBOOKS, commands_of, run_all

FORK = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as made:
        yield made


@pytest.fixture
def address(server: Postgres, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, and what a user sets to reach the store."""
    for name, value in store.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LEAKTRACE_WORK", str(tmp_path / "work"))
    return server.new_database(f"d{secrets.token_hex(6)}")


@pytest.fixture
def team(address: str, store: ObjectStore, tmp_path: Path) -> Place:
    """An empty registry of a team and its keys."""
    init_keys(tmp_path / "keys")
    create(address, f"{store.url}-{address.rsplit('/', 1)[1]}")
    return Place(address, tmp_path / "keys")


def problems(place: Place, advance: Callable[[int], None] | None = None) -> list[str]:
    with place.open() as registry:
        registry.recover()
        return check(registry, place.store.issuer_public(), place.store.officer_private(), advance=advance)


@pytest.mark.slow
def test_a_copy_is_tagged_and_named_through_postgresql_and_an_object_store(
    address: str, server: Postgres, store: ObjectStore, issued: World, tmp_path: Path
) -> None:
    roots = ["--registry", address, "--keys", str(tmp_path / "team-keys")]
    assert issued.run(*roots, "init", "--data", f"{store.url}-cli").code == 0
    assert issued.run(*roots, "init", "--data", f"{store.url}-cli").code == 1, "nothing is overwritten"
    command = ["tag", issued.table, "--contract", issued.contract, "--recipient", "E7", "--purpose", "test"]
    answer = issued.run(*command, "-o", tmp_path / "E7.csv", "--no-quality", "--json", *roots)
    assert answer.code == 0, answer.err
    lines = (tmp_path / "E7.csv").read_text("utf-8").splitlines()
    (tmp_path / "sample.csv").write_text("\n".join([lines[0], *lines[100:130]]) + "\n", "utf-8")
    assert issued.run("trace", tmp_path / "sample.csv", "-o", tmp_path / "case", *roots).code == 0
    verdict = json.loads((tmp_path / "case" / "verdict.json").read_bytes())
    best = verdict["attribution"]["candidates"][0]
    assert (best["recipient"], best["strength"]) == ("E7", "conclusive")
    assert issued.run("registry", "compact", "--keep-minutes", "0", *roots).code == 0
    assert issued.run("registry", "check", *roots).out.startswith("1 export: every signature")
    assert not any(SECRET in path.read_text("utf-8", "ignore") for path in (server.folder / "log",))


@pytest.mark.slow
def test_every_command_of_the_runbook_moves_a_local_registry(
    address: str, store: ObjectStore, issued: World, tmp_path: Path, environment: dict[str, str]
) -> None:
    office = issued.folder.rename(tmp_path / "office")
    before = World(office).run("exports", "--json").out
    text = (RUNBOOKS / "move-to-a-team-registry.md").read_text("utf-8")
    more = store.environment() | {"LEAKTRACE_WORK": str(tmp_path / "work")}
    more |= {"TEAM_DATABASE": address, "TEAM_STORE": f"{store.url}-{address.rsplit('/', 1)[1]}"}
    said = run_all(commands_of(text), tmp_path, environment | more)
    assert "3 exports moved to postgresql://" in said
    assert said.count("3 exports: every signature, digest and link holds.") == 2
    team = World(office)
    assert team.run("exports").code == 1, "the old place holds no registry any more"
    lines = pq.read_table(office / "E2.parquet").slice(40, 30)
    write_csv(lines, tmp_path / "sample.csv")
    roots = ["--registry", address]
    assert team.run("trace", tmp_path / "sample.csv", "-o", tmp_path / "case", *roots).code == 0
    verdict = json.loads((tmp_path / "case" / "verdict.json").read_bytes())
    assert verdict["attribution"]["candidates"][0]["recipient"] == "E2"
    assert team.run("exports", "--json", *roots).out == before
    again = team.run("registry", "move", "--to", address, "--data", f"{store.url}-x")
    assert (again.code, "holds no registry" in again.err) == (1, True)


@pytest.mark.slow
def test_an_interrupted_move_changes_nothing_and_the_next_one_moves(
    address: str, store: ObjectStore, issued: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = f"{store.url}-{address.rsplit('/', 1)[1]}"
    command = ["registry", "move", "--to", address, "--data", data]
    with monkeypatch.context() as broken:
        broken.setattr("pipeline.moving.TABLES", {**TABLES, "no_such_table": TABLES["meta"]})
        assert issued.run(*command).code == 1
    assert issued.run("registry", "check").code == 0
    assert issued.run("exports", "--registry", address).code == 1
    assert issued.run(*command).code == 0
    assert issued.run("registry", "check", "--registry", address).code == 0


@pytest.mark.slow
def test_four_processes_enter_exports_at_once(team: Place) -> None:
    processes = [FORK.Process(target=enter_many, args=(team, worker, 3)) for worker in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    with team.open() as registry:
        assert registry.exports().num_rows == 12
    assert problems(team) == []


def held_while_the_server_restarts(address: str, folder: str, ask: Connection) -> None:
    with everywhere(place_of(address), Path(folder) / "a.lock"):
        ask.send("held")
        ask.recv()


@pytest.mark.slow
def test_a_lock_is_let_go_in_peace_when_its_server_restarted(address: str, server: Postgres, tmp_path: Path) -> None:
    here, there = FORK.Pipe()
    process = FORK.Process(target=held_while_the_server_restarts, args=(address, str(tmp_path), there))
    process.start()
    assert here.recv() == "held"
    server.stop()
    server.start()
    here.send("let go")
    process.join()
    assert process.exitcode == 0


@pytest.mark.slow
def test_postgresql_that_stops_in_the_middle_is_waited_for_and_nothing_is_lost(
    team: Place, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(team, "X-1", range(100))
    process = FORK.Process(target=enter_many, args=(team, 1, 6))
    process.start()
    process.join(1.0)
    moments = random.Random(1)
    for _ in range(12):
        process.join(moments.uniform(0.05, 0.9))
        server.stop()
        server.start()
    process.join()
    assert process.exitcode == 0
    with team.open() as registry:
        assert registry.exports().num_rows == 7
    assert problems(team) == []
    server.stop()
    monkeypatch.setattr("pipeline.retrying._PATIENCE", 0.5)
    with pytest.raises(RegistryError, match="database does not answer; see that PostgreSQL runs"):
        enter(team, "X-2", range(100))
    server.start()
    assert problems(team) == []


@pytest.mark.slow
def test_a_check_begins_again_when_postgresql_restarts_and_a_server_away_is_no_finding(
    team: Place, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(team, "X-1", range(100))
    restarts: list[int] = []

    def restart(read: int) -> None:
        if not restarts:
            server.stop()
            server.start()
        restarts.append(read)

    assert problems(team, advance=restart) == []
    monkeypatch.setattr("pipeline.retrying._PATIENCE", 0.5)
    with pytest.raises(RegistryError, match="database does not answer"):
        problems(team, advance=lambda read: server.stop())
    server.start()


@pytest.mark.slow
def test_a_store_that_refuses_every_third_request_is_asked_again(
    team: Place, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing(store, lambda n: n % 3 == 0) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        for number in range(4):
            enter(team, f"X-{number}", range(50 * number, 50 * number + 200))
        with team.open() as registry:
            registry.compact(0, lambda size: None)
        assert problems(team) == []
        assert proxy.refused > 10
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.endpoint)
    assert problems(team) == []


@pytest.mark.slow
def test_a_store_that_refuses_everything_is_told_in_one_sentence_and_nothing_is_entered(
    team: Place, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(team, "X-1", range(100))
    monkeypatch.setattr("pipeline.retrying._PATIENCE", 0.5)
    monkeypatch.setattr("pipeline.storage._STORE_RETRIES", 1)
    with refusing(store, lambda n: True) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        with pytest.raises(RegistryError, match="object store does not answer as it should; check AWS_ENDPOINT_URL_S3"):
            enter(team, "X-2", range(300))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.endpoint)
    with team.open() as registry:
        assert registry.exports()["export_id"].to_pylist() == ["X-1"]
    assert problems(team) == []


@pytest.mark.slow
def test_an_object_that_is_gone_is_found_by_the_check(team: Place, store: ObjectStore) -> None:
    enter(team, "X-1", range(100))
    before = set(store.objects())
    enter(team, "X-2", range(500, 700))
    (new := sorted(set(store.objects()) - before))[0].unlink()
    assert any(new[0].name in problem for problem in problems(team))


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 40, -8])
def test_an_object_that_is_damaged_is_found_by_the_check(team: Place, store: ObjectStore, size: int) -> None:
    enter(team, "X-1", range(100))
    before = set(store.objects())
    enter(team, "X-2", range(500, 700))
    one = sorted(set(store.objects()) - before)[0]
    whole = one.read_bytes()
    one.write_bytes(whole[:size] + bytes(8) if size < 0 else whole[:size])
    assert any(one.name in problem for problem in problems(team))


@pytest.mark.slow
def test_a_store_that_refuses_the_keys_is_not_asked_again(
    team: Place, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(team, "X-1", range(100))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET[::-1])
    begun = time.monotonic()
    with pytest.raises(RegistryError, match="object store refuses these keys"):
        enter(team, "X-2", range(300))
    assert time.monotonic() - begun < 20


# -- addresses and what lets somebody in -------------------------------------------------------------------------


def test_a_password_in_an_address_is_refused_unread() -> None:
    with pytest.raises(RegistryError, match="holds a password") as caught, Registry.open("postgresql://u:pw9@h/d"):
        pass
    assert "pw9" not in str(caught.value)


def test_a_database_needs_a_place_for_data() -> None:
    with pytest.raises(RegistryError, match="give --data s3://BUCKET/PREFIX"):
        create("postgresql://somebody@127.0.0.1:1/x")


def test_a_store_without_keys_in_the_environment_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(RegistryError, match="AWS_ACCESS_KEY_ID is not set"):
        create(str(tmp_path / "registry"), "s3://lake/registry")


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "no-such-host.invalid"])
def test_a_store_that_is_not_there_is_told_in_one_sentence(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.retrying._PATIENCE", 0.5)
    monkeypatch.setattr("pipeline.storage._STORE_RETRIES", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host.format(port=free_port())}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, SECRET)
    with pytest.raises(RegistryError, match="object store does not answer as it should; check AWS_ENDPOINT_URL_S3"):
        create(str(tmp_path / "registry"), "s3://lake/registry")
    assert not (tmp_path / "registry" / "catalog.sqlite").exists()


@pytest.mark.slow
def test_an_empty_database_is_no_registry(address: str) -> None:
    with pytest.raises(RegistryError, match="holds no registry"), Registry.open(address):
        pass


@pytest.mark.parametrize("url", ["mysql://h/d", "https://h/d"])
def test_another_kind_of_address_is_refused(url: str) -> None:
    with pytest.raises(RegistryError, match="is not a place this version keeps a registry"):
        create(url)
