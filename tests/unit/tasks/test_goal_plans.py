"""Grasps of a set as they are carried out, and the ways to them."""

from __future__ import annotations

from dataclasses import replace

import assist_scenes as scenes
import numpy as np
import pytest
from goal_scenes import episodes

from dexgrasp_models.control.approach_plan import ApproachConfig
from dexgrasp_models.data.grasps import GraspDataError
from dexgrasp_models.tasks.goal_plans import TellingConfig, plan_told, told_grasps

HAND = scenes.HAND
EPISODES = episodes(scenes.pressing_goals()[:2])


def test_a_told_grasp_opens_and_presses_by_the_settings():
    goals = EPISODES.goals
    one, _ = told_grasps(EPISODES, HAND, TellingConfig(squeeze=2.0, opening=0.4))
    assert one.palm_pose == pytest.approx(EPISODES.object_poses[0] @ goals.palm_poses[0])
    assert one.joints == pytest.approx(goals.joints[0])
    pressed = 2.0 * (goals.squeezes[0].astype(float) - goals.joints[0])
    assert one.squeeze_joints - one.joints == pytest.approx(pressed, abs=1e-6)
    flexion = HAND.joint_index("rh_MFJ3")
    assert one.pregrasp_joints[flexion] == pytest.approx(
        max(goals.joints[0, flexion] - 0.4, HAND.limits[flexion, 0]), abs=1e-6
    )
    unknown = replace(goals, squeezes=np.full_like(goals.squeezes, np.nan))
    with pytest.raises(GraspDataError, match="dexgrasp data squeeze fills it in"):
        told_grasps(replace(EPISODES, goals=unknown), HAND, TellingConfig())


def test_there_is_a_way_or_none():
    grasps = told_grasps(EPISODES, HAND, TellingConfig())
    below = grasps[1].palm_pose.copy()
    below[2, 3] -= 0.1
    grasps[1] = replace(grasps[1], palm_pose=below)
    found, none = plan_told(grasps, EPISODES, HAND, 0.3, ApproachConfig())
    assert found is not None
    assert found.grasp is grasps[0]
    assert none is None
