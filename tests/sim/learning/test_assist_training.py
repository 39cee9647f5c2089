"""Training of the task itself: its expert and episodes, resumed to the bit, and the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import assist_scenes
import dexgrasp_process
import numpy as np
import pytest
import torch
import yaml
from assist_toys import TINY
from joined_processes import run_together
from policy_commands import words
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_learning import assist_training
from dexgrasp_learning.assist_training import (
    AssistData,
    AssistTraining,
    load_assist_training,
    planned_rounds,
    train_assist,
)
from dexgrasp_learning.goal_episodes import EpisodeJudge, GoalEpisodes
from dexgrasp_learning.taught_environments import TaughtEnvironments
from dexgrasp_models.data.grasp_set import GraspSet, Provenance
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.nets.assist_network import AssistNetwork, AssistNetworkConfig
from dexgrasp_models.nets.graspgf import GraspGF, GraspGFConfig
from dexgrasp_models.nets.weights import load_weights, save_weights
from dexgrasp_models.tasks.assist_oracle import expert_targets
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.learned_assist import load_primitive
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.training.run import Run
from dexgrasp_sim.datasets.grasp_trials import library_object

SHORT = assist_scenes.SHORT
VALIDATION = "can/2"
CONFIG = AssistTraining.from_mapping(
    {
        "task": {
            name: getattr(SHORT, name)
            for name in ("horizon", "points", "close_steps", "settle_steps", "lift_height")
        },
        "oracle": {"open_until": 2, "preshape_at": 4, "goal_at": 6},
        "dagger": {"rounds": 2, "episodes": 4, "updates": 2, "batch": 8},
        "ppo": {"steps": 64, "environments": 4, "mini_batch": 16},
        "judge_every": 1,
        "judged": 2,
    }
)


def goals() -> Grasps:
    """Of two objects, as if it were known how the hand presses."""
    found = assist_scenes.goals()
    return replace(found, squeezes=found.joints + np.float32(0.1))


@pytest.fixture(scope="module")
def data() -> AssistData:
    patterns = generate(np.random.default_rng(0))
    return AssistData(goals(), goals(), patterns, FullClouds(kept=1), library_object)


def source(count: int, data: AssistData) -> GoalEpisodes:
    return GoalEpisodes(data.training, data.patterns.training, data.clouds, count, CONFIG.task)


def test_episodes_are_of_all_objects_alike_and_the_seeds(data):
    draw = source(7, data)
    found = draw(np.random.default_rng(3))
    assert sorted(found.names.count(name) for name in set(found.names)) == [3, 4]
    again, other = draw(np.random.default_rng(3)), draw(np.random.default_rng(4))
    assert np.array_equal(found.paths, again.paths)
    assert np.array_equal(found.clouds, again.clouds)
    assert not np.array_equal(found.paths, other.paths)
    nothing = replace(data, training=data.training[:0])
    with pytest.raises(ValueError, match="no goals"):
        source(7, nothing)


def test_the_expert_comes_to_what_it_wants(data):
    environments = assist_scenes.environments(CONFIG.task)
    taught = TaughtEnvironments(environments, CONFIG.oracle)
    episodes = source(4, data)(np.random.default_rng(0))
    taught.begin(episodes)
    assert taught.horizon == SHORT.horizon
    for _ in range(taught.horizon):
        taught.step(taught.expert())
    hand = assist_scenes.HAND
    wanted = expert_targets(
        np.full(4, SHORT.horizon),
        episodes.goals.joints.astype(float),
        episodes.goals.squeezes.astype(float),
        hand,
        CONFIG.oracle,
    )
    missing = (wanted - environments.targets) @ hand.reduction.T
    # It is as far as so few steps lead.
    moved = environments.targets @ hand.reduction.T
    assert np.abs(moved).max() == pytest.approx(SHORT.horizon * CONFIG.task.max_change, rel=0.5)
    assert np.abs(missing).mean() < np.abs(wanted @ hand.reduction.T).mean()
    unknown = replace(episodes, goals=replace(episodes.goals, squeezes=None))
    with pytest.raises(ValueError, match="data squeeze fills it in"):
        taught.begin(unknown)


def test_the_judge_runs_the_same_episodes(data):
    environments = assist_scenes.environments(CONFIG.task)
    judge = EpisodeJudge(environments, source(2, data)(np.random.default_rng(0)))
    first, second = judge(assist_scenes.Frozen()), judge(assist_scenes.Frozen())
    assert first == second
    assert first["loss"] == 1.0 - first["success"]
    assert first["posture"] > 0.05  # the hand stays open


def trained(method: str, folder: Path, data: AssistData, seed: int = 0) -> dict:
    """The networks of the last checkpoint."""
    run = Run(folder, "assist", seed=seed)
    torch.manual_seed(seed)
    train_assist(method, AssistNetwork(TINY), load_primitive(), data, CONFIG, run)
    stored = torch.load(run.checkpoint, weights_only=True)
    return stored["objective"] if method == "dagger" else stored["objective"]["actor"]


@pytest.mark.parametrize("method", ["dagger", "ppo"])
def test_a_run_of_the_task_itself_is_resumed_to_the_bit(tmp_path, data, method, monkeypatch):
    assert planned_rounds(method, CONFIG) == 2
    whole = trained(method, tmp_path / "whole", data)
    with monkeypatch.context() as stopped:  # after the first round
        stopped.setattr(assist_training, "planned_rounds", lambda *_: 1)
        first = trained(method, tmp_path / "parts", data)
    assert not all(torch.equal(values, first[name]) for name, values in whole.items())
    parts = trained(method, tmp_path / "parts", data)
    assert all(torch.equal(values, parts[name]) for name, values in whole.items())


# The command


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A set of an object to train on and one for validation, with squeezes; a configuration."""
    path = tmp_path_factory.mktemp("assist")
    grasps = GraspSet.open(path / "set", create=True)
    first = goals()
    first = first[np.flatnonzero(first.objects == first.names.index("can/0"))]
    for name in ("can/0", VALIDATION):
        grasps.append(replace(first, names=(name,), objects=0 * first.objects), Provenance(seed=0))
    settings = {
        "network": {
            "size": "small",
            "basis_points": {"points": 16, "widths": [8]},
            "state_features": 16,
            "widths": [16],
        },
        "task": {
            name: getattr(CONFIG.task, name)
            for name in ("horizon", "points", "close_steps", "settle_steps", "lift_height")
        },
        "oracle": {"open_until": 2, "preshape_at": 4, "goal_at": 6},
        "dagger": {"updates": 2, "batch": 8},
        "ppo": {"mini_batch": 8},
        "judged": 2,
    }
    (path / "tiny.yaml").write_text(yaml.safe_dump({"assist": settings}))
    return path


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(folder: Path, out: Path, *arguments: object, status: int = 0, **options: object) -> str:
    given = {"sees": "full", "steps": 2} | options
    asked = words("assist", folder, out, **given)
    result = CliRunner().invoke(app, [*asked, *map(str, arguments)])
    assert result.exit_code == status, result.output
    return " ".join(result.output.split())


