"""Runs the uv of this environment with pip's settings.

uv reads UV_* variables and its own configuration, not pip's. On a machine whose index, certificate or proxy stands
in pip's configuration or PIP_* variables, `make` must work all the same; so they are handed on here, each only
where uv has not been told otherwise. Nothing is printed: such settings can hold a password.

    .venv-uv/bin/python requirements/uv.py pip sync requirements/dev.lock
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

# pip's option -> uv's variable, and what separates several values there
VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", ""),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
    "proxy": ("ALL_PROXY", ""),
    "default-timeout": ("UV_HTTP_TIMEOUT", ""),
    "timeout": ("UV_HTTP_TIMEOUT", ""),
}


def settings(listing: str) -> dict[str, str]:
    """The options in the text of `pip config list`; the environment wins over files, `install` over `global`."""
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for line in listing.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(section + "."):
                found[name.removeprefix(section + ".")] = str(ast.literal_eval(value))
    return found


def variables(options: dict[str, str]) -> dict[str, str]:
    """The same for uv. A folder of wheels that does not exist is left out: pip ignores it, uv stops."""
    found = {}
    for option, (variable, separator) in VARIABLES.items():
        values = options.get(option, "").split()
        if option == "find-links":
            values = [value for value in values if ":" in value or Path(value).is_dir()]
        if values:
            found[variable] = separator.join(values) if separator else values[0]
    if "extra-index-url" in options:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip does; the hashes decide what is accepted
    return found


def main() -> None:
    """Become uv."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    options = settings(listed.stdout)
    environment = {"UV_PYTHON_DOWNLOADS": "never"} | variables(options) | os.environ
    no_index = options.get("no-index", "").lower() in ("1", "true", "yes", "on")
    extra = ["--no-index"] if no_index and sys.argv[1:2] == ["pip"] and "--offline" not in sys.argv else []
    uv = str(Path(sys.executable).with_name("uv"))
    os.execve(uv, [uv, *sys.argv[1:], *extra], environment)  # noqa: S606 - our own program, no shell


if __name__ == "__main__":
    main()
