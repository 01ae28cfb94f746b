"""Parsers of complicated binary formats run in a process of their own, with bounds on its memory and time.

A workbook of a few kilobytes can claim a sheet of 17 thousand million cells, and a parser may crash or never end; that
must cost one file of the sample and no more. The process prints JSON lines, which the parent takes as they come.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.errors import InputError


def extract(reader: str, path: Path, place: str) -> Iterator[list[Any]]:
    """What `pipeline.extractors.READER.extract(path)` yields, from a process of its own.

    Raises InputError with a sentence about `place` when the parser refuses the file, runs out of bounds or crashes.
    """
    command = [sys.executable, "-P", "-m", "pipeline.extractors.child", reader, str(path)]
    roots = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, roots))}
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        reason = None
        try:
            for line in process.stdout:
                event = json.loads(line)
                if isinstance(event, str):
                    reason = event
                else:
                    yield event
        finally:
            process.kill() if process.poll() is None and reason is None and not process.stdout.closed else None
            code = process.wait()
    if reason is not None:
        raise InputError(f"{place} {reason}")
    if code:
        raise InputError(f"{place} could not be read within bounds of memory and time, or is damaged; save it as CSV")
