"""DAgger on a task whose expert is known: against cloning, resumed to the bit, bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagger_process
import numpy as np
import pytest
import torch
from assist_toys import TINY, Ridge
from joined_processes import run_together

from dexgrasp_learning.dagger import Dagger, DaggerConfig, Student
from dexgrasp_learning.labelled_states import LabelledStates
from dexgrasp_learning.rounds import train_rounds
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.nets.assist_network import AssistNetwork, AssistNetworkConfig
from dexgrasp_models.nets.graspgf import GraspGF, GraspGFConfig
from dexgrasp_models.nets.weights import load_weights
from dexgrasp_models.tasks.assist_inputs import InputMaker
from dexgrasp_models.tasks.learned_assist import LearnedAssist, NetworkPolicy
from dexgrasp_models.training.checkpoint import TrainingError
from dexgrasp_models.training.objectives import LOSS
from dexgrasp_models.training.processes import Processes
from dexgrasp_models.training.run import Run

DIRECT = replace(TINY, outputs="direct")
CONFIG = DaggerConfig(
    rounds=8, episodes=32, updates=60, batch=256, learning_rate=3e-3, ema=0.9, expert_share=0.0
)


def learner(
    folder: Path,
    config: DaggerConfig = CONFIG,
    network: AssistNetworkConfig = DIRECT,
    seed: int = 0,
) -> Dagger:
    torch.manual_seed(100 + seed)  # of the first weights
    return Dagger(
        student(network),
        Ridge(),
        Ridge.drawn(config.episodes),
        config,
        seed=seed,
        folder=folder / "states",
    )


def student(config: AssistNetworkConfig) -> Student:
    network = AssistNetwork(config)
    primitive = tiny_primitive() if network.needs_gradient else None
    inputs = InputMaker(network, primitive, load_hand())
    return Student(
        network,
        lambda seen: inputs(seen).named,
        lambda trained: NetworkPolicy(trained, primitive),
    )


def tiny_primitive() -> GraspGF:
    torch.manual_seed(5)
    config = GraspGFConfig(
        encoder="basis_points",
        basis_points=TINY.basis_points,
        joint_features=8,
        time_features=8,
        widths=(8,),
    )
    return GraspGF(config).eval()


def test_dagger_stays_on_the_ridge_and_cloning_falls(tmp_path):
    """As many states and updates; only who acts differs."""
    fallen = {}
    for name, share in (("dagger", 0.0), ("cloning", 1.0)):
        config = replace(CONFIG, expert_share=share)
        found = learner(tmp_path / name, config)
        progress = train_rounds(found, config.rounds, Run(tmp_path / name, "assist"))
        assert progress.finished
        assert progress.validation["states"] == 8 * 32 * Ridge.horizon
        fallen[name] = Ridge().fallen(found.policy)
    still = Ridge().fallen(learner(tmp_path / "none").policy)
    assert fallen["dagger"] < 0.1
    assert fallen["cloning"] > 3 * fallen["dagger"]
    assert still > 0.6  # who does nothing falls


def assert_same_run(one: Path, other: Path) -> None:
    first, second = (
        torch.load(folder / "assist.checkpoint", weights_only=True) for folder in (one, other)
    )
    assert first["step"] == second["step"]
    for part in ("objective", "average"):
        for name, values in first[part].items():
            assert torch.equal(values, second[part][name]), name
    for index, state in first["optimiser"]["state"].items():
        for name, values in state.items():
            assert torch.equal(values, second["optimiser"]["state"][index][name]), name
    weights = [load_weights(f / "assist.safetensors", AssistNetworkConfig) for f in (one, other)]
    assert all(torch.equal(v, weights[1].state[n]) for n, v in weights[0].state.items())


@pytest.mark.parametrize("network", [DIRECT, TINY], ids=["direct", "residual"])
def test_resumed_run_is_the_same_to_the_bit(tmp_path, network):
    """The oldest rounds are dropped too, and a run may be stopped after any of them."""
    config = replace(CONFIG, rounds=5, episodes=4, updates=3, capacity=70, expert_share=0.5)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train_rounds(learner(whole, config, network), 5, Run(whole, "assist"))
    for rounds in (1, 3, 5):
        found = learner(parts, config, network)
        # What a new process begins with doesn't matter.
        torch.nn.init.ones_(found.network.head[0].weight)
        if rounds == 1:
            found = learner(parts, config, network)
        progress = train_rounds(found, rounds, Run(parts, "assist", checkpoint_every=0.0))
        assert progress.step == rounds
    assert_same_run(whole, parts)
    assert len(list((parts / "states").iterdir())) < 5  # what isn't needed is removed

    other = tmp_path / "other"  # negative control
    train_rounds(learner(other, config, network, seed=1), 5, Run(other, "assist", seed=1))
    with pytest.raises(AssertionError):
        assert_same_run(whole, other)


def test_the_judge_chooses_the_weights_that_are_kept(tmp_path):
    config = replace(CONFIG, rounds=3, episodes=4, updates=1)
    kept: list[torch.Tensor] = []
    losses = iter((0.5, 0.2, 0.9))

    def judge(policy):
        kept.append(policy.network.head[-1].weight.clone())
        return {LOSS: next(losses), "success": 0.25}

    run = Run(tmp_path, "assist", metadata={"data": "toy"})
    progress = train_rounds(learner(tmp_path, config), 3, run, judge=judge, judge_every=1)
    assert progress.best == 0.2
    policy = LearnedAssist(run.weights)
    assert torch.equal(policy.network.head[-1].weight, kept[1])
    assert not torch.equal(kept[1], kept[2])
    assert policy.metadata["validation"] == {LOSS: 0.2, "success": 0.25}
    assert policy.metadata["data"] == "toy"
    assert policy.metadata["step"] == 2
    seen = Ridge().begin(np.full((2, 3), 0.1))
    assert policy.actions(seen).shape == (2, 18)


def test_a_budget_ends_between_rounds(tmp_path):
    config = replace(CONFIG, rounds=100_000, episodes=4, updates=1)
    run = Run(tmp_path, "assist", budget=0.3)
    progress = train_rounds(learner(tmp_path, config), config.rounds, run)
    assert 0 < progress.step < config.rounds
    assert not progress.finished
    stored = torch.load(run.checkpoint, weights_only=True)
    assert stored["step"] == progress.step


def test_what_a_run_can_not_go_on_from_is_told(tmp_path):
    config = replace(CONFIG, rounds=2, episodes=4, updates=1)
    run = Run(tmp_path, "assist")
    train_rounds(learner(tmp_path, config), 2, run)
    with pytest.raises(TrainingError, match=r"other settings \(training\)"):
        train_rounds(learner(tmp_path, replace(config, updates=2)), 3, run)
    (tmp_path / "states" / "000001.safetensors").write_bytes(b"cut")
    with pytest.raises(TrainingError, match=r"000001\.safetensors: is missing or cut short"):
        train_rounds(learner(tmp_path, config), 3, run)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_processes_that_learn_together_learn_the_same_from_episodes_of_their_own(tmp_path):
    """A run of theirs that is stopped goes on to the bits of a whole one."""
    run_together(Path(dagger_process.__file__), tmp_path)
    networks = [
        torch.load(tmp_path / name / f"network.{rank}", weights_only=True)
        for name in ("whole", "parts")
        for rank in (0, 1)
    ]
    for other in networks[1:]:
        assert all(torch.equal(values, other[name]) for name, values in networks[0].items())
    states = [
        LabelledStates.loaded(tmp_path / "whole" / folder / "000002.safetensors")
        for folder in ("states", "states.1")
    ]
    assert len(states[0]) == len(states[1]) == 4 * Ridge.horizon
    assert not torch.equal(states[0].actions, states[1].actions)

    run = Run(tmp_path / "whole", "assist")
    assert LearnedAssist(run.weights).metadata["processes"] == 2
    # Alone it is another run.
    with pytest.raises(TrainingError, match="other settings"):
        train_rounds(dagger_process.learner(tmp_path / "whole"), 4, run)


def test_what_processes_can_not_share_is_told():
    with pytest.raises(ValueError, match="8 episodes can't be shared by 3 processes"):
        dagger_process.learner(Path("unused"), Processes(count=3))


def test_a_training_that_diverges_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(AssistNetwork, "actions", lambda self, **inputs: self.head[-1].bias * 1e30)
    config = replace(CONFIG, episodes=4, updates=1)
    found = learner(tmp_path, config)
    with pytest.raises(TrainingError, match=r"training diverged in step 0: .*loss inf"):
        train_rounds(found, 1, Run(tmp_path, "assist"))


def test_an_expert_that_wants_more_than_can_be_done_is_learned_up_to_its_reach(tmp_path):
    class Eager(Ridge):
        def expert(self):
            return np.full((len(self.joints), 18), 50.0)

    config = replace(CONFIG, rounds=2, episodes=4, updates=400, reach=2.5)
    torch.manual_seed(0)
    found = Dagger(
        student(DIRECT),
        Eager(),
        Ridge.drawn(4),
        config,
        seed=0,
        folder=tmp_path / "states",
    )
    train_rounds(found, 2, Run(tmp_path, "assist"))
    seen = Eager().begin(np.full((1, 3), 0.1))
    inputs = InputMaker(found.network, None, load_hand())(seen)
    with torch.no_grad():
        assert found.network.actions(*inputs) == pytest.approx(np.full((1, 18), 2.5), abs=0.1)
    assert np.array_equal(found.policy.actions(seen), np.ones((1, 18)))
