"""Starts and stops the parts of a small Flink cluster, each a process of its own that listens on 127.0.0.1 alone.

`make flink` puts the parts into one folder: Flink's libraries, the jars of Beam's job server, and an environment with
leaktrace's wheel for the workers. A cluster runs in a folder of its own, where its settings, logs and temporary files
lie. On a production cluster the same parts are started by whoever operates it (runbooks/run-on-flink.md).
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FLINK = "1.19"
_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASKS = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_SECONDS = 120  # for a part to answer; a few on a quiet machine
# What Flink 1.19 needs of Java 17: the packages that its own config.yaml opens.
_OPENED = (
    "java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text", "java.time",
    "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks",
)  # fmt: skip
# All parts of the task manager's memory and its cores: left out, it dies with a bare IllegalArgumentException.
_SETTINGS = """\
jobmanager.rpc.address: 127.0.0.1
jobmanager.bind-host: 127.0.0.1
jobmanager.rpc.port: {rpc}
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest}
web.submit.enable: false
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: 2
taskmanager.cpu.cores: 2.0
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.task.heap.size: 256m
taskmanager.memory.task.off-heap.size: 32m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.managed.size: 64m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 128m
taskmanager.memory.jvm-overhead.max: 128m
heartbeat.interval: 2000
heartbeat.timeout: 20000
slot.request.timeout: 25000
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 2
restart-strategy.fixed-delay.delay: 1 s
io.tmp.dirs: {temporary}
"""


@dataclass(frozen=True)
class Parts:
    """What `make flink` has made, in one folder."""

    folder: Path

    @property
    def libraries(self) -> Path:
        """The jars of a Flink cluster, from PyPI's apache-flink-libraries."""
        return next((self.folder / "libraries").glob("lib/python*/site-packages/pyflink/lib"))

    @property
    def job_server(self) -> Path:
        """The jar that Beam's FlinkRunner starts."""
        return self.folder / "job-server.jar"

    @property
    def python(self) -> Path:
        """The workers' Python, whose environment has the wheel."""
        return self.folder / "worker" / "bin" / "python"


@dataclass(frozen=True)
class Ports:
    """Where a cluster listens, on 127.0.0.1."""

    rest: int = 8081
    rpc: int = 6123
    pool: int = 50000


class Cluster:
    """One cluster; its processes are known by the files `NAME.pid` in its folder, so another command can stop them."""

    def __init__(self, parts: Parts, folder: Path, ports: Ports) -> None:
        """`folder` is made when it is not there."""
        self.parts, self.folder, self.ports = parts, folder, ports

    @classmethod
    def running_in(cls, parts: Parts, folder: Path) -> "Cluster":
        """The one that was started in a folder."""
        return cls(parts, folder, Ports(**json.loads((folder / "ports.json").read_text("utf-8"))))

    @property
    def options(self) -> list[str]:
        """What stands after `--` on leaktrace's command line."""
        return [
            "--runner=FlinkRunner",
            f"--flink_version={FLINK}",
            f"--flink_master=127.0.0.1:{self.ports.rest}",
            f"--flink_job_server_jar={self.parts.job_server}",
            "--environment_type=EXTERNAL",
            f"--environment_config=127.0.0.1:{self.ports.pool}",
            "--environment_cache_millis=60000",  # a worker serves all stages of a job: it takes seconds to start
            "--parallelism=2",
        ]

    def start(self) -> None:
        """Start every part and wait until it answers; RuntimeError names the log of a part that fails."""
        temporary = self.folder / "temporary"
        temporary.mkdir(parents=True, exist_ok=True)
        ports = asdict(self.ports)
        settings = _SETTINGS.format(**ports, temporary=temporary)
        (self.folder / "config.yaml").write_text(settings, "utf-8")
        (self.folder / "ports.json").write_text(json.dumps(ports), "utf-8")
        self._java("job-manager", _MANAGER, "-Xmx512m")
        self._wait("job-manager", lambda: self.ask("/overview") is not None)
        self.start_task_manager()
        pool = [str(self.parts.python), "-P", "-m", "pipeline.worker_pool", "--port", str(self.ports.pool)]
        self._spawn("worker-pool", pool)
        self._wait("worker-pool", lambda: _answers(self.ports.pool))
        (self.folder / "options").write_text(" ".join(self.options) + "\n", "utf-8")

    def start_task_manager(self) -> None:
        """Start the task manager, also after it was killed; returns when the job manager knows the new one."""
        before = self._task_managers()
        self._java("task-manager", _TASKS, "-Xmx384m", "-XX:MaxDirectMemorySize=256m")
        self._wait("task-manager", lambda: bool(self._task_managers() - before))

    def kill_task_manager(self) -> None:
        """As a machine that fails: no goodbye. It has ended when this returns; ProcessLookupError when none runs."""
        pid = self._pid("task-manager")
        if not pid or not _alive(pid):
            raise ProcessLookupError(f"no task manager of {self.folder} runs")
        os.kill(pid, signal.SIGKILL)
        while _alive(pid):
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop what runs; each part has ended, or was killed, when this returns."""
        for name in ("worker-pool", "task-manager", "job-manager"):
            pid = self._pid(name)
            for number, patience in ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0)):
                until = time.monotonic() + patience
                while pid and _alive(pid) and time.monotonic() < until:
                    os.kill(pid, number)
                    time.sleep(0.3)
            (self.folder / f"{name}.pid").unlink(missing_ok=True)

    def ask(self, path: str) -> dict[str, Any] | None:
        """What the job manager's REST interface says; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports.rest}{path}", timeout=5) as answer:
                return json.loads(answer.read())
        except (OSError, urllib.error.URLError):
            return None

    def _task_managers(self) -> set[str]:
        found = self.ask("/taskmanagers") or {"taskmanagers": []}
        return {manager["id"] for manager in found["taskmanagers"]}

    # -- processes ---------------------------------------------------------------------------------------------

    def _java(self, name: str, entry: str, *flags: str) -> None:
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
        classes = ["-cp", f"{self.parts.libraries}/*", entry, "--configDir", str(self.folder)]
        self._spawn(name, ["java", "-XX:+UseSerialGC", *flags, *opened, *classes])

    def _spawn(self, name: str, command: list[str]) -> None:
        pid = self._pid(name)
        if pid and _alive(pid):
            raise RuntimeError(
                f"a {name} of {self.folder} runs already (process {pid}); stop it first: make flink-down"
            )
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        (self.folder / f"{name}.pid").write_text(str(process.pid), "ascii")

    def _pid(self, name: str) -> int | None:
        path = self.folder / f"{name}.pid"
        return int(path.read_text("ascii")) if path.exists() else None

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        until, pid = time.monotonic() + _SECONDS, self._pid(name) or 0
        while not ready():
            if not _alive(pid) or time.monotonic() > until:
                raise RuntimeError(f"the {name} did not start; {self.folder / name}.log says why")
            time.sleep(0.5)


def _alive(pid: int) -> bool:
    """Whether a process runs; a child that has ended is reaped."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass  # another command's child
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
