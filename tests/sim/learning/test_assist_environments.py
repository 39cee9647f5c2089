"""Episodes in the simulator: each by itself, repeatable, judged by what the object does."""

from __future__ import annotations

from dataclasses import fields, replace

import assist_scenes as scenes
import numpy as np
import pytest

from dexgrasp_learning.assist_environments import EpisodeResults
from dexgrasp_learning.rollout import run_episodes
from dexgrasp_models.control.types import Observation, RobotState
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_observation import (
    AssistObservation,
    WristHistory,
    from_observation,
)

HORIZON = scenes.SHORT.horizon
GOALS = scenes.goals()
EPISODES = scenes.episodes(GOALS)
N = len(EPISODES)
NOT_ALWAYS = ("faults", "strict", "hint")
"""Fields of observations and results that there may be none of."""


def same(one, other, rows=slice(None), of=slice(None)) -> bool:
    """Whether rows of observations, or of results, are equal to the bit."""
    names = [item.name for item in fields(one) if item.name not in NOT_ALWAYS]
    return all(np.array_equal(getattr(one, name)[rows], getattr(other, name)[of]) for name in names)


def actions(seed: int = 0) -> np.ndarray:
    """(T, N, 18) of no sense."""
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (HORIZON, N, 18))


def rolled(environments, episodes=EPISODES, given=None):
    """What was seen from first to last, and the results."""
    seen = [environments.begin(episodes)]
    for each in actions() if given is None else given:
        seen.append(environments.step(each))
    return seen, environments.finish()


def test_a_good_grasp_lifts_and_a_frozen_hand_does_not():
    config = AssistConfig(points=64, hold_time=1.0)
    episodes = scenes.episodes(GOALS, config, seed=1)
    environments = scenes.environments(config, strict=True)
    held = run_episodes(environments, episodes, scenes.Expert(environments))
    assert held.paper.all()
    assert held.latched.all()
    assert held.strict is not None
    assert held.strict.all()
    assert held.rises == pytest.approx(1.0, abs=0.05)
    assert (held.translation < 0.04).all()
    assert (held.rotation < 0.05).all()

    still = run_episodes(environments, episodes, scenes.Frozen())
    assert not still.paper.any()
    assert not still.latched.any()
    assert not still.strict.any()
    assert still.rises == pytest.approx(0.0, abs=1e-3)
    assert still.translation == pytest.approx(0.0, abs=1e-3)
    assert still.rotation == pytest.approx(0.0, abs=1e-3)
    # Straight fingers stay straight.
    assert still.posture == pytest.approx(np.abs(GOALS.joints).mean(axis=1), abs=0.02)
    assert (held.posture < 0.5 * still.posture).all()


def test_nothing_hinders_the_fingers_where_it_is_asked_for_until_the_wrist_has_come():
    config = AssistConfig(points=64)
    episodes = scenes.episodes(GOALS, config, seed=1)
    environments = scenes.environments(config)
    ends = {}
    for unhindered in (False, True):
        policy = scenes.Expert(environments)
        seen = environments.begin(episodes, unhindered=unhindered)
        for _ in range(config.horizon):
            seen = environments.step(policy.actions(seen))
        behind = np.abs(environments.targets - environments.joints()).mean(axis=1)
        moved = environments.physics.object_poses()[:, 0, 3] - episodes.object_poses[:, 0, 3]
        ends[unhindered] = behind, moved, environments.finish()
    assert (ends[True][0] < 0.7 * ends[False][0]).all()
    assert (ends[True][1] > 1.0).all()
    assert (np.abs(ends[False][1]) < 0.1).all()
    assert (np.nan_to_num(ends[True][2].translation) < 0.5).all()  # it was put back


def test_a_weak_grip_loses_the_object_under_the_push_only():
    config = AssistConfig(points=64, hold_time=1.0, push=50.0)
    environments = scenes.environments(config, strict=True)
    episodes = scenes.episodes(GOALS, config, seed=1)[np.array([0, 2])]
    held = run_episodes(environments, episodes, scenes.Expert(environments))
    assert held.paper.all()
    assert held.strict is not None
    assert not held.strict.any()


