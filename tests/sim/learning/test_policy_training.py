"""The student's training: its expert by moves, what it sees, resumed to the bit, the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import assist_scenes as scenes
import goal_scenes
import numpy as np
import pytest
import torch
import yaml
from policy_commands import command as train
from policy_commands import set_and_settings

from dexgrasp_learning import policy_training
from dexgrasp_learning.goal_rows import CarryingOut, ExpertPolicy, plans_of, run_told
from dexgrasp_learning.policy_training import (
    PolicyData,
    PolicyTraining,
    StudentJudge,
    ToldSource,
    load_policy_training,
    train_policy,
)
from dexgrasp_learning.randomisation import RandomisationConfig
from dexgrasp_learning.rounds import train_rounds
from dexgrasp_learning.student_sight import StudentSight
from dexgrasp_learning.taught_goal_environments import TaughtGoalEnvironments, Teaching
from dexgrasp_learning.teacher_sight import TeacherPolicy
from dexgrasp_models.data.grasps import Grasps
from dexgrasp_models.nets.basis_points import BasisPointsConfig
from dexgrasp_models.nets.goal_network import GoalNetworkConfig
from dexgrasp_models.nets.teacher_network import TeacherNetworkConfig
from dexgrasp_models.nets.weights import load_weights, save_weights
from dexgrasp_models.tasks.full_clouds import FullClouds
from dexgrasp_models.tasks.goal_config import GoalConfig
from dexgrasp_models.tasks.goal_episodes import ToldEpisodes, draw_told_episodes
from dexgrasp_models.tasks.goal_jitter import JitterConfig
from dexgrasp_models.tasks.goal_teacher import new_teacher
from dexgrasp_models.tasks.learned_goal import NetworkStudent, new_network
from dexgrasp_models.training.run import Run
from dexgrasp_sim.datasets.grasp_trials import library_object

CLOUDS = FullClouds(kept=1)
TINY = GoalNetworkConfig(BasisPointsConfig(points=16, widths=(8,)), (16,))
CONFIG = PolicyTraining.from_mapping(
    {
        "task": {"horizon": goal_scenes.SHORT.horizon, "points": goal_scenes.SHORT.points},
        "dagger": {"rounds": 2, "episodes": 4, "updates": 2, "batch": 8},
        "judge_every": 1,
        "judged": 2,
    }
)


def told(config: GoalConfig = CONFIG.task, goals: Grasps | None = None) -> ToldEpisodes:
    goals = scenes.pressing_goals() if goals is None else goals
    return draw_told_episodes(goals, CLOUDS, np.random.default_rng(0), config, looks=CLOUDS)


def data(goals: Grasps | None = None) -> PolicyData:
    goals = scenes.pressing_goals() if goals is None else goals
    return PolicyData(goals, goals, CLOUDS, False, library_object, CLOUDS)


def test_looks_are_drawn_last():
    plain = draw_told_episodes(
        scenes.pressing_goals(), CLOUDS, np.random.default_rng(0), CONFIG.task
    )
    seen = told()
    assert plain.looks is None
    assert seen.looks is not None
    assert seen.looks.shape == (4, 256, 3)
    assert np.array_equal(plain.clouds, seen.clouds)
    assert np.array_equal(plain.hands, seen.hands)
    some = seen[np.array([2, 0])]
    assert some.looks is not None
    assert np.array_equal(some.looks, seen.looks[[2, 0]])
    assert plain[:2].looks is None


def test_the_expert_lifts_by_its_moves_as_by_its_actions():
    config = GoalConfig(points=256)
    episodes = told(config)
    environments = goal_scenes.environments(config)
    taught = TaughtGoalEnvironments(environments)
    taught.begin(episodes)
    assert taught.horizon == 200
    for _ in range(taught.horizon):
        taught.step(taught.expert())
    by_moves = environments.finish()
    plans = plans_of(episodes, config, CarryingOut())
    by_actions = run_told(environments, episodes, ExpertPolicy(environments, episodes, plans))
    assert by_moves.paper.sum() >= 3
    assert by_moves.paper.sum() >= by_actions.paper.sum() - 1


def test_the_look_stays_and_the_cloud_that_follows_goes_with_the_object():
    episodes = told()
    environments = goal_scenes.environments(CONFIG.task)
    stays = TaughtGoalEnvironments(environments)
    first = stays.begin(episodes)
    assert np.array_equal(first.clouds, episodes.looks)
    assert np.array_equal(first.goals, episodes.goal_wrists)
    assert stays.step(np.zeros((4, 24))).clouds == pytest.approx(first.clouds)

    follows = TaughtGoalEnvironments(environments, follows=True)
    follows.begin(episodes)
    environments.physics.push(np.tile([3.0, 0.0, 0.0], (4, 1)))
    for _ in range(3):
        seen = follows.step(np.zeros((4, 24)))
    moved = environments.state.objects[:, :3, 3] - episodes.object_poses[:, :3, 3]
    assert np.abs(moved).max() > 0.002
    shift = (seen.clouds - first.clouds).mean(axis=1)
    assert np.abs(shift).max() == pytest.approx(np.abs(moved).max(), rel=0.7)


def test_noise_is_the_seeds_and_the_expert_does_not_see_it():
    noisy = Teaching(randomisation=RandomisationConfig(joint_noise=0.05, cloud_noise=0.01))
    environments = goal_scenes.environments(CONFIG.task)
    plain = TaughtGoalEnvironments(environments).begin(told())
    wanted = TaughtGoalEnvironments(environments)
    wanted.begin(told())
    found = {}
    for seed in (1, 1, 2):
        taught = TaughtGoalEnvironments(environments, noisy)
        seen = taught.begin(told(), seed)
        assert taught.expert() == pytest.approx(wanted.expert())
        assert seen.wrists == pytest.approx(plain.wrists)
        assert np.std(seen.joints - plain.joints) == pytest.approx(0.05, rel=0.5)
        before = found.setdefault(seed, seen)
        assert np.array_equal(before.clouds, seen.clouds)
    assert not np.array_equal(found[1].joints, found[2].joints)


def test_the_expert_knows_the_goal_that_is_told_wrongly():
    wrong = Teaching(jitter=JitterConfig(shift=0.01, turn=0.1, joints=0.1))
    environments = goal_scenes.environments(CONFIG.task)
    plain = TaughtGoalEnvironments(environments)
    seen = plain.begin(told())
    wanted = plain.expert()
    taught = TaughtGoalEnvironments(environments, wrong)
    beside = taught.begin(told(), 1)
    off = beside.goals[:, :3, 3] - seen.goals[:, :3, 3]
    assert 0.001 < np.abs(off).max() < 0.02
    assert taught.expert()[:, :6] == pytest.approx(wanted[:, :6])
    # How far fingers are wanted from the posture that is told: to where they are wanted in truth.
    told_joints, true_joints = (
        view.goal_joints @ scenes.HAND.reduction.T for view in (beside, seen)
    )
    assert taught.expert()[:, 6:] + told_joints == pytest.approx(wanted[:, 6:] + true_joints)
    assert np.array_equal(taught.begin(told(), 1).goals, beside.goals)
    assert not np.array_equal(taught.begin(told(), 2).goals, beside.goals)


@pytest.mark.parametrize("acts", ["actions", "moves"])
def test_a_teacher_that_teaches_wants_by_moves_what_it_does(acts):
    """A student that does as it is taught goes where the teacher goes, as far as moves can tell."""
    torch.manual_seed(0)
    kind = replace(
        TeacherNetworkConfig.small(), acts=acts, basis_points=TINY.basis_points, widths=(16,)
    )
    network = new_teacher(kind)
    with torch.no_grad():
        network.head[-1].weight.mul_(100.0)
    environments = goal_scenes.environments(CONFIG.task)
    taught = TaughtGoalEnvironments(environments, Teaching(teacher=network))
    taught.begin(told())
    moves = [taught.expert()]
    taught.step(moves[0])
    moves.append(taught.expert())
    assert np.abs(moves[0] - moves[1]).max() > 1e-3  # it looks again
    seen = environments.begin(told())
    policy = TeacherPolicy(environments, network)
    policy.begin(4)
    velocities, postures = policy.wanted(seen)
    level = np.einsum("nij,nj->ni", environments.frames[:, :3, :3], moves[0][:, :3])
    assert velocities[:, :3] == pytest.approx(CONFIG.task.wrist_speed * level, abs=1e-9)
    closed = told().goals.joints @ scenes.HAND.reduction.T
    assert postures == pytest.approx(closed + moves[0][:, 6:], abs=1e-6)


def test_who_has_not_looked_or_does_not_know_how_to_press_is_told():
    environments = goal_scenes.environments(CONFIG.task)
    taught = TaughtGoalEnvironments(environments)
    with pytest.raises(ValueError, match="draw episodes with looks"):
        taught.begin(replace(told(), looks=None))
    with pytest.raises(ValueError, match="data squeeze fills it in"):
        taught.begin(told(goals=scenes.goals()))
    with pytest.raises(ValueError, match="no goals"):
        ToldSource(scenes.pressing_goals()[:0], CLOUDS, CLOUDS, 4, CONFIG.task)


def test_the_judge_runs_the_same_episodes():
    environments = goal_scenes.environments(CONFIG.task)
    sight = StudentSight(environments, CONFIG.telling)
    judge = StudentJudge(environments, told(), told().goals, sight)
    torch.manual_seed(0)
    student = NetworkStudent(new_network(TINY), CONFIG.task)
    first = judge(student)
    assert first == judge(student)
    assert first["loss"] == 1.0 - first["success"] == 1.0


def trained(folder: Path, seed: int = 0) -> dict:
    """The network of the last checkpoint."""
    run = Run(folder, "policy", seed=seed)
    torch.manual_seed(seed)
    train_policy(new_network(TINY), data(), CONFIG, run)
    return torch.load(run.checkpoint, weights_only=True)["objective"]


def test_a_run_is_resumed_to_the_bit(tmp_path, monkeypatch):
    def one_round(learner, rounds, *rest, **more):
        return train_rounds(learner, 1, *rest, **more)

    whole = trained(tmp_path / "whole")
    with monkeypatch.context() as stopped:
        stopped.setattr(policy_training, "train_rounds", one_round)
        first = trained(tmp_path / "parts")
    assert not all(torch.equal(values, first[name]) for name, values in whole.items())
    parts = trained(tmp_path / "parts")
    assert all(torch.equal(values, parts[name]) for name, values in whole.items())


# The command


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A set of an object to train on and one for validation; a configuration."""
    path = tmp_path_factory.mktemp("policy")
    settings = {
        "network": {
            "size": "small",
            "basis_points": {"points": 16, "widths": [8]},
            "widths": [16],
        },
        "task": {"horizon": CONFIG.task.horizon, "points": CONFIG.task.points},
        "dagger": {"updates": 2, "batch": 8},
        "judged": 2,
    }
    return set_and_settings(path, "policy", settings)


