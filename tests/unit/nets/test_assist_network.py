"""The network of assisting policies: what it sees, what it composes, bad inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from assist_toys import TINY

from dexgrasp_models.nets.assist_network import (
    AssistNetwork,
    AssistNetworkConfig,
    composed_actions,
)
from dexgrasp_models.nets.bisector_encoder import BisectorConfig
from dexgrasp_models.nets.graspgf import GraspGF, GraspGFConfig
from dexgrasp_models.nets.pointnet import PointNetConfig
from dexgrasp_models.tasks.assist_action import composed

POINTNET = PointNetConfig(widths=(8, 16), align_input=False, batch_norm=False)
KINDS = {
    "basis points": TINY,
    "pointnet": replace(TINY, encoder="pointnet", pointnet=POINTNET),
    "direct": replace(TINY, outputs="direct"),
    "only scales": replace(TINY, outputs="only_scales"),
    "bisector": replace(
        TINY, outputs="direct", encoder="bisector", bisector=BisectorConfig(widths=(8, 16))
    ),
}


def network(config: AssistNetworkConfig = TINY) -> AssistNetwork:
    """Untrained, but standardised, and with outputs of about one."""
    torch.manual_seed(0)
    found = AssistNetwork(config)
    found.fit_standardisation(torch.randn(40, 57))
    with torch.no_grad():
        found.head[-1].weight *= 100
    return found.eval()


def inputs(
    count: int = 6, numbers: int = 3, states: int = 57
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """With clouds of so many numbers a point."""
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(count, states, generator=generator),
        torch.randn(count, 20, numbers, generator=generator) * 0.05,
        torch.randn(count, 18, generator=generator) * 30,
    )


@pytest.mark.parametrize("size", ["small", "paper"])
def test_sizes(size):
    """57 numbers, a cloud and 18 more in; 36 out, all near zero at first (3.3); small sees more."""
    config = getattr(AssistNetworkConfig, size)()
    seen = inputs(states=75 if size == "small" else 57)
    found = AssistNetwork(config)(*seen)
    assert found.shape == (6, 36)
    assert found.abs().max() < 0.05
    direct = AssistNetwork(replace(config, outputs="direct"))(*seen[:2])
    assert direct.shape == (6, 18)
    paper = AssistNetwork(AssistNetworkConfig.paper())
    assert paper.encoder.features == paper.of_state[0].out_features == 512


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_is_seen_counts_and_hands_are_apart(kind):
    found = network(KINDS[kind])
    states, clouds, gradients = inputs(numbers=13 if kind == "bisector" else 3)
    given = (states, clouds, gradients) if found.needs_gradient else (states, clouds)
    base = found(*given)
    for place in range(len(given)):
        changed = [values.clone() for values in given]
        changed[place][2] = changed[place][2].roll(1, -1)
        moved = (found(*changed) - base).abs().amax(dim=1) > 1e-5
        assert moved.tolist() == [row == 2 for row in range(6)]
    one = found(*(values[2:3] for values in given))
    assert torch.allclose(one[0], base[2], atol=1e-5)
    prepared = found.prepared(clouds)
    assert torch.equal(found.of_prepared(states, prepared, *given[2:]), base)


def test_a_gradients_length_is_seen_but_does_not_make_actions_longer():
    """However long, as near grasps, it can't drown what else is seen."""
    found, (states, clouds, gradients) = network(), inputs()
    base = found(states, clouds, gradients)
    assert not torch.allclose(found(states, clouds, 7 * gradients), base, atol=1e-3)
    longest = found(states, clouds, 1e4 * gradients)
    assert longest.abs().max() < 10 * base.abs().max()
    scales = torch.cat((torch.ones(6, 18), torch.zeros(6, 18)), dim=1)
    assert torch.equal(
        composed_actions(gradients, scales).abs().amax(dim=1), torch.ones(6)
    )  # whatever its length


def test_composition_is_that_of_the_task():
    """The form for training against the one of the task; zero gradients stay zero."""
    generator = torch.Generator().manual_seed(2)
    gradients = 40 * torch.randn(5, 18, generator=generator, dtype=torch.float64)
    gradients[3] = 0
    outputs = torch.randn(5, 36, generator=generator, dtype=torch.float64)
    found = composed_actions(gradients, outputs)
    expected = composed(gradients.numpy(), outputs.numpy())
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(expected[3], outputs[3, 18:])
    states, clouds, own = inputs(5)
    policy = network()
    acted = policy.actions(states, policy.prepared(clouds), own)
    assert torch.equal(acted, composed_actions(own, policy(states, clouds, own)))


@pytest.mark.parametrize("kind", ["only_scales", "only_residuals"])
def test_an_ablation_gives_one_of_them(kind):
    policy, (states, clouds, own) = network(replace(TINY, outputs=kind)), inputs(5)
    outputs = policy(states, clouds, own)
    assert outputs.shape == (5, 18)
    acted = policy.actions(states, policy.prepared(clouds), own)
    expected = composed(own.double().numpy(), outputs.detach().double().numpy(), kind)
    np.testing.assert_allclose(acted.detach().numpy(), expected, atol=1e-5)
    without = policy.actions(states, policy.prepared(clouds), own, residuals=False)
    primitive = own / own.abs().amax(dim=1, keepdim=True)
    assert torch.allclose(without, acted if kind == "only_scales" else primitive)


