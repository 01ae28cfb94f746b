"""Every command that a runbook shows is run, in order, in one office; so are those of the README that it repeats."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from examples import bank_table, demo

ROOT = Path(__file__).parents[1]
RUNBOOKS = ROOT / "runbooks"
# As a newcomer reads them: each needs what the ones before have made.
IN_ORDER = (
    "set-up-registry-and-keys.md",
    "tag-an-export.md",
    "onboard-a-dataset.md",
    "trace-a-leak.md",
    "run-it-every-day.md",
    "handle-a-canary-alarm.md",
    "review-an-accusation.md",
    "upgrade.md",
    "erase-a-person.md",
    "rotate-a-key.md",
    "restore-from-backup.md",
)
# Run by tests of their own: two start the servers that they need, two change a copy of the program.
ELSEWHERE = {"move-to-a-team-registry.md", "run-on-flink.md", "add-a-carrier.md", "add-a-reader.md"}
_BLOCK = re.compile(r"^( *)```console\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def commands_of(text: str) -> list[str]:
    """The lines that begin with `$ ` in console blocks, indented or not."""
    blocks = [textwrap.dedent(indent + body) for indent, body in _BLOCK.findall(text)]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def run_all(commands: list[str], office: Path, environment: dict[str, str]) -> str:
    """Run a runbook's commands in one shell that stops at the first that fails; what they printed."""
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(commands)],
        cwd=office, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def leak_of(copy: Path) -> str:
    """A forum post with 30 rows of a copy."""
    table = demo._read(copy)
    return demo._post(table.take(np.random.default_rng(1).choice(table.num_rows, 30, replace=False)))


@pytest.mark.slow
def test_every_command_of_the_runbooks_works_in_order(tmp_path, environment):
    office = tmp_path / "office-day"
    office.mkdir()
    bank_table.write(bank_table.generate(2_000, seed=5), office / "customers.csv")
    shutil.copy(ROOT / "examples" / "schedule" / "jobs.yaml", office)
    said = {}
    for name in IN_ORDER:
        if name == "trace-a-leak.md":
            (office / "post.txt").write_text(leak_of(office / "E1003.csv"), "utf-8")
        said[name] = run_all(commands_of((RUNBOOKS / name).read_text("utf-8")), office, environment)
    assert "E1003" in said["tag-an-export.md"]
    assert said["trace-a-leak.md"].startswith("Ours. Copy X-")
    assert "issued to E1003" in said["trace-a-leak.md"].splitlines()[0]
    assert "E1007" in said["onboard-a-dataset.md"]
    assert said["run-it-every-day.md"].count("traced ") == 1
    assert "A canary (" in said["handle-a-canary-alarm.md"]
    assert said["review-an-accusation.md"].count("issued to E1003") == 1
    assert "acknowledged by log mail-gateway." in said["tag-an-export.md"]
    assert "new keys are in force" in said["rotate-a-key.md"]
    assert said["rotate-a-key.md"].count("every signature, digest and link holds") == 2
    assert "it opens the secret of X-" in said["rotate-a-key.md"]
    assert "every signature, digest and link holds" in said["restore-from-backup.md"]
    assert "it opens the secret of X-" in said["restore-from-backup.md"]


@pytest.fixture
def source_tree(tmp_path, environment):
    """A copy of the program to change, and an environment whose commands run it."""
    tree = tmp_path / "leaktrace"
    for name in ("pipeline", "watermarking", "schemas", "tests", "examples", "benchmarks"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return tree, environment | {"PATH": path, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}


def shown_change(name: str, tree: Path, file: str) -> None:
    (change,) = re.findall(r"^```diff\n(.*?)^```", (RUNBOOKS / name).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tree / file).write_text(change, "utf-8")


def test_the_carrier_that_the_runbook_shows_obeys_the_laws_and_is_proposed(source_tree):
    tree, environment = source_tree
    shown_change("add-a-carrier.md", tree, "carrier.diff")
    names = [f"Smith and Daughters {n}" if n % 3 else f"Miller & Sons {n}" for n in range(400)]
    (tree / "firms.csv").write_text("no,firm\n" + "".join(f"{n},{name}\n" for n, name in enumerate(names)), "utf-8")
    said = run_all(commands_of((RUNBOOKS / "add-a-carrier.md").read_text("utf-8")), tree, environment)
    assert "2 passed" in said
    assert "carrier: company_and" in said.splitlines()[-1]


def test_the_reader_that_the_runbook_shows_reads(source_tree, shared):
    tree, environment = source_tree
    shown_change("add-a-reader.md", tree, "reader.diff")
    card = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{}\r\nTEL;TYPE=CELL:{}\r\nEND:VCARD\r\n"
    table = pq.read_table(shared.folder / "E2.parquet").slice(0, 40)
    people = zip(table["name"].to_pylist(), table["phone"].to_pylist(), strict=True)
    (tree / "cards.vcf").write_text("".join(card.format(*person) for person in people), "utf-8", newline="")
    office = {"LEAKTRACE_REGISTRY": str(shared.folder / "registry"), "LEAKTRACE_KEYS": str(shared.folder / "keys")}
    run_all(commands_of((RUNBOOKS / "add-a-reader.md").read_text("utf-8")), tree, environment | office)
    verdict = json.loads((tree / "cards" / "verdict.json").read_text("utf-8"))
    assert verdict["sample"]["files"][0]["rows"] == 40
    assert verdict["authenticity"]["verdict"] == "ours"


def test_no_runbook_is_left_out():
    written = {path.name for path in RUNBOOKS.glob("*.md") if commands_of(path.read_text("utf-8"))}
    assert written == set(IN_ORDER) | ELSEWHERE


def test_the_commands_of_the_readme_are_those_of_the_runbooks():
    """The README shows no command that the runbooks do not run with the same options."""
    shown = re.findall(r"^leaktrace .*?(?=  #|$)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    run = [words for name in IN_ORDER for words in commands_of((RUNBOOKS / name).read_text("utf-8"))]

    def outline(command: str) -> tuple[str, ...]:
        return tuple(word for word in command.split() if word.isalpha() or word.startswith("-"))

    known = {outline(command.replace("--keys verifier ", "")) for command in run if command.startswith("leaktrace")}
    assert shown
    for command in shown:
        assert outline(command) in known, command


def test_readers_find_the_commands_of_indented_blocks_too():
    text = "1. do\n\n   ```console\n   $ leaktrace init\n   said\n   ```\n\n```console\n$ ls\n```\n"
    assert commands_of(text) == ["leaktrace init", "ls"]
