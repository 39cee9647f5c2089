"""What happens when: counted by hand for the paper's episode."""

from __future__ import annotations

import assist_samples as samples
import numpy as np
import pytest

from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_schedule import (
    Stage,
    close_shares,
    pushes,
    stage_ends,
    stages,
    wrist_targets,
)
from dexgrasp_models.tasks.strict_hold import PUSH_DIRECTIONS

CONFIG = AssistConfig(lift_speed=1.0)
ALL = np.arange(230)


def test_stages_of_the_papers_episode():
    assert stage_ends(CONFIG).tolist() == [50, 80, 100, 120, 220]
    expected = np.repeat(list(Stage), [50, 30, 20, 20, 100, 10])
    assert np.array_equal(stages(ALL, CONFIG), expected)


def test_no_settling_is_no_stage():
    config = AssistConfig(settle_steps=0)
    assert stages(np.array([79, 80]), config).tolist() == [Stage.CLOSE, Stage.LIFT]


def test_the_hand_closes_evenly_and_stays_closed():
    shares = close_shares(ALL, CONFIG)
    assert (shares[:50] == 0.0).all()
    assert shares[50:80] == pytest.approx(np.arange(1, 31) / 30)
    assert (shares[79:] == 1.0).all()


def test_the_wrist_follows_its_path_then_goes_straight_up_by_the_height():
    path = samples.poses(50, np.random.default_rng(0))[None]
    targets = wrist_targets(np.repeat(path, len(ALL), axis=0), ALL, CONFIG)
    assert np.array_equal(targets[:50], path[0])
    assert np.array_equal(targets[50:100], np.repeat(path[:, -1], 50, axis=0))
    raised = targets[100:, :3, 3] - path[0, -1, :3, 3]
    assert raised[:, :2] == pytest.approx(np.zeros((130, 2)))
    assert raised[:20, 2] == pytest.approx(0.05 * np.arange(1, 21))
    assert raised[20:, 2] == pytest.approx(np.ones(110))
    assert np.array_equal(targets[100:, :3, :3], np.repeat(path[:, -1, :3, :3], 130, axis=0))


def test_environments_are_at_their_own_steps():
    rng = np.random.default_rng(1)
    paths = samples.poses(3 * 50, rng).reshape(3, 50, 4, 4)
    kept = paths.copy()
    steps = np.array([7, 110, 0])
    together = wrist_targets(paths, steps, CONFIG)
    alone = [wrist_targets(paths[[n]], steps[[n]], CONFIG)[0] for n in range(3)]
    assert np.array_equal(together, alone)
    assert np.array_equal(paths, kept)


def test_each_direction_pushes_for_as_long_and_only_in_the_hold():
    forces = pushes(ALL, CONFIG)
    held = stages(ALL, CONFIG) == Stage.HOLD
    assert (forces[~held] == 0.0).all()
    assert np.linalg.norm(forces[held], axis=1) == pytest.approx(np.full(100, 2.5))
    counts = [(forces == 2.5 * direction).all(axis=1).sum() for direction in PUSH_DIRECTIONS]
    assert sum(counts) == 100
    assert set(counts) == {16, 17}
    # One after the other.
    assert (np.abs(np.diff(forces[held], axis=0)).sum(axis=1) > 0).sum() == 5


def test_pushes_are_by_time_whatever_the_rate():
    slow, fast = AssistConfig(rate=12.0), AssistConfig(rate=24.0)
    begin_slow, begin_fast = (stage_ends(each)[Stage.LIFT] for each in (slow, fast))
    after = np.arange(slow.hold_steps)
    assert np.array_equal(pushes(begin_slow + after, slow), pushes(begin_fast + 2 * after, fast))


@pytest.mark.parametrize("steps", [np.array([-1]), np.array([0.5]), np.array([[1]]), 3])
def test_bad_steps_are_refused(steps):
    with pytest.raises(ValueError, match="steps have to be whole numbers"):
        stages(steps, CONFIG)


def test_a_path_of_another_horizon_is_refused():
    with pytest.raises(ValueError, match=r"path has the shape .* \(1, 50, 4, 4\)"):
        wrist_targets(np.zeros((1, 49, 4, 4)), np.array([0]), CONFIG)
