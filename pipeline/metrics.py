"""A Prometheus text file a command, for the node exporter's textfile collector (--metrics or LEAKTRACE_METRICS)."""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

_HELP = {
    "last_run_timestamp_seconds": "When the command last ended.",
    "last_success_timestamp_seconds": "When the command last ended with exit code 0.",
    "last_exit_code": "Its exit code: 0 done, 1 input or key, 2 usage, 3 integrity.",
    "last_duration_seconds": "How long it took.",
}


def write_metrics(
    folder: Path, command: str, exit_code: int, seconds: float, counts: Mapping[str, float], now: float
) -> None:
    """Write FOLDER/leaktrace-COMMAND.prom whole; the time of the last success is kept over failures.

    counts: what the command counted, by name; now: seconds since the epoch. Raises OSError.
    """
    path = folder / f"leaktrace-{command}.prom"
    success = now if exit_code == 0 else _last_success(path)
    values = {"last_run_timestamp_seconds": now, "last_exit_code": exit_code, "last_duration_seconds": seconds}
    if success is not None:
        values["last_success_timestamp_seconds"] = success
    values |= {f"last_{name}": value for name, value in counts.items()}
    lines = []
    for name, value in sorted(values.items()):
        full = f"leaktrace_{name}"
        lines.append(f"# HELP {full} {_HELP.get(name, 'Counted by the last run of the command.')}")
        lines += [f"# TYPE {full} gauge", f'{full}{{command="{command}"}} {value:.15g}']
    temporary = folder / f".{path.name}.{secrets.token_hex(4)}"
    try:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
        os.chmod(temporary, 0o644)  # the exporter runs as somebody else; there are counts in it only
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _last_success(path: Path) -> float | None:
    try:
        found = re.search(r"^leaktrace_last_success_timestamp_seconds\{.*\} (\S+)$", path.read_text("utf-8"), re.M)
    except OSError:
        return None
    return float(found.group(1)) if found else None
