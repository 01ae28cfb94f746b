"""Memory that was freed goes back to the system, so that a peak is that of what is used."""

import ctypes
from contextlib import suppress

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of glibc's malloc.h
_BYTES = 1 << 20


def give_back_arrays() -> None:
    """Have glibc map each large array by itself, and unmap it when it is freed; elsewhere nothing happens.

    By itself it raises the size from which it does so to that of the largest array ever freed, up to 32 MiB: after
    that, arrays of a million bytes lie between others on its heaps, which shrink no more (mallopt(3)).
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _BYTES)
