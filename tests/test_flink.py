"""tag, trace and compact on a real Flink cluster on loopback (`make flink` puts its parts there; `make flink-test`)."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from examples import bank_table
from examples.flink.cluster import Cluster, Parts, Ports
from pipeline.clusters import WorkerError, fault_of, told_without_values
from schemas.errors import KeyFileError, RunnerError
from tests.conftest import World, make_world
from tests.servers import free_port
from tests.test_runbooks import RUNBOOKS, commands_of, run_all

PARTS = Parts(Path(__file__).parents[1] / ".flink")
TRACE = ("trace", "sample.csv", "-o", "case")
TAG = "tag bank.parquet --contract bank.yaml --recipient E3 --purpose test --no-quality -o E3.parquet".split()
LEAKTRACE = [sys.executable, "-m", "pipeline"]


def needs_flink(test: Callable[..., None]) -> Callable[..., None]:
    """Slow; in one process, which has one cluster; skipped without the cluster's parts."""
    missing = shutil.which("java") is None or not PARTS.job_server.exists()
    reason = "Flink's parts are not here; with Java 17 and Maven, `make flink` puts them there"
    return pytest.mark.slow(pytest.mark.xdist_group("flink")(pytest.mark.skipif(missing, reason=reason)(test)))


# -- what comes back from a cluster; no cluster needed -------------------------------------------------------------


def test_a_fault_on_a_worker_says_where_and_never_what_the_value_was() -> None:
    with pytest.raises(WorkerError) as caught, told_without_values():
        raise ValueError("13912345678 is no number")
    assert str(caught.value).startswith("ValueError in ")
    assert "13912345678" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_our_own_errors_come_back_from_a_cluster_as_themselves() -> None:
    report = (
        "java.lang.RuntimeException: Error received from SDK harness for instruction 4: Traceback ...\n"
        "schemas.errors.KeyFileError: no index.key in keys; copy it there [while running 'resolve rows']\n\tat java"
    )
    found = fault_of(report, "FlinkRunner")
    assert isinstance(found, KeyFileError)
    assert str(found) == "no index.key in keys; copy it there"


def test_another_fault_of_a_cluster_is_one_sentence_without_its_text() -> None:
    found = fault_of(
        "pipeline.clusters.WorkerError: ValueError in pipeline/tag_steps.py, line 7\n 13912345678", "FlinkRunner"
    )
    assert isinstance(found, RunnerError)
    assert "ValueError in pipeline/tag_steps.py, line 7" in str(found)
    assert "13912345678" not in str(found)
    assert "13912345678" not in str(fault_of("connection reset; last row 13912345678", "FlinkRunner"))


def test_a_cluster_that_is_not_there_is_one_sentence_and_nothing_is_written(shared: World, tmp_path: Path) -> None:
    sample = write_rows(pq.read_table(shared.folder / "E1.parquet").slice(0, 5), tmp_path / "sample.csv")
    options = ["--runner=PortableRunner", f"--job_endpoint=127.0.0.1:{free_port()}", "--job_server_timeout=2"]
    answer = shared.run("trace", sample, "-o", tmp_path / "case", "--", *options)
    assert answer.code == 1
    assert answer.err.startswith("leaktrace: PortableRunner: the job failed or the cluster was not reached")
    assert "Traceback" not in answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample.csv"]


