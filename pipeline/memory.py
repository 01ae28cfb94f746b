"""What becomes of memory that was freed: the system's malloc decides, and can be told."""

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # M_TRIM_THRESHOLD and so on of glibc's malloc.h
_LITTLE, _LARGE, _LARGEST, _FREE = 1 << 17, 1 << 20, 1 << 25, 1 << 27  # bytes
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
    _set(_MMAP_THRESHOLD, _LARGE)
    _set(_TRIM_THRESHOLD, _LITTLE)  # as it is by itself, where `keep_arrays` came before


def keep_arrays() -> None:
    """Have glibc keep the memory of arrays that were freed for the next ones; elsewhere nothing happens.

    By itself it gives the end of a heap back whenever that is larger than twice the largest array, and each page that
    is asked for again costs as much as copying it several times (runbooks/decisions/0267).
    """
    _set(_MMAP_THRESHOLD, _LARGEST)
    _set(_TRIM_THRESHOLD, _FREE)


def _set(parameter: int, value: int) -> None:
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(parameter, value)
