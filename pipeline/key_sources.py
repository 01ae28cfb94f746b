"""Where a key comes from when it is in no file, and the passphrase of one that is; never an argument's value."""

import os
import shlex
import stat
import subprocess
from pathlib import Path

from schemas.errors import KeyFileError

COMMAND = "LEAKTRACE_KEY_COMMAND"
_SECONDS = 60


def from_environment(name: str) -> bytes | None:
    """What LEAKTRACE_INDEX_KEY, LEAKTRACE_OFFICER_KEY and so on hold, as the file would; None when unset."""
    found = os.environ.get("LEAKTRACE_" + name.upper().replace(".", "_").replace("-", "_"))
    return found.encode() if found else None


def from_command(name: str, *, required: bool = True) -> bytes | None:
    """What the key command prints when it is given the key's name; None when there is no such command.

    A command that fails raises KeyFileError, or (not `required`) means that this key is not to be had here. What it
    wrote is never shown: it may be a part of the key.
    """
    given = os.environ.get(COMMAND)
    if not given:
        return None
    try:
        words = [*shlex.split(given), name]
        done = subprocess.run(words, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 - the owner's own
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise KeyFileError(f"the key command cannot be run for {name} ({type(error).__name__}); correct it") from error
    if done.returncode == 0 and done.stdout:
        return done.stdout
    if required:
        raise KeyFileError(
            f"the key command gave no {name} (exit code {done.returncode}); run it by hand with {name} as last argument"
        )
    return None


def passphrase(path: str) -> bytes:
    """The passphrase of private keys: from LEAKTRACE_PASSPHRASE_FILE (mode 0600) or LEAKTRACE_PASSPHRASE."""
    held = os.environ.get("LEAKTRACE_PASSPHRASE_FILE")
    if held:
        return _from_file(Path(held))
    given = os.environ.get("LEAKTRACE_PASSPHRASE")
    if not given:
        raise KeyFileError(
            f"{path} is under a passphrase; set LEAKTRACE_PASSPHRASE_FILE to a file of mode 0600 that holds it"
        )
    return given.encode()


def _from_file(path: Path) -> bytes:
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyFileError(f"{path} can be read by others; run chmod 600 on it")
        words = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read ({error.strerror}); give the passphrase's file") from error
    if not words:
        raise KeyFileError(f"{path} is empty; it should hold the passphrase")
    return words
