"""What a person reads: the first line is the answer, the numbers are the case's, and nobody innocent is named."""

import json
from copy import deepcopy
from dataclasses import asdict
from html.parser import HTMLParser
from math import log10
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pipeline.report import render, summary
from pipeline.report.page import ratio, support
from pipeline.report.summary import bound
from schemas.documents import DOCUMENTS, schema_of
from watermarking.authenticity import Authenticity
from watermarking.evidence import Assessment
from watermarking.explain import Carried, Channel, Evidence, sentences
from watermarking.membership import Coverage
from watermarking.verdict import Candidate, Facts, decide

VERDICTS = Draft202012Validator(schema_of("verdict"))
RECEIPTS = Draft202012Validator(schema_of("receipt"))
CUSTODY = {"acknowledged": True, "witnessed": True, "before_sample": True}


def copy(number: int, log10_p: float | None, rows: int = 18, **more: Any) -> Candidate:
    assessment = None if log10_p is None else Assessment(log10_p, min(6.0, -log10_p), log10_p, 61, 60, "one copy")
    body: dict[str, Any] = {
        "exports": (f"X-7Q2F{number}",),
        "dataset": "bank",
        "recipient": f"E100{number}",
        "issued_at": "2026-11-20T08:00:00.155Z",
        "purpose": f"audit {number}",
        "series": f"X-7Q2F{number}",
        "coverage": Coverage(f"X-7Q2F{number}", rows, 3),
        "canaries": 1,
        "custody": CUSTODY,
        "assessment": assessment,
    }
    return Candidate(**{**body, **more})


def verdict(*copies: Candidate, ours: str = "ours", missing: tuple[str, ...] = (), people: int = 20) -> dict[str, Any]:
    """A document as the verdict procedure makes it, checked against its schema."""
    rows = {"held": 17, "partial": 0, "altered": 1, "recombined": 0, "canary": 1, "unknown": 1}
    file = {"name": "post.txt", "sha256": "ab" * 32, "bytes": 5385, "format": "prose", "encoding": "utf-8", "rows": 20}
    column = {"index": 0, "label": "column 1: phone", "kind": "phone", "confidence": 0.99}
    facts = Facts(
        case_id="C-1",
        created_at="2026-11-23T10:00:00+00:00",
        version="0.1.0",
        attempt=2,
        sample={"files": [file], "rows": 20, "rows_readable": 19, "columns": [column], "notes": ["two lines skipped"]},
        rows=rows,
        authenticity=Authenticity(ours, 3.6, -7.1, ("A1: first reason.", "A2: second reason.", "A6: third reason.")),
        alpha=1e-6,
        exports_considered=12,
        exports_of_datasets=12,
        hypotheses=4,
        candidates=copies,
        fewest_exports=1,
        rows_held=19,
        exposed={"people": people, "kinds": {"phone": people} if people else {}},
        missing=missing,
        notes=(),
    )
    made = decide(facts)
    VERDICTS.validate(made)
    return made


IDENTIFIED = verdict(copy(1, -9.3), copy(2, -0.2), copy(3, None))
LEAD = verdict(copy(1, -2.6), copy(2, -0.2))
NARROWED = verdict(copy(1, None), copy(2, None), copy(3, -0.1, rows=2))
INSUFFICIENT = verdict(*(copy(number, -0.5, rows=19) for number in range(12)))
NOT_OURS = verdict(copy(1, -0.1, rows=1), ours="not_ours", people=0)
UNDECIDED = verdict(*(copy(number, None, rows=19) for number in range(12)), ours="undecided")
ALL = {
    "identified": IDENTIFIED,
    "lead": LEAD,
    "narrowed": NARROWED,
    "insufficient": INSUFFICIENT,
    "not ours": NOT_OURS,
    "undecided": UNDECIDED,
}


