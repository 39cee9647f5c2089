"""How the kernels are compiled and kept, and how the processors share a batch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numba
import torch

from dexgrasp_models.cache import cache_folder

_GRASPS_AT_ONCE = 2
"""That a thread takes: few, so that the others needn't wait long for one that is held up."""


_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
"""Without Python's lock. Products and sums may be fused; sums are not reordered, and infinities and
NaN stay what they are."""


def part(function: Callable) -> Callable:
    """A function that only compiled ones call, and that becomes a part of these."""
    return numba.njit(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)


def kernel(function: Callable) -> Callable:
    """A function that is compiled, with its parts, when Python first calls it.

    What comes out is kept in the project's cache if that can be written. It depends on the sources
    and the processor, not on how many threads there are.
    """
    folder = _folder()
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder or "")
    try:
        return numba.njit(function, cache=folder is not None, **_OPTIONS)
    finally:
        numba.config.CACHE_DIR = before


@cache
def _folder() -> Path | None:
    """Named after all kernels' sources: Numba itself looks at the one file of a function alone, not
    at those of the functions that it calls. None where nothing can be kept."""
    here = Path(__file__).parent
    sources = sorted([*here.glob("*.py"), *here.parent.glob("*/*_kernel.py")])
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    try:
        folder = cache_folder() / "kernels" / digest[:16]
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the latter where there is no home
        return None
    return folder if os.access(folder, os.W_OK) else None


def for_all(work: Callable[[int, int], None], count: int) -> None:
    """Call ``work(first, last)`` for ranges of ``count`` grasps, on as many threads as PyTorch has.

    Which thread takes what makes no difference to the results, as each grasp is for itself.
    """
    starts = range(0, count, _GRASPS_AT_ONCE)

    def some(start: int) -> None:
        work(start, min(start + _GRASPS_AT_ONCE, count))

    threads = min(torch.get_num_threads(), len(starts))
    if threads < 2:
        work(0, count)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="grasps") as pool:
        list(pool.map(some, starts))
