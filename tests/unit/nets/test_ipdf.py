"""GraspIPDF: a density on SO(3), samples that follow it, its modes, and learning it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy_healpix import healpy
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from dexgrasp_models.geometry.so3_grid import SO3_VOLUME, so3_grid
from dexgrasp_models.nets.clouds import upright_axes
from dexgrasp_models.nets.ipdf import GraspIPDF, GraspIPDFConfig, random_rotations
from dexgrasp_models.nets.pointnet import PointNet2Config, SetAbstractionConfig

ENCODER = PointNet2Config((SetAbstractionConfig(16, 0.1, 8, (16,)),), (32,), (16,))
TINY = GraspIPDFConfig(ENCODER, frequencies=2, widths=(32, 32), grid_level=1)


def random_clouds(count: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(count, 60, 3, generator=torch.Generator().manual_seed(seed))


def even_rotations(count: int, seed: int) -> torch.Tensor:
    return torch.as_tensor(Rotation.random(count, random_state=seed).as_matrix()).float()


def angles_between(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    traces = torch.einsum("...ij,...ij->...", first, second)
    return ((traces.double() - 1) / 2).clamp(-1, 1).arccos()


@pytest.fixture
def network() -> GraspIPDF:
    """With a density that is far from even: a factor of hundreds between its ends."""
    torch.manual_seed(0)
    built = GraspIPDF(TINY).eval()
    with torch.no_grad():
        built.rest[-1].weight.mul_(25)
    return built


def test_density_integrates_to_one_on_a_finer_and_turned_grid(network):
    clouds = random_clouds(2)
    turned = torch.as_tensor(so3_grid(3)).float() @ even_rotations(1, seed=1)
    turned = turned.expand(2, -1, -1, -1)
    with torch.no_grad():
        logs, coarse = (network.log_density(clouds, turned, level) for level in (2, 0))
    assert logs.max() - logs.min() > math.log(100)
    assert logs.exp().mean(1) * SO3_VOLUME == pytest.approx(np.ones(2), abs=0.01)
    # 72 rotations don't resolve this density, and the integral shows it.
    assert (coarse.exp().mean(1) * SO3_VOLUME - 1).abs().min() > 0.015


def test_density_is_conditional(network):
    rotations = even_rotations(5, seed=2).expand(2, -1, -1, -1)
    logs = network.log_density(random_clouds(2), rotations)
    assert not torch.allclose(logs[0], logs[1], atol=0.01)


def test_one_and_several_rotations_of_a_cloud_agree(network):
    clouds, rotations = random_clouds(3), even_rotations(6, seed=3).view(3, 2, 3, 3)
    several = network.log_density(clouds, rotations, level=1)
    single = network.log_density(clouds, rotations[:, 1], level=1)
    assert several.shape == (3, 2)
    assert torch.allclose(single, several[:, 1], atol=1e-5)


def test_large_grids_in_parts_give_the_same(network):
    conditions, grid = network.encode(random_clouds(2)), torch.as_tensor(so3_grid(2)).float()
    whole = network.scores(conditions, grid)
    with torch.no_grad():
        assert torch.allclose(network.scores(conditions, grid), whole, atol=1e-4)
        one_each = torch.stack((grid, grid.flip(0)))
        found = network.scores(conditions, one_each)
    assert torch.allclose(found[1].flip(0), whole[1], atol=1e-4)


def test_encoding_is_that_of_implicit_pdf(network):
    """Against sin(2^k r), cos(2^k r) of each element r, through the plain concatenated MLP."""
    clouds, rotation = random_clouds(1), even_rotations(1, seed=4)
    waves = [wave(2**k * rotation.flatten()) for wave in (torch.sin, torch.cos) for k in (0, 1)]
    encoding = torch.stack(waves, dim=1).flatten()
    feature = network.encoder(clouds)[0]
    weight = torch.cat((network.from_cloud.weight, network.from_rotation.weight), dim=1)
    first = weight @ torch.cat((feature, encoding)) + network.from_cloud.bias
    expected = network.rest(first[None])
    found = network.scores(network.encode(clouds), rotation)
    assert found.item() == pytest.approx(expected.item(), abs=1e-4)


# ---- in the object's axes ----

UPRIGHT = replace(TINY, upright=True)
# Longer in x than in y, with more of it beyond x = 0, and standing on the table.
WEDGE = torch.tensor([1.0, 0.4, 0.5])


def wedges(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 200, 3, generator=generator) * 2 - 1
    points[..., 0] = (points[..., 0] + 1).square() - 1
    points[..., 2] += 1
    return 0.06 * WEDGE * points


def about_z(degrees: float) -> torch.Tensor:
    return torch.as_tensor(Rotation.from_euler("z", degrees, degrees=True).as_matrix()).float()


@pytest.mark.parametrize("degrees", [0, 40, 130, 200, 310])
def test_axes_follow_the_object_and_not_the_table(degrees):
    turn = about_z(degrees)
    points = wedges(4) @ turn.T
    on_table = 0.5 * torch.randn(4, 300, 3) * torch.tensor([1.0, 0.2, 0.0])
    axes = upright_axes(torch.cat((points, on_table), dim=1))
    assert torch.allclose(axes[:, :, 2], torch.tensor([0.0, 0.0, 1.0]).expand(4, 3))
    assert torch.allclose(axes @ axes.transpose(1, 2), torch.eye(3).expand(4, 3, 3), atol=1e-6)
    # The long way of the tail, give or take what chance adds to 200 points.
    assert (axes[:, :, 0] @ turn[:, 0]).min() > math.cos(math.radians(10))
    for cloud, found in zip(points.double().numpy(), axes, strict=True):
        covariance = np.cov(cloud[:, :2].T, aweights=cloud[:, 2])
        longest = np.linalg.eigh(covariance).eigenvectors[:, 1]
        assert abs(longest @ found[:2, 0].numpy()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("config", "same"), [(UPRIGHT, True), (TINY, False)])
def test_density_turns_with_the_object(config, same):
    torch.manual_seed(2)
    network = GraspIPDF(config).eval()
    with torch.no_grad():
        network.rest[-1].weight.mul_(25)
    clouds, turn = wedges(2), about_z(70)
    rotations = even_rotations(40, seed=15).view(2, 20, 3, 3)
    with torch.no_grad():
        here = network.log_density(clouds, rotations)
        there = network.log_density(clouds @ turn.T, turn @ rotations)
        assert (here.exp().mean(1) > 0).all()
        assert torch.allclose(here, there, atol=0.02) == same
        # Cloud or rotation alone makes a difference.
        assert not torch.allclose(here, network.log_density(clouds, turn @ rotations), atol=0.3)
        sampled = network.sample(clouds, 50, generator=torch.Generator().manual_seed(3))
        again = network.log_density(clouds, sampled.rotations)
        assert torch.allclose(sampled.log_densities, again, atol=0.02)
        modes = network.modes(clouds, count=2)
    for cloud, found in zip(clouds, modes, strict=True):
        heights = network.log_density(cloud[None], found.rotations)
        assert torch.allclose(heights, found.log_densities, atol=0.05)
    losses = network.nll(clouds, rotations, torch.Generator().manual_seed(4))
    assert torch.allclose(-losses.mean(1), here.mean(1), atol=0.1)


def test_density_map_is_the_density_on_the_grid(network):
    clouds = random_clouds(2)
    found = network.density_map(clouds, level=1)
    expected = network.log_density(clouds, found.rotations, level=1)
    assert torch.allclose(found.log_densities, expected, atol=1e-4)
    assert found.log_densities.exp().mean(1) * SO3_VOLUME == pytest.approx(np.ones(2), abs=1e-4)


# ---- training loss ----


def test_loss_of_an_even_density_is_the_volume():
    network = GraspIPDF(TINY)
    with torch.no_grad():
        network.rest[-1].weight.zero_()
    found = network.nll(random_clouds(2), even_rotations(2, seed=5))
    assert found.detach().numpy() == pytest.approx(np.full(2, math.log(SO3_VOLUME)), abs=1e-5)


def test_loss_agrees_with_the_density(network):
    """Over random grids of level 2 it is the density's, which is normalised over a fixed one."""
    fine = GraspIPDF(GraspIPDFConfig(ENCODER, 2, (32, 32), grid_level=2)).eval()
    fine.load_state_dict(network.state_dict())
    clouds, rotations = random_clouds(2), even_rotations(8, seed=6).view(2, 4, 3, 3)
    generator = torch.Generator().manual_seed(0)
    losses = fine.nll(clouds, rotations, generator)
    assert losses.shape == (2, 4)
    assert torch.allclose(-losses, network.log_density(clouds, rotations), atol=0.02)
    again = fine.nll(clouds, rotations, generator)
    assert not torch.equal(losses, again)  # another grid
    repeated = fine.nll(clouds, rotations, torch.Generator().manual_seed(0))
    assert torch.equal(losses, repeated)


