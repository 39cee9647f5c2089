"""Ablations and baselines: a round of each, its weights as rows of an evaluation, and open loop."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import assist_scenes as scenes
import numpy as np
import pytest
import torch
from assist_toys import TINY

from dexgrasp_learning import assist_training
from dexgrasp_learning.assist_evaluation import AssistEvaluation, AssistJob, run_job
from dexgrasp_learning.assist_training import (
    AssistData,
    AssistTraining,
    load_assist_training,
    train_assist,
)
from dexgrasp_learning.goal_episodes import GoalEpisodes
from dexgrasp_learning.imitation import ImitationConfig
from dexgrasp_learning.open_loop import OpenLoop
from dexgrasp_learning.residual_vec_env import ResidualVecEnv
from dexgrasp_learning.rounds import settings_of
from dexgrasp_learning.variants import VARIANTS
from dexgrasp_models.nets.assist_network import AssistNetwork, AssistNetworkConfig
from dexgrasp_models.nets.grasp_gradient import GraspGradient
from dexgrasp_models.nets.weights import load_network, load_weights
from dexgrasp_models.tasks.assist_config import AssistConfig, AssistRewardConfig
from dexgrasp_models.tasks.assist_inputs import InputMaker
from dexgrasp_models.tasks.assist_oracle import OracleConfig
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.learned_assist import LearnedAssist, load_primitive
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.tasks.wrist_paths import fingertips
from dexgrasp_models.training.run import Run
from dexgrasp_sim.datasets.grasp_trials import library_object

SHORT = replace(
    AssistConfig(), **{item.name: getattr(scenes.SHORT, item.name) for item in fields(AssistConfig)}
)
CONFIG = AssistTraining.from_mapping(
    {
        "ppo": {"steps": 32, "environments": 4, "mini_batch": 16},
        "imitation": {"transitions": 40, "batch": 8, "decay": 0.5},
        "judge_every": 9,
        "judged": 2,
    }
)
CONFIG = replace(CONFIG, task=SHORT)


@pytest.fixture(scope="module")
def data() -> AssistData:
    patterns = generate(np.random.default_rng(0))
    goals = scenes.pressing_goals()
    return AssistData(goals, goals, patterns, FullClouds(kept=1), library_object)


def train(name: str, folder: Path, data: AssistData, method: str = "ppo") -> tuple[Run, list]:
    """The run, and figures of each round."""
    config, figures = replace(CONFIG, variant=name), []
    torch.manual_seed(0)
    network = AssistNetwork(VARIANTS[name].network_of(TINY))
    primitive = load_primitive() if network.needs_gradient else None
    run = Run(folder / name, "assist", metadata={"variant": name})
    train_assist(
        *(method, network, primitive, data, config, run),
        report=lambda progress: figures.append(progress.validation),
    )
    return run, figures


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data) -> dict[str, Path]:
    """The weights of each variant after a round."""
    folder = tmp_path_factory.mktemp("variants")
    return {name: train(name, folder, data)[0].weights for name in VARIANTS}


def test_weights_tell_their_variant_and_act_as_they_were_trained(trained):
    outputs = {name: load_weights(f, AssistNetworkConfig).config for name, f in trained.items()}
    assert {name: config.outputs for name, config in outputs.items()} == {
        "ours": "residual",
        "without_gf": "direct",
        "without_scales": "only_residuals",
        "without_residuals": "only_scales",
        "without_r_sim": "residual",
        "ppo": "direct",
        "ppo_goal": "direct",
        "ilad": "direct",
        "ibs": "direct",
    }
    assert [name for name, config in outputs.items() if config.encoder == "bisector"] == ["ibs"]
    assert [name for name, config in outputs.items() if config.hint] == ["ppo_goal"]
    for name, file in trained.items():
        metadata = load_weights(file, AssistNetworkConfig).metadata
        assert metadata["variant"] == name
        if name != "ours":
            rewards = metadata["reward"]
            assert (rewards["following"] == 0.0) == (name == "without_r_sim")
            assert (rewards["fingertips"] > 0.0) == (name in ("ppo", "ppo_goal", "ilad", "ibs"))
            assert (rewards["hint"] > 0.0) == (name == "ppo_goal")
        assert ("imitation" in metadata) == (name in ("ilad", "ibs"))


def test_all_of_them_run_in_the_same_episodes(trained, tmp_path):
    data, goals = map(str, scenes.stored(tmp_path, scenes.pressing_goals()))
    weights = {f"a {name}": str(file) for name, file in trained.items()}
    rows = (*weights, "open_loop", "still")
    settings = AssistEvaluation(rows, data, goals, "0", weights=weights, clouds="full", task=SHORT)
    found = run_job(AssistJob((0, 1, 2, 3), 5, settings))["rows"]
    assert set(found) == set(rows)
    ends = {name: tuple(one["posture"] for one in row) for name, row in found.items()}
    # As few steps as they learned, they differ from each other but for what starts alike.
    assert len(set(ends.values())) >= 8
    alone = replace(settings, rows=("still", "a ppo_goal"))
    again = run_job(AssistJob((0, 1, 2, 3), 5, alone))["rows"]
    assert again == {name: found[name] for name in again}


def test_ppo_goal_acts_by_what_it_is_told_which_is_not_the_goal(trained, data):
    source = GoalEpisodes(data.training, data.patterns.training, data.clouds, 4, SHORT, hints=True)
    without = GoalEpisodes(data.training, data.patterns.training, data.clouds, 4, SHORT)
    episodes = source(np.random.default_rng(0))
    plain = without(np.random.default_rng(0))
    assert np.array_equal(episodes.paths, plain.paths)
    assert plain.hints is None
    goals, hints = episodes.goals.joints, episodes.hints
    for name, goal, hint in zip(episodes.names, goals, hints, strict=True):
        assert not np.array_equal(goal, hint)
        index = data.training.names.index(name)
        of_object = data.training.joints[data.training.objects == index]
        assert (of_object == hint).all(axis=1).any()
    policy = LearnedAssist(trained["ppo_goal"])
    environments = scenes.environments(SHORT)
    acted = policy.actions(environments.begin(episodes))
    others = replace(episodes, hints=episodes.hints[::-1])
    assert not np.array_equal(policy.actions(environments.begin(others)), acted)
    assert np.array_equal(episodes[[1, 2]].hints, hints[[1, 2]])
    with pytest.raises(ValueError, match="has to be told a posture"):
        policy.actions(environments.begin(plain))


def test_baselines_are_rewarded_by_distances(data):
    source = GoalEpisodes(data.training, data.patterns.training, data.clouds, 3, SHORT, hints=True)
    rewards = AssistRewardConfig(fingertips=0.5, hint=0.1)
    environments = scenes.environments(SHORT)
    env = ResidualVecEnv(environments, source, None, rewards, hint=True)
    assert env.get_observations()["state"].shape == (3, 75)
    given = [env.step(0.3 * torch.ones(3, 18))[1].numpy() for _ in range(5)]
    assert not np.any(given[:4])
    # In the world, where the environment has them in the palm's frame.
    episodes, joints = environments.episodes, environments.joints()
    tips = fingertips(scenes.HAND, environments.physics.wrist_poses(), joints)
    apart = np.linalg.norm(tips[:, :, None] - episodes.clouds[:, None], axis=3)
    expected = -0.5 * apart.min(axis=2).mean(axis=1)
    expected -= 0.1 * np.abs(joints - episodes.hints).mean(axis=1)
    assert given[4] == pytest.approx(expected, rel=1e-5)
    without = GoalEpisodes(data.training, data.patterns.training, data.clouds, 3, SHORT)
    with pytest.raises(ValueError, match="these episodes have none"):
        ResidualVecEnv(environments, without, None, rewards)


def test_ilads_demonstrations_count_less_from_round_to_round(tmp_path, data, monkeypatch):
    def of_rounds(folder: str, rounds: int) -> tuple[list[float], dict]:
        monkeypatch.setattr(assist_training, "planned_rounds", lambda *_: rounds)
        run, figures = train("ilad", tmp_path / folder, data)
        actor = torch.load(run.checkpoint, weights_only=True)["objective"]["actor"]
        return [one["imitation_weight"] for one in figures if "imitation_weight" in one], actor

    weights, whole = of_rounds("whole", 3)
    assert weights[:3] == pytest.approx([0.1, 0.05, 0.025])
    of_rounds("parts", 1)
    weights, parts = of_rounds("parts", 3)
    assert weights[:2] == pytest.approx([0.05, 0.025])
    assert all(torch.equal(values, parts[name]) for name, values in whole.items())


def test_ibs_sees_the_bisector_and_has_fewer_demonstrations(trained, data):
    """Of appendix C, unless the settings ask for fewer."""
    numbers = {name: VARIANTS[name].imitation_of(ImitationConfig()) for name in ("ilad", "ibs")}
    assert {name: one.transitions for name, one in numbers.items()} == {
        **{"ilad": 125_000, "ibs": 15_000}
    }
    assert VARIANTS["ibs"].imitation_of(CONFIG.imitation) == CONFIG.imitation
    network, metadata = load_network(trained["ibs"], AssistNetworkConfig, AssistNetwork)
    assert metadata["imitation"]["transitions"] == 40
    source = GoalEpisodes(data.training, data.patterns.training, data.clouds, 3, SHORT)
    inputs = InputMaker(network, None, scenes.HAND)
    env = ResidualVecEnv(scenes.environments(SHORT), source, None, clouds=inputs.clouds)
    begun = env.get_observations()["cloud"]
    assert begun.shape == (3, 256, 13)
    after = env.step(torch.ones(3, 18))[0]["cloud"]
    assert not torch.equal(after, begun)


def test_runs_of_before_there_was_the_bisector_go_on():
    """As nothing of it is among the settings that a run must share with its checkpoint."""
    for name, variant in VARIANTS.items():
        told = settings_of(CONFIG.ppo, AssistNetwork(variant.network_of(TINY)))["network"]
        assert ("bisector" in told) == (name == "ibs")


def test_open_loop_goes_to_a_posture_of_the_first_wrist_whatever_comes(data):
    source = GoalEpisodes(data.training, data.patterns.training, data.clouds, 3, SHORT)
    episodes = source(np.random.default_rng(0))
    environments = scenes.environments(SHORT)
    config = OracleConfig(opening=0.0, preshape=0.0, open_until=1, preshape_at=2, goal_at=3)
    found = []
    for seed in (3, 3, 4):
        policy = OpenLoop(environments, seed, config)
        policy.begin(3)
        seen = environments.begin(episodes)
        for _ in range(SHORT.horizon):
            seen = environments.step(policy.actions(seen))
        found.append(policy.postures)
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    tensors = [torch.as_tensor(v).float() for v in (episodes.clouds, episodes.paths[:, 0])]
    expected = GraspGradient().postures(*tensors, torch.Generator().manual_seed(4))
    assert found[2] == pytest.approx(expected.numpy(), abs=1e-3)
    reduction = scenes.HAND.reduction.T
    reach = SHORT.horizon * SHORT.max_change
    wanted = np.clip(found[2] @ reduction, *scenes.HAND.actuator_limits.T).clip(-reach, reach)
    assert environments.targets @ reduction == pytest.approx(wanted, abs=1e-6)


def test_what_does_not_fit_is_told(tmp_path, data):
    with pytest.raises(ValueError, match="ppo differs in what is rewarded: it is trained by ppo"):
        train("ppo", tmp_path, data, method="dagger")
    config = replace(CONFIG, variant="ppo_goal")
    with pytest.raises(ValueError, match="aren't of ppo_goal"):
        train_assist("ppo", AssistNetwork(TINY), None, data, config, Run(tmp_path, "assist"))
    with pytest.raises(ValueError, match="variant"):
        load_assist_training("small", variant="nothing")
    assert load_assist_training("small", variant="ppo_goal")[1].hint