@pytest.mark.parametrize("threads", [1, 2])
def test_each_episode_is_as_it_is_alone(threads):
    seen, results = rolled(scenes.environments(threads=threads))
    alone = scenes.environments()
    for row in range(N):
        single, ended = rolled(alone, EPISODES[[row]], actions()[:, [row]])
        assert all(same(one, whole, of=[row]) for one, whole in zip(single, seen, strict=True))
        assert same(ended, results, of=[row])


def test_the_same_again_is_the_same_to_the_bit():
    environments = scenes.environments()
    seen, results = rolled(environments)
    again, ended = rolled(environments)
    assert all(same(one, other) for one, other in zip(seen, again, strict=True))
    assert same(results, ended)
    _, otherwise = rolled(environments, given=actions(1))
    assert not same(results, otherwise)
    assert results.strict is None


def test_a_controller_sees_what_the_environment_does_to_the_bit():
    environments = scenes.environments()
    histories = [WristHistory(1, scenes.SHORT.history) for _ in range(N)]
    seen = environments.begin(EPISODES)
    for step in range(HORIZON):
        wrists, joints = environments.physics.wrist_poses(), environments.physics.joints()
        for row, history in enumerate(histories):
            if step:
                history.push(wrists[[row]])
            else:
                history.reset([0], wrists[[row]])
            state = RobotState(0.05 * step, wrists[row], joints[row], np.zeros(22))
            observation = Observation(state, object_points=EPISODES.clouds[row])
            found = from_observation(
                observation, history, scenes.HAND, scenes.SHORT.points, environments.targets[row]
            )
            assert same(found, seen, of=[row])
        seen = environments.step(actions()[step])
    assert isinstance(seen, AssistObservation)


def test_what_is_acted_moves_the_joints():
    environments = scenes.environments()
    environments.begin(EPISODES)
    closing = np.zeros((N, 18))
    first = scenes.HAND.actuators.index("rh_FFJ3")
    closing[:, first] = 1.0
    for _ in range(HORIZON):
        environments.step(closing)
    column = scenes.HAND.finger_joints.index("rh_FFJ3")
    expected = HORIZON * scenes.SHORT.max_change
    assert environments.targets[:, column] == pytest.approx(expected)
    assert environments.joints()[:, column] == pytest.approx(expected, abs=0.1)
    assert environments.steps == HORIZON


@pytest.mark.parametrize("late", [False, True])
def test_a_fault_is_a_failure_of_its_own_episode(late):
    _, undisturbed = rolled(scenes.environments())
    environments = scenes.environments()
    environments.begin(EPISODES)
    for step, each in enumerate(actions()):
        if step == (HORIZON - 1 if late else 3):
            environments.physics.place([1], joints=np.full((1, 22), np.nan))
        seen = environments.step(each)
        assert all(
            np.isfinite(getattr(seen, item.name)).all()
            for item in fields(seen)
            if item.name not in NOT_ALWAYS
        )
    results = environments.finish()
    assert list(results.faults) == [1]
    assert "unstable" in results.faults[1]
    for item in fields(EpisodeResults):
        values = getattr(results, item.name)
        if item.name in ("paper", "latched"):
            assert not values[1]
        elif item.name not in ("faults", "strict"):
            assert np.isnan(values[1])
    others = [0, 2, 3]
    assert same(results, undisturbed, others, others)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="free hand"):
        scenes.environments(scene=replace(scenes.SCENE, scene="arm"))
    with pytest.raises(ValueError, match=r"20 steps a second need a control_period of 0\.05 s"):
        scenes.environments(scene=replace(scenes.SCENE, control_period=0.02))
    environments = scenes.environments()
    for call in (environments.finish, lambda: environments.step(actions()[0])):
        with pytest.raises(ValueError, match="no episodes have begun"):
            call()
    with pytest.raises(ValueError, match="8 steps and 64 points don't fit"):
        scenes.environments(AssistConfig()).begin(EPISODES)
    environments.begin(EPISODES)
    with pytest.raises(ValueError, match="0 steps are made"):
        environments.finish()
    with pytest.raises(ValueError, match=r"action has the shape \(4, 22\)"):
        environments.step(np.zeros((N, 22)))
    for each in actions():
        environments.step(each)
    with pytest.raises(ValueError, match="approach is over after 8 steps"):
        environments.step(actions()[0])
    environments.finish()
    with pytest.raises(ValueError, match="finished once"):
        environments.finish()