def test_true_rotation_is_a_point_of_the_grid(network, monkeypatch):
    """So the loss is bounded below however sharp the density; without, it would not be."""
    rotation = even_rotations(1, seed=7)
    seen = []

    def sharp(conditions: torch.Tensor, rotations: torch.Tensor) -> torch.Tensor:
        seen.append(rotations)
        return 1e6 * -angles_between(rotations, rotation)

    monkeypatch.setattr(network, "scores", sharp)
    loss = network.nll(random_clouds(1), rotation)
    assert loss.item() == pytest.approx(math.log(SO3_VOLUME / 576), abs=1e-6)
    (points,) = seen
    assert points.shape == (1, 576, 3, 3)
    assert torch.equal(points[0, 0], rotation[0])
    # What it saw is an even grid, turned as a whole.
    assert points.mean(dim=1).abs().max() < 1e-5
    identity = torch.eye(3).expand(576, 3, 3)
    assert torch.allclose(points[0] @ points[0].transpose(1, 2), identity, atol=1e-5)


def test_gradient_of_the_loss_is_that_of_finite_differences():
    torch.manual_seed(1)
    network = GraspIPDF(TINY).double().eval()
    clouds, rotations = random_clouds(2).double(), even_rotations(4, seed=8).view(2, 2, 3, 3)
    rotations = torch.linalg.qr(rotations.double()).Q  # to the digits of float64
    rotations = rotations * torch.linalg.det(rotations)[..., None, None]

    def loss() -> torch.Tensor:
        return network.nll(clouds, rotations, torch.Generator().manual_seed(0)).mean()

    parameters = list(network.parameters())
    gradients = torch.autograd.grad(loss(), parameters, allow_unused=True)
    directions = [torch.randn_like(values) for values in parameters]
    step = 1e-8  # hardly any ReLU or maximum switches within it

    @torch.no_grad()
    def moved(by: float) -> float:
        for values, direction in zip(parameters, directions, strict=True):
            values += by * direction
        return loss().item()

    ahead, behind = moved(step), moved(-2 * step)
    expected = (ahead - behind) / (2 * step)
    found = sum(
        (gradient * direction).sum().item()
        for gradient, direction in zip(gradients, directions, strict=True)
        if gradient is not None
    )
    assert abs(expected) > 1e-3
    assert found == pytest.approx(expected, rel=1e-4)


