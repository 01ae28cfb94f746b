"""What is installed and what is shipped: locks with hashes and no addresses, and a wheel that works elsewhere."""

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from examples import bank_table

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


def uv_helper():
    spec = importlib.util.spec_from_file_location("uv_helper", ROOT / "requirements" / "uv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_locked_requirement_has_hashes_and_no_address(lock):
    text = lock.read_text("utf-8")
    requirements = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert requirements
    for requirement in requirements:
        assert re.match(r"[a-z0-9.-]+(\[[a-z,-]+\])?==", requirement), requirement.splitlines()[0]
        assert "--hash=sha256:" in requirement, requirement.splitlines()[0]
    assert "://" not in text
    assert "index-url" not in text


def test_no_file_that_installs_names_a_host():
    for name in ("pyproject.toml", "Makefile", ".ci/run", "requirements/uv.py", "requirements/dev.in"):
        assert "://" not in (ROOT / name).read_text("utf-8"), name


def test_what_the_wheel_needs_is_locked_for_running():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = {re.match(r"[a-z0-9-]+", requirement).group() for requirement in needed}
    locked = set(re.findall(r"^([a-z0-9.-]+)(?:\[[a-z,-]+\])?==", (ROOT / "requirements/run.lock").read_text(), re.M))
    assert names <= locked


def test_pip_settings_reach_uv_with_the_environment_first(tmp_path):
    helper = uv_helper()
    listing = (
        "global.cert='/etc/one.pem'\n"
        "global.extra-index-url='a b'\n"
        f":env:.find-links='/nowhere/at/all {tmp_path}'\n"
        ":env:.cert='/etc/two.pem'\n"
    )
    found = helper.variables(helper.settings(listing))
    assert found["SSL_CERT_FILE"] == "/etc/two.pem"
    assert found["UV_INDEX"] == "a b"
    assert found["UV_FIND_LINKS"] == str(tmp_path)
    assert helper.variables({}) == {}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built as `make` builds: with the installed backend, no isolation, no network."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_every_module_schema_and_template(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    for package in ("schemas", "watermarking", "pipeline"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                assert path.relative_to(ROOT).as_posix() in packed
    assert any(name.endswith(".schema.json") for name in packed)
    assert any(name.endswith(".j2") for name in packed)
    assert not any(name.startswith(("tests/", "examples/", "benchmarks/")) for name in packed)


@pytest.mark.slow
def test_the_wheel_does_the_main_job_outside_the_repository(wheel, tmp_path):
    """Unpacked elsewhere (the environment's own copy is shadowed), run from a folder without the sources."""
    elsewhere, work = tmp_path / "site", tmp_path / "work"
    zipfile.ZipFile(wheel).extractall(elsewhere)
    work.mkdir()
    bank_table.write(bank_table.generate(2_000, seed=5), work / "bank.parquet")
    environment = os.environ | {
        "PYTHONPATH": str(elsewhere),
        "LEAKTRACE_REGISTRY": "registry",
        "LEAKTRACE_KEYS": "keys",
    }

    def leaktrace(*arguments: str) -> str:
        program = [sys.executable, "-P", "-m", "pipeline", *arguments]
        done = subprocess.run(program, cwd=work, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.run(
        [sys.executable, "-P", "-c", "import pipeline; print(pipeline.__file__)"],
        cwd=work, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(elsewhere))
    leaktrace("init")
    leaktrace("contract", "infer", "bank.parquet", "-o", "bank.odcs.yaml")
    copy = ("--contract", "bank.odcs.yaml", "--recipient", "E1", "--purpose", "test", "-o", "E1.parquet")
    leaktrace("tag", "bank.parquet", *copy)
    answer = leaktrace("trace", "E1.parquet", "-o", "case").splitlines()[0]
    assert answer.startswith("Ours. Copy X-")
    assert (work / "case" / "report.html").exists()
    leaktrace("verify", "case")


def test_numpy_is_told_to_sort_without_avx_512_unless_somebody_chose(environment: dict[str, str]) -> None:
    # NumPy sorts four times as slowly with it on some processors (decision 0143).
    program = "import pipeline, os; print(os.environ['NPY_DISABLE_CPU_FEATURES'])"
    for chosen, expected in (({}, "X86_V4"), ({"NPY_DISABLE_CPU_FEATURES": "AVX512_SPR"}, "AVX512_SPR")):
        variables = {k: v for k, v in environment.items() if k != "NPY_DISABLE_CPU_FEATURES"} | chosen
        done = subprocess.run(
            [sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected
