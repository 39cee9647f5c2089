"""PPO by rsl_rl's runner on a task whose best policy is known; resumed to the bit; no traces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import ppo_process
import pytest
import torch
from assist_toys import TINY
from joined_processes import run_together
from reach_environment import Reach

from dexgrasp_learning.assist_training import actor_critic
from dexgrasp_learning.ppo import PPO, PPOConfig
from dexgrasp_learning.rounds import train_rounds
from dexgrasp_models.nets.assist_network import AssistNetwork, AssistNetworkConfig
from dexgrasp_models.nets.weights import load_weights
from dexgrasp_models.training.checkpoint import TrainingError
from dexgrasp_models.training.objectives import LOSS
from dexgrasp_models.training.processes import Processes
from dexgrasp_models.training.run import Run

CONFIG = PPOConfig(
    mini_batch=64, epochs=4, learning_rate=3e-3, deviation=0.5, discount=0.9, divergence=0.03
)


def learner(
    config: PPOConfig = CONFIG,
    seed: int = 0,
    count: int = 32,
    network: AssistNetwork | None = None,
    make_env: Callable = Reach,
) -> PPO:
    torch.manual_seed(100 + seed)  # of the first weights
    return PPO(
        actor_critic(network or AssistNetwork(TINY), None),
        make_env,
        lambda number: Reach.drawn(count),
        config,
        seed=seed,
        trained=network is not None,
    )


@torch.no_grad()
def left(network: AssistNetwork) -> float:
    """Mean distance to the target at the end of new episodes, of the policy without noise."""
    env = Reach(lambda rng: Reach.drawn(64)(np.random.default_rng(99)))
    for step in range(env.max_episode_length):
        seen = env.get_observations()
        outputs = network.of_prepared(seen["state"], seen["cloud"], seen["gradient"])
        _, _, dones, extras = env.step(outputs)
        assert bool(dones.all()) == (step == env.max_episode_length - 1)
    return extras["log"]["/distance"]


def test_ppo_solves_a_known_task_and_without_a_rate_it_does_not(tmp_path):
    start = left(AssistNetwork(TINY))
    found = {}
    for rate in (CONFIG.learning_rate, 0.0):
        config = replace(CONFIG, learning_rate=rate, divergence=CONFIG.divergence * bool(rate))
        who = learner(config)
        progress = train_rounds(who, 12, Run(tmp_path / str(rate), "assist"))
        assert progress.validation["agent_steps"] == 12 * 32 * Reach.max_episode_length
        found[rate] = left(who.network)
    assert found[CONFIG.learning_rate] < 0.35 * start
    assert found[0.0] > 0.9 * start


def checkpoint(folder: Path) -> dict:
    return torch.load(folder / "assist.checkpoint", weights_only=True)


def assert_same_run(one: Path, other: Path) -> None:
    first, second = checkpoint(one), checkpoint(other)
    assert first["step"] == second["step"]
    for model in ("actor", "critic"):
        for name, values in first["objective"][model].items():
            assert torch.equal(values, second["objective"][model][name]), (model, name)
    assert first["optimiser"]["param_groups"] == second["optimiser"]["param_groups"]
    for index, state in first["optimiser"]["state"].items():
        for name, values in state.items():
            assert torch.equal(values, second["optimiser"]["state"][index][name]), name
    weights = [load_weights(f / "assist.safetensors", AssistNetworkConfig) for f in (one, other)]
    assert all(torch.equal(v, weights[1].state[n]) for n, v in weights[0].state.items())


def test_resumed_run_is_the_same_to_the_bit(tmp_path):
    whole, parts, other = (tmp_path / name for name in ("whole", "parts", "other"))
    train_rounds(learner(), 4, Run(whole, "assist"))
    train_rounds(learner(), 1, Run(parts, "assist"))
    for rounds in (3, 4):
        # What a new process begins with doesn't matter.
        train_rounds(learner(network=AssistNetwork(TINY)), rounds, Run(parts, "assist"))
    assert_same_run(whole, parts)
    train_rounds(learner(seed=1), 4, Run(other, "assist", seed=1))  # negative control
    with pytest.raises(AssertionError):
        assert_same_run(whole, other)


def test_a_trained_network_is_what_it_begins_with(tmp_path):
    torch.manual_seed(3)
    first = AssistNetwork(TINY)
    first.fit_standardisation(torch.randn(50, 57))
    before = {name: values.clone() for name, values in first.state_dict().items()}
    who = learner(replace(CONFIG, learning_rate=0.0, divergence=0.0), network=first)
    train_rounds(who, 1, Run(tmp_path, "assist"))
    assert all(torch.equal(v, before[n]) for n, v in who.network.state_dict().items())
    actor = checkpoint(tmp_path)["objective"]["actor"]
    deviation = actor["distribution.log_std_param"].exp()
    assert torch.allclose(deviation, torch.full((36,), CONFIG.trained_deviation))


def test_at_first_only_the_critic_learns(tmp_path):
    config = replace(CONFIG, critic_rounds=2)
    who = learner(config, network=AssistNetwork(TINY))
    states = []
    for rounds in (1, 2, 3):
        progress = train_rounds(who, rounds, Run(tmp_path, "assist"))
        states.append(checkpoint(tmp_path)["objective"])
        rate = progress.validation["learning_rate"]
        assert (rate == config.learning_rate) == (rounds < 3)

    def learned(model: str, first: int, then: int) -> bool:
        before, after = states[first][model], states[then][model]
        return any(not torch.equal(values, after[name]) for name, values in before.items())

    assert not learned("actor", 0, 1)
    assert learned("critic", 0, 1)
    assert learned("actor", 1, 2)


def test_the_latest_weights_are_kept_beside_the_best(tmp_path, monkeypatch):
    monkeypatch.setattr(PPO, "policy", None)  # without a primitive there is none
    losses, run = iter([0.0, 1.0, 2.0]), Run(tmp_path, "assist")
    train_rounds(learner(), 3, run, judge=lambda _: {LOSS: next(losses)}, judge_every=1)
    for path, step in ((run.weights, 1), (run.latest, 3)):
        assert load_weights(path, AssistNetworkConfig).metadata["step"] == step


def test_it_leaves_and_prints_nothing_but_what_is_asked_for(tmp_path, capfd):
    train_rounds(learner(count=8), 1, Run(tmp_path / "out", "assist"))
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err == ""
    left_behind = {path.name for path in (tmp_path / "out").iterdir()}
    weights = {"assist.safetensors", "assist.latest.safetensors"}
    assert left_behind == {*weights, "assist.checkpoint", "curves"}
    assert not list((tmp_path / "out").rglob("*.diff"))


def test_what_can_not_be_trained_is_told(tmp_path):
    with pytest.raises(TrainingError, match="no mini-batch of 64: take more environments"):
        train_rounds(learner(count=4), 1, Run(tmp_path, "assist"))
    with pytest.raises(ValueError, match="16 environments can't be shared by 3 processes"):
        ppo_process.learner(Processes(count=3))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_processes_that_learn_together_learn_the_same_from_episodes_of_their_own(tmp_path):
    """A run of theirs that is stopped goes on to the bits of a whole one."""
    run_together(Path(ppo_process.__file__), tmp_path)

    def learned(name: str, rank: int) -> dict[str, torch.Tensor]:
        models = torch.load(tmp_path / name / f"learned.{rank}", weights_only=True)
        return {f"{model}.{n}": v for model, values in models.items() for n, v in values.items()}

    def alike(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
        return all(torch.equal(values, other[name]) for name, values in one.items())

    first = learned("whole", 0)
    assert alike(first, learned("whole", 1))
    assert alike(first, learned("parts", 0))
    assert alike(first, learned("parts", 1))
    # The negative control: they do act in episodes of their own.
    assert not alike(learned("apart", 0), learned("apart", 1))

    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    with pytest.raises(TrainingError, match="other settings"):  # alone it is another run
        train_rounds(ppo_process.learner(), 4, Run(tmp_path / "whole", "assist"))
