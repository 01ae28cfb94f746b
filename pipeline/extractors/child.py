"""The process in which an extractor runs: bounds on memory and time, JSON lines on standard output."""

import importlib
import json
import os
import resource
import sys
from pathlib import Path

from schemas.errors import InputError

_MEMORY = 2 << 30
_SECONDS, _A_MEGABYTE, _MOST_SECONDS = 20, 10, 300  # of CPU: a damaged workbook of a kilobyte may never end
_REFUSED = 9


def main(reader: str, path: str) -> int:
    """Print what the reader extracts; a refusal is a line of text."""
    module = importlib.import_module(f"pipeline.extractors.{reader}")
    used = (
        int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        if os.path.exists("/proc/self/statm")
        else 0
    )
    resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY, used + _MEMORY))
    seconds = min(_MOST_SECONDS, _SECONDS + _A_MEGABYTE * (os.path.getsize(path) >> 20))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for event in module.extract(Path(path)):
            sys.stdout.write(json.dumps(event) + "\n")
    except InputError as error:
        sys.stdout.write(json.dumps(str(error)) + "\n")
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
