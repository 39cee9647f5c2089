"""Edits are learned from what lifted, told apart by what is seen; a row applies them."""

from __future__ import annotations

from dataclasses import replace

import assist_scenes as scenes
import goal_scenes
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from dexgrasp_cli.cli import app
from dexgrasp_learning import edit_search
from dexgrasp_learning.edit_learning import (
    EditLearningConfig,
    EditTraining,
    advantage_weights,
    learned_edits,
    load_edit_training,
    tried_batch,
)
from dexgrasp_learning.goal_rows import ROWS, CarryingOut, plans_of
from dexgrasp_models.nets.posture_net import PostureNetConfig
from dexgrasp_models.nets.weights import WeightsError, save_weights
from dexgrasp_models.tasks.learned_edits import EditNetConfig, LearnedEdits, new_edit_net
from dexgrasp_models.tasks.plan_edits import EditConfig, edited

GOALS = scenes.pressing_goals()
EPISODES = goal_scenes.episodes(GOALS)
CONFIG = EditLearningConfig(
    net=PostureNetConfig(width=16, steps=150, batch=64, dropout=0.0, learning_rate=1e-2)
)


def found(lifts) -> list[dict]:
    """Tries of the goals, each with its own object's cloud; `lifts` says which edits lift."""
    rng = np.random.default_rng(0)
    results = []
    for row in range(len(GOALS)):
        edits = np.clip(0.5 * rng.normal(size=(64, 24)), -1.0, 1.0)
        goal = {
            "translation": GOALS.translations[row].tolist(),
            "rotation": GOALS.rotations[row].tolist(),
            "joints": GOALS.joints[row].tolist(),
            "edits": edits.tolist(),
            "lifted": lifts(row, edits).tolist(),
        }
        results.append({"cloud": EPISODES.object_clouds[row].tolist(), "goals": [goal]})
    return results


def by_object(row: int, edits: np.ndarray) -> np.ndarray:
    """Cans are lifted farther along x, apples the other way."""
    return edits[:, 0] > 0.3 if row < 2 else edits[:, 0] < -0.3


def test_weights_by_hand():
    lifted, goal = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0]), torch.tensor([0, 0, 1, 1, 2])
    weights = advantage_weights(lifted, goal, 0.5)
    e = np.exp(2.0)
    assert weights.numpy() == pytest.approx([e / (e + 1), 1 / (e + 1), 0.0, 0.0, 1.0])


def test_what_lifts_is_learned_of_each_object():
    tried = tried_batch(found(by_object), CONFIG.net)
    assert tried.seen.shape == (256, 256 + 18)
    net = learned_edits(tried, CONFIG)
    with torch.no_grad():
        edits = net(tried.seen[::64]).numpy()
    assert (edits[:2, 0] > 0.2).all()
    assert (edits[2:, 0] < -0.2).all()


def test_without_advantages_nothing_is_learned():
    tried = tried_batch(found(by_object), CONFIG.net)
    net = learned_edits(tried, replace(CONFIG, temperature=100.0))
    with torch.no_grad():
        alike = net(tried.seen[::64]).numpy()
    assert np.abs(alike[:, 0]).max() < 0.2


def test_there_has_to_be_something_to_learn():
    with pytest.raises(ValueError, match="nothing was tried"):
        tried_batch([{"cloud": [[0.0, 0.0, 0.0]], "goals": []}], CONFIG.net)
    tried = tried_batch(found(lambda row, edits: edits[:, 0] > 2.0), CONFIG.net)
    with pytest.raises(ValueError, match="no edit of any plan lifted"):
        learned_edits(tried, CONFIG)


def weights(folder, value: float) -> str:
    """Of a network that always says the same of every number."""
    config = EditNetConfig(CONFIG.net, EditConfig(shift=0.01))
    net = new_edit_net(config)
    with torch.no_grad():
        for values in net.parameters():
            values.zero_()
        net.mean.fill_(value)
    save_weights(folder / "edits.safetensors", net, config)
    return str(folder / "edits.safetensors")


def test_weights_edit_the_goals_of_episodes(tmp_path):
    learned = LearnedEdits(weights(tmp_path, 0.5))
    assert learned.edits(EPISODES) == pytest.approx(np.full((len(GOALS), 24), 0.5))
    by = edited(GOALS, np.full((len(GOALS), 24), 0.5), EditConfig(shift=0.01), scenes.HAND)
    assert np.array_equal(learned.goals(EPISODES).palm_poses, by.palm_poses)
    assert LearnedEdits(weights(tmp_path, 7.0)).edits(EPISODES).max() == 1.0
    with pytest.raises(WeightsError, match="no such file"):
        LearnedEdits(tmp_path / "none.safetensors")


@pytest.mark.parametrize(("value", "alike"), [(0.0, True), (0.3, False)])
def test_a_row_plans_with_edited_grasps(tmp_path, value, alike):
    environments = goal_scenes.environments()
    how = CarryingOut(edits=weights(tmp_path, value))
    plans = plans_of(EPISODES, environments.config, how)
    policy = ROWS["planned_edited"].make(environments, EPISODES, plans, how)
    for old, new in zip(plans, policy._plans, strict=True):
        assert new is not None
        same = np.allclose(new.grasp.palm_pose, old.grasp.palm_pose, atol=1e-5)
        assert same == alike


def test_the_command_searches_learns_and_goes_on(tmp_path, monkeypatch):
    data, _ = scenes.stored(tmp_path, GOALS)
    results = found(by_object)
    for each in results:
        each["goals"][0]["checked"] = [[False, True], [True, True], [True, True], [True, True]]
    asked = []

    def searched(job):
        asked.append(job.key)
        return results[len(asked)]

    monkeypatch.setattr(edit_search, "run_edit_job", searched)
    monkeypatch.setattr(
        "dexgrasp_models.training.data.split_objects",
        lambda names, split: sorted(names) if split == "training" else [],
    )
    settings = "edits:\n  learning: {net: {width: 8, steps: 2, batch: 8}}\n"
    (tmp_path / "mine.yaml").write_text(settings)
    out = tmp_path / "out"
    command = ["edits", str(data), "--out", str(out), "--config", str(tmp_path / "mine.yaml")]
    command += ["--workers", "1"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "50%" in first.output
    assert "learned from 128 tries" in first.output
    LearnedEdits(out / "edits.safetensors")
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert len(asked) == 2, "what is kept isn't searched again"
    empty = CliRunner().invoke(app, [*command, "--split", "validation"])
    assert empty.exit_code == 2
    assert "no grasp of validation objects" in " ".join(empty.output.split())


def test_settings_come_from_a_file():
    settings = load_edit_training("small")
    assert isinstance(settings, EditTraining)
    assert settings.net.edit == settings.search.edit
    with pytest.raises(ValueError, match="no settings of 'edits'"):
        load_edit_training("paper")