@pytest.mark.parametrize(
    ("document", "first"),
    [
        (IDENTIFIED, "Ours. Copy X-7Q2F1, issued to E1001 on 2026-11-20; at most 1 in 10^9 for any innocent copy."),
        (
            LEAD,
            "Ours. A lead, no accusation: copy X-7Q2F1, issued to E1001 on 2026-11-20; at most 1 in 390 for any "
            "innocent copy.",
        ),
        (NARROWED, "Ours. Nobody is named: 3 of 12 exports held these rows; marks do not decide."),
        (
            INSUFFICIENT,
            "Ours. Nobody is named: the exports cannot be told apart with what is at hand: more rows, or the columns "
            "that carry marks, are needed.",
        ),
        (NOT_OURS, "Not ours. Nobody is named."),
        (
            UNDECIDED,
            "Undecided whether it is ours. Nobody is named: the exports cannot be told apart with what is at hand: "
            "more rows, or the columns that carry marks, are needed.",
        ),
    ],
)
def test_the_first_line_is_the_answer(document: dict[str, Any], first: str) -> None:
    assert summary(document)[0] == first


def test_two_copies_are_both_in_the_first_line_with_the_weaker_bound() -> None:
    first = summary(verdict(copy(1, -12.0), copy(2, -7.5), ours="partly_ours"))[0]
    assert first == (
        "Partly ours. Copy X-7Q2F1, issued to E1001 on 2026-11-20; copy X-7Q2F2, issued to E1002 on 2026-11-20; "
        "at most 1 in 10^7 for any innocent copy."
    )


def test_a_lead_beside_a_named_copy_has_its_own_line_and_is_no_accusation() -> None:
    lines = summary(verdict(copy(1, -9.0), copy(2, -3.0)))
    assert "E1002" not in lines[0]
    assert any(line.startswith("A lead besides, no accusation: copy X-7Q2F2") for line in lines)


def test_a_series_says_which_exports_it_may_be() -> None:
    document = verdict(copy(1, -9.0, exports=("X-1", "X-2", "X-3")))
    assert "Copy X-1 (or one of the 2 others of its series), issued to E1001" in summary(document)[0]
    assert "3 exports share this copy" in words(render(document))


def test_what_is_missing_between_copy_and_person_is_said() -> None:
    document = verdict(copy(1, -9.0, custody={**CUSTODY, "acknowledged": False}))
    said = "This is about copy X-7Q2F1, not yet about the person: the recipient has not acknowledged receiving it."
    assert said in summary(document)
    assert said in words(render(document))
    assert "Find proof that the recipient got this copy" in words(render(document))
    assert "not yet about the person" not in " ".join(summary(IDENTIFIED))


def test_what_was_not_at_hand_is_said() -> None:
    document = verdict(copy(1, None), missing=("officer.key is not at hand: at most narrowed.",))
    assert "Officer.key is not at hand: at most narrowed." in summary(document)


# -- the page ----------------------------------------------------------------------------------------------------

_VOID = {"meta", "br", "hr", "img", "link", "input"}


