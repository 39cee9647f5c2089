"""PointNet and PointNet++: independence of order, and their searches against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dexgrasp_models.geometry.farthest_point_batches import farthest_points_of_each
from dexgrasp_models.nets.pointnet import (
    PointNet,
    PointNet2,
    PointNet2Config,
    PointNetConfig,
    SetAbstraction,
    SetAbstractionConfig,
    ball_query,
    gather_rows,
)

SMALL_LEVELS = (
    SetAbstractionConfig(32, 0.05, 8, (16, 32)),
    SetAbstractionConfig(8, 0.1, 8, (32,)),
)
ENCODERS = {
    "PointNet": lambda: PointNet(PointNetConfig((16, 32, 64), align_input=True)),
    "PointNet without transform": lambda: PointNet(PointNetConfig((16, 64), align_input=False)),
    "PointNet without normalisation": lambda: PointNet(
        PointNetConfig((16, 32, 64), align_input=False, batch_norm=False)
    ),
    "PointNet++": lambda: PointNet2(PointNet2Config(SMALL_LEVELS, (64,), (32, 24))),
    "PointNet++ without normalisation": lambda: PointNet2(
        PointNet2Config(SMALL_LEVELS, (64,), (24,), batch_norm=False)
    ),
}


@pytest.fixture
def clouds() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(3, 120, 3, generator=generator)


@pytest.fixture(params=ENCODERS)
def encoder(request, clouds) -> PointNet | PointNet2:
    torch.manual_seed(1)
    built = ENCODERS[request.param]()
    with torch.no_grad():
        built(clouds)  # the normalisation's running figures are no longer those of the start
        for values in built.parameters():
            values += 0.05 * torch.randn_like(values)
    return built.eval()


def test_order_of_points_makes_no_difference(encoder, clouds):
    order = torch.randperm(clouds.shape[1], generator=torch.Generator().manual_seed(2))
    found = encoder(clouds)
    assert found.shape == (3, encoder.features)
    assert torch.allclose(encoder(clouds[:, order]), found, atol=1e-6)
    moved = clouds.clone()
    moved[:, :, 2] *= -1
    assert not torch.allclose(encoder(moved), found, atol=1e-3)


def test_clouds_of_a_batch_dont_mix(encoder, clouds):
    alone = torch.cat([encoder(cloud[None]) for cloud in clouds])
    assert torch.allclose(alone, encoder(clouds), atol=1e-6)


def test_gradients_reach_every_parameter_and_the_points(encoder, clouds):
    encoder.train()
    points = clouds.clone().requires_grad_()
    weights = torch.randn(encoder.features, generator=torch.Generator().manual_seed(3))
    (encoder(points) * weights).sum().backward()
    assert points.grad.abs().sum() > 0
    for name, values in encoder.named_parameters():
        # A bias just before a batch normalisation has no effect, and so no gradient but noise.
        assert values.grad is not None, name
        assert torch.isfinite(values.grad).all(), name
    assert sum(values.grad.abs().sum() > 0 for values in encoder.parameters()) > 3


@pytest.mark.parametrize("name", ENCODERS)
def test_gradient_is_that_of_finite_differences(name, clouds):
    torch.manual_seed(4)
    encoder = ENCODERS[name]().double().eval()
    points, direction = clouds.double()[:1], torch.randn(1, 120, 3, dtype=torch.float64)
    weights = torch.randn(encoder.features, dtype=torch.float64)

    def value(step: float) -> torch.Tensor:
        return (encoder(points + step * direction) * weights).sum()

    moving = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((encoder(moving) * weights).sum(), moving)
    difference = (value(1e-7) - value(-1e-7)) / 2e-7
    assert (gradient * direction).sum().item() == pytest.approx(difference.item(), rel=1e-4)


def test_point_features_are_each_points_own(clouds):
    encoder = PointNet(PointNetConfig((16, 64), align_input=False)).eval()
    found = encoder.encode(clouds)
    assert found.points.shape == (3, 120, encoder.point_features)
    assert torch.equal(found.cloud, encoder(clouds))
    cut = encoder.encode(clouds[:, 40:60])
    assert torch.allclose(cut.points, found.points[:, 40:60], atol=1e-6)


def test_gradient_of_few_points_is_that_of_all(clouds):
    """Without normalisation only the points that the maximum takes are gone back through."""
    torch.manual_seed(6)
    encoder = PointNet(PointNetConfig((16, 32, 64), align_input=False, batch_norm=False)).double()
    weights = torch.randn(3, 64, dtype=torch.float64)

    def gradients(feature: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad((feature * weights).sum(), list(encoder.parameters()))

    rows = clouds.double() / encoder.config.unit_length
    plain = encoder.rest(encoder.local(rows.flatten(0, 1))).unflatten(0, (3, 120)).amax(dim=1)
    found = encoder(clouds.double())
    assert torch.allclose(found, plain, atol=1e-12)
    for one, other in zip(gradients(found), gradients(plain), strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def test_input_transform_begins_as_the_identity(clouds):
    encoder = PointNet(PointNetConfig((16, 64))).eval()
    with torch.no_grad():
        matrices = encoder.aligner(clouds)
    assert torch.equal(matrices, torch.eye(3).expand(3, 3, 3))


def slow_farthest_points(points: np.ndarray, count: int) -> list[int]:
    """By the definition: every candidate's distance to every chosen point, anew each time."""
    chosen = [int(np.argmax(np.linalg.norm(points - points.mean(0), axis=1)))]
    while len(chosen) < count:
        gaps = [min(np.linalg.norm(p - points[c]) for c in chosen) for p in points]
        chosen.append(int(np.argmax(gaps)))
    return chosen


