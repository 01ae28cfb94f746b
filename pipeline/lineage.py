"""OpenLineage events of tagging and tracing: a START and a COMPLETE or FAIL for each run, for the data catalogue.

LEAKTRACE_LINEAGE names a file that is appended to (a JSON object a line) or an http(s) address. An event that cannot
be delivered is logged and forgotten: lineage never stops an export. Events hold paths, ids and counts; of a sample
only its digest, because a file's name may be a customer's.
"""

import json
import logging
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.logs import log_event
from pipeline.webhook import post_json

_SPEC = "https://openlineage.io/spec"
_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_STATISTICS = f"{_SPEC}/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json#/$defs/OutputStatisticsOutputDatasetFacet"
_PATIENCE = 5.0


class LineageRun:
    """One run of a job, and the datasets it read and wrote."""

    def __init__(self, job: str, where: str | None) -> None:
        """`where` is None when nobody wants events."""
        self._job, self._where, self._id = job, where, str(uuid.uuid4())
        self._inputs: list[dict[str, Any]] = []
        self._outputs: list[dict[str, Any]] = []

    def tagged(self, source: Path, receipts: Sequence[Mapping[str, Any]]) -> None:
        """A table was read and copies were written."""
        self._inputs = [_file(source)]
        producer = _producer()
        for receipt in receipts:
            output = receipt["output"]
            if output:
                facet = {"_producer": producer, "_schemaURL": _STATISTICS}
                facet |= {"rowCount": receipt["rows_out"], "size": output["bytes"]}
                self._outputs.append(_file(Path(output["path"])) | {"outputFacets": {"outputStatistics": facet}})

    def traced(self, sample_digests: Sequence[str], case: Path) -> None:
        """A sample was read and a case was written."""
        self._inputs = [{"namespace": "leaktrace.sample", "name": digest} for digest in sample_digests]
        self._outputs = [_file(case)]

    def emit(self, kind: str) -> None:
        """Send one event: START, COMPLETE or FAIL."""
        if self._where is None:
            return
        body = json.dumps(self._event(kind), ensure_ascii=False).encode()
        problem = _send(self._where, body)
        if problem:
            log_event("lineage not delivered", level=logging.WARNING, job=self._job, problem=problem)

    def _event(self, kind: str) -> dict[str, Any]:
        return {
            "eventType": kind,
            "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "producer": _producer(),
            "schemaURL": _EVENT,
            "run": {"runId": self._id},
            "job": {"namespace": "leaktrace", "name": self._job},
            "inputs": self._inputs,
            "outputs": self._outputs if kind == "COMPLETE" else [],
        }


@contextmanager
def lineage_of(job: str) -> Iterator[LineageRun]:
    """A run that says when it starts, and whether it completed or failed."""
    run = LineageRun(job, os.environ.get("LEAKTRACE_LINEAGE") or None)
    run.emit("START")
    try:
        yield run
    except BaseException:
        run.emit("FAIL")
        raise
    run.emit("COMPLETE")


def _producer() -> str:
    return f"urn:leaktrace:{version('leaktrace')}"


def _file(path: Path) -> dict[str, Any]:
    return {"namespace": "file", "name": str(path.absolute())}


def _send(where: str, body: bytes) -> str:
    """Deliver an event; empty when it was, else why not."""
    if where.startswith(("http://", "https://")):
        return post_json(where, body, _PATIENCE)
    try:
        descriptor = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, body + b"\n")  # one write, so that lines of several processes do not mix
        finally:
            os.close(descriptor)
    except OSError as error:
        return f"{where} cannot be written ({error.strerror})"
    return ""
