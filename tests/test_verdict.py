"""The numbered procedure: strengths, outcomes, and what is printed of whom."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from watermarking.authenticity import binomial_tail, judge
from watermarking.evidence import Assessment
from watermarking.membership import Coverage, Holders, coverage, fewest_exports, patterns
from watermarking.resolve import RowClass
from watermarking.verdict import Candidate, Facts, decide

OURS = dict.fromkeys(RowClass, 0) | {RowClass.HELD: 20}
CUSTODY = {"acknowledged": False, "witnessed": False, "before_sample": True}


def copy(number: int, log10_p: float | None, rows: int = 20) -> Candidate:
    assessment = None if log10_p is None else Assessment(log10_p, 6.0, log10_p, 60, 59, "one copy")
    return Candidate(
        exports=(f"X-{number}",),
        dataset="bank",
        recipient=f"E{number}",
        issued_at="2026-11-20T08:00:00+00:00",
        purpose="audit",
        series=f"X-{number}",
        coverage=Coverage(f"X-{number}", rows, 0),
        canaries=0,
        custody=CUSTODY,
        assessment=assessment,
    )


def facts(*candidates: Candidate, rows: dict[RowClass, int] = OURS, exports: int = 12) -> Facts:
    held = sum(rows.values()) - rows[RowClass.UNKNOWN]
    return Facts(
        case_id="C-1",
        created_at="2026-11-23T10:00:00+00:00",
        version="0.1.0",
        attempt=1,
        sample={"rows": sum(rows.values()), "files": [], "columns": [], "notes": [], "rows_readable": 20},
        rows={str(name): count for name, count in rows.items()},
        authenticity=judge(rows, sum(rows.values()), held, 0, 0.18, sum(rows.values())),
        alpha=1e-6,
        exports_considered=len(candidates),
        exports_of_datasets=exports,
        hypotheses=10,
        candidates=candidates,
        fewest_exports=1,
        rows_held=held,
        exposed={"people": held, "kinds": {}},
        missing=(),
        notes=(),
    )


@pytest.mark.parametrize(
    ("log10_p", "strength", "outcome"),
    [(-9.0, "conclusive", "identified"), (-5.0, "strong", "lead"), (-2.5, "lead", "lead")],
)
def test_a_strong_copy_is_named_by_its_bound(log10_p: float, strength: str, outcome: str) -> None:
    verdict = decide(facts(copy(1, log10_p), copy(2, -0.3)))
    assert verdict["attribution"]["verdict"] == outcome
    first = verdict["attribution"]["candidates"][0]
    assert (first["recipient"], first["strength"]) == ("E1", strength)


def test_a_copy_below_lead_has_no_name_no_score_and_no_canaries() -> None:
    verdict = decide(facts(copy(1, -1.9), copy(2, None)))
    assert verdict["attribution"]["verdict"] == "narrowed"
    assert "E1" not in json.dumps(verdict)
    for candidate in verdict["attribution"]["candidates"]:
        assert set(candidate) == {"export_id", "recipient", "strength", "coverage"}
        assert candidate["recipient"] is None


def test_all_exports_left_is_insufficient_and_says_what_is_missing() -> None:
    verdict = decide(replace(facts(*(copy(n, -0.1) for n in range(12))), missing=("officer.key is not at hand",)))
    assert verdict["attribution"]["verdict"] == "insufficient"
    assert "B0: officer.key is not at hand" in verdict["attribution"]["reasons"]


def test_strangers_are_not_ours_and_nobody_is_a_candidate() -> None:
    rows = dict.fromkeys(RowClass, 0) | {RowClass.UNKNOWN: 20}
    verdict = decide(facts(rows=rows))
    assert verdict["authenticity"]["verdict"] == "not_ours"
    assert verdict["attribution"]["verdict"] == "not_applicable"
    assert verdict["attribution"]["candidates"] == []


def test_strangers_with_some_true_customers_are_never_called_ours() -> None:
    rows = dict.fromkeys(RowClass, 0) | {RowClass.UNKNOWN: 16, RowClass.HELD: 4}
    assert judge(rows, 20, 4, 0, 0.18, 20).verdict == "not_ours"
    rows = dict.fromkeys(RowClass, 0) | {RowClass.UNKNOWN: 11, RowClass.HELD: 9}
    assert judge(rows, 20, 9, 0, 0.18, 20).verdict == "undecided"


def test_rows_that_could_not_have_been_found_clear_nothing() -> None:
    rows = dict.fromkeys(RowClass, 0) | {RowClass.UNKNOWN: 20}
    assert judge(rows, 20, 0, 0, 0.18, 18, ["person name"]).verdict == "not_ours"
    found = judge(rows, 20, 0, 0, 0.18, 17, ["person name"])
    assert found.verdict == "undecided"
    assert found.reasons[-1].startswith("A3: 3 of 20 distinct readable rows show too little (person name)")


def test_chance_is_reckoned_over_the_rows_that_could_match() -> None:
    rows = dict.fromkeys(RowClass, 0) | {RowClass.UNKNOWN: 13, RowClass.HELD: 7}
    assert judge(rows, 20, 7, 0, 0.18, 20).verdict == "not_ours"
    assert judge(rows, 20, 7, 0, 0.18, 7).verdict == "undecided"


def test_rows_put_together_from_ours_are_fabricated() -> None:
    rows = dict.fromkeys(RowClass, 0) | {RowClass.RECOMBINED: 15, RowClass.HELD: 5}
    assert judge(rows, 20, 20, 0, 0.18, 20).verdict == "fabricated_from_ours"


def test_half_ours_is_partly_ours() -> None:
    rows = dict.fromkeys(RowClass, 0) | {RowClass.HELD: 100, RowClass.UNKNOWN: 100}
    assert judge(rows, 200, 100, 0, 0.18, 200).verdict == "partly_ours"


@given(st.integers(1, 400), st.data(), st.floats(0.001, 0.9))
def test_the_binomial_tail_is_never_below_the_exact_one(trials: int, data: st.DataObject, chance: float) -> None:
    successes = data.draw(st.integers(1, trials))
    exact = binom.logsf(successes - 1, trials, chance) / np.log(10)
    found = binomial_tail(successes, trials, chance)
    assert found >= max(exact, -300.0) - 1e-9
    assert found <= max(exact, -300.0) + 1e-3 or exact < -280


def test_membership_counts_rows_by_the_exports_that_held_them() -> None:
    counts = patterns(Holders(np.array([1, 0, 0, 2]), (("A",), ("A", "B"), ("C",))))
    assert counts == {("A", "B"): 1, ("A",): 2, ("C",): 1}
    assert coverage(counts)[0] == Coverage("A", 3, 2)
    assert fewest_exports(counts) == ["A", "C"]
