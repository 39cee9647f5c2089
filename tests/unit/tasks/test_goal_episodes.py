"""Episodes of the goal-conditioned task: drawn whole, repeatable, with the hand above the table."""

from __future__ import annotations

import assist_scenes as scenes
import numpy as np
import pytest
from goal_scenes import SHORT, episodes

from dexgrasp_models.data.grasps import GraspDataError
from dexgrasp_models.tasks.goal_frame import first_hands, reference_frames

GOALS = scenes.goals()


def test_the_same_seed_draws_the_same():
    one, same, other = (episodes(GOALS, seed=seed) for seed in (1, 1, 2))
    for name in ("object_poses", "hands", "clouds"):
        assert np.array_equal(getattr(one, name), getattr(same, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))


def test_hands_are_above_the_table_and_objects_on_it():
    drawn = episodes(GOALS)
    assert drawn.names == ["can/0", "can/0", "apple/0", "apple/0"]
    assert drawn.clouds.shape == (4, SHORT.points, 3)
    assert (drawn.clouds[..., 2] > -0.002).all()
    assert (np.linalg.norm(drawn.object_poses[:, :2, 3], axis=1) < 0.1).all()
    frames = reference_frames(drawn.hands)
    yaws = np.arctan2(frames[:, 1, 0], frames[:, 0, 0])
    assert drawn.hands == pytest.approx(first_hands(yaws, SHORT.start_height))
    assert drawn.goal_wrists == pytest.approx(drawn.object_poses @ GOALS.palm_poses)
    some = drawn[np.array([2, 0])]
    assert some.names == ["apple/0", "can/0"]
    assert np.array_equal(some.clouds, drawn.clouds[[2, 0]])


def test_palms_are_wanted_where_one_aims():
    drawn = episodes(GOALS)
    palms = drawn.goal_wrists[[1, 0, 3, 2]] @ np.diag([1.0, -1.0, -1.0, 1.0])
    aimed = drawn.aimed(palms)
    assert aimed.goal_wrists == pytest.approx(palms, abs=1e-6)
    assert np.array_equal(aimed.goals.joints, drawn.goals.joints)
    assert np.array_equal(aimed.clouds, drawn.clouds)
    assert drawn.goal_wrists == pytest.approx(drawn.object_poses @ GOALS.palm_poses)


def test_none_of_no_goals_and_a_goal_without_a_table_is_refused():
    assert len(episodes(GOALS[:0])) == 0
    nowhere = GOALS[:1]
    object.__setattr__(nowhere, "planes", np.full((1, 4), np.nan, np.float32))
    with pytest.raises(GraspDataError, match="goal 0 has no table"):
        episodes(nowhere)
