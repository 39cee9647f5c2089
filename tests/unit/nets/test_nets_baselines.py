"""The compared methods: exact where they can be, and able to learn a few grasps by heart."""

from __future__ import annotations

import math

import pytest
import torch
from nets_samples import body, grasps_of_ball, random_grasps, sphere
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from dexgrasp_models.geometry.so3 import columns_from_rotation, rotation_from_vector
from dexgrasp_models.geometry.so3_grid import SO3_VOLUME, so3_grid
from dexgrasp_models.nets.baselines.cvae import (
    GraspCVAE,
    GraspCVAEConfig,
    Latents,
    grasptta_adaptation,
)
from dexgrasp_models.nets.baselines.ddg import DDG, DDGConfig
from dexgrasp_models.nets.baselines.decoupled import DecoupledGlow
from dexgrasp_models.nets.baselines.joint_flow import JointFlow, JointFlowConfig
from dexgrasp_models.nets.baselines.prohmr import ProHMR, orthogonality_error
from dexgrasp_models.nets.baselines.relie import (
    RADIUS,
    ReLie,
    into_ball,
    log_stretch_into_ball,
    out_of_ball,
)
from dexgrasp_models.nets.conditional_glow import ConditionalGlow, FlowConfig
from dexgrasp_models.nets.contact import contact_heat
from dexgrasp_models.nets.glow import GraspGlowConfig
from dexgrasp_models.nets.losses import HandBody
from dexgrasp_models.nets.pointnet import PointNetConfig
from dexgrasp_models.nets.types import GraspTensors

ENCODER = PointNetConfig(widths=(16, 32), align_input=False)
FLOW = FlowConfig(blocks=4, hidden=32, dropout=0.0, batch_norm=False)


@pytest.fixture(scope="module")
def hand() -> HandBody:
    return body(surface_points=128)


def clouds(count: int) -> Tensor:
    """(B, 96, 3) balls of different sizes on the table."""
    radii = torch.linspace(0.025, 0.045, count).tolist() if count > 1 else [0.035]
    return torch.stack([sphere((0, 0, r), r, 96, torch.float32) for r in radii])


def flow_of(network: type[JointFlow], seed: int = 0) -> JointFlow:
    """In evaluation mode, with weights that aren't those of an identity."""
    torch.manual_seed(seed)
    flow = network(JointFlowConfig(ENCODER, FLOW)).eval()
    shaken(flow.flow)
    return flow


def shaken(flow: nn.Module) -> None:
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.05 * torch.randn_like(parameter)


def train(network: nn.Module, steps: int, loss, rate: float = 3e-3) -> list[float]:
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        total = loss().total.mean()
        total.backward()
        optimizer.step()
        values.append(total.item())
    return values


def turned(grasps: GraspTensors) -> GraspTensors:
    """A quarter turn about the vertical: these hands come from above after about half a turn, where
    rotation vectors jump from one end of the axis to the other, which is hard on ReLie."""
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    translations = grasps.translations @ quarter.T
    return GraspTensors(quarter @ grasps.rotations, translations, grasps.joints)


def angles_between(first: Tensor, second: Tensor) -> Tensor:
    """(B,) rad."""
    traces = (first.transpose(1, 2) @ second).diagonal(dim1=1, dim2=2).sum(1)
    return ((traces - 1) / 2).clamp(-1, 1).acos()


# ReLie


def test_ball_is_reached_and_left_exactly():
    generator = torch.Generator().manual_seed(0)
    points = 2 * torch.randn(200, 3, generator=generator, dtype=torch.float64)
    points[0], points[1] = 0.0, 1e-9
    inside = into_ball(points)
    assert (inside.norm(dim=1) < RADIUS).all()
    torch.testing.assert_close(out_of_ball(inside), points, atol=1e-6, rtol=1e-6)