def test_the_command_trains_and_goes_on_by_either_method(tmp_path, folder):
    told = run(folder, tmp_path / "dagger", steps=1)
    assert "training: 1 objects, 2 goals" in told
    assert "validation: 1 objects, 2 goals" in told
    assert "step 1" in told
    told = run(folder, tmp_path / "dagger", steps=1)
    assert "step 1," not in told  # nothing is left to do
    weights = tmp_path / "dagger" / "assist.safetensors"
    found = load_weights(weights, AssistNetworkConfig)
    assert found.config.widths == (16,)
    metadata = found.metadata
    assert metadata["method"] == "dagger"
    assert metadata["data"] == "set"
    assert metadata["seed"] == 0
    assert {"command", "date", "seconds", "validation"} <= set(metadata)
    assert 0 <= metadata["validation"]["success"] <= 1
    card = (tmp_path / "dagger" / "assist.card.md").read_text()
    assert "| data | `set`; 2 goals of 1 objects |" in card
    assert "| seed | 0 |" in card

    told = run(folder, tmp_path / "ppo", method="ppo", init=weights, steps=1)
    assert "agent_steps 32" in told
    assert load_weights(weights, AssistNetworkConfig).metadata["variant"] == "ours"
    run(folder, tmp_path / "goal", method="ppo", variant="ppo_goal", steps=1)
    told_goal = load_weights(tmp_path / "goal" / "assist.safetensors", AssistNetworkConfig)
    assert told_goal.config.hint
    assert told_goal.metadata["variant"] == "ppo_goal"
    assert "| variant | ppo_goal |" in (tmp_path / "goal" / "assist.card.md").read_text()
    after = load_weights(tmp_path / "ppo" / "assist.safetensors", AssistNetworkConfig)
    assert torch.equal(after.state["mean"], found.state["mean"])
    assert not torch.equal(after.state["head.0.weight"], found.state["head.0.weight"])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_learns_by_reward_in_several_processes(tmp_path, folder):
    few = {"imitation": {"transitions": 16, "batch": 8}}
    config = _with(folder, few)
    asked = words(
        "assist", folder, tmp_path, config=config, sees="full", method="ppo", variant="ilad"
    )
    run_together(Path(dexgrasp_process.__file__), *asked)
    found = load_weights(tmp_path / "assist.safetensors", AssistNetworkConfig).metadata
    assert (found["processes"], found["step"], found["variant"]) == (2, 1, "ilad")


