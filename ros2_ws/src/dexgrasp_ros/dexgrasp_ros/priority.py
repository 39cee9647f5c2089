"""Real-time priority, where the system grants it: what a robot waits for comes first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_TASKS = Path("/proc/self/task")


def take_precedence(priority: int) -> bool:
    """Runs all threads that this process has before those of other programs (SCHED_FIFO).

    Threads and processes that are started later run as others do.

    Args:
        priority: 1 to 99; of two the higher one runs.

    Returns:
        Whether the system grants it.
    """
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    for thread in _TASKS.iterdir():
        try:
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(priority))
        except PermissionError:
            return False
        except ProcessLookupError:  # one that has just ended
            continue
    return True


def stand_back() -> None:
    """Runs this thread as those of other programs, from now on."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
