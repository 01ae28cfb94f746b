"""Memory that was freed goes back to the system, so that a peak is that of what is used."""

import ctypes
from contextlib import suppress

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # M_MMAP_THRESHOLD and M_ARENA_MAX of glibc's malloc.h
_BYTES = 1 << 20


_HEAPS = 2  # as many as workers, so that they do not wait for each other


def few_heaps() -> None:
    """Have glibc serve all threads from two heaps, before there are any; elsewhere nothing happens.

    By itself it gives each thread a heap of its own, and what one has freed serves no other: 100 MiB of a tag command,
    for no less processor time (runbooks/decisions/0264).
    """
    _set(_ARENA_MAX, _HEAPS)


def give_back_arrays() -> None:
    """Have glibc map each large array by itself, and unmap it when it is freed; elsewhere nothing happens.

    By itself it raises the size from which it does so to that of the largest array ever freed, up to 32 MiB: after
    that, arrays of a million bytes lie between others on its heaps, which shrink no more (mallopt(3)).
    """
    _set(_MMAP_THRESHOLD, _BYTES)


def _set(parameter: int, value: int) -> None:
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(parameter, value)