def command(folder: Path, out: Path, status: int = 0, **options: object) -> str:
    given = {"sees": "full"} | options
    return train("policy", folder, out, status, **given)


def test_the_command_trains_and_goes_on(tmp_path, folder):
    said = command(folder, tmp_path)
    assert "training: 1 objects, 2 goals" in said
    assert "step 1" in said
    assert "step 1," not in command(folder, tmp_path)  # nothing is left to do
    found = load_weights(tmp_path / "policy.safetensors", GoalNetworkConfig)
    assert found.config.widths == (16,)
    assert found.metadata["sees"] == "full"
    assert found.metadata["method"] == "dagger"
    assert "| sees | full |" in (tmp_path / "policy.card.md").read_text()
    teacher = new_teacher(replace(TeacherNetworkConfig.small(), widths=(16,)))
    save_weights(tmp_path / "teacher.safetensors", teacher, teacher.config, {})
    command(folder, tmp_path / "taught", teacher=tmp_path / "teacher.safetensors")
    by_teacher = load_weights(tmp_path / "taught" / "policy.safetensors", GoalNetworkConfig)
    assert by_teacher.metadata["teacher"]
    assert "--restart" in command(folder, tmp_path / "taught", 2)  # another run
    again = command(folder, tmp_path / "more", init=tmp_path / "policy.safetensors")
    assert "step 1" in again
    more = load_weights(tmp_path / "more" / "policy.safetensors", GoalNetworkConfig)
    assert torch.equal(more.state["mean"], found.state["mean"])


