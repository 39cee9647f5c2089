"""The training loop: resumed to the bit, killed, out of time, diverged, in several processes."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import training_process
from joined_processes import DEADLINE, run_together, start
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_process import train_tiny
from training_samples import TRAINING_CONFIG, loaded, tiny_objective, write_sets

from dexgrasp_models.nets.glow import GraspGlow, GraspGlowConfig
from dexgrasp_models.nets.graspgf import GraspGF, GraspGFConfig
from dexgrasp_models.nets.ipdf import GraspIPDFConfig
from dexgrasp_models.nets.weights import load_weights
from dexgrasp_models.training import loop
from dexgrasp_models.training.checkpoint import TrainingError
from dexgrasp_models.training.data import validation_batches
from dexgrasp_models.training.loop import train
from dexgrasp_models.training.objectives import LOSS, RECIPES
from dexgrasp_models.training.run import Run

SCRIPT = Path(training_process.__file__)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets")
    write_sets(path)
    return path


@pytest.fixture(scope="module")
def scenes(folder):
    return loaded(folder)


def checkpoint_of(run: Run) -> dict:
    return torch.load(run.checkpoint, weights_only=True)


def assert_same_state(one: dict, other: dict) -> None:
    assert one["step"] == other["step"]
    for name, values in one["objective"].items():
        assert torch.equal(values, other["objective"][name]), name
    assert (one["average"] is None) == (other["average"] is None)
    for name, values in (one["average"] or {}).items():
        assert torch.equal(values, other["average"][name]), name
    for index, state in one["optimiser"]["state"].items():
        for name, values in state.items():
            assert torch.equal(values, other["optimiser"]["state"][index][name]), name


class Stopped(Exception):
    """Takes the place of a kill."""


@pytest.mark.parametrize(("recipe", "ema"), [("ipdf", 0.0), ("glow", 0.0), ("graspgf", 0.9)])
def test_resumed_run_is_the_same_to_the_bit(tmp_path, scenes, recipe, ema, monkeypatch):
    config = replace(
        TRAINING_CONFIG, schedule="cosine", ema=ema, wrist_translation=0.01, wrist_rotation=0.1
    )
    whole = Run(tmp_path / "whole", recipe)
    train(tiny_objective(recipe, config), *scenes, config, whole)

    parts = Run(tmp_path / "parts", recipe, checkpoint_every=0.0)
    update, done = loop._Loop._update, []

    def stop_in_the_fifth(self, model, batch):
        if len(done) == 4:
            raise Stopped
        done.append(self._state.step)
        return update(self, model, batch)

    monkeypatch.setattr(loop._Loop, "_update", stop_in_the_fifth)
    with pytest.raises(Stopped):
        train(tiny_objective(recipe, config), *scenes, config, parts)
    monkeypatch.undo()
    assert checkpoint_of(parts)["step"] == 4
    # Whatever a new process has as first weights doesn't matter.
    progress = train(tiny_objective(recipe, config, seed=7), *scenes, config, parts)
    assert progress.finished
    assert_same_state(checkpoint_of(parts), checkpoint_of(whole))
    first, second = (
        load_weights(r.weights, RECIPES[recipe].network_config) for r in (whole, parts)
    )
    assert all(torch.equal(values, second.state[name]) for name, values in first.state.items())


def test_another_seed_is_another_run(tmp_path, scenes):
    """Negative control of the test above."""
    runs = [Run(tmp_path / str(seed), "ipdf", seed=seed) for seed in (0, 1)]
    for run in runs:
        train(tiny_objective("ipdf"), *scenes, TRAINING_CONFIG, run)
    with pytest.raises(AssertionError):
        assert_same_state(*map(checkpoint_of, runs))


@pytest.mark.timeout(300)
def test_killed_run_goes_on(tmp_path, folder, scenes):
    process = start(SCRIPT, folder, tmp_path / "out", "ipdf", 100_000)
    run = Run(tmp_path / "out", "ipdf", checkpoint_every=0.0)
    deadline = time.monotonic() + DEADLINE
    while not run.checkpoint.is_file():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.communicate()
    stopped = checkpoint_of(run)["step"]
    assert 0 < stopped < 100_000
    config = replace(TRAINING_CONFIG, steps=100_000, validate_every=100_000, quality_from=1.0)
    progress = train(tiny_objective("ipdf", config), *scenes, config, replace(run, budget=0.2))
    assert progress.step >= stopped
    assert not progress.finished
    assert checkpoint_of(run)["step"] == progress.step


@pytest.mark.timeout(300)
def test_processes_together_are_as_one(tmp_path, folder):
    """Two processes with half of each batch take the steps of one with all of it."""
    run_together(SCRIPT, folder, tmp_path / "two", "ddg", 4)
    train_tiny(folder, tmp_path / "one", "ddg", 4)
    one, two = (checkpoint_of(Run(tmp_path / name, "ddg")) for name in ("one", "two"))
    first = tiny_objective("ddg").state_dict()
    moved = [
        (values - first[name]).abs().max()
        for name, values in one["objective"].items()
        if name in first and values.is_floating_point()
    ]
    assert max(moved) > 1e-3
    for name, values in one["objective"].items():
        assert torch.allclose(values, two["objective"][name], atol=1e-5), name


def test_batches_that_can_not_be_shared(tmp_path, scenes):
    from dexgrasp_models.training.processes import Processes

    with pytest.raises(TrainingError, match="4 clouds can't be shared by 3"):
        train(
            tiny_objective("ipdf"),
            *scenes,
            TRAINING_CONFIG,
            Run(tmp_path, "ipdf"),
            Processes(0, 3),
        )


def test_budget(tmp_path, scenes, monkeypatch):
    """By a clock of which each step takes ten seconds and validation twenty."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def takes(name: str, seconds: float) -> None:
        original = getattr(loop._Loop, name)

        def slow(self, *arguments):
            now[0] += seconds
            return original(self, *arguments)

        monkeypatch.setattr(loop._Loop, name, slow)

    takes("_update", 10.0)
    takes("_measure", 20.0)
    config = replace(TRAINING_CONFIG, steps=1000, validate_every=10)
    run = Run(tmp_path, "ipdf", budget=300.0)
    progress = train(tiny_objective("ipdf"), *scenes, config, run)
    assert 280 <= now[0] <= 310
    assert not progress.finished
    assert progress.step == checkpoint_of(run)["step"]
    assert progress.seconds == now[0]
    again = train(tiny_objective("ipdf"), *scenes, config, run)
    assert again.step > progress.step
    assert again.seconds > 550


