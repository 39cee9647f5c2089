"""The task in Gymnasium: made by its name, checked by Gymnasium's own checks."""

from __future__ import annotations

import warnings

import assist_scenes as scenes
import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import dexgrasp_learning

NAME = "dexgrasp/Assist-v0"
SHORT = {"config": scenes.SHORT, "goals": scenes.goals()}
HORIZON = scenes.SHORT.horizon


def test_it_is_made_by_its_name():
    env = gymnasium.make(f"{dexgrasp_learning.__name__}:{NAME}", **SHORT)
    seen, _ = env.reset(seed=0)
    assert {name: values.shape for name, values in seen.items()} == {
        "state": (57,),
        "cloud": (64, 3),
    }
    for step in range(HORIZON):
        seen, reward, ended, cut, info = env.step(env.action_space.sample())
        assert seen in env.observation_space
        assert ended is (step == HORIZON - 1)
        assert cut is False
    assert info["success"] is False
    assert reward == pytest.approx(0.5 * info["rise"])


def test_gymnasium_s_own_checks():
    env = gymnasium.make(NAME, **SHORT).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # What can be seen has no bounds: joints may be a little beyond their limits.
        warnings.filterwarnings("ignore", message=".*observation space.*infinity.*")
        check_env(env)


def test_many_hands_are_as_one_each_and_begin_again_by_themselves():
    envs = gymnasium.make_vec(NAME, num_envs=3, **SHORT)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    first, _ = envs.reset(seed=4)
    again, _ = envs.reset(seed=4)
    assert first in envs.observation_space
    assert all(np.array_equal(first[name], again[name]) for name in first)
    for step in range(HORIZON):
        seen, rewards, ended, cut, info = envs.step(envs.action_space.sample())
        assert seen in envs.observation_space
        assert ended.tolist() == [step == HORIZON - 1] * 3
        assert not cut.any()
        assert rewards.any() == (step == HORIZON - 1)
    assert rewards == pytest.approx(np.where(info["success"], 1.0, 0.5 * info["rise"]))
    assert info["_success"].all()
    seen, rewards, ended, cut, info = envs.step(envs.action_space.sample())
    assert not np.stack([rewards, ended, cut]).any()
    assert not info
    assert not np.array_equal(seen["cloud"], first["cloud"])
    assert np.array_equal(seen["state"][:, 22:], np.tile([0, 0, 0, 0, 0, 0, 1], (3, 5)))
    # The first of many is the only one of one, drawn alike.
    alone = gymnasium.make_vec(NAME, num_envs=1, vectorization_mode="sync", **SHORT)
    single, _ = gymnasium.make(NAME, **SHORT).reset(seed=4)
    both, _ = alone.reset(seed=4)
    assert np.array_equal(both["cloud"][0], single["cloud"])


def test_what_is_seen_is_what_the_task_tells():
    env = gymnasium.make(NAME, **SHORT).unwrapped
    seen, _ = env.reset(seed=0)
    known = env._episodes._environments
    wrist = known.physics.wrist_poses()[0]
    cloud = (known.episodes.clouds[0] - wrist[:3, 3]) @ wrist[:3, :3]
    assert seen["cloud"] == pytest.approx(cloud, abs=1e-6)
    assert seen["state"][22:29] == pytest.approx([0, 0, 0, 0, 0, 0, 1])


def test_goals_are_chosen_by_objects():
    env = gymnasium.make(NAME, config=scenes.SHORT, objects=["can/0"]).unwrapped
    for seed in range(3):
        env.reset(seed=seed)
        assert env._episodes._environments.episodes.names == ["can/0"]
    with pytest.raises(ValueError, match="no goals on a table of"):
        gymnasium.make(NAME, objects=["unicorn"])
