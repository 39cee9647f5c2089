"""Relative changes of the joints, and the hand that closes by itself."""

from __future__ import annotations

import assist_samples as samples
import numpy as np
import pytest
import torch

from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.tasks.assist_action import acted, auto_closed, closing_directions, composed
from dexgrasp_models.tasks.assist_config import AUTO_CLOSE_JOINTS, AssistConfig

HAND = samples.HAND
CONFIG = AssistConfig()
MIDDLE = np.tile(HAND.couple(HAND.limits.mean(axis=1)), (18, 1))


def actuated(targets: np.ndarray) -> np.ndarray:
    return targets @ HAND.reduction.T


def test_a_residual_of_zero_leaves_the_scaled_primitive():
    """Eq. 2: a^p * a^s + a^r, with the gradient by its largest number as a^p."""
    rng = np.random.default_rng(0)
    gradients, scales, residuals = 30.0 * rng.normal(size=(3, 6, 18))
    gradients[4] = 0.0
    largest = np.array([np.abs(row).max() or 1.0 for row in gradients])
    primitive = gradients / largest[:, None]
    zero = np.zeros((6, 18))
    scaled = composed(gradients, np.hstack((scales, zero)))
    assert scaled == pytest.approx(primitive * scales)
    assert not scaled[4].any()  # where there is no direction
    assert np.abs(composed(gradients, np.hstack((zero + 1.0, zero)))).max(axis=1) == pytest.approx(
        [1, 1, 1, 1, 0, 1]
    )
    both = composed(gradients, np.hstack((scales, residuals)))
    assert both - scaled == pytest.approx(residuals)
    for bad in (np.zeros((6, 18)), np.zeros((5, 36)), np.full((6, 36), np.nan)):
        with pytest.raises(ValueError, match="policy's output"):
            composed(gradients, bad)

    # The ablations of 5.2.
    assert composed(gradients, scales, "only_scales") == pytest.approx(primitive * scales)
    assert composed(gradients, residuals, "only_residuals") == pytest.approx(primitive + residuals)
    with pytest.raises(ValueError, match="policy's output"):
        composed(gradients, np.zeros((6, 36)), "only_scales")
    with pytest.raises(ValueError, match="policy's 'direct'"):
        composed(gradients, scales, "direct")


def test_each_action_moves_its_actuator_by_at_most_the_greatest_change():
    moved = acted(MIDDLE, np.eye(18), HAND, CONFIG)
    assert actuated(moved - MIDDLE) == pytest.approx(0.05 * np.eye(18), abs=1e-12)
    assert acted(MIDDLE, 40.0 * np.eye(18), HAND, CONFIG) == pytest.approx(moved)
    back = acted(moved, -0.5 * np.eye(18), HAND, CONFIG)
    assert actuated(back - MIDDLE) == pytest.approx(0.025 * np.eye(18), abs=1e-12)
    assert np.array_equal(acted(MIDDLE, np.zeros((18, 18)), HAND, CONFIG), MIDDLE)


def test_both_joints_of_a_tendon_share_its_change():
    actions = np.zeros((1, 18))
    actions[0, HAND.actuators.index("rh_RFJ0")] = 1.0
    change = (acted(MIDDLE[:1], actions, HAND, CONFIG) - MIDDLE[:1])[0]
    pair = [HAND.joint_index("rh_RFJ2"), HAND.joint_index("rh_RFJ1")]
    assert change[pair] == pytest.approx([0.025, 0.025])
    assert np.delete(change, pair) == pytest.approx(np.zeros(20), abs=1e-12)


@pytest.mark.parametrize(("side", "sign"), [(0, -1.0), (1, 1.0)])
def test_targets_stay_within_the_limits(side, sign):
    targets = MIDDLE[:1]
    for _ in range(80):
        targets = acted(targets, np.full((1, 18), sign), HAND, CONFIG)
    assert targets[0] == pytest.approx(HAND.limits[:, side], abs=1e-12)


def test_environments_do_not_influence_each_other():
    rng = np.random.default_rng(0)
    targets = HAND.couple(samples.joints(9, rng))
    actions = rng.normal(size=(9, 18))
    together = acted(targets, actions, HAND, CONFIG)
    alone = [acted(targets[[n]], actions[[n]], HAND, CONFIG)[0] for n in range(9)]
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("joints", AUTO_CLOSE_JOINTS)
def test_the_hand_closes_the_named_joints_by_a_share_of_a_tenth(joints):
    config = AssistConfig(auto_close_joints=joints)
    shares = np.linspace(0.0, 1.0, 18)
    change = actuated(auto_closed(MIDDLE, shares, HAND, config) - MIDDLE)
    closes = np.isin(HAND.actuators, AUTO_CLOSE_JOINTS[joints])
    assert np.abs(change[:, closes]) == pytest.approx(
        np.repeat(0.1 * shares[:, None], closes.sum(), axis=1), abs=1e-12
    )
    assert change[:, ~closes] == pytest.approx(np.zeros((18, (~closes).sum())), abs=1e-12)


@pytest.mark.parametrize("actuator", AUTO_CLOSE_JOINTS["flexors"])
def test_each_joint_closes_towards_the_palm_or_across_it(actuator):
    direction = closing_directions(HAND, "flexors")
    alone = np.where(np.array(HAND.actuators) == actuator, direction, 0.0)
    begin, end = (tip(actuator[3:5], HAND.expansion @ (angle * alone)) for angle in (0.0, 0.1))
    # Of `rh_palm` -y is the palmar side, and the thumb is at +x.
    toward = (-1.0, 0.0, 0.0) if "TH" in actuator else (0.0, -1.0, 0.0)
    assert (end - begin) @ toward > 0.001


def tip(digit: str, joints: np.ndarray) -> np.ndarray:
    """(3,) end of a digit, m, in `rh_palm`."""
    kinematics = HandKinematics(HAND, dtype=torch.float64)
    name = f"rh_{digit.lower()}distal"
    poses = kinematics.link_poses(
        torch.eye(4, dtype=torch.float64)[None], torch.as_tensor(joints)[None]
    )
    segment = HAND.link(name).primitives[0].segment
    return (poses[0, HAND.link_index(name)].numpy() @ np.append(segment[1], 1.0))[:3]


def test_targets_do_not_close_beyond_their_limits():
    signs = closing_directions(HAND, "flexors") @ HAND.reduction
    ends = np.where(signs < 0, HAND.limits[:, 0], HAND.limits[:, 1])
    closed = auto_closed(ends[None], np.ones(1), HAND, AssistConfig(auto_close_joints="flexors"))
    assert closed[0] == pytest.approx(ends, abs=1e-12)


@pytest.mark.parametrize(
    ("targets", "actions", "message"),
    [
        (np.zeros((2, 18)), np.zeros((2, 18)), "targets has the shape"),
        (np.zeros((2, 22)), np.zeros((2, 22)), "action has the shape"),
        (np.zeros((2, 22)), np.full((2, 18), np.nan), "action of environment 0 is not finite"),
    ],
)
def test_bad_actions_are_refused(targets, actions, message):
    with pytest.raises(ValueError, match=message):
        acted(targets, actions, HAND, CONFIG)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_bad_shares_are_refused(share):
    with pytest.raises(ValueError, match=r"shares of closing have to be in \[0, 1\]"):
        auto_closed(MIDDLE[:1], np.array([share]), HAND, CONFIG)