def test_no_budget_is_used_up_but_weights_are_there(tmp_path, scenes):
    run = Run(tmp_path, "ipdf", budget=0.0)
    progress = train(tiny_objective("ipdf"), *scenes, TRAINING_CONFIG, run)
    assert progress.step <= 1
    assert run.weights.is_file()


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_divergence_is_told(tmp_path, scenes, where):
    objective = tiny_objective("ipdf")
    if where == "loss":
        objective.network.from_cloud.bias.data[0] = torch.nan
    else:
        next(iter(objective.network.parameters())).register_hook(lambda g: g * torch.inf)
    run = Run(tmp_path, "ipdf")
    with pytest.raises(TrainingError, match=r"diverged in step 0: .*Lower the learning rate"):
        train(objective, *scenes, TRAINING_CONFIG, run)
    assert not run.checkpoint.exists()
    assert not run.weights.exists()


def test_other_settings_are_refused(tmp_path, scenes):
    run = Run(tmp_path, "ipdf")
    train(tiny_objective("ipdf"), *scenes, TRAINING_CONFIG, run)
    other = replace(TRAINING_CONFIG, jitter=0.0)
    with pytest.raises(TrainingError, match=r"other settings \(training\).*--restart"):
        train(tiny_objective("ipdf"), *scenes, other, run)
    with pytest.raises(TrainingError, match=r"other settings \(data\)"):
        train(tiny_objective("ipdf"), *scenes[::-1], TRAINING_CONFIG, run)
    progress = train(tiny_objective("ipdf"), *scenes, other, replace(run, resume=False))
    assert progress.finished
    stored = checkpoint_of(run)
    assert stored.pop("hand") == "shadow_hand_right"
    torch.save(stored, run.checkpoint)  # as before hands were named
    assert train(tiny_objective("ipdf"), *scenes, other, run).finished
    torch.save(stored | {"hand": "left_claw"}, run.checkpoint)
    with pytest.raises(TrainingError, match=r"hand left_claw, .* is shadow_hand_right"):
        train(tiny_objective("ipdf"), *scenes, other, run)
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cut short"):
        train(tiny_objective("ipdf"), *scenes, other, run)


