"""Model-predictive control: the model is what then happens, and looking ahead is worth it."""

from __future__ import annotations

from dataclasses import replace

import assist_scenes as scenes
import goal_scenes
import numpy as np
import pytest

from dexgrasp_learning.cross_entropy import CrossEntropyConfig
from dexgrasp_learning.goal_environments import GoalEnvironments
from dexgrasp_learning.goal_rows import run_told
from dexgrasp_learning.model_predictive import (
    ModelPredictiveConfig,
    ModelPredictivePolicy,
    load_model_predictive_config,
)

EPISODES = goal_scenes.episodes(scenes.goals())
N = len(EPISODES)
CONFIG = ModelPredictiveConfig(
    pieces=2, hold=2, search=CrossEntropyConfig(samples=6, elites=2, iterations=2)
)


def actions(steps: int, copies: int = 1) -> np.ndarray:
    """(T, N * copies, 24) of no sense, alike for all copies."""
    drawn = np.random.default_rng(0).uniform(-1.0, 1.0, (steps, N, 24))
    return np.repeat(drawn, copies, axis=1)


def begun(copies: int = 1, **options) -> GoalEnvironments:
    environments = goal_scenes.environments(**options)
    environments.begin(EPISODES[np.repeat(np.arange(N), copies)])
    return environments


def test_what_a_model_says_happens_to_the_bit():
    true, model = begun(late=1), begun(copies=2)
    given, twice = actions(8), actions(8, copies=2)
    for each in given[:3]:
        true.step(each)
    model.step(-twice[0])  # it was elsewhere
    model.take_up(true)
    assert model.steps == true.steps == 3
    for one, both in zip(given[3:], twice[3:], strict=True):
        _, rewards = true.step(one)
        _, told = model.step(both)
        assert np.array_equal(told, np.repeat(rewards, 2))
    assert np.array_equal(model.state.joints[::2], true.state.joints)
    assert np.array_equal(model.state.objects[1::2], true.state.objects)


def test_a_model_of_other_actions_says_something_else():
    true, model = begun(), begun()
    model.take_up(true)
    (each,) = actions(1)
    assert not np.array_equal(model.step(-each)[1], true.step(each)[1])


def test_where_an_object_was_moved_to_is_known():
    true, model = begun(), begun()
    true.move_objects(np.arange(N), np.tile([0.03, 0.0, 0.0], (N, 1)))
    model.take_up(true)
    (each,) = actions(1)
    assert np.array_equal(model.step(each)[1], true.step(each)[1])


def test_a_model_has_each_episode_as_often():
    model = begun()
    true = goal_scenes.environments()
    true.begin(EPISODES[:3])
    with pytest.raises(ValueError, match="4 episodes can't be 3, each as often"):
        model.take_up(true)


def test_looking_ahead_is_worth_it():
    environments = goal_scenes.environments()

    def ended(config: ModelPredictiveConfig) -> np.ndarray:
        return run_told(environments, EPISODES, ModelPredictivePolicy(environments, config)).rewards

    found = ended(CONFIG)
    assert np.array_equal(ended(CONFIG), found)
    # What it begins with is all that it knows then: to stay.
    staying = ended(replace(CONFIG, wrist_deviation=0.0, finger_deviation=0.0))
    assert (found > staying + 0.5).all()


def test_settings_come_from_a_file(tmp_path, monkeypatch):
    assert load_model_predictive_config().search.samples > 2
    (tmp_path / "mpc.yaml").write_text("horizon: 3\n")
    monkeypatch.setenv("DEXGRASP_CONFIG_DIR", str(tmp_path))
    with pytest.raises(ValueError, match="no parameter horizon"):
        load_model_predictive_config()
