"""An evaluation's job whose process is killed the first time, importable in other processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from dexgrasp_learning.goal_evaluation import GoalJob, run_goal_job

TOLD = "WAS_KILLED"
"""Names, in the environment, a file that tells that a process was killed."""


def killed_once(job: GoalJob) -> dict[str, Any]:
    """Half of the process's work is done by then."""
    told = Path(os.environ[TOLD])
    found = run_goal_job(job)
    if not told.exists():
        told.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return found