def test_weights_and_curves(tmp_path, scenes):
    run = Run(tmp_path, "glow", seed=3, metadata={"data": "a set", "command": "train"})
    reported = []
    train(tiny_objective("glow"), *scenes, TRAINING_CONFIG, run, report=reported.append)
    assert [progress.step for progress in reported] == [3, 6]
    config, state, metadata = load_weights(run.weights, GraspGlowConfig)
    best = min(reported, key=lambda progress: progress.validation[LOSS])
    assert metadata["step"] == best.step
    assert metadata["validation"] == dict(best.validation)
    assert (metadata["seed"], metadata["data"], metadata["recipe"]) == (3, "a set", "glow")
    # The figures are those of these very weights.
    network = GraspGlow(config)
    network.load_state_dict(state)
    network.eval()
    nll, count = 0.0, 0
    with torch.no_grad():
        for clouds, grasps in validation_batches(scenes[1], TRAINING_CONFIG):
            found = network.log_prob(clouds.repeat_interleave(2, dim=0), grasps)
            nll, count = nll - float(found.sum()), count + len(found)
    assert nll / count == pytest.approx(metadata["validation"][LOSS], abs=1e-4)
    assert json.dumps(metadata)

    curves = EventAccumulator(str(run.curves)).Reload()
    assert {f"training/{LOSS}", "training/gradient", f"validation/{LOSS}"} <= set(
        curves.Tags()["scalars"]
    )
    told = [(event.step, event.value) for event in curves.Scalars(f"validation/{LOSS}")]
    assert told == [(p.step, pytest.approx(p.validation[LOSS], rel=1e-5)) for p in reported]


def test_running_mean_is_what_is_validated_and_kept(tmp_path, scenes, monkeypatch):
    """By the definition: each step's weights count by 1 - ema, the mean of before by ema."""
    config = replace(TRAINING_CONFIG, steps=3, validate_every=3, ema=0.75)
    update, seen = loop._Loop._update, []

    def watched(self, model, batch):
        found = update(self, model, batch)
        network = self._objective.network
        seen.append({name: values.clone() for name, values in network.named_parameters()})
        return found

    monkeypatch.setattr(loop._Loop, "_update", watched)
    run = Run(tmp_path, "graspgf")
    objective = tiny_objective("graspgf", config)
    progress = train(objective, *scenes, config, run)
    kept = load_weights(run.weights, GraspGFConfig)
    for name, last in seen[-1].items():
        mean = 0.75 * (0.75 * seen[0][name] + 0.25 * seen[1][name]) + 0.25 * last
        torch.testing.assert_close(kept.state[name], mean)
    # The run itself goes on with its own weights.
    assert torch.equal(objective.network.head[-1].weight, seen[-1]["head.2.weight"])
    # The figures are those of the mean: measured again, they come out alike.
    objective.network.load_state_dict(kept.state)
    again = train(
        objective, *scenes, replace(config, ema=0.0), Run(tmp_path / "no", "graspgf", budget=0.0)
    )
    assert again.validation == pytest.approx(dict(progress.validation))


