"""Evaluation and search on Ray: a process is killed in mid-run, and the results are the same."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import assist_scenes as scenes
import evaluation_stubs as stubs
import pytest

from dexgrasp_learning.edit_search import EditSearchConfig, draw_edit_jobs
from dexgrasp_learning.goal_evaluation import GoalEvaluation, draw_goal_jobs, run, told_goals
from dexgrasp_models.jobs.kept_results import KeptResults
from dexgrasp_models.tasks.goal_config import GoalConfig

# In a process of its own, as Ray leaves threads and signal handlers behind.
RUNS = """
import pickle
import sys
from pathlib import Path

import evaluation_stubs as stubs
from dexgrasp_models.jobs.kept_results import kept_outcomes

if __name__ == "__main__":
    jobs, kept = pickle.loads(Path(sys.argv[1]).read_bytes()), Path(sys.argv[2])
    for job, _ in kept_outcomes(getattr(stubs, sys.argv[3]), jobs, kept, 2, ray=True):
        print("told:", job.seed)  # Ray writes lines of its own here
"""


def run_on_ray(folder: Path, jobs: Sequence[Any], work: str) -> dict[str, Any]:
    """What is kept of jobs, of which the first process was killed; all are told once."""
    script, given, kept = (folder / name for name in ("runs.py", "jobs", "kept.jsonl"))
    script.write_text(RUNS)
    given.write_bytes(pickle.dumps(jobs))
    paths = [str(Path(stubs.__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        stubs.TOLD: str(folder / "killed"),
    }
    done = subprocess.run(
        [sys.executable, script, given, kept, work],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=280,
    )
    assert (folder / "killed").exists()
    told = re.findall(r"told: (\d+)", done.stdout)
    assert sorted(map(int, told)) == sorted(job.seed for job in jobs)
    found = KeptResults(kept)
    return {job.key: found[job.key] for job in jobs}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_process_costs_nothing(tmp_path):
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-ray.txt")
    data, goals = map(str, scenes.stored(tmp_path, scenes.pressing_goals()))
    settings = GoalEvaluation(("still",), data, goals, "0", task=GoalConfig(points=256, horizon=6))
    jobs = draw_goal_jobs(told_goals(settings), ("can/0", "apple/0"), 9, 0, settings)
    assert len(jobs) == 3
    found = run_on_ray(tmp_path, jobs, "killed_once")
    assert found == {job.key: one for job, one in run(jobs)}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_process_of_a_search_costs_nothing(tmp_path):
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-ray.txt")
    goals = scenes.pressing_goals()
    jobs = [job for seed in range(3) for job in draw_edit_jobs(goals, seed, EditSearchConfig())]
    found = run_on_ray(tmp_path, jobs, "search_killed_once")
    assert found == {job.key: stubs.searched(job) for job in jobs}
