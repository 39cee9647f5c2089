"""GraspGlow: an exact bijection, an exact density, and its independence of a common turn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.stats import kstest, multivariate_normal

from dexgrasp_models.nets.conditional_glow import ConditionalGlow, FlowConfig
from dexgrasp_models.nets.glow import GraspGlow, GraspGlowConfig
from dexgrasp_models.nets.pointnet import PointNetConfig
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.nets.weights import load_network, save_weights

PLAIN = FlowConfig(blocks=4, hidden=16, dropout=0.0, batch_norm=False)
FULL = FlowConfig(hidden=16)  # 21 blocks, with dropout and normalisation


def perturbed(network: torch.nn.Module, by: float, seed: int = 0) -> torch.nn.Module:
    """With weights that are not those of the start, which are zero in many places."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in network.parameters():
            values += by * torch.randn(values.shape, generator=generator, dtype=values.dtype)
    return network


def random_flow(size: int, config: FlowConfig, conditions: int = 5) -> ConditionalGlow:
    torch.manual_seed(size)
    flow = ConditionalGlow(size, conditions, config)
    data = 2 + 0.3 * torch.randn(200, size)
    flow.fit_standardisation(data)
    flow.log_prob(data, torch.randn(200, conditions))  # initialises
    return perturbed(flow, 0.1 / config.blocks**0.5).eval()


def random_rotations(count: int, seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.as_tensor(Rotation.random(count, random_state=seed).as_matrix()).to(dtype)


def random_grasps(count: int, seed: int, dtype: torch.dtype = torch.float32) -> GraspTensors:
    generator = torch.Generator().manual_seed(seed)
    return GraspTensors(
        random_rotations(count, seed, dtype),
        0.1 * torch.randn(count, 3, generator=generator).to(dtype),
        0.4 + 0.3 * torch.randn(count, 22, generator=generator).to(dtype),
    )


def random_clouds(count: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(count, 80, 3, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network() -> GraspGlow:
    torch.manual_seed(0)
    built = GraspGlow(GraspGlowConfig(PointNetConfig((16, 32)), FULL))
    built.fit_standardisation(random_grasps(100, seed=1))
    built.log_prob(random_clouds(64), random_grasps(64, seed=2))
    return perturbed(built, 0.02).eval()


# ---- bijection ----


@pytest.mark.parametrize("config", [PLAIN, FULL], ids=["plain", "full"])
@pytest.mark.parametrize("size", [1, 2, 25])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.float64, 1e-11)])
def test_inverse_in_both_directions(size, config, dtype, error):
    flow = random_flow(size, config).to(dtype)
    conditions = torch.randn(50, 5, dtype=dtype)
    data = 2 + 0.3 * torch.randn(50, size, dtype=dtype)
    noise, log_det = flow(data, conditions)
    back, back_log_det = flow.inverse(noise, conditions)
    assert torch.allclose(back, data, rtol=0, atol=error)
    assert torch.allclose(back_log_det, log_det, rtol=error, atol=error)
    drawn = torch.randn(50, size, dtype=dtype)
    made, _ = flow.inverse(drawn, conditions)
    again, _ = flow(made, conditions)
    assert torch.allclose(again, drawn, rtol=0, atol=error)
    assert not torch.allclose(made, data[:1] + 0.3 * (drawn - drawn[:1]), atol=0.1)  # not trivial
    # With another condition it is another bijection.
    other, _ = flow.inverse(noise, conditions.flip(0))
    assert not torch.allclose(other, data, atol=1e-3)


@pytest.mark.parametrize("config", [PLAIN, FULL], ids=["plain", "full"])
@pytest.mark.parametrize("size", [1, 3, 25])
def test_log_determinant_is_the_jacobians(size, config):
    flow = random_flow(size, config).double()
    data = 2 + 0.3 * torch.randn(3, size, dtype=torch.float64)
    conditions = torch.randn(3, 5, dtype=torch.float64)
    _, log_dets = flow(data, conditions)
    for row in range(3):
        jacobian = torch.autograd.functional.jacobian(
            lambda x, c=conditions[row]: flow(x[None], c[None])[0][0], data[row]
        )
        expected = torch.linalg.slogdet(jacobian).logabsdet
        assert log_dets[row].item() == pytest.approx(expected.item(), abs=1e-5)
    assert log_dets.std() > 0 or size == 1  # it isn't constant


