"""A device has a computer of its own, which is never busy with something else."""

from __future__ import annotations

import contextlib
import os

_PRIORITY = 30


def take_precedence() -> None:
    """Runs this thread before all others (SCHED_FIFO), where the system grants that."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