def test_stretch_into_ball_is_its_determinant():
    for length in (0.0, 1e-3, 0.4, 3.0, 8.0):
        point = length * torch.tensor([0.6, 0.0, -0.8], dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(into_ball, point)
        expected = jacobian.det().abs().log().item()
        assert log_stretch_into_ball(point).item() == pytest.approx(expected, abs=1e-5)


def test_rotations_come_from_their_coordinates():
    network = flow_of(ReLie)
    rotations = random_grasps(100, dtype=torch.float64).rotations
    values, log_volumes = network.coordinates(rotations)
    assert torch.isfinite(values).all()
    assert torch.isfinite(log_volumes[:, 0]).all()
    angles = angles_between(rotations, torch.eye(3, dtype=torch.float64).expand_as(rotations))
    twice = torch.isfinite(log_volumes[:, 1])
    assert torch.equal(twice, 2 * math.pi - angles < 0.9999 * RADIUS)
    assert 10 < twice.sum() < 100
    torch.testing.assert_close(network.rotations(values[:, 0]), rotations)
    torch.testing.assert_close(network.rotations(values[twice, 1]), rotations[twice])
    apart = (values[twice, 0] - values[twice, 1]).norm(dim=1)
    assert (apart > 0.1).all()


@pytest.mark.parametrize("wide", [0.3, 0.5])
def test_density_of_relie_integrates_to_one_over_rotations(wide):
    """A flow over the rotation alone, whose samples reach beyond half a turn."""
    torch.manual_seed(1)
    flow = ConditionalGlow(3, 2, FLOW).double().eval()
    shaken(flow)
    flow.deviation.fill_(wide)
    grid = torch.as_tensor(so3_grid(3))
    values, log_volumes = flow_of(ReLie).coordinates(grid)
    condition = torch.tensor([[0.3, -1.0]], dtype=torch.float64)
    with torch.no_grad():
        densities = flow.log_prob(values.flatten(0, 1), condition.expand(2 * len(grid), -1))
    branches = densities.view(-1, 2) + log_volumes
    integral = SO3_VOLUME * branches.logsumexp(1).exp().mean()
    assert integral.item() == pytest.approx(1, abs=0.02)
    # The longer way round counts: without it there is less.
    assert SO3_VOLUME * branches[:, 0].exp().mean() < 0.75


def test_density_of_relie_is_that_of_its_samples():
    """The mean over samples of f(R) / p(R) is the integral of f: here of what is near a place."""
    torch.manual_seed(2)
    flow = ConditionalGlow(3, 2, FLOW).double().eval()
    flow.deviation.fill_(0.6)
    shaken(flow)
    relie = flow_of(ReLie)
    condition = torch.zeros(1, 2, dtype=torch.float64)
    with torch.no_grad():
        samples = flow.sample(condition, 20_000, generator=torch.Generator().manual_seed(0))[0][0]
        rotations = relie.rotations(samples)
        values, log_volumes = relie.coordinates(rotations)
        densities = flow.log_prob(values.flatten(0, 1), condition.expand(40_000, -1))
    log_densities = (densities.view(-1, 2) + log_volumes).logsumexp(1)
    center = rotation_from_vector(torch.tensor([1.9, 0.6, 0.0], dtype=torch.float64))
    near = angles_between(rotations, center.expand_as(rotations)) < 0.6
    volume = SO3_VOLUME * (0.6 - math.sin(0.6)) / math.pi
    found = (near * (-log_densities).exp()).mean().item()
    assert found == pytest.approx(volume, rel=0.1)


# Both flows


@pytest.mark.parametrize("network", [ReLie, ProHMR])
def test_joint_flows_give_rotations_and_are_reproducible(network):
    flow = flow_of(network)
    first, second = (flow.sample(clouds(2), 5, torch.Generator().manual_seed(0)) for _ in range(2))
    assert first.checked().count == 10
    torch.testing.assert_close(first.joints, second.joints)
    identity = torch.eye(3).expand(10, 3, 3)
    product = first.rotations @ first.rotations.transpose(1, 2)
    torch.testing.assert_close(product, identity, atol=1e-5, rtol=0)
    assert torch.isfinite(flow.log_prob(clouds(2), first)).all()


@pytest.mark.parametrize("network", [ReLie, ProHMR])
def test_each_cloud_has_its_own_grasps(network):
    flow, seen = flow_of(network).double(), clouds(2).double()
    grasps = random_grasps(6, dtype=torch.float64)
    second = grasps.select(slice(3, 6))
    with torch.no_grad():
        together, alone = flow.log_prob(seen, grasps)[3:], flow.log_prob(seen[1:], second)
        other = flow.log_prob(seen[:1], second)
    torch.testing.assert_close(together, alone)
    assert ((alone - other).abs() > 1e-3).all()


def test_joint_density_of_relie_is_the_flows_with_the_rotations_volume():
    """Of samples, against the density that the flow itself gives them, for the shorter way."""
    relie, seen = flow_of(ReLie).double(), clouds(1).double()
    with torch.no_grad():
        relie.flow.deviation[:3] = 0.02  # all rotations near the identity: one way only
        conditions = relie.encoder(seen)
        generator = torch.Generator().manual_seed(0)
        vectors, densities = relie.flow.sample(conditions, 50, generator=generator)
        grasps = relie._grasps(vectors[0])
        found = relie.log_prob(seen, grasps)
    values, log_volumes = relie.coordinates(grasps.rotations)
    assert torch.isinf(log_volumes[:, 1]).all()
    torch.testing.assert_close(values[:, 0], vectors[0, :, :3])
    torch.testing.assert_close(found, densities[0] + log_volumes[:, 0])


def test_columns_of_prohmr_come_back():
    flow, rotations = flow_of(ProHMR), random_grasps(20).rotations
    values = flow.coordinates(rotations).values[:, 0]
    torch.testing.assert_close(flow.rotations(values), rotations, atol=1e-5, rtol=0)
    torch.testing.assert_close(values, columns_from_rotation(rotations))


def test_density_of_prohmr_integrates_to_one_over_rotations():
    """Of a flow that is a normal distribution, so that the grasp's rest can be divided out."""
    torch.manual_seed(0)
    network = ProHMR(JointFlowConfig(ENCODER, FLOW)).double().eval()
    center = rotation_from_vector(torch.tensor([[1.0, 2.0, -0.5]], dtype=torch.float64))
    x, y = columns_from_rotation(center)[0].split(3)
    network.flow.mean[:6] = torch.cat((1.5 * x, 0.7 * y + 0.3 * x))  # nearly orthonormal only
    network.flow.deviation[:6] = torch.tensor([0.1, 0.12, 0.08, 0.1, 0.05, 0.1])
    grid = torch.as_tensor(so3_grid(3))
    cell = SO3_VOLUME / len(grid)
    grid = grid[angles_between(grid, center.expand_as(grid)) < 0.6]  # further away it's nothing
    rest = torch.zeros(len(grid), 25, dtype=torch.float64)
    grasps = GraspTensors(grid, rest[:, :3], rest[:, 3:])
    log_rest = -12.5 * math.log(2 * math.pi)  # of 25 standard normal numbers at zero
    seen, generator = clouds(1).double(), torch.Generator().manual_seed(0)
    densities = network.log_density(seen, grasps, nodes=5, generator=generator) - log_rest
    assert cell * densities.exp().sum().item() == pytest.approx(1, abs=0.02)
    # What training maximises isn't such a density.
    with torch.no_grad():
        raw = network.log_prob(seen, grasps) - log_rest
    assert not 0.5 < cell * raw.exp().sum() < 2


def test_orthogonality_error():
    columns = columns_from_rotation(random_grasps(3).rotations)
    torch.testing.assert_close(orthogonality_error(columns), torch.zeros(3), atol=1e-5, rtol=0)
    # Columns of length 2: A^T A - 1 is 3 on the diagonal.
    torch.testing.assert_close(orthogonality_error(2 * columns), torch.full((3,), 18.0))
    network = flow_of(ProHMR)
    losses = network.loss(clouds(2), random_grasps(4))
    torch.testing.assert_close(losses.total, losses.terms["nll"] + 0.1 * losses.terms["orthogonal"])


@pytest.mark.parametrize("network", [ReLie, ProHMR])
def test_joint_flows_learn_the_density_of_grasps(network):
    """They tell grasps like those of training from others, and sample such."""
    torch.manual_seed(0)
    noisy = FlowConfig(blocks=4, hidden=32, dropout=0.0, batch_norm=False, noise=0.05)
    flow = network(JointFlowConfig(ENCODER, noisy))
    seen, grasps = clouds(2), turned(grasps_of_ball(64))
    flow.fit_standardisation(grasps)
    values = train(flow, 60, lambda: flow.loss(seen, grasps))
    assert values[-1] < values[0] - 2
    flow.eval()
    with torch.no_grad():
        own = flow.log_prob(seen, turned(grasps_of_ball(20, seed=1))).mean()
        others = flow.log_prob(seen, random_grasps(20)).mean()
    assert own > others + 20
    sampled = flow.sample(seen, 20, torch.Generator().manual_seed(0))
    wanted = grasps.rotations[:1].expand(40, 3, 3)
    assert angles_between(sampled.rotations, wanted).median() < 0.5
    assert (sampled.translations - grasps.translations.mean(0)).norm(dim=1).median() < 0.03


# CVAE


def test_kl_divergence_is_the_closed_form():
    generator = torch.Generator().manual_seed(0)
    means, logs = torch.randn(2, 5, 7, generator=generator, dtype=torch.float64)
    expected = kl_divergence(Normal(means, (0.5 * logs).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(Latents(means, logs).kl_divergence(), expected)
    assert (Latents(torch.zeros(1, 7), torch.zeros(1, 7)).kl_divergence() == 0).all()


def test_latents_are_drawn_from_their_distribution():
    means, logs = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, 3.0]])
    drawn = Latents(means.expand(20_000, 2), logs.expand(20_000, 2)).draw(
        torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(drawn.mean(0), means[0], atol=0.1, rtol=0)
    torch.testing.assert_close(drawn.std(0), (0.5 * logs[0]).exp(), atol=0.05, rtol=0.02)


@pytest.mark.parametrize("given", [False, True])
def test_cvae_vectors_and_grasps_are_inverse(hand, given):
    network = GraspCVAE(GraspCVAEConfig(given, ENCODER), hand)
    grasps = random_grasps(10)
    back = network._grasps(network._vectors(grasps), grasps.rotations)
    for mine, theirs in zip(back, grasps, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("given", [False, True])
def test_cvae_learns_a_grasp_for_each_cloud(hand, given):
    torch.manual_seed(0)
    config = GraspCVAEConfig(given, ENCODER, 8, (64,), (128, 64), weight_kl=1.0)
    network = GraspCVAE(config, hand)
    seen, grasps = clouds(3), random_grasps(3)
    values = train(network, 250, lambda: network.loss(seen, grasps, quality=False))
    assert values[-1] < 0.1 * values[0]
    network.eval()
    rotations = grasps.rotations if given else None
    sampled = network.sample(seen, 4, torch.Generator().manual_seed(0), rotations)
    true = grasps.select(torch.arange(3).repeat_interleave(4))
    assert angles_between(sampled.rotations, true.rotations).max() < 0.3
    assert (sampled.translations - true.translations).norm(dim=1).max() < 0.02
    assert (sampled.joints - true.joints).abs().mean() < 0.1


def test_cvae_of_given_rotations_turns_with_the_cloud(hand):
    """Cloud and rotation turned together give the same grasp, turned."""
    network = GraspCVAE(GraspCVAEConfig(True, ENCODER), hand).eval()
    turn = random_grasps(1).rotations[0]
    seen, rotations = clouds(2), random_grasps(2, seed=1).rotations
    first = network.sample(seen, 3, torch.Generator().manual_seed(0), rotations)
    generator = torch.Generator().manual_seed(0)
    second = network.sample(seen @ turn.T, 3, generator, turn @ rotations)
    torch.testing.assert_close(second.rotations, turn @ first.rotations)
    torch.testing.assert_close(second.translations, first.translations @ turn.T, atol=1e-5, rtol=0)
    torch.testing.assert_close(second.joints, first.joints, atol=1e-5, rtol=0)


def test_cvae_also_pays_for_penetration(hand):
    network = GraspCVAE(GraspCVAEConfig(False, ENCODER), hand)
    seen, grasps = clouds(2), grasps_of_ball(4)
    generator = torch.Generator().manual_seed(0)
    without = network.loss(seen, grasps, quality=False, generator=generator)
    generator.manual_seed(0)
    whole = network.loss(seen, grasps, generator=generator)
    assert whole.total.shape == (4,)
    assert set(whole.terms) - set(without.terms) == {"cmap", "pen", "tpen", "spen", "dis"}
    assert (whole.total > without.total).all()
    whole.total.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_grasptta_adapts_towards_contact(hand):
    """Hands a little way off come nearer, with a target that is what they have."""
    grasps, ball = grasps_of_ball(6), sphere((0, 0, 0.105), 0.035, 400, torch.float32)
    grasps = grasps._replace(translations=grasps.translations + torch.tensor([0, 0, 0.08]))

    def own_map(current: GraspTensors) -> Tensor:
        return contact_heat(hand.distance.to_links(ball, hand.link_poses(current)))

    adapted = grasptta_adaptation(hand)(grasps, ball, own_map)
    assert (adapted.after.terms["dis"] < adapted.before.terms["dis"]).all()
    assert adapted.after.terms["dis"].mean() < 0.7 * adapted.before.terms["dis"].mean()
    assert (adapted.after.terms["pen"] <= 3e-3).all()


# DDG


def test_ddg_is_drawn_to_the_nearest_grasp_only(hand):
    network = DDG(DDGConfig(ENCODER, (32,)), hand).eval()
    seen = clouds(1)
    grasps = random_grasps(5)
    each = [network.loss(seen, grasps.select(slice(i, i + 1))).total.item() for i in range(5)]
    together = network.loss(seen, grasps)
    assert together.total.shape == (1,)
    assert together.total.item() == pytest.approx(min(each), rel=1e-5)


def test_ddg_learns_one_of_several_grasps(hand):
    torch.manual_seed(0)
    network = DDG(DDGConfig(ENCODER, (128,)), hand)
    seen, grasps = clouds(2), random_grasps(6)
    values = train(network, 250, lambda: network.loss(seen, grasps))
    assert values[-1] < 0.02
    network.eval()
    found = network.sample(seen, 3)
    assert found.count == 6
    assert torch.equal(found.joints[0], found.joints[2])
    errors = (found.joints[::3, None] - grasps.joints.view(2, 3, 22)).abs().amax(2)
    assert (errors.amin(1) < 0.2).all()
    # The mean of the three, to which a plain regression would go, is none of them.
    assert (
        (grasps.joints.view(2, 3, 22).mean(1, keepdim=True) - grasps.joints.view(2, 3, 22))
        .abs()
        .amax(2)
        > 0.2
    ).all()


def test_ddg_second_stage_reduces_penetration(hand):
    torch.manual_seed(0)
    network = DDG(DDGConfig(ENCODER, (128,)), hand)
    seen, grasps = clouds(2), grasps_of_ball(2)
    train(network, 80, lambda: network.loss(seen, grasps))
    before = network.loss(seen, grasps, quality=True)
    assert {"nearest", "pen", "tpen", "spen", "dis", "closure"} <= set(before.terms)
    train(network, 60, lambda: network.loss(seen, grasps, quality=True), rate=1e-3)
    after = network.loss(seen, grasps, quality=True)
    assert after.total.mean() < 0.8 * before.total.mean()
    assert after.terms["tpen"].mean() < before.terms["tpen"].mean()


# Decoupled


def test_decoupled_density_is_that_of_both_steps():
    torch.manual_seed(0)
    network = DecoupledGlow(GraspGlowConfig(ENCODER, FLOW)).eval()
    shaken(network.translation_flow)
    shaken(network.joint_flow)
    seen, rotations = clouds(2), random_grasps(2).rotations
    grasps = network.sample(seen, rotations, 3, torch.Generator().manual_seed(0))
    assert grasps.count == 6
    found = network.log_prob(seen, grasps)
    one = grasps.select(slice(4, 5))
    upright = seen[1:] @ one.rotations
    place = one.translations @ one.rotations[0]
    expected = network.translation_flow.log_prob(place, network.translation_encoder(upright))
    expected = expected + network.joint_flow.log_prob(
        one.joints, network.joint_encoder(upright - place)
    )
    torch.testing.assert_close(found[4:5], expected, atol=1e-3, rtol=1e-4)


def test_decoupled_learns():
    torch.manual_seed(0)
    flow = FlowConfig(blocks=3, hidden=32, dropout=0.0, batch_norm=False, noise=0.05)
    network = DecoupledGlow(GraspGlowConfig(ENCODER, flow))
    seen, grasps = clouds(2), grasps_of_ball(64)
    network.fit_standardisation(grasps)
    values = train(network, 40, lambda: network.loss(seen, grasps))
    assert values[-1] < values[0] - 1
    network.eval()
    sampled = network.sample(seen, grasps.rotations[:2], 20, torch.Generator().manual_seed(0))
    assert (sampled.translations - grasps.translations.mean(0)).norm(dim=1).median() < 0.03


# Inputs


def test_wrong_inputs_are_refused(hand):
    networks = [
        flow_of(ReLie),
        flow_of(ProHMR),
        GraspCVAE(GraspCVAEConfig(False, ENCODER), hand),
        DDG(DDGConfig(ENCODER, (16,)), hand),
        DecoupledGlow(GraspGlowConfig(ENCODER, FLOW)).eval(),
    ]
    seen, grasps = clouds(2), random_grasps(4)
    for network in networks:
        with pytest.raises(ValueError, match="as many grasps for each of 2 clouds"):
            network.loss(seen, grasps.select(slice(0, 3)))
        with pytest.raises(ValueError, match="expected clouds"):
            network.loss(seen[..., :2], grasps)
        with pytest.raises(ValueError, match="orthonormal"):
            network.loss(seen, grasps._replace(rotations=2 * grasps.rotations))
        given = (grasps.rotations[:2],) if isinstance(network, DecoupledGlow) else ()
        with pytest.raises(ValueError, match="at least one"):
            network.sample(seen, *given, 0)
    with pytest.raises(ValueError, match="rotations are needed"):
        networks[2].sample(seen, 1, rotations=grasps.rotations[:2])
    with pytest.raises(ValueError, match="rotations"):
        networks[4].sample(seen, grasps.rotations[:1])


def test_configurations_of_the_paper_and_small_ones_build(hand):
    for network in (
        ReLie(JointFlowConfig.small()),
        ProHMR(JointFlowConfig.small()),
        GraspCVAE(GraspCVAEConfig.paper(), hand),
        GraspCVAE(GraspCVAEConfig.small(given_rotation=True), hand),
        DDG(DDGConfig.paper(), hand),
        DDG(DDGConfig.small(), hand),
    ):
        assert sum(parameter.numel() for parameter in network.parameters()) > 10_000