def test_scales_are_bounded_for_any_weights():
    """Log scales of 4 blocks: 6 x 6 of actnorm and convolution each, 3 x 1 of the coupling."""
    flow = random_flow(6, PLAIN)
    with torch.no_grad():
        for block in flow.blocks:
            for raw in (block.actnorm.raw, block.convolution.raw):
                raw.mul_(1e4)
            block.coupling.network.last.weight.mul_(1e4)
    data, conditions = 2 + 0.3 * torch.randn(20, 6), torch.randn(20, 5)
    noise, log_det = flow(data, conditions)
    assert torch.isfinite(noise).all()
    assert (log_det + flow.deviation.log().sum()).abs().max() <= 4 * (36 + 36 + 3)
    back, _ = flow.inverse(torch.randn(20, 6), conditions)
    assert torch.isfinite(back).all()


# ---- density ----


@pytest.mark.parametrize("config", [PLAIN, FULL], ids=["plain", "full"])
def test_density_of_two_coordinates_integrates_to_one(config):
    """In the data's units, so that the standardisation counts as well."""
    flow = random_flow(2, config)
    with torch.no_grad():
        flow.deviation.copy_(torch.tensor([0.3, 0.02]))
        condition = torch.randn(1, 5)
        reach = (flow.sample(condition.expand(2000, -1), 1)[0][:, 0] - flow.mean).abs()
        width = 2 * reach.max(dim=0).values
        axes = [torch.linspace(-w, w, 200) + m for w, m in zip(width, flow.mean, strict=True)]
        points = torch.cartesian_prod(*axes)
        densities = flow.log_prob(points, condition.expand(len(points), -1)).exp().double()
        cell = np.prod([(axis[1] - axis[0]).item() for axis in axes])
        assert densities.sum().item() * cell == pytest.approx(1, abs=0.005)
        noise, log_det = flow(points, condition.expand(len(points), -1))
        without = multivariate_normal(np.zeros(2)).logpdf(noise.numpy())
        unscaled = np.exp(without + log_det.numpy() + flow.deviation.log().sum().item())
        assert abs(unscaled.sum() * cell - 1) > 0.5  # forgetting the units is noticed


def test_samples_follow_the_density():
    """One coordinate: the distribution of samples against the integral of the density."""
    torch.manual_seed(3)
    flow, condition = random_flow(1, PLAIN), torch.randn(1, 5)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        data, log_probs = flow.sample(condition, 5000, generator=generator)
        axis = torch.linspace(-1, 5, 20_001)
        density = flow.log_prob(axis[:, None], condition.expand(len(axis), -1)).exp().double()
        cumulative = np.cumsum(density.numpy()) * (axis[1] - axis[0]).item()

        def distribution(x: np.ndarray) -> np.ndarray:
            return np.interp(x, axis.numpy(), cumulative)

        assert kstest(data[0, :, 0].numpy(), distribution).pvalue > 1e-3
        colder, _ = flow.sample(condition, 5000, temperature=0.9, generator=generator)
        assert kstest(colder[0, :, 0].numpy(), distribution).pvalue < 1e-3
        again = flow.log_prob(data[0], condition.expand(5000, -1))
    assert torch.allclose(log_probs[0], again, atol=1e-4)


def test_temperature_and_seed():
    flow, conditions = random_flow(25, PLAIN), torch.randn(2, 5)
    cold, log_probs = flow.sample(conditions, 4, temperature=0)
    assert torch.equal(cold[:, 0], cold[:, 1])
    expected, log_det = flow.inverse(torch.zeros(2, 25), conditions)
    assert torch.allclose(cold[:, 0], expected, atol=1e-6)
    normal = 12.5 * math.log(2 * math.pi)
    assert torch.allclose(log_probs[:, 0], log_det - normal, atol=1e-4)
    first, second = (
        flow.sample(conditions, 4, generator=torch.Generator().manual_seed(5))[0] for _ in range(2)
    )
    assert torch.equal(first, second)
    assert not torch.allclose(first[:, 0], first[:, 1])


# ---- turning cloud and grasp together ----


def test_a_common_turn_makes_no_difference(network):
    clouds, grasps = random_clouds(4), random_grasps(4, seed=3)
    turns = random_rotations(4, seed=4)
    turned_clouds = clouds @ turns.transpose(1, 2)
    turned = GraspTensors(
        turns @ grasps.rotations,
        (turns @ grasps.translations[..., None]).squeeze(-1),
        grasps.joints,
    )
    with torch.no_grad():
        expected = network.log_prob(clouds, grasps)
        assert torch.allclose(network.log_prob(turned_clouds, turned), expected, rtol=1e-5)
        # Turning only one of the two does make a difference.
        for wrong in ((turned_clouds, grasps), (clouds, turned)):
            assert (network.log_prob(*wrong) - expected).abs().min() > 1e-3

        found = network.sample(
            clouds, grasps.rotations, 3, generator=torch.Generator().manual_seed(6)
        )
        along = network.sample(
            turned_clouds, turned.rotations, 3, generator=torch.Generator().manual_seed(6)
        )
    each = turns.repeat_interleave(3, dim=0)
    assert torch.allclose(along.grasps.rotations, each @ found.grasps.rotations, atol=1e-6)
    moved = (each @ found.grasps.translations[..., None]).squeeze(-1)
    assert torch.allclose(along.grasps.translations, moved, atol=1e-5)
    assert torch.allclose(along.grasps.joints, found.grasps.joints, atol=1e-5)
    # Sums of many terms, which may be near zero.
    assert torch.allclose(along.log_densities, found.log_densities, rtol=1e-5, atol=1e-4)


