"""What is handed on is valid by the standards' own schemas and libraries, names whom it may, and holds no value."""

import json
from typing import Any

import pytest
import stix2
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from stix2validator import ValidationOptions, validate_string

from pipeline.emitters import FORMS, emit
from pipeline.emitters.ocsf import OCSF, finding
from pipeline.emitters.stix import case_bundle, indicator
from pipeline.report import Background
from schemas.documents import schema_of
from tests.test_report import ALL, IDENTIFIED, LEAD, copy, verdict

RECEIPT = {"export_id": "X-7Q2F1", "number": 3, "issued_at": "2026-11-20T08:00:00.155Z", "rows_out": 20_150}
KNOWN = Background(received="2026-11-22T07:30:00.000+00:00", receipts=(RECEIPT,), envelope="ab" * 32)
CASES = {**ALL, "two leads": verdict(copy(1, -9.0), copy(2, -3.0))}


@pytest.fixture(scope="module")
def detection_finding() -> Draft202012Validator:
    """OCSF's own class 2004, from the published schema."""
    ocsf = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=OCSF))
    name = ocsf.lookup_class_name_from_uid(class_uid=2004)
    assert name == "detection_finding"
    return Draft202012Validator(ocsf.get_class_schema(class_name=name, profiles=[]))


@pytest.mark.parametrize("name", CASES)
def test_a_finding_is_valid_against_the_published_schema(name: str, detection_finding: Draft202012Validator) -> None:
    document = json.loads(emit(["ocsf"], CASES[name], KNOWN)["finding.ocsf.json"])
    detection_finding.validate(document)
    assert (document["class_uid"], document["type_uid"]) == (2004, 200401)


@pytest.mark.parametrize(
    "change",
    [{"severity_id": 77}, {"time": "yesterday"}, {"finding_info": {}}, {"class_uid": 2001}, {"no_such_field": 1}],
)
def test_the_schema_refuses_a_broken_finding(change: dict[str, Any], detection_finding: Draft202012Validator) -> None:
    assert not detection_finding.is_valid(finding(IDENTIFIED, KNOWN) | change)


def test_a_finding_names_a_recipient_only_at_lead_or_better() -> None:
    assert [r["owner"]["uid"] for r in finding(IDENTIFIED, KNOWN)["resources"]] == ["E1001"]
    assert finding(IDENTIFIED, KNOWN)["confidence"] == "High"
    assert finding(LEAD, KNOWN)["confidence"] == "Low"
    for name in ("narrowed", "insufficient", "not ours", "undecided"):
        assert "E100" not in json.dumps(finding(CASES[name], KNOWN))
        assert "resources" not in finding(CASES[name], KNOWN)
    assert finding(CASES["not ours"], KNOWN)["severity"] == "Informational"


@pytest.mark.parametrize("name", CASES)
def test_a_bundle_is_valid_stix(name: str) -> None:
    text = emit(["stix"], CASES[name], KNOWN)["bundle.stix.json"]
    found = validate_string(text, ValidationOptions(version="2.1"))
    assert found.is_valid, [str(error) for error in found.errors]
    # Ids that follow from what an object says are allowed, though random ones are advised: {103}. Nothing else is.
    assert [str(warning) for warning in found.warnings if "{103}" not in str(warning)] == []
    parsed = stix2.parse(text, version="2.1")
    assert {one.type for one in parsed.objects} >= {"identity", "file", "observed-data", "incident", "report"}
    ids = {one.id for one in parsed.objects}
    assert all(set(one.get("object_refs", ())) <= ids for one in parsed.objects)


def test_stix_refuses_a_broken_bundle() -> None:
    body = case_bundle(IDENTIFIED, KNOWN)
    body["objects"][-1]["published"] = "yesterday"
    assert not validate_string(json.dumps(body), ValidationOptions(version="2.1")).is_valid


def test_a_file_has_the_id_that_stix_gives_it() -> None:
    file = next(one for one in case_bundle(IDENTIFIED, KNOWN)["objects"] if one["type"] == "file")
    assert stix2.v21.File(hashes=file["hashes"]).id == file["id"]


def test_a_bundle_may_leave_the_house_and_names_nobody() -> None:
    for document in CASES.values():
        text = emit(["stix"], document, KNOWN)["bundle.stix.json"]
        assert "E100" not in text
        assert "post.txt" not in text
    assert "Copy X-7Q2F1 (conclusive): at most 1 in 10^9" in emit(["stix"], IDENTIFIED, KNOWN)["bundle.stix.json"]


def test_the_same_case_gives_the_same_files() -> None:
    assert emit(FORMS, IDENTIFIED, KNOWN) == emit(FORMS, json.loads(json.dumps(IDENTIFIED)), KNOWN)


def test_an_indicator_quotes_what_a_pattern_would_take_for_its_end() -> None:
    body = indicator("email", r"o'b\x@example.org", "bank", "2026-11-20T08:00:00.000Z")
    pattern = stix2.parse(body, version="2.1").pattern
    assert pattern == r"[email-addr:value = 'o\'b\\x@example.org']"


@pytest.mark.parametrize("name", CASES)
def test_a_notice_follows_its_schema_and_names_nobody(name: str) -> None:
    files = emit(["notice"], CASES[name], KNOWN)
    body = json.loads(files["notice.json"])
    Draft202012Validator(schema_of("notice")).validate(body)
    assert "E100" not in "".join(files.values())
    assert not Draft202012Validator(schema_of("notice")).is_valid(body | {"people_in_sample": -1})


def test_a_notice_says_how_many_which_kinds_and_when_in_both_languages() -> None:
    said = emit(["notice"], IDENTIFIED, KNOWN)["notice.txt"]
    assert "20 people of ours are in the sample." in said
    assert "If the named copies leaked whole, at most 20,150 people are concerned." in said
    assert "Kind of data: phone, of 20 people." in said
    assert "Not before 2026-11-20 08:00 UTC: the named copy was issued then." in said
    assert "Not after 2026-11-22 07:30 UTC: the sample was received then." in said
    assert "样本中有我们的 20 人。" in said
    assert "数据类别：电话，涉及 20 人。" in said
    assert "不早于 2026-11-20 08:00 UTC" in said
    assert "Still open: whom they can ask." in said


def test_a_notice_does_not_guess_a_time_or_a_number() -> None:
    said = emit(["notice"], LEAD, KNOWN)["notice.txt"]
    assert "Nothing says how early the rows left." in said
    assert "How many more may be concerned is not known." in said
    outdated = json.loads(json.dumps(LEAD))
    outdated["authenticity"]["outdated"] = [{"rows": 3, "from": "2026-03-01", "until": "2026-05-01"}]
    said = emit(["notice"], outdated, KNOWN)["notice.txt"]
    assert "Probably not before 2026-03-01: the sample holds values that became current then." in said