# -- on a cluster ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A job manager, a task manager with two slots, and a pool of workers, on ports that were free."""
    ports = Ports(rest=free_port(), rpc=free_port(), pool=free_port())
    made = Cluster(PARTS, tmp_path_factory.mktemp("flink"), ports)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def office(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A registry whose copies for E1 and E2 were tagged on the cluster, from a folder of relative paths."""
    world = make_world(tmp_path_factory.mktemp("office"), rows=2_000)
    command = "tag bank.parquet --contract bank.yaml --recipient E1 --recipient E2 --purpose test --no-quality"
    done = on_flink(world, cluster, *command.split(), "-o", "{recipient}.parquet").communicate(timeout=300)
    assert (world.folder / "E2.parquet").exists(), done
    write_rows(pq.read_table(world.folder / "E2.parquet").slice(300, 40), world.folder / "sample.csv")
    return world


@needs_flink
def test_flink_tags_as_the_local_runner_does(office: World) -> None:
    """The same rows in the same order, apart from canaries and marks, which are secret; and a registry that holds."""
    source = pq.read_table(office.table)
    for recipient in ("E1", "E2"):
        copy = pq.read_table(office.folder / f"{recipient}.parquet")
        assert copy.schema == source.schema
        real = copy.filter(pc.is_in(copy["customer_no"], value_set=source["customer_no"].combine_chunks()))
        assert real["customer_no"].equals(source["customer_no"])
        assert copy.num_rows > source.num_rows, "canaries"
    assert pq.read_table(office.folder / "E1.parquet") != pq.read_table(office.folder / "E2.parquet")
    assert office.run("registry", "check").code == 0


@needs_flink
def test_flink_gives_the_same_verdict_byte_for_byte_but_for_ids_and_times(
    office: World, cluster: Cluster, tmp_path: Path
) -> None:
    local = verdict_of(office, tmp_path, "local")
    flink = verdict_of(office, tmp_path, "flink", cluster)
    assert same_but_ids_and_times(local, flink)
    assert json.loads(flink)["attribution"]["candidates"][0]["recipient"] == "E2"
    rows = [pq.read_table(tmp_path / f"{name}-case" / "rows.parquet") for name in ("local", "flink")]
    assert rows[0].equals(rows[1])


@needs_flink
def test_a_registry_filled_by_flink_is_compacted_and_traced_by_flink_as_before(
    office: World, cluster: Cluster, tmp_path: Path
) -> None:
    """`registry compact` is a transaction of the catalogue: it runs where it is called, and Beam's options are idle."""
    before = verdict_of(office, tmp_path, "before")
    compacted = tmp_path / "compacted"
    shutil.copytree(office.folder, compacted)
    world = World(compacted)
    done = on_flink(world, cluster, "registry", "compact", "--keep-minutes", "0")
    assert done.wait(timeout=120) == 0
    assert world.run("registry", "check").code == 0
    after = verdict_of(world, tmp_path, "after", cluster)
    assert same_but_ids_and_times(before, after)


@needs_flink
def test_a_trace_goes_on_after_its_task_manager_was_killed_and_started_again(
    office: World, cluster: Cluster, tmp_path: Path
) -> None:
    expected = verdict_of(office, tmp_path, "expected")
    world, process = started(office, cluster, tmp_path, *TRACE)
    cluster.kill_task_manager()
    cluster.start_task_manager()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    assert restarts(cluster) >= 1, "the job had ended before its task manager was killed"
    assert same_but_ids_and_times(expected, (world.folder / "case" / "verdict.json").read_bytes())
    assert world.run("registry", "check").code == 0


@needs_flink
def test_a_trace_whose_task_manager_stays_away_ends_in_one_sentence_and_can_be_run_again(
    office: World, cluster: Cluster, tmp_path: Path
) -> None:
    world, process = started(office, cluster, tmp_path, *TRACE)
    cluster.kill_task_manager()
    try:
        out, err = process.communicate(timeout=300)
    finally:
        cluster.start_task_manager()
    assert process.returncode == 1, out
    assert err.startswith("leaktrace: FlinkRunner: ")
    assert err.count("\n") == 1
    assert not [path.name for path in world.folder.iterdir() if "case" in path.name], "nothing is left of the case"
    assert world.run("registry", "check").code == 0
    again = on_flink(world, cluster, "trace", "sample.csv", "-o", "case")
    assert again.wait(timeout=300) == 0
    verdict = json.loads((world.folder / "case" / "verdict.json").read_bytes())
    assert verdict["attempt"] == 2, "an attempt that failed was counted"
    assert verdict["attribution"]["candidates"][0]["recipient"] == "E2"


@needs_flink
def test_a_tag_goes_on_after_its_task_manager_was_killed_and_started_again(
    office: World, cluster: Cluster, tmp_path: Path
) -> None:
    world, process = started(office, cluster, tmp_path, *TAG)
    cluster.kill_task_manager()
    cluster.start_task_manager()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    assert restarts(cluster, 2) >= 1, "the job had ended before its task manager was killed"
    copy, source = pq.read_table(world.folder / "E3.parquet"), pq.read_table(world.table)
    real = copy.filter(pc.is_in(copy["customer_no"], value_set=source["customer_no"].combine_chunks()))
    assert real["customer_no"].equals(source["customer_no"]), "no part is written twice, none is missing"
    assert "3 exports: every signature, digest and link holds." in world.run("registry", "check").out


@needs_flink
def test_a_tag_whose_task_manager_stays_away_issues_nothing_and_can_be_run_again(
    office: World, cluster: Cluster, tmp_path: Path
) -> None:
    world, process = started(office, cluster, tmp_path, *TAG)
    cluster.kill_task_manager()
    try:
        out, err = process.communicate(timeout=300)
    finally:
        cluster.start_task_manager()
    assert process.returncode == 1, out
    assert err.startswith("leaktrace: FlinkRunner: ")
    assert err.count("\n") == 1
    assert not [path.name for path in world.folder.iterdir() if "E3" in path.name], "nothing is left of the copy"
    assert "2 exports: every signature, digest and link holds." in world.run("registry", "check").out
    assert on_flink(world, cluster, *TAG).wait(timeout=300) == 0
    assert "3 exports: every signature, digest and link holds." in world.run("registry", "check").out


@needs_flink
def test_every_command_of_the_runbook_works(office: World, cluster: Cluster, tmp_path: Path) -> None:
    world, environment = tmp_path / "day", dict(os.environ)
    shutil.copytree(office.folder, world / "office")
    for name, called in (("bank.yaml", "bank.yaml"), ("sample.csv", "post.csv")):
        shutil.copy(office.folder / name, world / called)
    bank_table.write(pq.read_table(office.table), world / "customers.csv")
    (world / "cases").mkdir()
    (world / ".flink").mkdir()
    (world / ".flink" / "run").symlink_to(cluster.folder)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    said = run_all(commands_of((RUNBOOKS / "run-on-flink.md").read_text("utf-8")), world, environment)
    assert "issued to E2" in said
    assert (world / "E1003.csv").exists()


# -- helpers ---------------------------------------------------------------------------------------------------------


def write_rows(table: pa.Table, path: Path) -> Path:
    pa_csv.write_csv(pa.table({name: table[name].cast(pa.string()) for name in table.column_names}), path)
    return path


def on_flink(world: World, cluster: Cluster, *words: str) -> subprocess.Popen[str]:
    """A command as a user gives it: in a shell of its own, in the world's folder, with relative paths."""
    command = [*LEAKTRACE, "--registry", "registry", "--keys", "keys", *words, "--", *cluster.options]
    return subprocess.Popen(command, cwd=world.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def verdict_of(office: World, folder: Path, name: str, cluster: Cluster | None = None) -> bytes:
    """The verdict on the office's sample, traced in a copy of its registry; each is the first attempt."""
    world = World(folder / f"{name}-office")
    shutil.copytree(office.folder, world.folder)
    case = folder / f"{name}-case"
    if cluster is None:
        assert world.run("trace", world.folder / "sample.csv", "-o", case).code == 0
    else:
        process = on_flink(world, cluster, "trace", "sample.csv", "-o", str(case))
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
    return (case / "verdict.json").read_bytes()


def same_but_ids_and_times(one: bytes, other: bytes) -> bool:
    """Whether two verdicts are equal, byte for byte, once the case's id and its time are put out of sight."""
    ends = []
    for text in (one, other):
        document: dict[str, Any] = json.loads(text)
        for name in ("case_id", "created_at"):
            assert text.count(document[name].encode()) == 1
            text = text.replace(document[name].encode(), name.encode())
        ends.append(text)
    return ends[0] == ends[1]


def started(office: World, cluster: Cluster, folder: Path, *words: str) -> tuple[World, subprocess.Popen[str]]:
    """A command on the cluster, in a copy of the office, whose job runs."""
    world = World(folder / "office-of-a-killed-job")
    shutil.copytree(office.folder, world.folder)
    process = on_flink(world, cluster, *words)
    until = time.monotonic() + 180
    while not running(cluster):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    return world, process


def running(cluster: Cluster) -> bool:
    """Whether a task of a job runs now."""
    found = cluster.ask("/jobs/overview") or {"jobs": []}
    return any(job["state"] == "RUNNING" and job["tasks"]["running"] for job in found["jobs"])


def restarts(cluster: Cluster, last: int = 1) -> int:
    """How often the jobs that began last failed and were started again; a tag command has two."""
    jobs = (cluster.ask("/jobs/overview") or {"jobs": []})["jobs"]
    began = sorted(jobs, key=lambda job: job["start-time"])[-last:]
    found = [cluster.ask(f"/jobs/{job['jid']}/exceptions") or {"exceptionHistory": {"entries": []}} for job in began]
    return sum(len(one["exceptionHistory"]["entries"]) for one in found)
