"""Test-time adaptation on a ball and a box on the table."""

from __future__ import annotations

import pytest
import torch
import trimesh
from nets_samples import HAND, body, grasps_of_ball, sphere

from dexgrasp_models.nets.adaptation import Adaptation, AdaptationConfig, ContactTarget
from dexgrasp_models.nets.contact import ContactNet, ContactNetConfig, contact_heat
from dexgrasp_models.nets.losses import HandBody, LossWeights
from dexgrasp_models.nets.pointnet import PointNetConfig
from dexgrasp_models.nets.types import GraspTensors

BALL = sphere((0, 0, 0.035), 0.035, 512, torch.float32)


@pytest.fixture(scope="module")
def hand() -> HandBody:
    return body()


def box() -> torch.Tensor:
    """(N, 3) points of a box of the ball's size, standing on the table."""
    mesh = trimesh.creation.box((0.06, 0.05, 0.07))
    points, _ = trimesh.sample.sample_surface_even(mesh, 700, seed=0)
    return torch.as_tensor(points, dtype=torch.float32) + torch.tensor([0, 0, 0.035])


def depths(hand: HandBody, grasps: GraspTensors, points: torch.Tensor) -> torch.Tensor:
    """(B,) deepest penetration, m."""
    return -hand.distance.to_links(points, hand.link_poses(grasps)).amin(1).clamp_max(0)


def outside_map(hand: HandBody, grasps: GraspTensors, points: torch.Tensor) -> torch.Tensor:
    """The map of the same hand if what it penetrates were just touched."""
    return contact_heat(hand.distance.to_links(points, hand.link_poses(grasps)).clamp_min(0))


@pytest.mark.parametrize("points", [BALL, box()], ids=["ball", "box"])
def test_removes_penetration(hand, points):
    grasps = grasps_of_ball(16)
    adapted = Adaptation(hand)(grasps, points, outside_map(hand, grasps, points))
    before, after = depths(hand, grasps, points), depths(hand, adapted.grasps, points)
    assert before.max() > 0.008
    assert (adapted.after.total < 0.1 * adapted.before.total).all()
    assert after.mean() < 0.3 * before.mean()
    # And not by leaving: the hands still touch, and are above the table.
    gaps = hand.distance.to_links(points, hand.link_poses(adapted.grasps)).amin(1)
    assert (gaps < 0.01).all()
    assert gaps.mean() < 0.003
    assert (adapted.before.terms["tpen"] > 0.01).any()
    assert (adapted.after.terms["tpen"] < 0.002).all()


def test_reaches_the_map_of_another_grasp(hand):
    """From a grasp nearby, the map of a true grasp leads to where that is touched."""
    truth = grasps_of_ball(8, seed=3)
    truth = truth._replace(translations=truth.translations + torch.tensor([0, 0, 0.06]))
    ball = BALL + torch.tensor([0, 0, 0.06])
    start = truth._replace(translations=truth.translations + torch.tensor([0.01, -0.01, 0.01]))
    target = contact_heat(hand.distance.to_links(ball, hand.link_poses(truth)))
    weights = LossWeights(cmap=1.0, pen=0, tpen=0, spen=0, points=1024)
    adapted = Adaptation(hand, weights)(start, ball, target)
    assert (adapted.after.terms["cmap"] < 0.1 * adapted.before.terms["cmap"]).all()


def test_energies_are_those_of_the_whole_cloud(hand):
    grasps = grasps_of_ball(3)
    adaptation = Adaptation(hand, config=AdaptationConfig(steps=5))
    target = outside_map(hand, grasps, BALL)
    adapted = adaptation(grasps, BALL, target)
    for found, of in ((adapted.before, grasps), (adapted.after, adapted.grasps)):
        expected = adaptation.losses(of, BALL, target)
        torch.testing.assert_close(found.total, expected.total)
        assert set(found.terms) == {"cmap", "pen", "tpen", "spen"}


def test_a_grasp_does_not_depend_on_the_others():
    """In double precision: single precision's last bits differ with the batch and so may kinks."""
    hand = body(torch.float64)
    grasps, ball = grasps_of_ball(5, dtype=torch.float64), BALL.double()
    target = outside_map(hand, grasps, ball)
    adaptation = Adaptation(hand, config=AdaptationConfig(steps=60))
    together = adaptation(grasps, ball, target)
    for index in (0, 3):
        one = slice(index, index + 1)
        alone = adaptation(grasps.select(one), ball, target[one])
        for mine, theirs in zip(alone.grasps, together.grasps.select(one), strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-9, rtol=0)


def test_rotates_and_stays_a_rotation(hand):
    grasps = grasps_of_ball(4)
    adaptation = Adaptation(hand, config=AdaptationConfig(steps=60))
    found = adaptation(grasps, BALL, outside_map(hand, grasps, BALL)).grasps.rotations
    identity = torch.eye(3).expand(4, 3, 3)
    torch.testing.assert_close(found @ found.transpose(1, 2), identity, atol=1e-5, rtol=0)
    turned = (found.transpose(1, 2) @ grasps.rotations).diagonal(dim1=1, dim2=2).sum(1)
    assert (turned < 3 - 1e-4).all()