def test_samples_keep_their_rotation_and_have_their_log_prob(network):
    clouds, rotations = random_clouds(2), random_rotations(2, seed=5)
    with torch.no_grad():
        grasps, densities = network.sample(clouds, rotations, 3)
        again = network.log_prob(clouds.repeat_interleave(3, dim=0), grasps)
    assert grasps.checked().count == 6
    assert torch.equal(grasps.rotations[:3], rotations[:1].expand(3, -1, -1))
    assert torch.allclose(again.view(2, 3), densities, atol=1e-3)


def test_gradients_pass_through_log_prob_and_samples(network):
    network.train()
    clouds, grasps = random_clouds(8), random_grasps(8, seed=6)
    network.log_prob(clouds, grasps).mean().backward()
    # But for the input transform's layers before its last, which is zero at the start.
    missing = [name for name, p in network.named_parameters() if p.grad is None]
    assert not missing
    assert network.encoder.local[0].weight.grad.abs().sum() > 0
    network.zero_grad()
    drawn = network.sample(clouds, grasps.rotations, 2).grasps
    (drawn.translations.square().sum() + drawn.joints.square().sum()).backward()
    assert network.flow.blocks[0].coupling.network.first.weight.grad.abs().sum() > 0
    assert network.encoder.local[0].weight.grad.abs().sum() > 0


# ---- data and training ----


def test_actnorm_is_set_by_the_first_batch_and_survives_a_file(tmp_path):
    torch.manual_seed(7)
    config = GraspGlowConfig(PointNetConfig((16, 32), align_input=False), PLAIN)
    network, clouds, grasps = GraspGlow(config), random_clouds(64), random_grasps(64, seed=7)
    network.eval()
    network.log_prob(clouds, grasps)
    assert not network.flow.initialised  # not by evaluation
    network.train()
    network.log_prob(clouds, grasps)
    assert network.flow.initialised
    # Each actnorm gives the batch mean zero and deviation one, whatever the blocks before did.
    vectors = torch.cat(
        ((grasps.translations[:, None] @ grasps.rotations).squeeze(1), grasps.joints), dim=1
    )
    values, conditions = vectors, network.encode(clouds, grasps.rotations)
    for block in network.flow.blocks:
        normed, _ = block.actnorm(values)
        assert normed.mean(dim=0).abs().max() < 1e-4
        assert normed.std(dim=0, correction=0).sub(1).abs().max() < 1e-3
        values, _ = block(values, conditions)

    save_weights(tmp_path / "glow.safetensors", network, config)
    loaded, _ = load_network(tmp_path / "glow.safetensors", GraspGlowConfig, GraspGlow)
    expected = network.eval().log_prob(clouds, grasps)
    # Also in training mode, with other data: the actnorms stay as they were.
    loaded.train()
    loaded.log_prob(random_clouds(8, seed=1), random_grasps(8, seed=8))
    assert torch.allclose(loaded.eval().log_prob(clouds, grasps), expected, atol=1e-5)


def test_standardisation_has_the_datas_figures_in_the_palms_frame(network):
    grasps = random_grasps(100, seed=9)
    network.fit_standardisation(grasps)
    turned = np.einsum("nij,ni->nj", grasps.rotations.numpy(), grasps.translations.numpy())
    assert network.flow.mean[:3].numpy() == pytest.approx(turned.mean(0), abs=1e-6)
    assert network.flow.deviation[:3].numpy() == pytest.approx(turned.std(0, ddof=1), rel=1e-4)
    assert network.flow.mean[3:].numpy() == pytest.approx(grasps.joints.mean(0).numpy(), abs=1e-6)
    stiff = grasps._replace(joints=torch.zeros_like(grasps.joints))
    network.fit_standardisation(stiff)
    assert network.flow.deviation.min() > 0


