"""rsl_rl's side of the task: what is observed, acted and rewarded, and when episodes end."""

from __future__ import annotations

import os
from dataclasses import replace

import assist_scenes as scenes
import numpy as np
import pytest
import torch

from dexgrasp_learning.residual_vec_env import ResidualVecEnv
from dexgrasp_models.nets.grasp_gradient import GraspGradient
from dexgrasp_models.tasks.assist_config import AssistRewardConfig
from dexgrasp_models.tasks.assist_observation import state_vector
from dexgrasp_models.tasks.primitive_assist import seen_gradients

GOALS = scenes.goals()
HORIZON, N = scenes.SHORT.horizon, len(GOALS)
REWARD = AssistRewardConfig()


def source(rng):
    return scenes.episodes(GOALS, seed=int(rng.integers(1000)))


def primitive(seen):
    """Of no sense, but of what is seen; none for the last."""
    gradients = 3.0 * np.sin(7.0 * seen.actuated)
    gradients[-1] = 0.0
    return gradients


def env(seed=0, given=primitive, **options) -> ResidualVecEnv:
    return ResidualVecEnv(scenes.environments(**options), source, given, seed=seed)


def outputs(steps=HORIZON, numbers=36, seed=0):
    rng = np.random.default_rng(seed)
    return torch.as_tensor(rng.uniform(-1.0, 1.0, (steps, N, numbers)), dtype=torch.float32)


def test_what_is_observed_and_when_episodes_end():
    vec = env()
    seen = vec.get_observations()
    assert {name: tuple(seen[name].shape) for name in sorted(seen.keys())} == {
        "state": (N, 57),
        "cloud": (N, 64, 3),
        "gradient": (N, 18),
    }
    assert seen["state"].dtype == torch.float32
    assert (vec.num_envs, vec.num_actions, vec.max_episode_length) == (N, 36, HORIZON)
    for step, action in enumerate(outputs(2 * HORIZON)):
        assert vec.episode_length_buf.tolist() == [step % HORIZON] * N
        begun = vec.get_observations()
        seen, rewards, dones, extras = vec.step(action)
        assert rewards.shape == dones.shape == (N,)
        over = (step + 1) % HORIZON == 0
        assert dones.tolist() == [over] * N
        assert not extras["time_outs"].any()
        assert ("log" in extras) is over
        assert not torch.equal(seen["cloud"], begun["cloud"])
        assert torch.equal(seen["state"], vec.get_observations()["state"])
    assert set(extras["log"]) == {
        *("/success", "/rise", "/posture", "/translation", "/rotation", "/faults")
    }
    with pytest.raises(AttributeError):
        vec.episode_length_buf = torch.zeros(N)


def test_actions_and_rewards_are_those_of_the_equations():
    """Beside environments that are stepped by hand."""
    vec, alone = env(), scenes.environments()
    seen = alone.begin(source(np.random.default_rng(0)))
    reduction = scenes.HAND.reduction
    for step, output in enumerate(outputs()):
        assert np.array_equal(vec.get_observations()["state"], np.float32(state_vector(seen)))
        gradients = primitive(seen)
        assert np.array_equal(vec.get_observations()["gradient"], np.float32(gradients))
        scales, residuals = np.split(output.double().numpy(), 2, axis=1)
        largest = np.abs(gradients).max(axis=1, keepdims=True)
        directions = np.divide(gradients, largest, where=largest > 0, out=np.zeros_like(gradients))
        before = alone.joints() @ reduction.T
        seen = alone.step(directions * scales + residuals)
        change = alone.joints() @ reduction.T - before
        _, rewards, *_ = vec.step(output)
        expected = np.zeros(N)
        if step % 5 == 4:
            sizes = np.linalg.norm(gradients, axis=1)
            expected[:-1] = 0.09 * ((gradients * change).sum(axis=1) / np.maximum(sizes, 1))[:-1]
            assert np.abs(expected[:-1]).min() > 0
        if step == HORIZON - 1:
            results = alone.finish()
            expected += 0.5 * results.rises
            assert not results.paper.any()
        assert rewards.numpy() == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_a_success_is_rewarded_instead_and_a_fault_with_nothing(monkeypatch):
    environments = scenes.environments()
    finish = environments.finish

    def one_lifted():
        found = finish()
        rises, paper = found.rises.copy(), found.paper.copy()
        rises[:3], paper[:3] = (0.4, np.nan, 0.2), (True, False, False)
        return replace(found, paper=paper, rises=rises, faults={1: "unstable"})

    monkeypatch.setattr(environments, "finish", one_lifted)
    vec = ResidualVecEnv(environments, source, None)
    for action in outputs(numbers=18):
        _, rewards, _, extras = vec.step(action)
    assert rewards[:3].tolist() == pytest.approx([REWARD.success, 0.0, REWARD.rise * 0.2])
    assert extras["log"]["/success"] == 1 / N
    assert extras["log"]["/faults"] == 1 / N
    assert extras["log"]["/rise"] == pytest.approx((0.6 + vec.results.rises[3]) / 3)


def test_without_a_primitive_actions_are_those_of_the_task():
    vec, alone = env(given=None), scenes.environments()
    assert vec.num_actions == 18
    assert set(vec.get_observations().keys()) == {"state", "cloud"}
    alone.begin(source(np.random.default_rng(0)))
    for action in outputs(HORIZON - 1, 18):
        seen = alone.step(action.double().numpy())
        found, rewards, *_ = vec.step(action)
        assert np.array_equal(found["state"], np.float32(state_vector(seen)))
        assert not rewards.any()
    with pytest.raises(ValueError, match=r"action has the shape \(4, 36\)"):
        vec.step(outputs(1)[0])


def test_the_same_seed_repeats_it_to_the_bit():
    def run(seed):
        vec = env(seed)
        found = [vec.step(action) for action in outputs(HORIZON + 3)]
        return torch.stack([step[0]["state"] for step in found]), torch.stack(
            [step[1] for step in found]
        )

    first, again, other = run(0), run(0), run(1)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])


def test_the_trained_primitive_sees_what_a_controller_gives_it():
    environments = scenes.environments()
    episodes = scenes.episodes(GOALS)
    environments.begin(episodes)
    for action in outputs(3, 18):
        seen = environments.step(action.double().numpy())
    trained = GraspGradient()
    found = seen_gradients(trained, seen, scenes.HAND)
    wrists, joints = environments.physics.wrist_poses(), environments.joints()
    for row in range(N):
        expected = trained.gradient(episodes.clouds[row], wrists[row], joints[row])
        assert found[row] == pytest.approx(expected, rel=1e-3, abs=0.05)


def test_rsl_rl_s_runner_learns_with_it():
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from rsl_rl.runners import OnPolicyRunner

    groups = ["state", "gradient"]
    actor = {
        "class_name": "MLPModel",
        "hidden_dims": [16],
        "distribution_cfg": {"class_name": "GaussianDistribution", "init_std": 0.5},
    }
    settings = {
        "num_steps_per_env": HORIZON,
        "save_interval": 1,
        "obs_groups": {"actor": groups, "critic": groups},
        "actor": actor,
        "critic": {"class_name": "MLPModel", "hidden_dims": [16]},
        "algorithm": {"class_name": "PPO", "num_learning_epochs": 1, "num_mini_batches": 2},
    }
    torch.manual_seed(0)
    runner = OnPolicyRunner(env(), settings, log_dir=None, device="cpu")
    before = [weights.clone() for weights in runner.alg.actor.parameters()]
    runner.learn(1)
    after = list(runner.alg.actor.parameters())
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))
