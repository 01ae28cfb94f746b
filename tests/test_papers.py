"""A case drawn again, handed on, or shown with its values: the signed case stays as it is."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import World

EMITTED = {"finding.ocsf.json", "bundle.stix.json", "notice.json", "notice.txt"}


@pytest.fixture(scope="session")
def rows(_issued: World, tmp_path_factory: pytest.TempPathFactory, write_sample: Callable[..., Path]) -> Path:
    """Twenty rows of E1's copy."""
    return write_sample(
        pq.read_table(_issued.folder / "E1.parquet").slice(100, 20), tmp_path_factory.mktemp("s") / "s.csv"
    )


@pytest.fixture(scope="session")
def case(_issued: World, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case with everything that can be asked for."""
    made = tmp_path_factory.mktemp("cases") / "whole"
    forms = [part for form in ("ocsf", "stix", "notice") for part in ("--emit", form)]
    answer = _issued.run("trace", rows, "-o", made, "--lang", "zh", "--with-values", *forms)
    assert answer.code == 0, answer.err
    assert answer.out.startswith("是我们的数据。副本 X-")
    return made


def values_of(sample: Path) -> set[str]:
    """Names, phones, numbers: cells of the sample that only customers have."""
    import pyarrow.csv as pa_csv

    table = pa_csv.read_csv(sample)
    return {str(v) for name in ("name", "phone", "national_id", "email") for v in table[name].to_pylist() if v}


def test_what_trace_emits_is_signed_with_the_case(shared: World, case: Path) -> None:
    assert {path.name for path in case.iterdir()} >= EMITTED | {"report-with-values.html"}
    assert shared.run("verify", case).code == 0
    assert json.loads((case / "finding.ocsf.json").read_text())["class_uid"] == 2004


@pytest.mark.parametrize("name", [*sorted(EMITTED), "report-with-values.html"])
def test_a_changed_paper_is_found(shared: World, case: Path, name: str) -> None:
    before = (case / name).read_bytes()
    try:
        (case / name).write_bytes(before.replace(b"1", b"2", 1))
        answer = shared.run("verify", case)
    finally:
        (case / name).write_bytes(before)
    assert answer.code == 3
    assert f"{name} was altered" in answer.err


def test_only_the_page_with_values_has_values(case: Path, rows: Path) -> None:
    values = values_of(rows)
    assert len(values) > 60
    for path in case.iterdir():
        if path.is_file() and path.name != "report-with-values.html":
            text = path.read_bytes().decode("utf-8", "replace")
            assert not [value for value in values if value in text], path.name
    shown = (case / "report-with-values.html").read_text("utf-8")
    assert [value for value in values if value not in shown] == []
    assert "本份报告显示客户信息" in shown
    assert (case / "report-with-values.html").stat().st_mode & 0o777 == 0o600


def test_a_case_is_drawn_again_in_another_language(shared: World, case: Path, tmp_path: Path) -> None:
    answer = shared.run("report", case, "--lang", "en", "-o", tmp_path / "en.html", "--json")
    assert answer.code == 0, answer.err
    assert answer.json()["written"] == [str(tmp_path / "en.html")]
    english, chinese = (tmp_path / "en.html").read_text("utf-8"), (case / "report.html").read_text("utf-8")
    assert '<html lang="en">' in english
    assert '<html lang="zh-Hans">' in chinese
    assert "Which rows each export held" in english
    assert shared.run("report", case, "--lang", "zh", "-o", tmp_path / "zh.html").code == 0
    assert (tmp_path / "zh.html").read_text("utf-8") == chinese
    assert shared.run("verify", case).code == 0


def test_a_page_with_values_is_for_its_owner_only(shared: World, case: Path, rows: Path, tmp_path: Path) -> None:
    answer = shared.run("report", case, "--with-values", "-o", tmp_path / "v.html")
    assert answer.code == 0
    assert "customers' values" in answer.out
    assert (tmp_path / "v.html").stat().st_mode & 0o777 == 0o600
    shown = (tmp_path / "v.html").read_text("utf-8")
    assert all(value in shown for value in values_of(rows))
    assert not [value for value in values_of(rows) if value in answer.out + answer.err]


def test_emitted_later_a_form_holds_the_digest_of_the_envelope(shared: World, case: Path, tmp_path: Path) -> None:
    import hashlib

    digest = hashlib.sha256((case / "evidence.dsse.json").read_bytes()).hexdigest()
    assert shared.run("report", case, "--emit", "ocsf", "-o", tmp_path / "f.json").code == 0
    assert json.loads((tmp_path / "f.json").read_text())["unmapped"]["envelope_sha256"] == digest
    answer = shared.run("report", case, "--emit", "notice", "--emit", "stix", "-o", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"notice.json", "notice.txt", "bundle.stix.json"}
    assert "not a part of the signed case" in answer.out


def test_the_report_shows_receipts_coverage_and_the_time_of_arrival(case: Path, shared: World, tmp_path: Path) -> None:
    shared.run("report", case, "-o", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text("utf-8")
    for words in ("sample received", "Key of the examiner", "Head of the chain", "Receipt", "Whole copy"):
        assert words in page
    assert page.count('class="strip"') > 10


def test_a_signed_case_is_not_written_into(shared: World, case: Path, tmp_path: Path) -> None:
    answer = shared.run("report", case, "-o", case / "more.html")
    assert answer.code == 1
    assert "lies in the case" in answer.err
    (tmp_path / "there").touch()
    assert shared.run("report", case, "-o", tmp_path / "there").code == 1
    assert shared.run("report", case, "--emit", "stix", "--with-values", "-o", tmp_path / "x").code == 2
    assert shared.run("report", case, "-o", tmp_path / "no" / "folder").code == 1
    assert shared.run("verify", case).code == 0


def test_no_page_is_drawn_of_an_altered_case(shared: World, case: Path, tmp_path: Path) -> None:
    before = (case / "verdict.json").read_text("utf-8")
    try:
        (case / "verdict.json").write_text(before.replace('"E1"', '"E2"'), "utf-8")
        answer = shared.run("report", case, "-o", tmp_path / "r.html")
    finally:
        (case / "verdict.json").write_text(before, "utf-8")
    assert answer.code == 3
    assert "verdict.json was altered" in answer.err
    assert not (tmp_path / "r.html").exists()
    assert os.listdir(tmp_path) == []


def test_a_case_of_another_version_is_refused(tmp_path: Path) -> None:
    from pipeline.papers import read_verdict
    from schemas.errors import InputError

    (tmp_path / "verdict.json").write_text('{"schema": "leaktrace.verdict/9"}')
    with pytest.raises(InputError, match="another version"):
        read_verdict(tmp_path)


def test_no_case_no_report(shared: World, tmp_path: Path) -> None:
    answer = shared.run("report", tmp_path, "-o", tmp_path.parent / "r.html")
    assert answer.code == 1
    assert "is no case" in answer.err
