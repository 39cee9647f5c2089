"""Edits of plans: found where a plan fails, kept, and the same again."""

from __future__ import annotations

import json
from dataclasses import replace

import assist_scenes as scenes
import goal_scenes
import numpy as np
import pytest

from dexgrasp_learning import edit_search
from dexgrasp_learning.cross_entropy import CrossEntropyConfig
from dexgrasp_learning.edit_search import (
    EditSearchConfig,
    draw_edit_jobs,
    run,
    run_edit_job,
    search_edits,
)
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.jobs.kept_results import KeptResults
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.plan_edits import EditConfig, edit_stages

GOALS = scenes.pressing_goals()
CONFIG = EditSearchConfig(
    goals=2,
    checks=1,
    search=CrossEntropyConfig(samples=4, elites=2, iterations=2),
    task=GoalConfig(points=64, horizon=4),
)
STAGES = edit_stages(load_hand())
SIZE = STAGES[-1].stop


class Rising:
    """In the place of physics: the palm has to be 6 mm and more along its x; lower rises less."""

    def __init__(self, job: edit_search.EditJob, rng: np.random.Generator) -> None:
        self._config, self.asked = job.config, 0

    def __call__(self, told, edits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.asked += edits.shape[1]
        shifts = self._config.edit.shift * edits[:, :, 0]
        return shifts > 0.006, np.clip(0.1 + 10.0 * shifts, 0.0, 0.3)


@pytest.fixture
def rising(monkeypatch):
    monkeypatch.setattr(edit_search, "_Trial", Rising)


def tried(config: EditSearchConfig = CONFIG, seed: int = 0):
    (job, _) = draw_edit_jobs(GOALS, 0, config)
    told = goal_scenes.episodes(GOALS)[:2]
    return search_edits(told, job, np.random.default_rng(seed))


def test_an_edit_is_found_stage_by_stage(rising):
    config = replace(CONFIG, search=CrossEntropyConfig(samples=16, elites=4, iterations=4))
    for each in tried(config):
        place, turn, fingers = STAGES
        assert len(each.edits) == len(each.lifted) == 1 + 3 * 4 * 16
        assert not each.edits[0].any(), "the plan as it is comes first"
        first, second = each.edits[1 : 1 + 64], each.edits[65:129]
        assert first[:, place].any()
        assert not first[:, turn].any()
        assert second[:, turn].any()
        assert not second[:, fingers].any()
        assert each.checked[:, 0].tolist() == [False, True, True, True]
        assert each.lifted[-16:].all()


def test_without_a_choice_of_elites_none_is_found(rising):
    config = replace(CONFIG, search=CrossEntropyConfig(samples=16, elites=16, iterations=4))
    assert not any(each.checked[1:].all() for each in tried(config))


def test_a_plan_that_lifts_is_left_as_it_is(monkeypatch):
    class Lifting(Rising):
        def __call__(self, told, edits):
            lifted, rises = super().__call__(told, edits)
            return np.ones_like(lifted), rises

    monkeypatch.setattr(edit_search, "_Trial", Lifting)
    for each in tried():
        assert not each.edits.any()
        assert each.checked.all()


def test_equal_jobs_have_equal_keys():
    jobs = draw_edit_jobs(GOALS, 0, CONFIG)
    assert sorted(json.loads(job.key)["object"] for job in jobs) == ["apple/0", "can/0"]
    again = draw_edit_jobs(GOALS, 0, CONFIG)
    assert [job.key for job in again] == [job.key for job in jobs]
    other = draw_edit_jobs(GOALS, 0, replace(CONFIG, edit=EditConfig(shift=0.01)))
    assert not {job.key for job in other} & {job.key for job in jobs}
    assert all('"backend"' not in job.key for job in jobs)
    elsewhere = draw_edit_jobs(GOALS, 0, CONFIG, "mujoco_warp")
    assert all('"backend": "mujoco_warp"' in job.key for job in elsewhere)


def test_tries_in_the_simulator_are_kept_and_gone_on_with(tmp_path, monkeypatch):
    """Episodes so short that nothing is lifted: every stage is searched."""
    jobs = draw_edit_jobs(GOALS, 0, CONFIG)
    path = tmp_path / "kept.jsonl"
    with_first = [found for _, found in run(jobs[:1], kept=path)]
    assert len(KeptResults(path)._results) == 1
    (goal, _) = with_first[0]["goals"]
    assert np.shape(with_first[0]["cloud"]) == (256, 3)
    assert np.shape(goal["edits"]) == (1 + 3 * 2 * 4, SIZE)
    assert not any(goal["lifted"])
    assert np.shape(goal["checked"]) == (4, 1)
    assert run_edit_job(jobs[0]) == with_first[0]

    def worked(job):
        assert job.key != jobs[0].key, "it is kept"
        return {"cloud": [], "goals": []}

    monkeypatch.setattr(edit_search, "run_edit_job", worked)
    found = {job.key: result for job, result in run(jobs, kept=path)}
    assert found[jobs[0].key] == with_first[0]
    assert len(found) == 2
