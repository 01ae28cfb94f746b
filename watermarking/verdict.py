"""The verdict, as a numbered procedure. The report prints the same numbers.

1. Is the sample ours (authenticity.py, reasons A0 to A6; A8 to A10 tell more, and decide nothing)?
2. Which exports held its rows (membership.py)? Names nobody.
3. What do marks and unique canaries say of each copy (evidence.py)? A family-wise bound on naming an innocent.
4. Strength of each copy: conclusive, strong, lead, none.
5. The case: identified, lead, narrowed, insufficient, not applicable.
6. What is printed: copies at lead or better in full; of the others, membership only, without a name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log10
from typing import Any

from schemas.wording import counted
from watermarking.authenticity import Authenticity
from watermarking.evidence import Assessment
from watermarking.membership import Coverage

SCHEMA = "leaktrace.verdict/1"
_STRENGTHS = (("strong", -4.0), ("lead", -2.0))
_SHOWN_BY_MEMBERSHIP = 10
_CASES_LISTED, _CASES_SAID = 20, 3


@dataclass(frozen=True)
class Candidate:
    """A copy that held rows of the sample, or whose canaries were found in it.

    `exports` are those of its series, best first; `assessment` is None when marks and canaries are sealed
    to a key that is not at hand, or the file was registered without marks.
    """

    exports: tuple[str, ...]
    dataset: str
    recipient: str
    issued_at: str
    purpose: str
    series: str
    coverage: Coverage
    canaries: int
    custody: Mapping[str, bool]
    assessment: Assessment | None
    coded: int = 0
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Findings:
    """What else the rows show.

    exclusive: rows that agree in a column only we hold, by kind; agreeing_errors: rows that share a number of ours that
    is wrong in itself; outdated: rows by "from|until", days; repeated: rows said before; sources: the smallest set of
    exports, with what each explains; earlier_cases: case_id and rows of those whose samples said the same, most first.
    """

    exclusive: Mapping[str, int] = field(default_factory=dict)
    agreeing_errors: int = 0
    outdated: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    sources: Sequence[Coverage] = ()
    earlier_cases: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Facts:
    """What the trace found; every number of the verdict comes from here."""

    case_id: str
    created_at: str
    version: str
    attempt: int
    sample: Mapping[str, Any]
    rows: Mapping[str, int]
    authenticity: Authenticity
    alpha: float
    exports_considered: int
    exports_of_datasets: int
    hypotheses: int
    candidates: Sequence[Candidate]
    fewest_exports: int
    rows_held: int
    exposed: Mapping[str, Any]
    missing: Sequence[str]
    notes: Sequence[str]
    found: Findings = field(default_factory=Findings)
    set_aside: Sequence[Mapping[str, Any]] = ()


def decide(facts: Facts) -> dict[str, Any]:
    """The verdict document (`leaktrace.verdict/1`, INTERFACE.md)."""
    ranked = sorted(facts.candidates, key=_rank)
    named = [(c, s) for c in ranked if (s := strength(c, facts.alpha)) != "none"]
    others = [c for c in ranked if strength(c, facts.alpha) == "none" and c.coverage.rows]
    others = sorted(others, key=lambda c: (-c.coverage.rows, c.exports))[:_SHOWN_BY_MEMBERSHIP]
    authenticity, extra = _authenticity(facts, named)
    outcome, reasons = _attribution(facts, named, authenticity)
    total = int(facts.sample["rows"])
    return {
        "schema": SCHEMA,
        "case_id": facts.case_id,
        "created_at": facts.created_at,
        "version": facts.version,
        "attempt": facts.attempt,
        "sample": dict(facts.sample),
        "authenticity": {
            "verdict": authenticity,
            "rows": dict(facts.rows),
            "chance_matches": {
                "expected": round(facts.authenticity.expected, 3),
                "log10_p": round(facts.authenticity.log10_p, 2),
            },
            "reasons": [*facts.authenticity.reasons, *extra, *_more_reasons(facts.found)],
            **_findings(facts.found),
        },
        "attribution": {
            "verdict": outcome,
            "alpha": facts.alpha,
            "exports_considered": facts.exports_considered,
            "hypotheses": facts.hypotheses,
            "set_aside": [dict(one) for one in facts.set_aside],
            "candidates": [_shown(c, s, total) for c, s in named] + [_by_membership(c, total) for c in others],
            "sources": {
                "minimum_exports": facts.fewest_exports,
                "rows_explained": facts.rows_held,
                "rows_outside": total - facts.rows_held,
            },
            "decomposition": {
                "exports": [
                    {"export_id": one.export_id, "rows": one.rows, "only": one.exclusive} for one in facts.found.sources
                ],
                "rows_outside": total - facts.rows_held,
            },
            "reasons": reasons,
        },
        "exposed": dict(facts.exposed),
        "limits": limits(facts, named),
    }


def strength(candidate: Candidate, alpha: float) -> str:
    """conclusive, strong, lead or none, by the family-wise bound."""
    if candidate.assessment is None:
        return "none"
    adjusted = candidate.assessment.log10_p_adjusted
    if adjusted <= log10(alpha):
        return "conclusive"
    return next((name for name, limit in _STRENGTHS if adjusted <= limit), "none")


def limits(facts: Facts, named: Sequence[tuple[Candidate, str]]) -> list[str]:
    """What the verdict does not say."""
    if not named:
        return [
            "That nobody is named clears no one: a sample may be too small, or its marks removed.",
            "Which exports held these rows says who received them, not who leaked them.",
        ]
    out = [
        "The copy is named, not the hand: nothing here says who leaked it or who else had access to that copy.",
        "The bound is the probability of a result this strong for any innocent copy, not the probability that "
        "this person is innocent.",
        "Absence of evidence clears no one.",
        "Whoever tags an export sees the file while tagging and could issue a copy in a colleague's name.",
    ]
    if any(not candidate.custody["acknowledged"] for candidate, _ in named):
        out.append("The recipient has not acknowledged this copy; the finding is about the copy only.")
    if any(not candidate.custody["witnessed"] for candidate, _ in named):
        out.append("The head of the registry's chain was not witnessed outside before the sample arrived.")
    return out


def _authenticity(facts: Facts, named: Sequence[tuple[Candidate, str]]) -> tuple[str, list[str]]:
    found = facts.authenticity.verdict
    if found in ("not_ours", "undecided") and any(s == "conclusive" for _, s in named):
        reason = "A7: marks or canaries that only one of our copies holds are in the sample, so a part of it is ours."
        return "partly_ours", [reason]
    return found, []


def _findings(found: Findings) -> dict[str, Any]:
    spans = [(span.split("|"), rows) for span, rows in sorted(found.outdated.items())]
    cases = [dict(one) for one in found.earlier_cases[:_CASES_LISTED]]
    return {
        "exclusive": [{"kind": kind, "rows": rows} for kind, rows in sorted(found.exclusive.items())],
        "agreeing_errors": {"rows": found.agreeing_errors},
        "outdated": [{"rows": rows, "from": first, "until": until} for (first, until), rows in spans],
        "duplicates": {
            "inside": found.repeated,
            **({"earlier_cases": cases, "earlier_cases_in_all": len(found.earlier_cases)} if cases else {}),
        },
    }


def _more_reasons(found: Findings) -> list[str]:
    """What else the rows show; no rule of the verdict rests on it."""
    out = []
    if found.agreeing_errors:
        out.append(
            f"A8: {counted(found.agreeing_errors, 'row shares', 'rows share')} a number with a wrong check digit that "
            "our record has too."
        )
    if found.outdated:
        rows = sum(found.outdated.values())
        spans = [span.split("|") for span in found.outdated]
        first, until = max(span[0] for span in spans), min(span[1] for span in spans)
        out.append(
            f"A9: {counted(rows, 'row shows', 'rows show')} records as they were before a later export replaced them; "
            f"a copy that holds them all was issued from {first} on and not after {until}."
            if first <= until
            else f"A9: {counted(rows, 'row shows', 'rows show')} records as they were before a later export replaced "
            f"them, not all in one copy: some were issued not after {until}, others from {first} on."
        )
    said = ((one["rows"], one["case_id"]) for one in found.earlier_cases[:_CASES_SAID])
    out += [
        f"A11: {counted(rows, 'row was', 'rows were')} already in the sample of case {case}." for rows, case in said
    ]
    if (more := len(found.earlier_cases) - _CASES_SAID) > 0:
        out.append(
            f"A11: {counted(more, 'more earlier case shares', 'more earlier cases share')} rows with the sample."
        )
    if found.repeated:
        out.append(
            f"A10: {counted(found.repeated, 'row repeats', 'rows repeat')} another row and "
            f"{'is' if found.repeated == 1 else 'are'} counted once."
        )
    return out


def _attribution(facts: Facts, named: Sequence[tuple[Candidate, str]], authenticity: str) -> tuple[str, list[str]]:
    reasons = [f"B0: {sentence}" for sentence in facts.missing]
    conclusive = [c for c, s in named if s == "conclusive"]
    if conclusive:
        count = len(conclusive)
        copies = "one copy is" if count == 1 else f"{count} copies are"
        reasons.append(
            f"B1: {copies} named; in at most 1 of {round(1 / facts.alpha):,} cases like this would an innocent one be "
            f"among them, of {facts.exports_considered} copies searched (attempt {facts.attempt})."
        )
        return "identified", reasons
    if named:
        reasons.append("B2: marks or canaries point to a copy, not strongly enough to accuse.")
        return "lead", reasons
    if authenticity == "not_ours":
        return "not_applicable", [*reasons, "B3: the sample is not ours."]
    left = _left_by_membership(facts)
    if 0 < left < facts.exports_of_datasets:
        reasons.append(
            f"B4: {left} of {counted(facts.exports_of_datasets, 'export')} held these rows; marks do not decide."
        )
        return "narrowed", reasons
    reasons.append(
        "B5: the exports cannot be told apart with what is at hand: more rows, or the columns that carry marks, "
        "are needed."
    )
    return "insufficient", reasons


def _left_by_membership(facts: Facts) -> int:
    """Exports that hold every held row; where no single one does, those that hold any."""
    holding = [c for c in facts.candidates if c.coverage.rows]
    whole = [c for c in holding if c.coverage.rows >= facts.rows_held]
    return sum(len(c.exports) for c in (whole or holding))


def _rank(candidate: Candidate) -> tuple[float, int, tuple[str, ...]]:
    adjusted = candidate.assessment.log10_p_adjusted if candidate.assessment else 0.0
    return (adjusted, -candidate.coverage.rows, candidate.exports)


def _coverage(candidate: Candidate, total: int) -> dict[str, int]:
    return {"rows": candidate.coverage.rows, "of": total, "exclusive": candidate.coverage.exclusive}


def _shown(candidate: Candidate, found: str, total: int) -> dict[str, Any]:
    assessment = candidate.assessment
    assert assessment is not None  # noqa: S101 - strength() gives "none" without one
    return {
        "export_id": candidate.exports[0],
        "dataset": candidate.dataset,
        "recipient": candidate.recipient,
        "issued_at": candidate.issued_at,
        "purpose": candidate.purpose,
        "series": candidate.series,
        "exports": list(candidate.exports),
        "strength": found,
        "log10_p_adjusted": round(assessment.log10_p_adjusted + 5e-4, 3),
        "log10_likelihood_ratio": round(assessment.log10_ratio, 1),
        "likelihood_ratio_capped": assessment.log10_ratio >= 6.0,
        "model": assessment.hypothesis,
        "coverage": _coverage(candidate, total),
        "canaries": {"unique": candidate.canaries, "coded": candidate.coded},
        "custody": dict(candidate.custody),
        "marks": {
            "sites_read": assessment.sites_read,
            "sites_agreeing": assessment.sites_agreeing,
            "log10_p": round(assessment.log10_p_marks + 5e-4, 3),
        },
        **({} if candidate.evidence is None else {"evidence": dict(candidate.evidence)}),
    }


def _by_membership(candidate: Candidate, total: int) -> dict[str, Any]:
    """What may be shown of a copy below `lead`: no name, no score, no marks, no canaries."""
    return {
        "export_id": candidate.exports[0],
        "recipient": None,
        "strength": "none",
        "coverage": _coverage(candidate, total),
    }