def test_the_command_trains_in_another_simulator(tmp_path, folder):
    pytest.importorskip("dexgrasp_sim.backends.mujoco_warp.batch", exc_type=ImportError)
    assert "step 1" in command(folder, tmp_path, sim="mujoco_warp", envs=2)
    found = load_weights(tmp_path / "policy.safetensors", GoalNetworkConfig)
    assert found.metadata["backend"] == "mujoco_warp"
    # In another one it would be another run.
    assert "--restart" in command(folder, tmp_path, 2, envs=2)


def test_the_command_tells_what_is_wrong(tmp_path, folder):
    said = command(folder, tmp_path, 2, init=tmp_path / "none.safetensors")
    assert "no such file of weights" in said
    assert "none of 0 goals of the split training" in command(
        folder, tmp_path, 2, where="lifted>=2"
    )
    assert "expected one of: isaac_gym, mujoco" in command(folder, tmp_path, 2, sim="bullet")
    if not torch.cuda.is_available():
        assert "no CUDA device" in command(folder, tmp_path, 2, device="cuda")
    bad = folder / "bad.yaml"
    bad.write_text(yaml.safe_dump({"policy": {"dagger": {"epochs": 3}}}))
    assert "has no parameter" in command(folder, tmp_path, 2, config=bad)


@pytest.mark.parametrize("name", ["small", "paper"])
def test_named_settings_are_there(name):
    config, network = load_policy_training(name, rounds=7, episodes=32)
    assert network == getattr(GoalNetworkConfig, name)()
    assert (config.dagger.rounds, config.dagger.episodes) == (7, 32)
    assert config.dagger.reach == 1.0
