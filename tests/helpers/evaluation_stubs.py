"""Jobs whose process is killed the first time, importable in other processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from dexgrasp_learning.edit_search import EditJob
from dexgrasp_learning.goal_evaluation import GoalJob, run_goal_job

TOLD = "WAS_KILLED"
"""Names, in the environment, a file that tells that a process was killed."""


def killed_once(job: GoalJob) -> dict[str, Any]:
    """An evaluation's; half of the process's work is done by then."""
    found = run_goal_job(job)
    _killed_once()
    return found


def search_killed_once(job: EditJob) -> dict[str, Any]:
    """Of a search of edits, in which nothing was proposed."""
    _killed_once()
    return searched(job)


def searched(job: EditJob) -> dict[str, Any]:
    """What comes of that."""
    return {"cloud": [[0.001 * (job.seed % 1000), 0.0, 0.0]], "goals": []}


def _killed_once() -> None:
    told = Path(os.environ[TOLD])
    if not told.exists():
        told.touch()
        os.kill(os.getpid(), signal.SIGKILL)
