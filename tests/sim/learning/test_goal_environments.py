"""Episodes in the simulator: each by itself, repeatable, rewarded and judged by what happens."""

from __future__ import annotations

from dataclasses import fields

import assist_scenes as scenes
import goal_scenes
import numpy as np
import pytest

from dexgrasp_learning.goal_environments import GoalEnvironments, GoalResults
from dexgrasp_models.tasks.goal_action import actions_to
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_success import Lost
from dexgrasp_sim.scene import SceneConfig

GOALS = scenes.goals()
EPISODES = goal_scenes.episodes(GOALS)
N, HORIZON = len(EPISODES), goal_scenes.SHORT.horizon
NOT_ARRAYS = ("faults", "strict", "lost")


def same(one, other, rows=slice(None), of=slice(None)) -> bool:
    """Whether rows of observations, or of results, are equal to the bit."""
    names = [item.name for item in fields(one) if item.name not in NOT_ARRAYS]
    return all(np.array_equal(getattr(one, name)[rows], getattr(other, name)[of]) for name in names)


def actions(seed: int = 0) -> np.ndarray:
    """(T, N, 24) of no sense."""
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (HORIZON, N, 24))


def rolled(environments: GoalEnvironments, episodes=EPISODES, given=None):
    """What was seen from first to last, the rewards, and the results."""
    seen, rewards = [environments.begin(episodes)], []
    for each in actions() if given is None else given:
        observation, reward = environments.step(each)
        seen.append(observation)
        rewards.append(reward)
    return seen, np.array(rewards), environments.finish()


def staying(environments: GoalEnvironments) -> np.ndarray:
    wrists = environments.wrist_targets
    return actions_to(
        wrists,
        wrists,
        environments.targets,
        environments.frames,
        scenes.HAND,
        environments.config,
    )


def test_a_hand_that_stays_lifts_nothing():
    environments = goal_scenes.environments(strict=True)
    environments.begin(EPISODES)
    first = environments.state.wrists
    for _ in range(HORIZON):
        seen, rewards = environments.step(staying(environments))
    results = environments.finish()
    assert isinstance(results, GoalResults)
    assert environments.state.wrists == pytest.approx(first, abs=1e-3)
    assert not results.paper.any()
    assert not results.latched.any()
    assert results.strict is not None
    assert not results.strict.any()
    assert results.lost == [Lost.REACH] * N
    assert results.rises == pytest.approx(0.0, abs=1e-3)
    assert results.faults == {}
    # Nothing is held, so there is only less than nothing: r_goal, r_reach and -2 0.3 of r_move.
    assert (rewards < -0.6).all()
    assert results.rewards == pytest.approx(HORIZON * rewards, rel=0.05)
    assert seen.wrist[:, :3] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("threads", [1, 2])
def test_each_episode_is_as_it_is_alone(threads):
    seen, rewards, results = rolled(goal_scenes.environments(threads=threads))
    alone = goal_scenes.environments()
    for row in range(N):
        one, reward, ended = rolled(alone, EPISODES[[row]], actions()[:, [row]])
        assert all(same(each, whole, of=[row]) for each, whole in zip(one, seen, strict=True))
        assert np.array_equal(reward[:, 0], rewards[:, row])
        assert same(ended, results, of=[row])


def test_the_same_again_is_the_same_to_the_bit():
    environments = goal_scenes.environments()
    seen, _, results = rolled(environments)
    again, _, ended = rolled(environments)
    assert all(same(one, other) for one, other in zip(seen, again, strict=True))
    assert same(results, ended)
    assert not same(results, rolled(environments, given=actions(1))[2])


def test_the_wrist_goes_where_the_action_says():
    environments = goal_scenes.environments()
    environments.begin(EPISODES)
    for _ in range(HORIZON):
        up = staying(environments)
        up[:, 2] = 0.5
        seen, _ = environments.step(up)
    expected = HORIZON * 0.5 * 0.03
    assert seen.wrist[:, 2] == pytest.approx(np.full(N, expected), abs=2e-3)
    assert seen.action[:, 2] == pytest.approx(np.full(N, 0.5))


def test_unstable_physics_is_a_failure_and_disturbs_no_other():
    environments = goal_scenes.environments()
    _, rewards, results = rolled(environments)
    environments.begin(EPISODES)
    environments.physics.data[1].qvel[:] = 1e9
    for each in actions():
        seen, rewarded = environments.step(each)
        assert np.isfinite(seen.teacher).all()
    ended = environments.finish()
    assert set(ended.faults) == {1}
    assert not ended.paper[1]
    assert np.isnan([ended.mpe[1], ended.rises[1]]).all()
    assert rewarded[1] == 0.0
    others = [0, 2, 3]
    assert np.array_equal(rewarded[others], rewards[-1, others])
    assert same(ended, results, others, others)


def test_what_does_not_fit_is_refused():
    environments = goal_scenes.environments()
    with pytest.raises(ValueError, match="no episodes have begun"):
        environments.step(actions()[0])
    environments.begin(EPISODES)
    with pytest.raises(ValueError, match="0 steps are made"):
        environments.finish()
    with pytest.raises(ValueError, match="64 points don't fit a task of 8"):
        goal_scenes.environments(GoalConfig(points=8)).begin(EPISODES)
    with pytest.raises(ValueError, match="its scene is floating, not arm"):
        goal_scenes.environments(scene=SceneConfig(scene="arm", control_period=0.05))
    with pytest.raises(ValueError, match=r"control_period of 0\.05 s"):
        goal_scenes.environments(scene=SceneConfig())
    rolled(environments)
    with pytest.raises(ValueError, match="are over after 8 steps"):
        environments.step(actions()[0])
