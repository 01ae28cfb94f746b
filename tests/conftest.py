"""A small bank table, its contract as inferred, and a registry with three copies of it; made once a session."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings

from examples import bank_table
from pipeline.cli import main

ROOT = Path(__file__).parents[1]

# How long drawing takes says how busy the machine is, nothing about the program.
settings.register_profile("busy", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its JSON document."""
        return json.loads(self.out)


@dataclass(frozen=True)
class World:
    """A folder with a registry, keys, a table, and its contract."""

    folder: Path

    def run(self, *arguments: str | Path) -> Answer:
        """Run a command with this registry and these keys, in this process."""
        out, err = io.StringIO(), io.StringIO()
        roots = ["--registry", str(self.folder / "registry"), "--keys", str(self.folder / "keys")]
        # A process of its own would take what --key-command leaves in the environment with it.
        held = mock.patch.dict(os.environ)
        with held, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*roots, *map(str, arguments)])
        return Answer(code, out.getvalue(), err.getvalue())

    @property
    def table(self) -> Path:
        """The bank's table."""
        return self.folder / "bank.parquet"

    @property
    def contract(self) -> Path:
        """Its contract."""
        return self.folder / "bank.yaml"

    def tag(self, recipient: str, out: Path, *more: str, source: Path | None = None) -> Answer:
        """Tag the table without the quality gate (which has tests of its own and takes seconds to import)."""
        command = ["tag", source or self.table, "--contract", self.contract, "--recipient", recipient]
        return self.run(*command, "--purpose", "test", "-o", out, "--no-quality", "--json", *more)


def make_world(folder: Path, rows: int = 3_000) -> World:
    """A fresh registry with a bank table of `rows` customers and its contract as inferred."""
    world = World(folder)
    pq.write_table(bank_table.generate(rows, 3), world.table)
    assert world.run("init").code == 0
    assert world.run("contract", "infer", world.table, "-o", world.contract).code == 0
    return world


def issue_three(folder: Path) -> World:
    """A world with copies for E1, E2 and E3."""
    world = make_world(folder)
    command = ["tag", world.table, "--contract", world.contract, "--purpose", "spring campaign", "--no-quality"]
    recipients = [part for r in ("E1", "E2", "E3") for part in ("--recipient", r)]
    answer = world.run(*command, *recipients, "-o", world.folder / "{recipient}.parquet")
    assert answer.code == 0, answer.err
    return world


@pytest.fixture(scope="session")
def _issued(tmp_path_factory: pytest.TempPathFactory) -> World:
    return issue_three(tmp_path_factory.mktemp("issued"))


@pytest.fixture
def issued(_issued: World, tmp_path: Path) -> World:
    """A copy of its own of a world with exports for E1, E2 and E3."""
    shutil.copytree(_issued.folder, tmp_path / "world")
    return World(tmp_path / "world")


@pytest.fixture(scope="session")
def shared(_issued: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One copy for all tests that only trace: a trace spends of the budget, which `issued` must not have missing."""
    shutil.copytree(_issued.folder, folder := tmp_path_factory.mktemp("shared") / "world")
    return World(folder)


@pytest.fixture(scope="session")
def _fresh(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("fresh"), rows=400)


@pytest.fixture
def fresh(_fresh: World, tmp_path: Path) -> World:
    """A world of its own without exports."""
    shutil.copytree(_fresh.folder, tmp_path, dirs_exist_ok=True)
    return World(tmp_path)


@pytest.fixture(scope="session")
def write_sample() -> Callable[[pa.Table, Path], Path]:
    """Write rows as a CSV sample."""

    def write(table: pa.Table, path: Path) -> Path:
        text = pa.table({name: table[name].cast(pa.string()) for name in table.column_names})
        pa_csv.write_csv(text, path)
        return path

    return write


def mount_small(folder: Path, options: str) -> None:
    """Make a folder that is a small disk, with options of mount; who asks unmounts it. Skips where that is barred."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A PATH on which `leaktrace` is this program, whether or not it is installed."""
    program = tmp_path / "bin" / "leaktrace"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pipeline "$@"\n')
    program.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEAKTRACE_")}
    return kept | {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