def test_joint_errors_are_those_of_postures(tmp_path, scenes):
    progress = train(tiny_objective("graspgf"), *scenes, TRAINING_CONFIG, Run(tmp_path, "graspgf"))
    network = GraspGF(load_weights(tmp_path / "graspgf.safetensors", GraspGFConfig).config)
    network.load_state_dict(load_weights(tmp_path / "graspgf.safetensors", GraspGFConfig).state)
    errors = [
        (network.mean_joints() - grasps.joints).abs().mean()
        for _, grasps in validation_batches(scenes[1], TRAINING_CONFIG)
    ]
    assert progress.validation["joint_error_of_mean"] == pytest.approx(
        float(torch.stack(errors).mean()), rel=1e-4
    )
    assert {"joint_error", "joint_error_of_sample"} <= set(progress.validation)


def test_it_learns(tmp_path, scenes):
    """The likelihood of the training data itself rises: the same data is the validation here."""
    config = replace(
        TRAINING_CONFIG, steps=60, validate_every=30, batch=6, turn=False, learning_rate=3e-3
    )
    reported = []
    train(
        tiny_objective("glow"),
        scenes[0],
        scenes[0],
        config,
        Run(tmp_path, "glow"),
        report=reported.append,
    )
    assert reported[1].validation[LOSS] < reported[0].validation[LOSS] - 1


@pytest.mark.parametrize("recipe", sorted(set(RECIPES) - {"joint"}))
def test_every_recipe_trains(tmp_path, scenes, recipe):
    config = replace(TRAINING_CONFIG, steps=2, validate_every=2, quality_from=0.5)
    run = Run(tmp_path, recipe)
    objective = tiny_objective(recipe, config)
    before = [values.clone() for values in objective.network.parameters()]
    progress = train(objective, *scenes, config, run)
    assert all(map(torch.isfinite, map(torch.tensor, progress.validation.values())))
    changed = [
        not torch.equal(old, new)
        for old, new in zip(before, objective.network.parameters(), strict=True)
    ]
    assert sum(changed) > len(changed) / 2
    assert load_weights(run.weights, RECIPES[recipe].network_config).config == (
        objective.network.config
    )


def test_end_to_end_keeps_rotations_and_contacts(tmp_path, scenes):
    config = replace(TRAINING_CONFIG, steps=2, validate_every=2)
    for recipe in ("ipdf", "glow", "contact"):
        train(tiny_objective(recipe), *scenes, config, Run(tmp_path, recipe))
    files = {name: tmp_path / f"{name}.safetensors" for name in ("ipdf", "glow", "contact")}
    objective = tiny_objective("joint", config, **files)
    fixed = [
        {name: values.clone() for name, values in network.state_dict().items()}
        for network in objective._fixed
    ]
    start = load_weights(files["glow"], GraspGlowConfig).state
    run = Run(tmp_path, "joint")
    progress = train(objective, *scenes, config, run)
    assert {"nll", "cmap", "pen", "tpen", "spen"} <= set(progress.validation)
    for network, before in zip(objective._fixed, fixed, strict=True):
        assert all(torch.equal(v, before[name]) for name, v in network.state_dict().items())
        assert not network.training
    trained = load_weights(run.weights, GraspGlowConfig).state
    assert any(not torch.equal(values, start[name]) for name, values in trained.items())
    # The standardisation is the first stage's.
    assert torch.equal(trained["flow.mean"], start["flow.mean"])
    with pytest.raises(ValueError, match="GraspGlowConfig, not GraspIPDFConfig"):
        load_weights(files["glow"], GraspIPDFConfig)


def test_loaders_change_nothing(tmp_path, scenes):
    runs = [Run(tmp_path / str(count), "ipdf", loaders=count) for count in (0, 1)]
    for run in runs:
        train(tiny_objective("ipdf"), *scenes, TRAINING_CONFIG, run)
    assert_same_state(*map(checkpoint_of, runs))
