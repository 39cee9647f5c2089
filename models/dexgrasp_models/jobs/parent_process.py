"""Processes that end with whoever started them, who may be killed and can't end them then."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from threading import Thread

_LOOK_PERIOD = 0.25  # s


def end_with_parent() -> None:
    """Ends this process, one of `multiprocessing`'s, at once when its parent is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    _end_after(parent.join)


def end_with_input() -> None:
    """Ends this process at once when the other end of its standard input is closed."""
    _end_after(sys.stdin.read)


def end_with_process(parent: int, end: Callable[[], None]) -> None:
    """Calls `end`, in a thread, when this process's parent is no longer the one of an id."""

    def follow() -> None:
        # Not signal 0 to the parent's id, which another process may have been given since.
        while os.getppid() == parent:
            time.sleep(_LOOK_PERIOD)

    _end_after(follow, end)


def _end_after(gone: Callable[[], object], end: Callable[[], None] = lambda: os._exit(1)) -> None:
    def watch() -> None:
        gone()
        end()

    Thread(target=watch, name="parent", daemon=True).start()