def test_samples_of_the_bisector_are_a_set_whose_every_number_counts():
    found, (states, samples, _) = network(KINDS["bisector"]), inputs(numbers=13)
    base = found(states, samples)
    assert torch.allclose(found(states, samples.flip(1)), base, atol=1e-6)
    for number in range(13):
        changed = samples.clone()
        changed[..., number] += 0.5
        assert (found(states, changed) - base).abs().max() > 1e-4
    for size, features in (("small", 256), ("paper", 512)):
        config = getattr(AssistNetworkConfig, size)()
        assert AssistNetwork(replace(config, encoder="bisector")).encoder.features == features


def test_a_hint_is_seen_beside_the_state():
    config = replace(TINY, outputs="direct", hint=True)
    found, (states, clouds, hint) = AssistNetwork(config), inputs()
    seen = torch.cat((states, hint / 30), dim=1)
    base = found(seen, clouds)
    seen[2, -1] += 1.0
    assert (found(seen, clouds) != base).any(dim=1).tolist() == [row == 2 for row in range(6)]
    with pytest.raises(ValueError, match=r"states \(B, 75\), of 5 wrists and a hint"):
        found(states, clouds)


def test_what_the_targets_press_with_is_seen_beside_the_state():
    found, (states, clouds, more) = AssistNetwork(replace(TINY, pressing=True)), inputs()
    gradients = torch.zeros_like(more)
    seen = torch.cat((states, more / 30), dim=1)
    base = found(seen, clouds, gradients)
    seen[2, 57] += 1.0
    changed = (found(seen, clouds, gradients) != base).any(dim=1)
    assert changed.tolist() == [row == 2 for row in range(6)]
    with pytest.raises(ValueError, match=r"states \(B, 75\), of 5 wrists, targets, and not"):
        found(states, clouds, gradients)


def test_standardisation_takes_what_varies_to_one():
    config = replace(TINY, outputs="direct")
    states = 5 + torch.randn(200, 57) * torch.logspace(-2, 2, 57)
    states[:, 3] = 0.5  # as the present wrist in itself
    found = AssistNetwork(config)
    found.fit_standardisation(states)
    seen = (states - found.mean) / found.deviation
    assert torch.allclose(seen.std(dim=0)[4:], torch.ones(53), atol=1e-3)
    assert seen[:, 3].abs().max() < 1e-3
    far, farther = states.clone(), states.clone()  # what is strange is as strange as it gets
    far[:, 7], farther[:, 7] = 1e3, 1e6
    clouds = inputs(200)[1]
    assert torch.equal(found(far, clouds), found(farther, clouds))


@pytest.mark.parametrize("encoder", ["basis_points", "pointnet"])
def test_the_primitives_encoder_is_taken_where_it_fits(encoder):
    torch.manual_seed(3)
    sizes = {"basis_points": TINY.basis_points, "pointnet": POINTNET}
    primitive = GraspGF(GraspGFConfig(encoder=encoder, joint_features=8, widths=(8,), **sizes))
    policy = network(KINDS["pointnet" if encoder == "pointnet" else "basis points"])
    assert policy.take_encoder(primitive)
    clouds = inputs()[1]
    assert torch.equal(policy.encoder(clouds), primitive.encoder(clouds))
    other = network(KINDS["basis points" if encoder == "pointnet" else "pointnet"])
    before = other.encoder(clouds)
    assert not other.take_encoder(primitive)
    assert torch.equal(other.encoder(clouds), before)
    assert not network(KINDS["bisector"]).take_encoder(primitive)


def test_bad_inputs_are_told():
    policy, (states, clouds, gradients) = network(), inputs()
    with pytest.raises(ValueError, match=r"states \(B, 57\), of 5 wrists, and not \(6, 43\)"):
        policy(states[:, :43], clouds, gradients)
    with pytest.raises(ValueError, match="states must be finite"):
        policy(states * float("nan"), clouds, gradients)
    with pytest.raises(ValueError, match="gradients must be finite"):
        policy(states, clouds, gradients * float("inf"))
    with pytest.raises(ValueError, match=r"primitive's gradients \(6, 18\), got None"):
        policy(states, clouds)
    with pytest.raises(ValueError, match="with points"):
        policy(states, clouds[:, :0], gradients)
    with pytest.raises(ValueError, match=r"samples \(B, S, 13\) of the bisector surface, got"):
        network(KINDS["bisector"])(states, clouds)
    with pytest.raises(ValueError, match="samples of the bisector surface must be finite"):
        network(KINDS["bisector"])(states, inputs(numbers=13)[1] * float("nan"))
    with pytest.raises(ValueError, match="two or more states, got 1"):
        policy.fit_standardisation(states[:1])
    with pytest.raises(ValueError, match="outputs = 'both'"):
        replace(TINY, outputs="both")
