"""Keeps out of commands what libraries import beside what they are asked for.

Great Expectations brings pandas, and pyarrow imports whatever pandas it finds as soon as the first array is made, to
recognise its types: 0.3 CPU-seconds and 30 MiB of every command, for objects that none of them has. Beam imports what
it can for MongoDB, BigQuery and a profiler of memory, another 0.15. So the command line says that there is none of
them, until the quality rules ask for Great Expectations. From Python, where a caller may well have data frames, nothing
of this happens (runbooks/decisions/0260).
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_NAMES = ("pandas", "bson", "apache_beam.io.gcp.bigquery", "guppy")


class _Absent:
    """A finder (importlib.abc.MetaPathFinder) that finds none of them."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> None:
        """Nothing to say of any other module."""
        if name in _NAMES:
            raise ModuleNotFoundError(f"{name} is not imported here", name=name)


@contextmanager
def hidden() -> Iterator[None]:
    """Until the end, or until `show`, importing them fails as if they were not installed."""
    sys.meta_path.insert(0, _Absent)
    try:
        yield
    finally:
        show()


def show() -> None:
    """They may be imported again; pyarrow, which looks once, goes on without."""
    if _Absent in sys.meta_path:
        sys.meta_path.remove(_Absent)
