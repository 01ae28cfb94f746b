"""`python -m examples.flink up|down|jar`: what `make flink-up`, `flink-down` and `flink` call."""

import argparse
import shutil
import sys
import zipfile
from pathlib import Path

from examples.flink.cluster import Cluster, Parts, Ports

_DRIVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
_LINE = 70  # a manifest's lines have at most 72 bytes


def write_job_server(parts: Parts) -> None:
    """A jar of a manifest alone, which names Beam's job server and the jars beside it: FlinkRunner starts one jar."""
    names = " ".join(f"jars/{path.name}" for path in sorted((parts.folder / "jars").glob("*.jar")))
    lines = ["Manifest-Version: 1.0", f"Main-Class: {_DRIVER}"]
    text = f"Class-Path: {names}"
    lines += [text[:_LINE], *(" " + text[i : i + _LINE] for i in range(_LINE, len(text), _LINE))]
    with zipfile.ZipFile(parts.job_server, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "\r\n".join(lines) + "\r\n")


def main() -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.flink", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "jar"))
    parser.add_argument("--parts", type=Path, default=Path(".flink"), help="the folder that `make flink` made")
    command, parts = parser.parse_args().command, Parts(parser.parse_args().parts.absolute())
    folder = parts.folder / "run"
    if command == "jar":
        write_job_server(parts)
        return 0
    if command == "down":
        if (folder / "ports.json").exists():
            Cluster.running_in(parts, folder).stop()
            shutil.rmtree(folder)
        return 0
    cluster = Cluster(parts, folder, Ports())
    try:
        cluster.start()
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(
        f"Flink runs on 127.0.0.1:{cluster.ports.rest} with two slots; leaktrace uses it with\n"
        f"  leaktrace trace SAMPLE -o CASE -- $(cat {folder / 'options'})\nStop it with: make flink-down\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