class _Reader(HTMLParser):
    """Text and attributes of a page; fails where tags do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text.append(data)


def read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def words(page: str) -> str:
    return " ".join("".join(read(page).text).split())


@pytest.mark.parametrize("name", ALL)
def test_a_page_is_whole_and_asks_for_nothing(name: str) -> None:
    page = render(ALL[name])
    reader = read(page)
    assert not {"script", "img", "link", "iframe", "form", "object", "a"} & set(reader.tags)
    assert not [a for a, _ in reader.attributes if a.startswith("on") or a in ("src", "href", "action", "srcset")]
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert reader.tags.count("h1") == 1


@pytest.mark.parametrize("name", ALL)
def test_the_first_screen_says_all_seven_things_before_anything_else(name: str) -> None:
    said = words(render(ALL[name]))
    first = said[: said.index("Candidates and what speaks for each")]
    asked = (
        "Is it ours?", "Which copy?", "Issued to", "How sure?", "What to do next", "What this does not say",
        "What would explain it otherwise",
    )  # fmt: skip
    places = [first.index(question) for question in asked]
    assert places == sorted(places)


def test_the_words_of_the_design_are_there_with_the_numbers_of_the_case() -> None:
    said = words(render(IDENTIFIED))
    assert "If this copy played no part, a result this strong arises for any innocent copy with probability" in said
    assert "with probability at most 1 in 109 ." in said.replace("109.", "109 .")  # the 9 is raised
    assert "It is not the probability that a person is innocent." in said
    assert (
        "Two propositions are compared: that this copy is a source of the sample, and that it is none of the sources. "
        "What was found is more than 106 times as probable under the first as under the second: extremely strong "
        "support for the first. 12 copies were searched." in said
    )
    assert "depends on the model of the leak" in said
    assert "nothing here says who leaked it or who else had access" in said
    assert "Absence of evidence clears no one." in said
    assert "60 of 61 symbols read agree with this copy" in said
    assert "it held 18 of 20 rows; 3 of them no other export held" in said
    assert "4 models of the leak were tried and paid for" in said
    assert "10<sup>9</sup>" in render(IDENTIFIED)


def test_reasons_stand_in_order_with_their_rule_numbers() -> None:
    said = words(render(IDENTIFIED))
    places = [said.index(text) for text in ("A1First reason.", "A2Second reason.", "A6Third reason.")]
    assert places == sorted(places)
    assert "B1One copy is named" in said


def test_a_reason_without_a_number_is_shown_too() -> None:
    document = json.loads(json.dumps(IDENTIFIED))
    document["authenticity"]["reasons"] = ["no number here."]
    assert "No number here." in words(render(document))


def test_classes_of_rows_and_files_are_shown_with_their_numbers() -> None:
    said = words(render(IDENTIFIED))
    assert "held17agree" in said.replace(" ", "")
    assert "post.txt" in said
    assert "ab" * 32 in said
    assert "Two lines skipped" in said
    assert "20 people of ours are in the sample." in said
    assert "phone20" in said


@pytest.mark.parametrize("name", ["narrowed", "insufficient", "not ours", "undecided"])
def test_where_nobody_is_named_no_recipient_and_no_purpose_is_printed(name: str) -> None:
    page = render(ALL[name])
    assert "E100" not in page
    assert "audit" not in page
    assert "Nobody is named" in words(page)


def test_a_copy_below_lead_is_nameless_even_in_a_document_that_names_it() -> None:
    document = json.loads(json.dumps(NARROWED))
    document["attribution"]["candidates"][0]["recipient"] = "E-INNOCENT"
    assert "E-INNOCENT" not in render(document) + "".join(summary(document))
    assert not VERDICTS.is_valid(document)


NASTY = "<script>alert(1)</script>\"'&amp;{{ 7*7 }}\u202e\x1b[31m\udc80"


def test_everything_is_escaped_and_nothing_turns_the_text() -> None:
    document = json.loads(json.dumps(verdict(copy(1, -9.0, recipient=NASTY, purpose=NASTY, dataset=NASTY))))
    document["sample"]["files"][0]["name"] = NASTY
    document["sample"]["notes"] = [NASTY]
    document["limits"] = [NASTY]
    document["authenticity"]["reasons"] = [f"A1: {NASTY}"]
    page = render(document)
    page.encode("utf-8")
    assert "script" not in read(page).tags
    assert "{{ 7*7 }}" in page
    shown = page + "".join(summary(document))
    assert not {"\u202e", "\x1b", "\udc80"} & set(shown)


def test_the_same_verdict_gives_the_same_page() -> None:
    assert render(IDENTIFIED) == render(json.loads(json.dumps(IDENTIFIED)))


# -- words for numbers -------------------------------------------------------------------------------------------


@given(st.floats(min_value=-300, max_value=0.001))
def test_a_bound_in_words_is_never_smaller_than_the_bound(log10_p: float) -> None:
    said = bound(log10_p).removeprefix("at most 1").removeprefix(" in ").replace(",", "")
    power = float(said.removeprefix("10^")) if said.startswith("10^") else log10(float(said or 1))
    assert -power >= log10_p - 1e-9 or log10_p > 0
    assert -power <= log10_p + 1.0


@pytest.mark.parametrize(
    ("log10_p", "said"),
    [(-9.3, "10^9"), (-6.0, "10^6"), (-5.9, "790,000"), (-2.6, "390"), (-2.0, "100"), (-0.5, "3"), (-0.1, "")],
)
def test_bounds_read_well(log10_p: float, said: str) -> None:
    assert bound(log10_p) == (f"at most 1 in {said}" if said else "at most 1")


@pytest.mark.parametrize(
    ("log10_ratio", "words_of", "figure"),
    [
        (7.0, "extremely strong", "more than 10^6"),
        (4.5, "very strong", "about 31,000"),
        (3.4, "strong", "about 2,500"),
        (1.0, "moderate", "about 10"),
        (0.5, "weak", "about 3"),
        (-1.0, "no", "about 0.1"),
    ],
)
def test_the_scale_follows_the_ratio(log10_ratio: float, words_of: str, figure: str) -> None:
    assert (support(log10_ratio), ratio(log10_ratio)) == (words_of, figure)


# -- schemas -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_schemas_are_schemas(document: str) -> None:
    Draft202012Validator.check_schema(schema_of(document))


def test_an_unknown_document_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        schema_of("../pyproject")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("attribution", "verdict"), "guilty"),
        (("attribution", "candidates", 1, "marks"), {}),
        (("attribution", "candidates", 1, "log10_p_adjusted"), -1.0),
        (("attribution", "candidates", 0, "strength"), "lead"),
        (("attribution", "candidates", 0, "recipient"), None),
        (("authenticity", "reasons"), []),
        (("limits",), []),
        (("created_at",), "yesterday"),
    ],
)
def test_a_verdict_that_breaks_the_interface_is_invalid(place: tuple[Any, ...], value: Any) -> None:
    document = json.loads(json.dumps(IDENTIFIED))
    target = document
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    assert not VERDICTS.is_valid(document)


def test_a_receipt_has_the_fields_of_the_interface() -> None:
    receipt: dict[str, Any] = {
        "export_id": "X-1", "dataset": "bank", "recipient": "E1", "purpose": "audit",
        "issued_at": "2026-11-20T08:00:00.155Z", "rows_in": 1000, "rows_out": 1005, "canaries": 5, "marked_sites": 3000,
        "output": {"path": "out.csv", "sha256": "ab" * 32, "bytes": 10}, "contract_sha256": "cd" * 32,
        "commitment": "ef" * 32, "previous": "0" * 64, "signature": "A" * 86 + "==",
    }  # fmt: skip
    RECEIPTS.validate(receipt)
    RECEIPTS.validate({**receipt, "output": None, "commitment": "", "more": 1})
    for field in receipt:
        assert not RECEIPTS.is_valid({name: value for name, value in receipt.items() if name != field}), field
    assert not RECEIPTS.is_valid({**receipt, "previous": "x"})


# -- evidence in words -------------------------------------------------------------------------------------------

EVIDENCE = Evidence(
    (
        Channel("marks", -9.1, 6.0, 61, 60),
        Channel("unique_canaries", -4.2, 4.0, 12, 1),
        Channel("coded_canaries", 0.0, 0.3, 5, 3),
    ),
    (Carried("address", "address_zh", 41, 40), Carried("email", "email_case", 20, 20)),
    12.5,
    ((0.0, -0.3), (13.0, -9.0)),
)


def with_evidence(document: dict[str, Any]) -> dict[str, Any]:
    """The same verdict, its first copy with its evidence as `pipeline.accusation` enters it."""
    made = deepcopy(document)
    made["attribution"]["candidates"][0]["evidence"] = {
        "channels": [asdict(channel) for channel in EVIDENCE.channels],
        "carriers": [asdict(one) for one in EVIDENCE.carriers],
        "null": {"score": EVIDENCE.score, "unit": "nats", "tail": [list(point) for point in EVIDENCE.tail]},
        "words": sentences(EVIDENCE, [object(), object()]),
    }
    VERDICTS.validate(made)
    return made


@pytest.mark.parametrize("document", [IDENTIFIED, LEAD])
def test_how_the_evidence_adds_up_stands_in_words_in_terminal_and_report(document: dict[str, Any]) -> None:
    made = with_evidence(document)
    said = made["attribution"]["candidates"][0]["evidence"]["words"]
    lines = summary(made)
    at = lines.index("What speaks for copy X-7Q2F1:")
    assert lines[at + 1 : at + 1 + len(said)] == [f"  {sentence[0].upper()}{sentence[1:]}" for sentence in said]
    assert "  Marks: 60 of the 61 symbols that could be read are this copy's; by this alone, " in lines[at + 1]
    assert "  Address (address zh): 40 of 41 symbols agree." in lines
    page = words(render(made))
    assert all(sentence[1:] in page for sentence in said if "10^" not in sentence)
    assert "What speaks for this copy, in words" in page


def test_a_verdict_without_the_words_has_no_lines_for_them() -> None:
    assert not any("What speaks for" in line for line in summary(IDENTIFIED))
