"""The Python interface: a dozen names that do what the commands do, and cost nothing until they are used."""

import inspect
import os
import subprocess
import sys
import typing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import pipeline
from schemas.errors import ContractError, RegistryError, UsageError
from tests.conftest import World

ROOT = Path(__file__).parents[1]


def test_a_copy_is_issued_and_traced_back_from_python(fresh: World, tmp_path: Path, write_sample, monkeypatch) -> None:
    monkeypatch.setenv("LEAKTRACE_REGISTRY", str(fresh.folder / "registry"))
    monkeypatch.setenv("LEAKTRACE_KEYS", str(fresh.folder / "keys"))
    out = str(tmp_path / "{recipient}.parquet")
    receipts = pipeline.tag_export(fresh.table, fresh.contract, ["E1", "E2"], "audit", out, quality=False)
    assert [receipt["recipient"] for receipt in receipts] == ["E1", "E2"]
    leak = write_sample(pq.read_table(tmp_path / "E2.parquet").slice(0, 60), tmp_path / "leak.csv")
    verdict = pipeline.trace_sample(leak, tmp_path / "case", columns={1: "account"}, format="csv", encoding="utf-8")
    assert verdict["sample"]["said"] == {"format": "csv", "encoding": "utf-8", "columns": {"1": "account"}}
    assert [c["recipient"] for c in verdict["attribution"]["candidates"] if c["strength"] == "conclusive"] == ["E2"]
    assert pipeline.verify_case(tmp_path / "case") == []
    assert [export["recipient"] for export in pipeline.list_exports(recipient="E2")] == ["E2"]
    assert pipeline.check_registry() == []
    assert {check.state for check in pipeline.check_machine()} <= {"ok", "warning"}
    assert pipeline.write_canary_list(tmp_path / "canaries.csv") > 0


def test_errors_are_ours_and_say_what_to_do(fresh: World, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("LEAKTRACE_REGISTRY", raising=False)
    with pytest.raises(RegistryError, match="LEAKTRACE_REGISTRY"):
        pipeline.list_exports()
    with pytest.raises(UsageError, match="2=phone"):
        pipeline.trace_sample(b"x", tmp_path / "case", columns={0: "phone"}, registry="r", keys="k")
    with pytest.raises(ContractError, match="cannot be read"):
        pipeline.tag_export(fresh.table, tmp_path / "none.yaml", ["E1"], "x", "y.csv", registry="r", keys="k")


@pytest.mark.parametrize("name", pipeline.__all__)
def test_every_name_is_documented_and_typed(name: str) -> None:
    function = getattr(pipeline, name)
    assert function.__doc__
    hints = typing.get_type_hints(function)
    assert set(inspect.signature(function).parameters) | {"return"} == set(hints)
    assert not hasattr(sys.modules.get(f"pipeline.{name}"), "__file__"), "a module has this name too"


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import pipeline, sys; print([m for m in ('pyarrow', 'numpy', 'duckdb', 'apache_beam') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        pipeline.no_such_name  # noqa: B018 - asking is the test
