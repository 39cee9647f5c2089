"""Terms of the losses on grasps whose faults are known."""

from __future__ import annotations

import pytest
import torch
from nets_samples import HAND, body, grasps_of_ball, random_grasps, sphere

from dexgrasp_models.hand.planning_hand import PlanningHand
from dexgrasp_models.nets.contact import contact_heat
from dexgrasp_models.nets.losses import ADAPTATION_WEIGHTS, NEAR, GraspLosses, HandBody, LossWeights
from dexgrasp_models.nets.types import GraspTensors
from dexgrasp_models.synthesis.energy import GraspEnergy
from dexgrasp_models.synthesis.energy_config import EnergyConfig

BALL = sphere((0, 0, 0.035), 0.035, 300)
FAR = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
ALL = LossWeights(dis=1.0)


@pytest.fixture(scope="module")
def hand() -> HandBody:
    return body(torch.float64)


def own_map(hand: HandBody, grasps: GraspTensors, points: torch.Tensor) -> torch.Tensor:
    return contact_heat(hand.distance.to_links(points, hand.link_poses(grasps)))


def lifted(grasps: GraspTensors, offset: torch.Tensor) -> GraspTensors:
    return grasps._replace(translations=grasps.translations + offset)


def test_defaults_are_table_6():
    training, adaptation = LossWeights(), ADAPTATION_WEIGHTS
    assert (training.cmap, training.pen, training.tpen, training.spen) == (0.02, 500, 50, 10)
    assert (adaptation.cmap, adaptation.pen) == (0.07, 10_000)
    assert (adaptation.tpen, adaptation.spen) == (1000, 10)
    assert training.dis == adaptation.dis == 0


def test_total_is_the_weighted_sum(hand):
    grasps = grasps_of_ball(3, dtype=torch.float64)
    weights = LossWeights(cmap=2, pen=3, tpen=5, spen=7, dis=11)
    terms, total = GraspLosses(hand, weights)(grasps, BALL, torch.zeros(3, len(BALL)))
    expected = 2 * terms["cmap"] + 3 * terms["pen"] + 5 * terms["tpen"]
    torch.testing.assert_close(total, expected + 7 * terms["spen"] + 11 * terms["dis"])


def test_an_open_hand_in_the_air_with_its_own_map_has_no_fault(hand):
    grasps = lifted(grasps_of_ball(2, dtype=torch.float64), FAR)
    grasps = grasps._replace(joints=torch.zeros_like(grasps.joints))
    losses = GraspLosses(hand, ALL)(grasps, BALL, own_map(hand, grasps, BALL))
    for name in ("cmap", "pen", "tpen", "dis"):
        torch.testing.assert_close(losses.terms[name], torch.zeros(2, dtype=torch.float64))
    assert (losses.terms["spen"] < 1e-3).all()


def test_gradient_agrees_with_finite_differences(hand):
    """Of every term; on poses where each is at work and none at its kink."""
    grasps = grasps_of_ball(3, seed=2, dtype=torch.float64)
    curled = grasps.joints.clone()
    curled[:, HAND.joint_index("rh_FFJ4")] = -0.35  # the fore finger leans on the middle finger
    curled[:, HAND.joint_index("rh_MFJ4")] = 0.35
    losses = GraspLosses(hand, ALL)
    target = torch.full((3, len(BALL)), 0.3, dtype=torch.float64)

    def terms(translations, joints):
        moved = GraspTensors(grasps.rotations, translations, joints)
        return tuple(losses(moved, BALL, target).terms.values())

    assert all((value > 0).all() for value in terms(grasps.translations, curled))
    inputs = (grasps.translations.clone().requires_grad_(), curled.requires_grad_())
    assert torch.autograd.gradcheck(terms, inputs, fast_mode=True)


def test_penetration_is_zero_apart_and_falls_when_leaving(hand):
    grasps = grasps_of_ball(4, dtype=torch.float64)
    losses = GraspLosses(hand)
    target = torch.zeros(4, len(BALL), dtype=torch.float64)
    away = lifted(grasps, torch.tensor([0, 0, 0.2], dtype=torch.float64))
    assert (losses(away, BALL, target).terms["pen"] == 0).all()
    # A point just inside the palm, below its inner side, which faces -y.
    depth = 0.002
    palm = next(p for p in HAND.link("rh_palm").primitives if p.kind == "box")
    local = torch.tensor(palm.pose.position, dtype=torch.float64)
    local[1] -= palm.size[1] - depth
    inside = (grasps.rotations @ local + grasps.translations)[:1]
    one = grasps.select(slice(0, 1))
    translations = one.translations.clone().requires_grad_()
    found = losses(one._replace(translations=translations), inside, target[:1, :1])
    scale = losses.weights.points  # one point stands for all that the weights are for
    assert found.terms["pen"].item() == pytest.approx(scale * depth**2)
    found.terms["pen"].sum().backward()
    # Less of it when the hand moves along its back, +y.
    back = one.rotations[0, :, 1]
    torch.testing.assert_close(translations.grad[0], -2 * scale * depth * back)