@pytest.mark.parametrize("method", ["dagger", "ppo"])
def test_the_command_trains_in_another_simulator(tmp_path, folder, method):
    pytest.importorskip("dexgrasp_sim.backends.mujoco_warp.batch", exc_type=ImportError)
    assert "step 1" in run(folder, tmp_path, sim="mujoco_warp", method=method, steps=1)
    found = load_weights(tmp_path / "assist.safetensors", AssistNetworkConfig)
    assert found.metadata["backend"] == "mujoco_warp"
    # In another one it would be another run.
    assert "--restart" in run(folder, tmp_path, method=method, steps=1, status=2)


def test_the_command_tells_what_is_wrong(tmp_path, folder):
    def told(**options: object) -> str:
        return run(folder, tmp_path / "out", status=2, **options)

    assert "no such file of weights" in told(init=tmp_path / "none.safetensors")
    config = GraspGFConfig.small()
    save_weights(tmp_path / "graspgf.safetensors", GraspGF(config), config)
    assert "weights for GraspGFConfig" in told(init=tmp_path / "graspgf.safetensors")
    assert "none of 0 goals of the split training" in told(where="lifted>=2")
    assert "has no parameter" in told(config=_with(folder, {"dagger": {"epochs": 3}}))
    assert "expected one of: ours, without_gf" in told(variant="nothing")
    assert "expected one of: isaac_gym, mujoco" in told(sim="bullet")
    assert "it is trained by ppo" in told(variant="ilad")
    assert "no mini-batch of 64" in told(method="ppo", config=_with(folder, {"ppo": {}}))
    assert not (tmp_path / "out" / "assist.safetensors").exists()


def _with(folder: Path, changes: dict) -> Path:
    settings = yaml.safe_load((folder / "tiny.yaml").read_text())["assist"] | changes
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump({"assist": settings}))
    return path


@pytest.mark.parametrize("name", ["small", "paper"])
def test_named_settings_are_there(name):
    config, network = load_assist_training(name, rounds=7, episodes=32)
    assert network == getattr(AssistNetworkConfig, name)()
    for method in ("dagger", "ppo"):
        assert planned_rounds(method, config) == 7
    assert config.ppo.discount == 0.99
    assert config.ppo.learning_rate == 3e-4