def test_farthest_points_against_brute_force(clouds):
    found = farthest_points_of_each(clouds.double(), 20)
    for cloud, index in zip(clouds.double().numpy(), found, strict=True):
        assert index.tolist() == slow_farthest_points(cloud, 20)
    spread = torch.cdist(gather_rows(clouds, found), gather_rows(clouds, found))
    first = torch.cdist(clouds[:, :20], clouds[:, :20])
    off_diagonal = ~torch.eye(20, dtype=torch.bool)
    assert spread[:, off_diagonal].min() > 2 * first[:, off_diagonal].min()


def test_farthest_points_of_a_small_cloud_are_all_of_it(clouds):
    found = farthest_points_of_each(clouds[:, :5], 20)
    assert torch.equal(found.sort(dim=1).values, torch.arange(5).expand(3, 5))


@pytest.mark.parametrize("radius", [1e-6, 0.06, 10.0])
def test_ball_query_against_brute_force(clouds, radius):
    centres = clouds[:, ::7]
    found = ball_query(clouds, centres, radius, 6)
    for cloud, middles, balls in zip(clouds.numpy(), centres.numpy(), found, strict=True):
        for middle, ball in zip(middles, balls.tolist(), strict=True):
            gaps = np.linalg.norm(cloud - middle, axis=1)
            expected = [i for i in np.argsort(gaps) if gaps[i] <= radius][:6]
            assert ball == expected + [expected[0]] * (6 - len(expected))


def test_set_abstraction_is_a_pointnet_of_each_ball(clouds):
    """Against the plain form: (point - centre, feature) through the layers, one ball at a time."""
    torch.manual_seed(5)
    config = SetAbstractionConfig(10, 0.08, 12, (8, 16))
    level = SetAbstraction(config, inputs=4, batch_norm=True, scale=10.0).eval()
    features = torch.randn(3, 120, 4)
    centres, found = level(clouds, features)
    layers = torch.nn.Sequential(level.first, level.first_norm, level.rest)
    for b in range(3):
        for s in range(10):
            offsets = clouds[b] - centres[b, s]
            near = offsets.norm(dim=1).argsort()[:12]
            near = near[offsets[near].norm(dim=1) <= 0.08]
            rows = torch.cat((10 * offsets[near], features[b, near]), dim=1)
            assert torch.allclose(layers(rows).amax(0), found[b, s], atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 3), (2, 0, 3), (2, 5, 4)])
def test_clouds_of_another_shape_are_refused(shape):
    encoder = PointNet(PointNetConfig.small())
    with pytest.raises(ValueError, match=r"\(B, N, 3\)"):
        encoder(torch.zeros(shape))


def test_clouds_with_gaps_are_refused(clouds):
    encoder = PointNet2(PointNet2Config.small())
    clouds[0, 3, 1] = torch.nan
    with pytest.raises(ValueError, match="finite"):
        encoder(clouds)
    with pytest.raises(ValueError, match="floating"):
        encoder(torch.zeros(1, 5, 3, dtype=torch.long))


@pytest.mark.parametrize("config", [PointNetConfig, PointNet2Config])
def test_named_configurations(config):
    encoder = {PointNetConfig: PointNet, PointNet2Config: PointNet2}[config]
    sizes = [
        sum(values.numel() for values in encoder(named()).parameters())
        for named in (config.small, config.paper)
    ]
    assert sizes[0] < sizes[1] / 5


def test_a_network_without_layers_is_refused():
    for build in (PointNetConfig, SetAbstractionConfig):
        with pytest.raises(ValueError, match="at least one number"):
            build(widths=())
    with pytest.raises(ValueError, match=r"PointNet2Config\.head"):
        PointNet2Config(head=())
