"""What a command leaves for whoever watches it: a log, a file of metrics, lineage events; never a customer's value."""

import json
import re
import time
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet
from openlineage.client.serde import Serde

from pipeline.logs import log_event, start_log, stop_log
from pipeline.metrics import write_metrics
from tests.conftest import World
from tests.test_jobs import job, job_file
from tests.webhook_support import webhook

# What a run event must be, in our words, after the published schema of OpenLineage 2-0-2.
TEXT, TIME, ADDRESS = {"type": "string"}, {"type": "string", "format": "date-time"}, {"type": "string", "format": "uri"}
FACETS = {
    "type": "object",
    "additionalProperties": {
        "type": "object", "required": ["_producer", "_schemaURL"],
        "properties": {"_producer": ADDRESS, "_schemaURL": ADDRESS},
    },
}  # fmt: skip
DATASET = {
    "type": "object", "required": ["namespace", "name"],
    "properties": {"namespace": TEXT, "name": TEXT, "facets": FACETS, "outputFacets": FACETS},
}  # fmt: skip
RUN_EVENT = {
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "run", "job"],
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": TIME,
        "producer": ADDRESS,
        "schemaURL": ADDRESS,
        "run": {"required": ["runId"], "properties": {"runId": {"type": "string", "format": "uuid"}, "facets": FACETS}},
        "job": {"required": ["namespace", "name"], "properties": {"namespace": TEXT, "name": TEXT, "facets": FACETS}},
        "inputs": {"type": "array", "items": DATASET},
        "outputs": {"type": "array", "items": DATASET},
    },
}


def events_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(autouse=True)
def closed_log():
    yield
    stop_log()