# ---- samples ----


def cell_of(rotations: np.ndarray) -> np.ndarray:
    """Index of the cell of the coarsest grid (72 of equal volume) that a rotation falls in."""
    azimuth, polar, turn = Rotation.from_matrix(rotations).as_euler("ZYZ").T
    part = np.floor((turn % (2 * np.pi)) / (2 * np.pi) * 6).astype(int)
    return 6 * healpy.ang2pix(1, polar, azimuth % (2 * np.pi)) + part


def cell_probabilities(network: GraspIPDF, clouds: torch.Tensor) -> np.ndarray:
    """By summing the density over many even random rotations, not a grid."""
    rotations = even_rotations(400_000, seed=9)
    with torch.no_grad():
        weights = network.scores(network.encode(clouds), rotations).double().softmax(dim=1)[0]
    return np.bincount(cell_of(rotations.numpy()), weights.numpy(), minlength=72)


def chi_square(rotations: torch.Tensor, probabilities: np.ndarray) -> float:
    """Probability of figures as far from the expected ones if the samples followed these."""
    expected = len(rotations) * probabilities
    counts = np.bincount(cell_of(rotations.numpy()), minlength=72)
    assert expected.min() > 3
    return chi2.sf(((counts - expected) ** 2 / expected).sum(), 71)