def test_joints_stay_within_limits_and_coupled(hand):
    grasps = grasps_of_ball(4)
    noise = torch.randn(4, 22, generator=torch.Generator().manual_seed(0))
    grasps = grasps._replace(joints=grasps.joints + 3 * noise)
    target = outside_map(hand, grasps, BALL)
    limits = torch.as_tensor(HAND.limits, dtype=torch.float32)
    distal = [HAND.joint_index(tendon.distal) for tendon in HAND.tendons]
    middle = [HAND.joint_index(tendon.middle) for tendon in HAND.tendons]
    for coupled, steps in ((False, 0), (False, 20), (True, 20)):
        config = AdaptationConfig(coupled=coupled, steps=steps)
        joints = Adaptation(hand, config=config)(grasps, BALL, target).grasps.joints
        assert (joints >= limits[:, 0] - 1e-6).all()
        assert (joints <= limits[:, 1] + 1e-6).all()
        assert torch.equal(joints[:, distal], joints[:, middle]) == coupled


def test_without_steps_nothing_moves(hand):
    grasps = grasps_of_ball(3)
    target = outside_map(hand, grasps, BALL)
    adapted = Adaptation(hand, config=AdaptationConfig(steps=0))(grasps, BALL, target)
    for before, after in zip(grasps, adapted.grasps, strict=True):
        torch.testing.assert_close(after, before)


def test_works_with_and_without_the_callers_gradients(hand):
    """Grasps may come straight out of a network, and the caller may have switched gradients off."""
    grasps = grasps_of_ball(2)
    target = outside_map(hand, grasps, BALL)
    adaptation = Adaptation(hand, config=AdaptationConfig(steps=5))
    expected = adaptation(grasps, BALL, target).grasps
    with torch.no_grad():
        silent = adaptation(grasps, BALL, target).grasps
    of_network = grasps._replace(joints=grasps.joints.clone().requires_grad_() * 1.0)
    found = adaptation(of_network, BALL, target).grasps
    for one, two, three in zip(expected, silent, found, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)
        assert not three.requires_grad


def test_target_is_predicted_once_or_as_often_as_asked(hand):
    grasps = grasps_of_ball(2)
    seen = []

    def predict(current: GraspTensors) -> torch.Tensor:
        seen.append(current.translations)
        return outside_map(hand, current, BALL)

    Adaptation(hand, config=AdaptationConfig(steps=10))(grasps, BALL, predict)
    assert len(seen) == 1
    assert torch.equal(seen[0], grasps.translations)
    seen.clear()
    Adaptation(hand, config=AdaptationConfig(steps=10, target_interval=3))(grasps, BALL, predict)
    assert len(seen) == 4
    assert not torch.equal(seen[0], seen[-1])


def test_network_predicts_the_target_in_the_palms_frame(hand):
    """So the map doesn't change when object and hand are turned together."""
    encoder = PointNetConfig(widths=(8, 16), align_input=False)
    network = ContactNet(ContactNetConfig(encoder, widths=(16,))).eval()
    grasps = grasps_of_ball(2)
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    turned = grasps._replace(
        rotations=turn @ grasps.rotations, translations=grasps.translations @ turn.T
    )
    first = ContactTarget(network, hand, BALL)(grasps)
    assert first.shape == (2, len(BALL))
    second = ContactTarget(network, hand, BALL @ turn.T)(turned)
    assert ((first - second).abs() < 1e-6).float().mean() > 0.99
    adapted = Adaptation(hand, config=AdaptationConfig(steps=3))(
        grasps, BALL, ContactTarget(network, hand, BALL)
    )
    assert adapted.after.total.shape == (2,)


def test_bad_inputs_are_refused(hand):
    grasps, adaptation = grasps_of_ball(2), Adaptation(hand, config=AdaptationConfig(steps=2))
    target = outside_map(hand, grasps, BALL)
    with pytest.raises(ValueError, match="joints must be"):
        adaptation(grasps._replace(joints=grasps.joints[:, :18]), BALL, target)
    with pytest.raises(ValueError, match="translations must be finite"):
        adaptation(grasps._replace(translations=grasps.translations * torch.inf), BALL, target)
    with pytest.raises(ValueError, match="expected a cloud"):
        adaptation(grasps, BALL[None], target)
    with pytest.raises(ValueError, match="cloud must be finite"):
        adaptation(grasps, BALL * torch.nan, target)
    with pytest.raises(ValueError, match="expected a target map"):
        adaptation(grasps, BALL, target[:1])
    with pytest.raises(ValueError, match="target map must be finite"):
        adaptation(grasps, BALL, target * torch.nan)
    with pytest.raises(ValueError, match="steps"):
        AdaptationConfig(steps=-1)


def test_divergence_stops_with_the_grasps_named(hand):
    grasps = grasps_of_ball(3)
    target = outside_map(hand, grasps, BALL)
    target[1] = 3e38  # its square overflows
    with pytest.raises(ArithmeticError, match=r"grasps \[1\] diverged in step 0"):
        Adaptation(hand)(grasps, BALL, target)
