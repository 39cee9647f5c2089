"""What a process does with memory that was freed."""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD = -3  # of mallopt(3)
_LARGE = 256 * 1024  # bytes; an image of a camera has 600 kB


def return_large_blocks() -> bool:
    """From now on large blocks go back to the system as soon as they are freed.

    glibc by itself keeps them once some were freed, in a heap for each thread. Images and clouds
    that threads hold at different moments leave holes there, and a process grows by the size of
    some images whenever the moments coincide as never before. Each block has to be mapped anew, so
    this isn't for processes that compute in arrays of this size all the time.

    Returns:
        Whether the C library can do that.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, _LARGE))