def test_samples_follow_the_density(network):
    clouds, generator = random_clouds(1), torch.Generator().manual_seed(0)
    with torch.no_grad():
        network.rest[-1].weight.mul_(0.7)  # so that no cell is almost empty
    probabilities = cell_probabilities(network, clouds)
    assert probabilities.max() / probabilities.min() > 5
    drawn = torch.cat(
        [network.sample(clouds, 1000, generator=generator).rotations[0] for _ in range(8)]
    )
    assert chi_square(drawn, probabilities) > 1e-3
    # Samplers that are slightly wrong, too flat by a fifth, or wholly, are found out.
    with torch.no_grad():
        network.rest[-1].weight.mul_(0.8)
    flat = torch.cat(
        [network.sample(clouds, 1000, generator=generator).rotations[0] for _ in range(8)]
    )
    assert chi_square(flat, probabilities) < 1e-6
    assert chi_square(even_rotations(8000, seed=10), probabilities) < 1e-6


def test_samples_come_with_their_densities_and_from_the_seed(network):
    clouds = random_clouds(2)
    found = network.sample(clouds, 20, generator=torch.Generator().manual_seed(1))
    assert found.rotations.shape == (2, 20, 3, 3)
    expected = network.log_density(clouds, found.rotations)
    assert torch.allclose(found.log_densities, expected, atol=0.02)
    again = network.sample(clouds, 20, generator=torch.Generator().manual_seed(1))
    assert torch.equal(found.rotations, again.rotations)


def test_random_rotations_are_even():
    found = random_rotations(20_000, torch.Generator().manual_seed(2))
    assert torch.allclose(found @ found.transpose(1, 2), torch.eye(3).double().expand_as(found))
    assert chi_square(found, np.full(72, 1 / 72)) > 1e-3
    # Even rotation vectors are not even rotations.
    vectors = np.random.default_rng(0).uniform(-np.pi, np.pi, (20_000, 3))
    wrong = torch.as_tensor(Rotation.from_rotvec(vectors).as_matrix())
    assert chi_square(wrong, np.full(72, 1 / 72)) < 1e-6


# ---- modes ----


def test_ascent_climbs_to_stationary_points_on_so3(network):
    clouds, start = random_clouds(2), even_rotations(20, seed=11).view(2, 10, 3, 3)
    tops = network.ascend(clouds, start, steps=100)
    gain = network.log_density(clouds, tops) - network.log_density(clouds, start)
    assert (gain > 0).all()
    assert gain.mean() > 1
    assert torch.allclose(tops @ tops.transpose(-1, -2), torch.eye(3).expand_as(tops), atol=1e-5)
    assert torch.allclose(torch.linalg.det(tops), torch.ones(2, 10), atol=1e-5)
    # No small turn goes higher, but for creases of the piecewise smooth density.
    for axis in np.concatenate((np.eye(3), -np.eye(3))):
        turn = torch.as_tensor(Rotation.from_rotvec(0.05 * axis).as_matrix()).float()
        gain = network.log_density(clouds, tops @ turn) - network.log_density(clouds, tops)
        assert gain.max() < 0.01


