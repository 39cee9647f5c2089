"""Demonstrations beside PPO: the gradient that they add, and what they are."""

from __future__ import annotations

from dataclasses import replace

import assist_scenes as scenes
import numpy as np
import pytest
import torch
from assist_actor import DIRECT, actor, demonstrated

from dexgrasp_learning.imitation import Demonstrations, Imitation, ImitationConfig, interpolated
from dexgrasp_models.nets.assist_network import AssistNetwork

CONFIG = ImitationConfig(batch=5)
LONG = 1e9


def test_its_gradient_is_that_of_the_gaussian_likelihood():
    """Of the last bias it is (mean - action) / deviation^2."""
    model, shown = actor(), demonstrated()
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    imitation = Imitation(model, optimiser, shown, CONFIG, LONG)
    names = [name for name, _ in model.named_parameters()]
    found = dict(zip(names, imitation.gradients(), strict=True))
    with torch.no_grad():
        mean = model.network.of_prepared(**shown.inputs)[0]
    expected = (mean - shown.actions[0]) / 0.5**2
    (last,) = (name for name in names if name.startswith("network.head.2") and "bias" in name)
    assert torch.allclose(found[last], expected, atol=1e-4)


def test_a_step_adds_it_by_its_weight_and_cut_on_its_own():
    model = actor()
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    config = replace(CONFIG, weight=1.0, decay=0.5)
    imitation = Imitation(model, optimiser, demonstrated(), config, 0.7)
    added = imitation.gradients()
    assert torch.linalg.norm(torch.cat([each.flatten() for each in added])) == pytest.approx(0.7)
    before = [values.detach().clone() for values in model.parameters()]
    assert imitation.begin_round(0) == 1.0
    assert imitation.begin_round(2) == 0.25
    for values in model.parameters():
        values.grad = torch.full_like(values, 0.01)
    optimiser.step()
    for values, old, more in zip(model.parameters(), before, added, strict=True):
        assert torch.allclose(values, old - 0.01 - 0.25 * more, atol=1e-6)


def test_demonstrations_are_of_whole_episodes_and_the_same_each_time():
    goals = scenes.goals()

    def source(rng):
        return scenes.episodes(goals, seed=int(rng.integers(1000)))

    acted, config = interpolated(scenes.environments()), ImitationConfig(transitions=40)
    shown = Demonstrations(acted, source, config, seed=0)
    network = AssistNetwork(DIRECT)
    first, again = shown(network), shown(network)
    assert len(first) == 40
    assert first.actions.shape == (40, 18)
    assert torch.equal(first.actions, again.actions)
    assert all(torch.equal(v, again.kept[n]) for n, v in first.kept.items())
    other = Demonstrations(acted, source, config, seed=1)
    assert not torch.equal(other(network).kept["states"], first.kept["states"])
    # The first step's hand is open, and each joint goes a share of its way.
    way = goals.joints.astype(float) @ scenes.HAND.reduction.T / scenes.SHORT.horizon
    assert first.actions[:4].numpy() == pytest.approx(np.clip(way / 0.05, -1, 1), abs=1e-5)