def test_a_json_log_has_one_object_an_event(fresh: World, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    options = ["--log", str(log), "--log-format", "json"]
    assert fresh.run("run", job_file(fresh, job(), job("gone", source="none.csv")), *options).code == 1
    events = events_of(log)
    assert events[0]["event"] == "begin"
    assert events[-1]["event"] == "end"
    assert events[-1]["exit_code"] == 1
    assert events[-1]["units_issued"] == 2
    assert [e["problem"] for e in events if e["event"] == "problem"][0].endswith("until it has been delivered")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", e["time"]) for e in events)


def test_a_log_holds_no_value_of_the_table(fresh: World, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert fresh.run("run", job_file(fresh, job()), "--log", str(log)).code == 0
    text = log.read_text("utf-8")
    assert "begin command=run" in text
    for row in pq.read_table(fresh.table).slice(0, 50).to_pylist():
        assert not [v for v in row.values() if len(str(v)) > 5 and str(v) in text]


def test_a_log_that_cannot_be_written_stops_the_command_before_it_begins(fresh: World) -> None:
    answer = fresh.run("exports", "--log", fresh.folder / "no" / "log")
    assert answer.code == 1
    assert "cannot be written" in answer.err


def test_nothing_is_logged_without_being_asked_for(capsys) -> None:
    log_event("quiet", a=1)
    assert capsys.readouterr() == ("", "")
    start_log("-", "json")
    log_event("loud", a=1, b=None)
    (line,) = capsys.readouterr().err.splitlines()
    assert {"event": "loud", "a": 1}.items() <= json.loads(line).items()


LINE = re.compile(r'^(?:# (?:HELP|TYPE) leaktrace_\w+ .+|leaktrace_[a-z_]+\{command="[a-z]+"\} -?[0-9.e+]+)$')


def test_metrics_are_a_prometheus_text_file(fresh: World, tmp_path: Path) -> None:
    assert fresh.run("run", job_file(fresh, job()), "--metrics", tmp_path).code == 0
    text = (tmp_path / "leaktrace-run.prom").read_text("utf-8")
    assert all(LINE.match(line) for line in text.splitlines())
    assert 'leaktrace_last_units_issued{command="run"} 2' in text
    assert text.endswith("\n")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_the_time_of_the_last_success_outlives_a_failure(tmp_path: Path) -> None:
    write_metrics(tmp_path, "run", 0, 1.5, {}, 1000.0)
    write_metrics(tmp_path, "run", 1, 1.5, {}, 2000.0)
    text = (tmp_path / "leaktrace-run.prom").read_text("utf-8")
    assert 'leaktrace_last_success_timestamp_seconds{command="run"} 1000' in text
    assert 'leaktrace_last_run_timestamp_seconds{command="run"} 2000' in text
    assert 'leaktrace_last_exit_code{command="run"} 1' in text


def test_tagging_and_tracing_leave_valid_lineage_events(
    fresh: World, tmp_path: Path, write_sample, monkeypatch
) -> None:
    monkeypatch.setenv("LEAKTRACE_LINEAGE", str(tmp_path / "lineage.jsonl"))
    assert fresh.tag("E1", tmp_path / "E1.parquet").code == 0
    leak = write_sample(pq.read_table(tmp_path / "E1.parquet").slice(0, 30), tmp_path / "leak-of-somebody.csv")
    assert fresh.run("trace", leak, "-o", tmp_path / "case").code == 0
    assert fresh.tag("E1", tmp_path / "E1.parquet").code == 1
    events = events_of(tmp_path / "lineage.jsonl")
    validator = jsonschema.Draft202012Validator(RUN_EVENT, format_checker=jsonschema.FormatChecker())
    for event in events:
        validator.validate(event)
    assert [e["eventType"] for e in events] == ["START", "COMPLETE", "START", "COMPLETE", "START", "FAIL"]
    assert len({e["run"]["runId"] for e in events}) == 3
    tagged, traced = events[1], events[3]
    assert tagged["inputs"][0]["name"] == str(fresh.table)
    assert tagged["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] > 400
    assert traced["outputs"][0]["name"] == str(tmp_path / "case")
    assert "somebody" not in json.dumps(traced)


def bare(node):
    """A document without what is empty: the classes write empty lists and facets, we leave them out."""
    if isinstance(node, dict):
        return {name: bare(value) for name, value in node.items() if value not in ({}, [])}
    return [bare(value) for value in node] if isinstance(node, list) else node


def as_published(event: dict) -> dict:
    """An event rebuilt from the classes that OpenLineage generates from its published schema."""

    def output(dataset: dict) -> OutputDataset:
        facets = dataset.get("outputFacets", {})
        counted = facets.get("outputStatistics")
        if counted:
            numbers = {name: value for name, value in counted.items() if not name.startswith("_")}
            facets = {"outputStatistics": OutputStatisticsOutputDatasetFacet(**numbers, producer=counted["_producer"])}
        return OutputDataset(dataset["namespace"], dataset["name"], outputFacets=facets)

    return Serde.to_dict(
        RunEvent(
            eventTime=event["eventTime"],
            producer=event["producer"],
            run=Run(**event["run"]),
            job=Job(**event["job"]),
            eventType=RunState(event["eventType"]),
            inputs=[InputDataset(**dataset) for dataset in event["inputs"]],
            outputs=[output(dataset) for dataset in event["outputs"]],
        )
    )


def test_lineage_events_are_what_the_published_classes_write(fresh: World, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LEAKTRACE_LINEAGE", str(tmp_path / "lineage.jsonl"))
    assert fresh.tag("E1", tmp_path / "E1.parquet").code == 0
    events = events_of(tmp_path / "lineage.jsonl")
    assert len(events) == 2
    for event in events:
        assert bare(as_published(event)) == bare(event)
    events[0]["run"]["runId"] = "no uuid"
    with pytest.raises(ValueError, match="badly formed"):
        as_published(events[0])


def test_lineage_goes_over_http(fresh: World, tmp_path: Path, monkeypatch) -> None:
    with webhook() as (url, received):
        monkeypatch.setenv("LEAKTRACE_LINEAGE", url)
        assert fresh.tag("E1", tmp_path / "E1.parquet").code == 0
    assert [json.loads(body)["eventType"] for body in received] == ["START", "COMPLETE"]


def test_lineage_that_nobody_takes_stops_nothing(fresh: World, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LEAKTRACE_LINEAGE", "http://127.0.0.1:9/")
    begun = time.monotonic()
    assert fresh.tag("E1", tmp_path / "E1.parquet", "--log", str(tmp_path / "log")).code == 0
    assert "lineage not delivered" in (tmp_path / "log").read_text("utf-8")
    assert time.monotonic() - begun < 60
