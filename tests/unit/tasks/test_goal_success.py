"""Success by three rules, and where episodes are lost."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_success import (
    Lost,
    goal_verdicts,
    lost_in,
    mean_position_errors,
)

CONFIG = GoalConfig(horizon=4, hold_time=0.1)  # two steps of hold
NEAR, FAR = 0.049, 0.051


def test_rules():
    distances = np.array(
        [
            # stays, at the last moment, too early, lost under the push, never, unstable at the end
            [FAR, FAR, NEAR, FAR, FAR, FAR],
            [NEAR, FAR, NEAR, NEAR, FAR, NEAR],
            [NEAR, FAR, NEAR, NEAR, FAR, NEAR],
            [NEAR, NEAR, FAR, NEAR, FAR, np.nan],
            [NEAR, NEAR, NEAR, NEAR, NEAR, np.nan],
            [NEAR, NEAR, NEAR, FAR, NEAR, np.nan],
        ]
    )
    found = goal_verdicts(distances, CONFIG)
    assert found.paper.tolist() == [True, True, False, True, False, False]
    assert found.latched.tolist() == [True, True, True, True, False, True]
    assert found.strict.tolist() == [True, True, False, False, False, False]
    without = goal_verdicts(distances[:4], CONFIG)
    assert without.paper.tolist() == found.paper.tolist()
    assert without.strict is None
    with pytest.raises(ValueError, match="5 steps are no episode"):
        goal_verdicts(distances[:5], CONFIG)


def test_where_it_is_lost():
    close, far = 0.01, 0.2
    keypoints = np.array([[far] * 6, [far, close, close, close, close, close]])
    rises = np.array([[0.0] * 6, [0.0] * 6, [0.0, 0.0, 0.1, 0.1, 0.28, 0.3]])
    rises = np.concatenate((rises, [[0.0, 0.0, 0.0, 0.2, 0.1, 0.3]]))
    success = np.array([False] * 5 + [True])
    latched = np.array([False] * 4 + [True] * 2)
    assert lost_in(success, latched, keypoints, rises) == [
        Lost.REACH,
        Lost.GRIP,
        Lost.LIFT,
        Lost.LATE,
        Lost.HOLD,
        Lost.NOWHERE,
    ]


def test_mpe_is_the_mean_distance_of_the_joints():
    keypoints = np.zeros((2, 4, 3))
    goals = keypoints.copy()
    goals[0, 1] = 0.03, 0.0, 0.04
    assert mean_position_errors(keypoints, goals) == pytest.approx([0.05 / 4, 0.0])
