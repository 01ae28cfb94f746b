"""The workers of one machine of a cluster: `python -P -m pipeline.worker_pool` beside each of its task managers.

Starts Beam's own worker pool with three differences: it listens on loopback alone (whoever reaches it can start
programs here), its workers run this environment's Python, and they run in an empty folder, so that nothing that lies
about shadows what is installed. Ends, with its workers, on SIGTERM.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer, kill_process_gracefully

_AT_ONCE = 16  # requests to start or stop a worker; each is short


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.worker_pool", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=50000, help="on 127.0.0.1; --environment_config names it")
    port = parser.parse_args(argv).port
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    with tempfile.TemporaryDirectory(prefix="leaktrace-worker-") as empty:
        os.chdir(empty)
        pool = BeamFnExternalWorkerPoolServicer(use_process=True)
        server = grpc.server(ThreadPoolExecutor(_AT_ONCE))
        beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
        try:
            server.add_insecure_port(f"127.0.0.1:{port}")
        except RuntimeError:
            sys.stderr.write(f"worker pool: port {port} of 127.0.0.1 is taken; give another --port\n")
            return 1
        server.start()
        try:
            server.wait_for_termination()
        finally:
            server.stop(0)
            for worker in list(pool._worker_processes.values()):
                kill_process_gracefully(worker)
            os.chdir("/")
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    raise SystemExit(main())
