"""The teacher: what rsl_rl sees, what its expert shows, curriculum, variants, the command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import assist_scenes as scenes
import dexgrasp_process
import goal_scenes
import numpy as np
import pytest
import torch
from joined_processes import run_together
from policy_commands import command as train
from policy_commands import set_and_settings, words

from dexgrasp_learning import teacher_training
from dexgrasp_learning.goal_rows import CarryingOut, ExpertPolicy, plans_of, run_told
from dexgrasp_learning.goal_vec_env import GoalVecEnv
from dexgrasp_learning.methods import METHODS, planned_rounds
from dexgrasp_learning.rounds import train_rounds
from dexgrasp_learning.taught_teacher_environments import CATEGORY, demonstrated
from dexgrasp_learning.teacher_sight import TeacherPolicy
from dexgrasp_learning.teacher_training import (
    TeacherData,
    TeacherTraining,
    load_teacher_training,
    teacher_parts,
    told_categories,
    train_teacher,
)
from dexgrasp_learning.teacher_variants import VARIANTS
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.basis_points import BasisPointsConfig
from dexgrasp_models.nets.bisector_encoder import BisectorConfig
from dexgrasp_models.nets.teacher_network import TeacherNetwork, TeacherNetworkConfig
from dexgrasp_models.nets.weights import load_weights
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes
from dexgrasp_models.tasks.goal_plans import TellingConfig
from dexgrasp_models.tasks.goal_teacher import new_teacher, teacher_actions, teacher_states
from dexgrasp_models.tasks.interaction_bisector import HandBisector
from dexgrasp_models.training.checkpoint import TrainingError
from dexgrasp_models.training.run import Run
from dexgrasp_sim.datasets.grasp_trials import library_object

TINY = TeacherNetworkConfig(
    encoder="basis_points",
    basis_points=BasisPointsConfig(points=16, centre=(0.0, 0.0, 0.0), widths=(8,)),
    bisector=BisectorConfig(samples=12, widths=(8,)),
    features=(6,),
    widths=(16,),
)
SHORT = goal_scenes.SHORT
CONFIG = TeacherTraining.from_mapping(
    {
        "task": {"horizon": SHORT.horizon, "points": SHORT.points},
        "dagger": {"rounds": 2, "episodes": 4, "updates": 2, "batch": 8},
        "ppo": {
            "steps": 2 * 4 * SHORT.horizon,
            "environments": 4,
            "rollout": 4,
            "mini_batch": 8,
            "learning_rate": 1e-3,
        },
        "imitation": {"transitions": 16, "batch": 4},
        "judge_every": 1,
        "judged": 2,
    }
)


def network(config: TeacherNetworkConfig = TINY) -> TeacherNetwork:
    torch.manual_seed(0)
    return new_teacher(config)


def told(config: GoalConfig = SHORT) -> ToldEpisodes:
    return goal_scenes.episodes(scenes.pressing_goals(), config)


def data() -> TeacherData:
    goals = scenes.pressing_goals()
    return TeacherData(goals, goals, library_object, FullClouds(kept=1))


# Environments of rsl_rl


def vec_env(net: TeacherNetwork, environments=None) -> GoalVecEnv:
    environments = environments or goal_scenes.environments()
    return GoalVecEnv(
        environments, lambda rng: told(), net, TellingConfig(), lambda clouds: {"cloud": clouds}
    )


def test_what_runners_see_is_the_tasks():
    net, environments, beside = network(), goal_scenes.environments(), goal_scenes.environments()
    env = vec_env(net, environments)
    seen = beside.begin(told())
    assert (env.num_envs, env.num_actions, env.max_episode_length) == (4, 24, SHORT.horizon)
    rng = np.random.default_rng(0)
    for step in range(SHORT.horizon):
        found = env.get_observations()
        expected = teacher_states(seen, beside.frames, TINY)
        assert found["state"].numpy() == pytest.approx(expected, abs=1e-5)
        points = torch.as_tensor(told().object_clouds, dtype=torch.float32)
        assert torch.equal(found["cloud"], net.prepared(points))
        actions = rng.uniform(-1.2, 1.2, (4, 24))
        seen, rewards = beside.step(actions)
        _, given, dones, extras = env.step(torch.as_tensor(actions))
        assert given.numpy() == pytest.approx(rewards, abs=1e-6)
        over = step == SHORT.horizon - 1
        assert dones.all() == over
        assert extras["time_outs"].bool().all() == over  # what would have come is estimated
        assert ("log" in extras) == over
    assert extras["log"]["/success"] == 0.0
    assert extras["log"]["/objects"] == 2
    assert int(env.episode_length_buf.max()) == 0


def test_the_ablation_acts_along_the_world():
    environments = goal_scenes.environments()
    env = vec_env(network(replace(TINY, canonical=False)), environments)
    outputs = torch.zeros(4, 24)
    outputs[:, 1] = 0.5
    before = environments.wrist_targets[:, :3, 3]
    env.step(outputs)
    moved = environments.wrist_targets[:, :3, 3] - before
    step = 0.5 * SHORT.wrist_speed / SHORT.rate
    assert moved == pytest.approx(np.tile([0.0, step, 0.0], (4, 1)), abs=1e-9)


def test_who_sees_the_bisector_surface_sees_it_as_it_is_in_each_step():
    kind, environments = kind_of("ibs"), goal_scenes.environments()
    net = network(kind)
    env = vec_env(net)
    bisector = HandBisector(load_hand(), kind.bisector.samples)
    seen, before = environments.begin(told()), None
    policy = TeacherPolicy(environments, net)
    policy.begin(4)
    for _ in range(3):
        found = env.get_observations()
        # Where the object is in the palm, by way of the world this time.
        state = environments.state
        held = np.linalg.inv(state.wrists) @ state.objects
        points = told().object_clouds @ held[:, :3, :3].swapaxes(1, 2) + held[:, None, :3, 3]
        joints, clouds = (
            torch.as_tensor(each, dtype=torch.float32) for each in (state.joints, points)
        )
        samples = bisector.features(joints, clouds)
        assert torch.allclose(found["cloud"], samples, atol=1e-4)
        assert found["state"].shape[1] == 192  # of no grasp
        outputs = net.actions(found["state"], found["cloud"]).detach().clamp(-1.0, 1.0)
        actions = policy.actions(seen)
        expected = teacher_actions(outputs.numpy(), environments.frames, kind)
        assert actions == pytest.approx(expected, abs=1e-5)
        assert before is None or not torch.allclose(before, samples, atol=1e-4)
        before = samples
        env.step(outputs)
        seen, _ = environments.step(actions)


# Demonstrations


@pytest.mark.parametrize("acts", ["actions", "moves"])
def test_what_is_shown_lifts_and_what_does_not_is_left_out(acts):
    task = GoalConfig(points=64, horizon=160)
    environments, episodes = goal_scenes.environments(task), told(task)
    plans = plans_of(episodes, task, CarryingOut())
    lifted = run_told(environments, episodes, ExpertPolicy(environments, episodes, plans)).paper
    assert lifted.sum() > 0
    acted = demonstrated(environments, CarryingOut(), {"can/0": 0, "apple/0": 1})
    net = network(replace(TINY, acts=acts))
    parts = acted(net, episodes, 0)
    assert len(parts) == task.horizon
    if acts == "moves":
        assert len(parts[0]) >= lifted.sum() - 1
        return
    assert all(len(part) == lifted.sum() for part in parts)
    names = np.array(episodes.names)[lifted]
    assert parts[0].kept[CATEGORY].tolist() == [int(name == "apple/0") for name in names]
    # What is shown is what the expert did: done again it lifts.
    environments.begin(episodes[np.flatnonzero(lifted)])
    for part in parts:
        environments.step(part.actions.double().numpy())
    assert environments.finish().paper.all()
    still = demonstrated(goal_scenes.environments(), CarryingOut(), {"can/0": 0, "apple/0": 1})
    with pytest.raises(ValueError, match="nothing to imitate"):
        still(network(), told(), 0)


# Training


def kind_of(variant: str) -> TeacherNetworkConfig:
    """The tiny network of a variant."""
    return told_categories(VARIANTS[variant].network_of(TINY), variant, data().training)


def trained(folder: Path, method: str = "ppo", seed: int = 0, **changes: object) -> Mapping:
    """What the last checkpoint has learned."""
    config = replace(CONFIG, **changes)
    kind = kind_of(config.variant)
    run = Run(folder, "teacher", seed=seed)
    torch.manual_seed(seed)
    train_teacher(method, new_teacher(kind), data(), config, run)
    return torch.load(run.checkpoint, weights_only=True)["objective"]


@pytest.fixture
def shown(monkeypatch):
    """In these short episodes nothing is lifted: what the expert does is shown all the same."""
    finish = teacher_training.GoalEnvironments.finish

    def lifted(environments):
        found = finish(environments)
        return replace(found, paper=np.ones_like(found.paper))

    monkeypatch.setattr(teacher_training.GoalEnvironments, "finish", lifted)


def changed(before: Mapping, after: Mapping, part: str) -> bool:
    names = [name for name in before if name.startswith(part)]
    assert names
    return any(not torch.equal(before[name], after[name]) for name in names)


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_each_variant_learns_what_it_is_to_learn(tmp_path, shown, variant):
    found, what = trained(tmp_path, variant=variant), VARIANTS[variant]
    first = network(kind_of(variant)).state_dict()
    actor = {n.removeprefix("network."): v for n, v in found["actor"].items()}
    for part in ("head.", "encoder.", "project."):
        assert changed(first, actor, part), part
    assert ("classifier.weight" in actor) == what.classifies
    if what.classifies:
        assert changed(first, actor, "classifier.")
    critic = {n.removeprefix("network."): v for n, v in found["critic"].items()}
    assert changed(first, critic, "project.") == (what.geometry == "rewarded")
    kept = load_weights(tmp_path / "teacher.safetensors", TeacherNetworkConfig)
    assert what.has(kept.config)
    assert kept.metadata["variant"] == variant


def test_without_demonstrations_the_encoder_stays_where_the_reward_does_not_reach_it(
    tmp_path, shown
):
    """The negative control of the test above."""
    weightless = replace(CONFIG.imitation, weight=0.0)
    found = trained(tmp_path, imitation=weightless, variant="ilad")["actor"]
    first = network().state_dict()
    actor = {n.removeprefix("network."): v for n, v in found.items()}
    assert not changed(first, actor, "project.")
    assert changed(first, actor, "head.")


@pytest.mark.parametrize("method", ["ppo", "dagger"])
def test_a_run_is_resumed_to_the_bit(tmp_path, shown, monkeypatch, method):
    def one_round(learner, rounds, *rest, **more):
        return train_rounds(learner, 1, *rest, **more)

    def all_of(found):
        models = found.values() if method == "ppo" else [found]
        return [values for model in models for values in model.values()]

    whole = all_of(trained(tmp_path / "whole", method))
    with monkeypatch.context() as stopped:
        stopped.setattr(teacher_training, "train_rounds", one_round)
        first = all_of(trained(tmp_path / "parts", method))
    assert not all(map(torch.equal, whole, first))
    assert all(map(torch.equal, whole, all_of(trained(tmp_path / "parts", method))))


def test_a_stage_has_the_episodes_of_its_objects(tmp_path, monkeypatch):
    drawn: list[set[str]] = []
    source = teacher_training.ToldSource

    class Told(source):
        def __call__(self, rng):
            episodes = super().__call__(rng)
            drawn.append(set(episodes.names))
            return episodes

    monkeypatch.setattr(teacher_training, "ToldSource", Told)
    curriculum = replace(CONFIG.curriculum, object_rounds=1)
    trained(tmp_path, variant="ppo", curriculum=curriculum)
    _, *stages = drawn  # the judge's come first
    assert [len(objects) for objects in stages] == [1, 1, 2, 2]  # a round is begun twice at first


def test_a_teacher_that_is_not_told_a_grasp_has_no_reward_for_it(tmp_path, monkeypatch):
    seen = []
    make = teacher_training.GoalEnvironments.__init__

    def noted(self, *given, **options):
        seen.append(options["rewards"])
        make(self, *given, **options)

    monkeypatch.setattr(teacher_training.GoalEnvironments, "__init__", noted)
    net = network(replace(TINY, told=False, canonical=False))
    run, config = Run(tmp_path, "teacher"), replace(CONFIG, variant="ppo")
    train_teacher("ppo", net, data(), config, run)
    assert all(r.joints == r.translation == r.rotation == 0.0 for r in seen)
    assert all(r.move == CONFIG.reward.move for r in seen)
    with pytest.raises(ValueError, match="is told a grasp"):
        train_teacher("dagger", net, data(), config, run)


def test_what_can_not_be_trained_is_told(tmp_path):
    run = Run(tmp_path, "teacher")
    with pytest.raises(ValueError, match="dagger or ppo"):
        train_teacher("sac", network(), data(), CONFIG, run)
    with pytest.raises(ValueError, match="along other axes"):
        train_teacher("ppo", network(), data(), replace(CONFIG, variant="ilad"), run)
    with pytest.raises(ValueError, match="tell 7 categories apart"):
        train_teacher("ppo", network(replace(TINY, categories=7)), data(), CONFIG, run)
    odd = replace(CONFIG, ppo=replace(CONFIG.ppo, rollout=3), variant="ppo")
    net = network(replace(TINY, canonical=False))
    with pytest.raises(TrainingError, match="no whole number of rollouts of 3"):
        train_teacher("ppo", net, data(), odd, run)


# The command


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A set of an object to train on and one for validation; a configuration."""
    path = tmp_path_factory.mktemp("teacher")
    settings = {
        "network": {
            "size": "small",
            "basis_points": {"points": 16, "widths": [8]},
            "features": [6],
            "widths": [16],
        },
        "task": {"horizon": SHORT.horizon, "points": SHORT.points},
        "dagger": {"updates": 2, "batch": 8},
        "ppo": {"mini_batch": 8, "rollout": 4},
        "judged": 2,
    }
    return set_and_settings(path, "teacher", settings)


