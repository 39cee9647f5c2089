"""Contact maps against their formula, and ContactNet on a task small enough to learn at once."""

from __future__ import annotations

import pytest
import torch
from nets_samples import body, grasps_of_ball, random_grasps, sphere

from dexgrasp_models.nets.contact import (
    BINS,
    ContactNet,
    ContactNetConfig,
    canonical,
    contact_heat,
    flawed,
    heat_bins,
)
from dexgrasp_models.nets.pointnet import PointNetConfig

TINY = ContactNetConfig(PointNetConfig(widths=(32, 64), align_input=False), widths=(64,))


def test_heat_is_the_papers_formula():
    distances = torch.linspace(0, 0.2, 200, dtype=torch.float64)
    expected = 2 - 2 * torch.sigmoid(60 * distances)
    torch.testing.assert_close(contact_heat(distances), expected)


def test_heat_is_one_at_contact_and_falls_with_distance_to_either_side():
    heat = contact_heat(torch.linspace(0, 0.1, 50, dtype=torch.float64))
    assert heat[0] == 1
    assert (heat.diff() < 0).all()
    torch.testing.assert_close(
        contact_heat(torch.tensor([-0.01])), contact_heat(torch.tensor(0.01)).view(1)
    )


def test_heat_of_points_has_the_gradient_of_finite_differences():
    """With respect to points, palm and joints, of points outside and inside the hand."""
    hand = body(torch.float64)
    grasps = grasps_of_ball(2, dtype=torch.float64)
    points = sphere((0, 0, 0.035), 0.035, 60)
    assert (hand.distance.to_links(points, hand.link_poses(grasps)) < 0).any()

    def heat(points, translations, joints):
        moved = grasps._replace(translations=translations, joints=joints)
        return contact_heat(hand.distance.to_links(points, hand.link_poses(moved)))

    inputs = (points.expand(2, -1, -1).clone(), grasps.translations, grasps.joints)
    inputs = [value.clone().requires_grad_() for value in inputs]
    assert torch.autograd.gradcheck(heat, inputs, fast_mode=True)


def test_bins_part_the_heat_evenly():
    heat = torch.tensor([0.0, 0.05, 0.1, 0.55, 0.999, 1.0])
    assert heat_bins(heat).tolist() == [0, 0, 1, 5, 9, 9]


def test_canonical_frame_is_the_palms():
    """A palm turned by R sees its own points as a palm that isn't turned, moved by R^-1 t."""
    hand = body(torch.float64)
    grasps = random_grasps(3, dtype=torch.float64)
    seen = canonical(hand.surface(hand.link_poses(grasps)), grasps.rotations)
    upright = grasps._replace(
        rotations=torch.eye(3, dtype=torch.float64).expand(3, 3, 3),
        translations=canonical(grasps.translations[:, None], grasps.rotations)[:, 0],
    )
    torch.testing.assert_close(seen, hand.surface(hand.link_poses(upright)))


def test_flawed_grasps_repeat_and_keep_their_rotation():
    grasps = random_grasps(500)
    first, second = (flawed(grasps, torch.Generator().manual_seed(1), 0.03, 0.1) for _ in range(2))
    torch.testing.assert_close(first.joints, second.joints)
    torch.testing.assert_close(first.rotations, grasps.rotations)
    assert (first.translations - grasps.translations).std().item() == pytest.approx(0.03, rel=0.1)
    assert (first.joints - grasps.joints).std().item() == pytest.approx(0.1, rel=0.1)


def toy(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Spheres, "hands" that are small clusters of points beside them, and the contact map."""
    generator = torch.Generator().manual_seed(seed)
    cloud = sphere((0, 0, 0), 0.04, 64, torch.float32).expand(count, -1, -1)
    direction = torch.randn(count, 1, 3, generator=generator)
    direction = torch.nn.functional.normalize(direction, dim=-1)
    hands = 0.045 * direction + 0.004 * torch.randn(count, 16, 3, generator=generator)
    return cloud, hands, contact_heat(torch.cdist(cloud, hands).amin(-1))


def test_learns_where_hands_touch():
    """After a short training, new hands' maps are far better than the best constant map."""
    torch.manual_seed(0)
    network = ContactNet(TINY)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    # At a constant rate the error depends on the last steps, and on the machine's rounding.
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=300)
    for step in range(300):
        optimizer.zero_grad()
        loss = network.loss(*toy(16, seed=step))
        loss.backward()
        optimizer.step()
        falling.step()
    network.eval()
    cloud, hands, heat = toy(64, seed=10_000)
    error = (network.heat(cloud, hands) - heat).square().mean()
    constant = (heat - heat.mean()).square().mean()
    assert error < 0.35 * constant
    # A map for the wrong hand isn't better than a constant: the network looks at the hand.
    assert (network.heat(cloud, hands.roll(1, 0)) - heat).square().mean() > constant
    frequencies = torch.bincount(heat_bins(heat).flatten(), minlength=BINS) / heat.numel()
    entropy = -(frequencies * frequencies.clamp_min(1e-9).log()).sum()
    assert network.loss(cloud, hands, heat) < 0.7 * entropy


@pytest.mark.parametrize("config", [ContactNetConfig.paper(), ContactNetConfig.small()])
def test_predicts_bins_for_every_point(config):
    network = ContactNet(config).eval()
    cloud, hands, _ = toy(2, seed=0)
    logits = network(cloud, hands)
    assert logits.shape == (2, 64, BINS)
    heat = network.heat(cloud, hands)
    assert ((heat > 0) & (heat < 1)).all()
    middles = torch.tensor([0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95])
    torch.testing.assert_close(heat, (logits.exp() * middles).sum(-1) / logits.exp().sum(-1))


def test_order_of_points_does_not_matter():
    network = ContactNet(TINY).eval()
    cloud, hands, _ = toy(2, seed=0)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        network(cloud[:, order], hands.flip(1)), network(cloud, hands)[:, order]
    )


def test_wrong_inputs_are_refused():
    network = ContactNet(TINY).eval()
    cloud, hands, heat = toy(2, seed=0)
    with pytest.raises(ValueError, match="as many hands"):
        network(cloud, hands[:1])
    with pytest.raises(ValueError, match="expected clouds"):
        network(cloud[..., :2], hands)
    with pytest.raises(ValueError, match="finite"):
        network(cloud, hands * torch.nan)
    with pytest.raises(ValueError, match="expected a heat"):
        network.loss(cloud, hands, heat[:, :-1])
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        network.loss(cloud, hands, heat + 1)