def two_modes(count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Data (M, 3) at one of two opposite places that the condition (M, 1) turns."""
    angles = rng.uniform(0, 2 * np.pi, count)
    signs = rng.choice([-1.0, 1.0], count)
    centres = np.stack((np.cos(angles), np.sin(angles), 0 * angles), axis=1) * signs[:, None]
    data = centres + 0.1 * rng.normal(size=(count, 3))
    conditions = np.stack((np.cos(2 * angles), np.sin(2 * angles)), axis=1)
    return torch.as_tensor(data).float(), torch.as_tensor(conditions).float()


def test_learns_two_modes_that_a_gaussian_cannot():
    torch.manual_seed(8)
    rng = np.random.default_rng(0)
    flow = ConditionalGlow(3, 2, FlowConfig(4, 32, dropout=0.0, batch_norm=False))
    data, _ = two_modes(2000, rng)
    flow.fit_standardisation(data)
    gaussian = multivariate_normal(data.mean(0).numpy(), np.cov(data.numpy().T))
    optimiser = torch.optim.Adam(flow.parameters(), lr=3e-3)
    for _ in range(250):
        optimiser.zero_grad()
        (-flow.log_prob(*two_modes(256, rng)).mean()).backward()
        optimiser.step()
    flow.eval()
    held_out, conditions = two_modes(2000, rng)
    with torch.no_grad():
        learned = flow.log_prob(held_out, conditions).mean().item()
        blind = flow.log_prob(held_out, conditions.flip(0)).mean().item()
    best = -1.5 * math.log(2 * math.pi * math.e * 0.1**2) - math.log(2)
    assert gaussian.logpdf(held_out.numpy()).mean() + 1 < learned < best + 0.05
    assert blind < learned - 1


def test_noise_bounds_the_density_of_coupled_joints():
    """Two equal coordinates fill a line; without noise the density on it grows and grows."""
    torch.manual_seed(10)
    data, conditions = torch.randn(500, 1).expand(-1, 2), torch.zeros(500, 1)
    reached = {}
    for noise in (0.0, 0.05):
        torch.manual_seed(9)
        config = FlowConfig(3, 8, dropout=0.0, batch_norm=False, noise=noise)
        flow = ConditionalGlow(2, 1, config)
        flow.fit_standardisation(data)
        optimiser = torch.optim.Adam(flow.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 250)
        for _ in range(250):
            optimiser.zero_grad()
            (-flow.log_prob(data, conditions).mean()).backward()
            optimiser.step()
            schedule.step()
        reached[noise] = flow.eval().log_prob(data, conditions).mean().item()
    # Along the line the data's density, and across it the noise's at its peak.
    expected = -0.5 * math.log(2 * math.pi * math.e * 2) - 0.5 * math.log(2 * math.pi * 0.05**2)
    assert reached[0.05] == pytest.approx(expected, abs=0.2)
    assert reached[0.0] > expected + 1.5


# ---- bad input ----


def test_bad_input_is_refused(network):
    clouds, grasps = random_clouds(2), random_grasps(2, seed=10)
    with pytest.raises(ValueError, match="of 2 clouds"):
        network.log_prob(clouds, random_grasps(3, seed=10))
    with pytest.raises(ValueError, match="joints"):
        network.log_prob(clouds, grasps._replace(joints=grasps.joints[:, :18]))
    with pytest.raises(ValueError, match="finite"):
        network.log_prob(clouds, grasps._replace(translations=grasps.translations * torch.nan))
    with pytest.raises(ValueError, match="orthonormal"):
        network.sample(clouds, 2 * grasps.rotations)
    with pytest.raises(ValueError, match=r"\(B, N, 3\)"):
        network.sample(clouds[0], grasps.rotations)
    with pytest.raises(ValueError, match="at least one"):
        network.sample(clouds, grasps.rotations, 0)
    with pytest.raises(ValueError, match="temperature"):
        network.sample(clouds, grasps.rotations, temperature=-1)
    with pytest.raises(ValueError, match="two or more"):
        network.fit_standardisation(random_grasps(1, seed=11))
    fresh = ConditionalGlow(3, 1, PLAIN)
    with pytest.raises(ValueError, match="two or more"):
        fresh.log_prob(torch.zeros(1, 3), torch.zeros(1, 1))
    with pytest.raises(ValueError, match="vectors of 3"):
        fresh.fit_standardisation(torch.zeros(5, 2))


def test_named_configurations():
    paper, small = GraspGlowConfig.paper(), GraspGlowConfig.small()
    assert (paper.flow.blocks, paper.flow.hidden, paper.flow.residual_blocks) == (21, 64, 2)
    assert (paper.flow.dropout, paper.flow.batch_norm) == (0.5, True)
    assert (small.flow.blocks, small.flow.hidden, small.flow.residual_blocks) == (12, 96, 2)
    assert (small.flow.dropout, small.flow.batch_norm, small.flow.noise) == (0.1, False, 0.03)
    sizes = [sum(p.numel() for p in GraspGlow(config).parameters()) for config in (small, paper)]
    assert sizes[0] < sizes[1] / 3.8
