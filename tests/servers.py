"""Real servers for tests, each a process of its own on loopback: PostgreSQL, an S3-compatible store, a bad network.

PostgreSQL is Debian's. The object store is versitygw over a folder, built by `make object-store`. A test that needs a
server that a machine lacks says so and is skipped; .ci/run installs both.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ACCESS, SECRET = "leaktrace-test", "not-a-secret-of-anybody"
BUCKET = "lake"


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class Postgres:
    """A server that a test may stop and start again."""

    folder: Path
    port: int
    prefix: list[str]
    pg_ctl: str

    def new_database(self, name: str) -> str:
        """The address of an empty database of its own."""
        command = [program("createdb") or "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bank", name]
        subprocess.run(command, check=True)
        return f"postgresql://bank@127.0.0.1:{self.port}/{name}"

    @property
    def words(self) -> str:
        """The same, as libpq's key words."""
        return f"host=127.0.0.1 port={self.port} user=bank dbname=postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off"
        self._control("-o", options, "-w", "-l", str(self.folder / "log"), "start", check=True)

    def stop(self) -> None:
        """Stop it at once, as a power cut does to its clients."""
        self._control("-m", "immediate", "stop", check=False)

    def _control(self, *words: str, check: bool) -> None:
        command = [*self.prefix, self.pg_ctl, "-D", str(self.folder / "data"), *words]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=check, cwd="/")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of our own on a free port, in a folder that its own user may enter."""
    initdb, pg_ctl = program("initdb"), program("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("no PostgreSQL is installed")
    prefix: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix="leaktrace-pg-"))
    try:
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            if shutil.which("runuser") is None or subprocess.run(["id", "postgres"], capture_output=True).returncode:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
            shutil.chown(folder, "postgres")
            prefix = ["runuser", "-u", "postgres", "--"]
        command = [*prefix, initdb, "-D", str(folder / "data"), "-A", "trust", "-U", "bank", "--no-sync"]
        subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, check=True)
        server = Postgres(folder, free_port(), prefix, pg_ctl)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class ObjectStore:
    """An S3-compatible server with one bucket."""

    endpoint: str
    folder: Path

    @property
    def url(self) -> str:
        """Where a registry's data may lie."""
        return f"s3://{BUCKET}/registry"

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """What a user sets to reach it."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL_S3": endpoint or self.endpoint,
            "AWS_REGION": "us-east-1",
        }

    def objects(self) -> list[Path]:
        """The objects of the bucket."""
        return [path for path in (self.folder / BUCKET).rglob("*.parquet") if path.is_file()]


@contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """A versitygw over a folder."""
    program = shutil.which("versitygw") or str(ROOT / ".servers" / "versitygw")
    if not Path(program).exists():
        pytest.skip("no S3-compatible server is installed; make object-store builds one (needs Go)")
    (folder / "store" / BUCKET).mkdir(parents=True)
    port = free_port()
    server = subprocess.Popen(
        [program, "--port", f"127.0.0.1:{port}", "posix", str(folder / "store")],
        env=os.environ | {"ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait(f"http://127.0.0.1:{port}/")
        yield ObjectStore(f"http://127.0.0.1:{port}", folder / "store")
    finally:
        server.terminate()
        server.wait(timeout=30)


@dataclass
class Refusing:
    """A proxy before an object store. `refuses`: whether the nth request, from 1, gets 503 instead of an answer."""

    target: int
    refuses: Callable[[int], bool]
    port: int = 0
    asked: int = 0
    refused: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def turn_away(self) -> bool:
        """Count a request; whether it is refused."""
        with self._lock:
            self.asked += 1
            no = self.refuses(self.asked)
            self.refused += no
            return no


@contextmanager
def refusing(store: ObjectStore, refuses: Callable[[int], bool]) -> Iterator[Refusing]:
    """A proxy that passes on whole requests but those that it refuses, one a connection."""
    proxy = Refusing(int(store.endpoint.rsplit(":", 1)[1]), refuses)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        listener.settimeout(0.2)
        proxy.port = listener.getsockname()[1]
        ended = threading.Event()
        acceptor = threading.Thread(target=_accept, args=(listener, proxy, ended), daemon=True)
        acceptor.start()
        try:
            yield proxy
        finally:
            ended.set()
            acceptor.join()


def _accept(listener: socket.socket, proxy: Refusing, ended: threading.Event) -> None:
    while not ended.is_set():
        with suppress(TimeoutError):
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, proxy), daemon=True).start()


def _serve(client: socket.socket, proxy: Refusing) -> None:
    """One request of a connection, then it closes: the answer is passed on as it comes."""
    with client, suppress(OSError):
        client.settimeout(30)
        request = _request(client)
        if not request:
            return
        if proxy.turn_away():
            client.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", proxy.target), timeout=30) as server:
            head, body = request.split(b"\r\n\r\n", 1)
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            server.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            while chunk := server.recv(65_536):
                client.sendall(chunk)


def _request(client: socket.socket) -> bytes:
    """Head and body of one request with a stated length."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = client.recv(65_536)
        if not chunk:
            return b""
        data += chunk
    head, body = data.split(b"\r\n\r\n", 1)
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"100-continue" in fields.get(b"expect", b""):
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = int(fields.get(b"content-length", b"0"))
    parts = [body]
    got = len(body)
    while got < length:
        parts.append(client.recv(min(65_536, length - got)))
        got += len(parts[-1])
    return head + b"\r\n\r\n" + b"".join(parts)


def program(name: str) -> str | None:
    """Where one of PostgreSQL's programs is; Debian keeps them out of the PATH."""
    return shutil.which(name) or next((str(p) for p in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)


def _wait(url: str, seconds: float = 20.0) -> None:
    """Until a server answers, whatever it says."""
    until = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - loopback
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