def test_ascent_along_the_gradient_downhill_would_not_climb(network):
    """The direction matters: a fixed small step against the slopes lowers the density."""
    clouds, start = random_clouds(1), even_rotations(10, seed=12)[None]
    conditions = network.encode(clouds)
    scores, slopes = network._slopes(conditions, start)
    for sign in (1, -1):
        vectors = (sign * 0.01 * torch.nn.functional.normalize(slopes, dim=-1))[0]
        turned = start @ torch.as_tensor(Rotation.from_rotvec(vectors.numpy()).as_matrix()).float()
        change = network.scores(conditions, turned) - scores
        assert (sign * change > 0).all()


def test_learns_both_modes_of_each_of_two_clouds():
    """Two clouds, two preferred rotations each, with noise: a second of training."""
    torch.manual_seed(0)
    network = GraspIPDF(GraspIPDFConfig(ENCODER, frequencies=1, widths=(64, 64), grid_level=1))
    clouds = random_clouds(2) * torch.tensor([[[1.0, 1.0, 1.0]], [[2.0, 1.0, 0.3]]])
    centres = even_rotations(4, seed=13).view(2, 2, 3, 3)
    assert angles_between(centres[:, 0], centres[:, 1]).min() > 1
    spread, rng = 0.25, np.random.default_rng(0)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)

    def examples(count: int) -> torch.Tensor:
        which = torch.as_tensor(rng.integers(0, 2, (2, count)))
        vectors = rng.normal(0, spread, (2 * count, 3))
        noise = torch.as_tensor(Rotation.from_rotvec(vectors).as_matrix()).float()
        picked = torch.stack([centres[row, which[row]] for row in range(2)])
        return picked @ noise.view(2, count, 3, 3)

    for _ in range(200):
        optimiser.zero_grad()
        network.nll(clouds, examples(16), generator).mean().backward()
        optimiser.step()
    network.eval()
    for found, wanted in zip(network.modes(clouds), centres, strict=True):
        gaps = angles_between(found.rotations[0, :2, None], wanted[None])
        assert gaps.min(dim=0).values.max() < math.radians(12)  # each is among the highest two
        assert found.log_densities[0].diff().max() <= 0
        assert (found.log_densities[0, 2:] < found.log_densities[0, 1] - 1).all()  # any others
    # Near the best possible: the entropy of the noise and of the choice between two modes.
    entropy = 1.5 * math.log(2 * math.pi * math.e * spread**2) - math.log(8) + math.log(2)
    with torch.no_grad():
        held_out = network.log_density(clouds, examples(400)).mean().item()
        swapped = network.log_density(clouds.flip(0), examples(400)).mean().item()
    assert held_out == pytest.approx(-entropy, abs=0.3)
    assert swapped < held_out - 2


# ---- bad input ----


def test_bad_input_is_refused(network):
    clouds, rotations = random_clouds(2), even_rotations(2, seed=14)
    with pytest.raises(ValueError, match="of 2 clouds"):
        network.nll(clouds, rotations[:1])
    with pytest.raises(ValueError, match=r"\(B, 3, 3\)"):
        network.log_density(clouds, rotations[..., :2])
    for wrong in (2 * rotations, -rotations, rotations * torch.nan):
        with pytest.raises(ValueError, match="orthonormal"):
            network.log_density(clouds, wrong)
    with pytest.raises(ValueError, match="at least one"):
        network.sample(clouds, 0)
    with pytest.raises(ValueError, match="level"):
        network.sample(clouds, 1, level=9)
    with pytest.raises(ValueError, match="finite"):
        network.sample(clouds * torch.inf, 1)
    with pytest.raises(ValueError, match="widths"):
        GraspIPDFConfig(widths=())


def test_named_configurations():
    paper, small = GraspIPDFConfig.paper(), GraspIPDFConfig.small()
    assert paper.widths == (256, 256, 256)
    sizes = [sum(p.numel() for p in GraspIPDF(config).parameters()) for config in (small, paper)]
    assert sizes[0] < sizes[1] / 5
