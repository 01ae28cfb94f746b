"""The one family of errors that leaktrace raises.

Every error carries a single sentence that says what is wrong, where, what was expected and what to do
next. It takes one message, so it pickles across workers, and it never holds a customer's value.
"""

from typing import ClassVar


class LeaktraceError(Exception):
    """Base of all expected failures; the command line prints the message and exits with `exit_code`."""

    exit_code: ClassVar[int] = 1


class InputError(LeaktraceError):
    """A file or a value handed in cannot be used as it is."""


class ContractError(LeaktraceError):
    """A data contract is wrong, or a file does not fit it."""


class QualityError(LeaktraceError):
    """A quality rule of the contract failed; rules and counts only, never values."""


class KeyFileError(LeaktraceError):
    """A key is missing, wrong, or readable by others."""


class RegistryError(LeaktraceError):
    """The registry is missing, of another version, or cannot be written now."""


class OutputError(LeaktraceError):
    """A result cannot be written: the path exists, the disk is full, no permission."""


class RunnerError(LeaktraceError):
    """The cluster that Beam's options name is not there, or did not finish the job."""


class UsageError(LeaktraceError):
    """The command line does not make sense."""

    exit_code: ClassVar[int] = 2


class IntegrityError(LeaktraceError):
    """A signature, digest, or link of the chain does not hold."""

    exit_code: ClassVar[int] = 3