def command(folder: Path, out: Path, status: int = 0, **options: object) -> str:
    return train("teacher", folder, out, status, **options)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_learns_by_reward_in_several_processes(tmp_path, folder):
    asked = words("teacher", folder, tmp_path, variant="ppo", method="ppo")
    run_together(Path(dexgrasp_process.__file__), *asked)
    found = load_weights(tmp_path / "teacher.safetensors", TeacherNetworkConfig).metadata
    assert (found["processes"], found["step"]) == (2, 1)


def test_the_command_goes_from_the_expert_to_the_reward(tmp_path, folder):
    said = command(folder, tmp_path / "begin", variant="dapg")
    assert "training: 1 objects, 2 goals" in said
    begun = tmp_path / "begin" / "teacher.safetensors"
    assert load_weights(begun, TeacherNetworkConfig).metadata["method"] == "dagger"
    out = tmp_path / "on"
    assert "step 1" in command(folder, out, variant="ppo", method="ppo", init=begun)
    kept = load_weights(out / "teacher.safetensors", TeacherNetworkConfig)
    assert kept.metadata["method"] == "ppo"
    assert kept.metadata["variant"] == "ppo"
    assert "| variant | ppo |" in (out / "teacher.card.md").read_text()
    refused = command(folder, tmp_path / "other", 2, method="ppo", init=begun)
    assert "along other axes" in refused
    assert "expected one of: ours, without_sc" in command(
        folder, tmp_path / "none", 2, variant="magic"
    )


