"""Goals that go along in the simulator, by what its cameras see."""

from __future__ import annotations

from dataclasses import replace

import assist_scenes as scenes
import goal_scenes
import numpy as np
import pytest

from dexgrasp_learning.followed_policy import FollowedPolicy
from dexgrasp_learning.goal_disturbances import Disturbance, disturbed, pushes_in
from dexgrasp_learning.goal_rows import ROWS, CarryingOut, PlannedPolicy, plans_of, run_told
from dexgrasp_learning.seen_environments import AsAtFirst
from dexgrasp_learning.streamed_sight import StreamedSight
from dexgrasp_models.control.following import FollowConfig
from dexgrasp_models.tasks.goal_action import actions_to
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_frame import inverses

TASK = GoalConfig(points=256, horizon=200)
MOVED = 0.06


def episodes():
    own = goal_scenes.episodes(scenes.pressing_goals(), TASK)
    return replace(own, looks=own.clouds)


def distances(cloud, surface):
    return np.linalg.norm(cloud[:, None] - surface[None], axis=2).min(axis=1)


def test_the_stream_shows_where_the_object_is_now_and_not_the_hand():
    own = episodes()[:2]
    _, true = disturbed(own, Disturbance(moved=0.05), np.random.default_rng(0))
    environments = goal_scenes.environments(TASK)
    environments.begin(true)
    near = true.goal_wrists.copy()
    near[:, 2, 3] += 0.1
    environments.physics.place(range(2), wrist_poses=near)
    sight = StreamedSight(environments)
    for index in range(2):
        cloud = sight.cloud(index)
        assert len(cloud) > 100
        assert np.quantile(distances(cloud, true.clouds[index]), 0.9) < 0.012
        assert np.quantile(distances(cloud, own.clouds[index]), 0.9) > 0.02
    assert np.array_equal(sight.cloud(0), StreamedSight(environments).cloud(0))


def test_seen_as_at_first_all_is_where_it_was():
    own = episodes()
    environments = goal_scenes.environments(TASK)
    environments.begin(own)
    rng = np.random.default_rng(0)
    motions = np.tile(np.eye(4), (len(own), 1, 1))
    angles = rng.uniform(-1.0, 1.0, len(own))
    motions[:, 0, 0] = motions[:, 1, 1] = np.cos(angles)
    motions[:, 1, 0] = np.sin(angles)
    motions[:, 0, 1] = -np.sin(angles)
    motions[:, :2, 3] = rng.uniform(-0.1, 0.1, (len(own), 2))
    seen = AsAtFirst(environments, motions)
    assert motions @ seen.state.wrists == pytest.approx(environments.state.wrists)
    assert motions @ seen.state.objects == pytest.approx(environments.state.objects)
    assert motions @ seen.frames == pytest.approx(environments.frames)
    # What is done there is done here: actions are the same.
    wanted = environments.wrist_targets
    wanted[:, :3, 3] += rng.uniform(-0.01, 0.01, (len(own), 3))

    def actions(now, targets):
        return actions_to(
            now.wrist_targets, targets, now.targets, now.frames, environments._hand, TASK
        )

    expected = actions(environments, wanted)
    assert actions(seen, inverses(motions) @ wanted) == pytest.approx(expected)


@pytest.mark.parametrize("disturbance", [Disturbance(moved=MOVED), Disturbance(pushed=MOVED)])
def test_who_follows_lifts_what_was_moved_and_who_does_not_loses_it(disturbance):
    rng = np.random.default_rng(0)
    told, true = disturbed(episodes(), disturbance, rng)
    pushes = pushes_in(told, disturbance, rng)
    plans = plans_of(told, TASK, CarryingOut())
    environments = goal_scenes.environments(TASK)
    blind = run_told(environments, true, PlannedPolicy(environments, plans), pushes)
    follows = ROWS["planned_tracked"].make(environments, told, plans, CarryingOut())
    assert isinstance(follows, FollowedPolicy)
    tracked = run_told(environments, true, follows, pushes)
    assert blind.paper.sum() <= 1
    assert tracked.paper.sum() >= len(told) - 1


def test_where_nothing_is_moved_the_same_is_done_to_the_bit():
    own = episodes()[:2]
    plans = plans_of(own, TASK, CarryingOut())
    environments = goal_scenes.environments(replace(TASK, horizon=60))

    def run(policy):
        seen = environments.begin(own)
        policy.begin(2)
        done = []
        for _ in range(60):
            done.append(policy.actions(seen))
            seen, _ = environments.step(done[-1])
        return np.array(done)

    blind = run(PlannedPolicy(environments, plans))
    followed = FollowedPolicy(
        environments, own, lambda seen: PlannedPolicy(seen, plans), FollowConfig(threshold=0.005)
    )
    assert np.abs(run(followed) - blind).max() < 1e-9


def test_nobody_follows_what_nobody_looked_at():
    own = replace(episodes(), looks=None)
    environments = goal_scenes.environments(TASK)
    with pytest.raises(ValueError, match="draw looks"):
        FollowedPolicy(environments, own, lambda seen: PlannedPolicy(seen, []), FollowConfig())
