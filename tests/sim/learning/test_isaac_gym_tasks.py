"""A lift and an iteration of training in Isaac Gym's worker, by its counterpart."""

from __future__ import annotations

from dataclasses import replace

import assist_scenes as scenes
import numpy as np
import torch
from assist_toys import TINY

from dexgrasp_learning.assist_training import actor_critic
from dexgrasp_learning.goal_filter import GoalTrial, static_trials
from dexgrasp_learning.ppo import PPO, PPOConfig
from dexgrasp_learning.residual_vec_env import ResidualVecEnv
from dexgrasp_learning.rounds import train_rounds
from dexgrasp_models.data.grasps import concatenate
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.assist_network import AssistNetwork
from dexgrasp_models.tasks.assist_inputs import InputMaker
from dexgrasp_models.training.run import Run
from dexgrasp_sim.datasets.grasp_trials import library_object

SCENE = replace(scenes.SCENE, backend="isaac_gym")


def test_grasps_lift_there_too_and_those_in_empty_air_do_not():
    grasps = scenes.pressing_goals()
    away = replace(grasps, translations=grasps.translations + np.array([0.0, 0.0, 0.2]))
    trial = GoalTrial()
    trial = replace(trial, scene=replace(trial.scene, backend="isaac_gym"))
    lifted = static_trials(concatenate([grasps, away]), library_object, trial).paper
    assert lifted[: len(grasps)].sum() >= len(grasps) - 1
    assert not lifted[len(grasps) :].any()


def test_a_policy_is_trained_there(tmp_path):
    def source(rng: np.random.Generator):
        return scenes.episodes(scenes.goals(), seed=int(rng.integers(1000)))

    torch.manual_seed(0)
    network = AssistNetwork(replace(TINY, outputs="direct"))
    inputs = InputMaker(network, None, load_hand())
    learner = PPO(
        actor_critic(network, None),
        lambda draw: ResidualVecEnv(
            scenes.environments(scene=SCENE), draw, None, outputs="direct", clouds=inputs.clouds
        ),
        lambda number: source,
        PPOConfig(mini_batch=16, epochs=1),
        seed=0,
    )
    before = [weights.clone() for weights in learner.network.parameters()]
    progress = train_rounds(learner, 1, Run(tmp_path, "assist"))
    assert progress.validation["agent_steps"] == scenes.SHORT.horizon * len(scenes.goals())
    changed = zip(before, learner.network.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in changed)