def test_the_command_trains_in_another_simulator(tmp_path, folder):
    pytest.importorskip("dexgrasp_sim.backends.mujoco_warp.batch", exc_type=ImportError)
    assert "step 1" in command(
        folder, tmp_path, sim="mujoco_warp", envs=2, method="ppo", variant="ppo"
    )
    found = load_weights(tmp_path / "teacher.safetensors", TeacherNetworkConfig)
    assert found.metadata["backend"] == "mujoco_warp"


@pytest.mark.parametrize("name", ["small", "paper", "gpu"])
def test_named_settings_are_there(name):
    config, net = load_teacher_training(name, rounds=7, environments=32, variant="one_stage")
    size = "small" if name == "small" else "paper"
    assert net == getattr(TeacherNetworkConfig, size)()
    assert [planned_rounds(method, config) for method in METHODS] == [7, 7]
    assert (config.ppo.environments, config.dagger.episodes) == (32, 32)
    assert config.curriculum.object_rounds > 0
    assert config.curriculum.category_rounds == config.curriculum.categories_rounds == 0
    assert config.task.horizon % config.ppo.rollout == 0


def test_a_critic_has_one_output_and_the_policy_is_the_actors():
    net = network()
    parts = teacher_parts(net)
    assert parts.make(1).head[-1].out_features == 1
    environments = goal_scenes.environments()
    policy = TeacherPolicy(environments, parts.policy(net))
    seen = environments.begin(told())
    policy.begin(4)
    actions = policy.actions(seen)
    assert actions.shape == (4, 24)
    states = torch.as_tensor(teacher_states(seen, environments.frames, TINY), dtype=torch.float32)
    points = torch.as_tensor(told().object_clouds, dtype=torch.float32)
    assert actions == pytest.approx(net(states, points).detach().numpy().clip(-1, 1), abs=1e-5)