def test_sums_over_points_do_not_depend_on_how_many_there_are(hand):
    grasps = grasps_of_ball(2, dtype=torch.float64)
    losses = GraspLosses(hand)
    few = losses(grasps, BALL, own_map(hand, grasps, BALL) * 0.5)
    dense = torch.cat([BALL, BALL])
    many = losses(grasps, dense, own_map(hand, grasps, dense) * 0.5)
    torch.testing.assert_close(few.total, many.total)


def test_map_term_is_the_sum_of_squares(hand):
    """Of points outside and inside the hand, which both have the heat of their distance."""
    grasps = grasps_of_ball(2, dtype=torch.float64)
    heat = own_map(hand, grasps, BALL)
    distances = hand.distance.by_link(BALL, hand.link_poses(grasps)).amin(-1)
    assert (distances < -0.005).any()
    torch.testing.assert_close(heat, 2 - 2 * torch.sigmoid(60 * distances.abs()))
    losses = GraspLosses(hand, LossWeights(points=len(BALL)))
    found = losses(grasps, BALL, torch.full_like(heat, 0.3)).terms["cmap"]
    torch.testing.assert_close(found, (heat - 0.3).square().sum(1))


def test_table_term_is_the_planners_without_margin(hand):
    grasps = grasps_of_ball(4, dtype=torch.float64)
    found = GraspLosses(hand)(grasps, BALL, torch.zeros(4, len(BALL))).terms["tpen"]
    heights = PlanningHand(HAND, dtype=torch.float64).heights(hand.link_poses(grasps))
    assert (heights < 0).any()
    torch.testing.assert_close(found, (-heights).clamp_min(0).sum(1))


def test_table_term_is_the_depth_of_the_balls(hand):
    """A hand lowered by a millimetre more is deeper by that for each ball below the table."""
    grasps = lifted(grasps_of_ball(1, dtype=torch.float64), -0.3 * FAR)
    losses = GraspLosses(hand)
    target = torch.zeros(1, len(BALL), dtype=torch.float64)
    assert (hand.surface(hand.link_poses(grasps))[..., 2] < 0).all()
    first = losses(grasps, BALL, target).terms["tpen"]
    second = losses(lifted(grasps, -0.001 * FAR), BALL, target).terms["tpen"]
    assert (second - first).item() == pytest.approx(0.001 * len(hand.ball_radii))


def test_self_penetration_is_that_of_the_planner(hand):
    """The balls are the planner's, and so is the figure, computed by its own code."""
    grasps = random_grasps(20, dtype=torch.float64)
    planning = PlanningHand(HAND, dtype=torch.float64)
    expected = GraspEnergy(planning, None, EnergyConfig()).self_penetration(hand.link_poses(grasps))
    found = GraspLosses(hand)(grasps, BALL, torch.zeros(20, len(BALL))).terms["spen"]
    assert (expected > 0).any()
    torch.testing.assert_close(found, expected)


def test_attraction_is_the_mean_square_to_the_nearest_pad(hand):
    grasps = grasps_of_ball(3, dtype=torch.float64)
    found = GraspLosses(hand, ALL)(grasps, BALL, torch.zeros(3, len(BALL))).terms["dis"]
    poses = hand.link_poses(grasps)
    near = hand.distance.to_links(BALL, poses) < NEAR
    for index in range(3):
        squared = torch.cdist(BALL, hand.pads(poses)[index]).amin(-1).square()
        assert found[index].item() == pytest.approx(squared[near[index]].mean().item())


def test_single_precision_is_close(hand):
    grasps = grasps_of_ball(3, dtype=torch.float64)
    single = GraspTensors(*(field.float() for field in grasps))
    target = torch.full((3, len(BALL)), 0.3)
    exact = GraspLosses(hand)(grasps, BALL, target.double()).total
    rounded = GraspLosses(body())(single, BALL.float(), target).total
    torch.testing.assert_close(rounded.double(), exact, rtol=1e-4, atol=1e-4)


def test_wrong_inputs_are_refused(hand):
    grasps, losses = grasps_of_ball(2, dtype=torch.float64), GraspLosses(hand)
    with pytest.raises(ValueError, match="expected points"):
        losses(grasps, BALL[:, :2], torch.zeros(2, len(BALL)))
    with pytest.raises(ValueError, match="expected points"):
        losses(grasps, BALL[:0], torch.zeros(2, 0))
    with pytest.raises(ValueError, match="expected a target"):
        losses(grasps, BALL, torch.zeros(1, len(BALL)))
    with pytest.raises(ValueError, match="cmap"):
        LossWeights(cmap=-1)
