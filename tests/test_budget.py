"""The yearly budget of alphas: kept in the chain, spent by traces that open secrets, and enforced."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import World
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.audit import check
from pipeline.budget import DEFAULT, budget_of, set_budget, spend
from pipeline.ledger import Log
from pipeline.registry import Registry
from pipeline.storage import attach
from pipeline.trace_log import SPEND, signer
from schemas.errors import UsageError
from tests.registry_support import Place, new_place
from watermarking.evidence import attempt_share

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path)


def case(registry: Registry, sample: str, number: int) -> tuple[str, int]:
    return f"C-{number}", registry.begin_attempt(sample, f"C-{number}", NOW)


def test_the_budget_is_one_in_ten_thousand_unless_set(place: Place) -> None:
    with place.open() as registry:
        assert budget_of(registry, 2026).budget == DEFAULT == 1e-4
        set_budget(registry, 2e-4)
        assert budget_of(registry, 2026).budget == 2e-4
        for wrong in (-1e-9, 0.06):
            with pytest.raises(UsageError):
                set_budget(registry, wrong)


def test_cases_and_repeated_traces_spend_until_it_is_used_up(place: Place) -> None:
    with place.open() as registry:
        set_budget(registry, 2e-6)
        said = []
        for number, sample in enumerate("aabbcc"):
            case_id, attempt = case(registry, sample, number)
            said.append(spend(registry, case_id, sample, 1e-6, attempt, NOW, again=False))
        found = budget_of(registry, 2026)
        assert found.spent <= 2e-6
        assert found.spent == pytest.approx(1e-6 * (2 * attempt_share(1) + 3 * attempt_share(2)))
        assert [sentence is None for sentence in said] == [True, True, True, True, False, True]
        assert said[4].count(". ") == 0
        assert "2026 is used up" in said[4]


def test_another_year_has_a_budget_of_its_own(place: Place) -> None:
    with place.open() as registry:
        set_budget(registry, 1e-6)
        case_id, attempt = case(registry, "a", 1)
        assert spend(registry, case_id, "a", 1e-6, attempt, NOW, again=False) is None
        assert budget_of(registry, 2027).spent == 0


def test_what_is_repeated_as_it_was_is_paid_once_and_refused_again(place: Place) -> None:
    with place.open() as registry:
        set_budget(registry, 1e-6)
        for number, sample in enumerate("ab"):
            case_id, attempt = case(registry, sample, number)
            spend(registry, case_id, sample, 1e-6, attempt, NOW, again=False)
        before = budget_of(registry, 2026).spent
        assert spend(registry, "C-9", "a", 1e-6, 1, NOW, again=True) is None
        assert spend(registry, "C-9", "b", 1e-6, 1, NOW, again=True) is not None
        assert budget_of(registry, 2026).spent == before


def test_what_was_spent_before_the_log_told_of_it_counts_and_is_no_alarm(place: Place) -> None:
    log = Log("anna", signer(KEY))
    with place.open() as registry:
        for number, told in enumerate((None, None, log)):
            registry.begin_attempt(f"{number}", f"C-{number}", NOW, told)
            assert spend(registry, f"C-{number}", f"{number}", 1e-6, 1, NOW, again=False, log=told) is None
        assert budget_of(registry, 2026).spent == pytest.approx(3e-6 * attempt_share(1))
        assert budget_of(registry, 2026).traces == 3
        assert found(registry) == []
    con = attach(Path(place.registry))
    con.execute("UPDATE lake.cases SET alpha = 0 WHERE case_id = 'C-1'")
    con.close()
    with place.open() as registry:
        assert found(registry) == ["cases: 2 that spent of the budget are not in the log as they stand"]


def test_a_commit_that_is_tried_again_spends_once(place: Place) -> None:
    log = Log("anna", signer(KEY))
    with place.open() as registry:
        registry.begin_attempt("a", "C-1", NOW, log)
        for _ in range(2):
            assert registry.spend("C-1", 1e-6, 2026, 1e-6, log)
        assert [entry["alpha"] for entry in registry.log() if entry["kind"] == SPEND] == [1e-6]


def found(registry: Registry) -> list[str]:
    return check(registry, KEY.public_key(), None, examiners=[KEY.public_key()])


def test_a_trace_beyond_the_budget_names_nobody_and_says_so(issued: World, tmp_path: Path) -> None:
    assert issued.run("registry", "budget", "--set", "1e-6", "--json").json()["budget"] == 1e-6
    sample = tmp_path / "leak.csv"
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    pa_csv.write_csv(pq.read_table(issued.folder / "E1.parquet").slice(0, 60), sample)
    first = issued.run("trace", sample, "-o", tmp_path / "c1", "--json").json()
    assert first["attribution"]["verdict"] == "identified", first["attribution"]["reasons"]
    sample.write_bytes(sample.read_bytes() + b"\n")  # another file: a first attempt again
    second = issued.run("trace", sample, "-o", tmp_path / "c2", "--json").json()
    assert second["attribution"]["verdict"] in ("narrowed", "insufficient")
    assert all(c["recipient"] is None for c in second["attribution"]["candidates"])
    assert any("is used up" in reason for reason in second["attribution"]["reasons"])
    shown = issued.run("registry", "budget", "--json").json()
    assert shown["traces"] == 1
    assert shown["spent"] == pytest.approx(0.75e-6)
    assert shown["left"] == pytest.approx(0.25e-6)
    assert issued.run("registry", "budget", "--set", "0.9").code == 2
