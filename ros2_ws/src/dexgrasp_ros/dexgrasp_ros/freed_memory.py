"""What a process does with memory that was freed."""

from __future__ import annotations

import ctypes

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's


def give_back_freed_memory() -> None:
    """Returns what was freed to the system, where the C library can.

    glibc keeps freed blocks in heaps, one for each of several threads. What threads hold at
    different moments leaves holes there, and a process grows by some images or layers of a network
    whenever the moments coincide as never before. A call takes milliseconds.
    """
    if _TRIM is not None:
        _TRIM(0)
