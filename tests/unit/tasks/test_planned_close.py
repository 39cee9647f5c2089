"""The close without a policy: the hand opens with the thumb across, and closes when it is told."""

from __future__ import annotations

import numpy as np
import pytest
from assisted_hand import HAND, PERIOD, AssistedHand, pose, reach

from dexgrasp_models.control.types import OutcomeKind
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_controller_config import AssistControllerConfig, make_policy
from dexgrasp_models.tasks.planned_close import closed_by_plan

TASK = AssistConfig()
THUMB_ACROSS = HAND.joint_index("rh_THJ4")


def planned_hand(**config) -> AssistedHand:
    settings = {"policy": "planned", **config}
    policy = make_policy(AssistControllerConfig(**settings), TASK, HAND)
    hand = AssistedHand(policy, settings=settings)
    hand.stops = np.full(22, 2.0)
    return hand


def test_the_hand_opens_and_then_closes_to_the_fist():
    hand = planned_hand(auto_close=0.0)
    hand.joints = HAND.couple(np.clip(np.full(22, 0.3), *HAND.limits.T))
    hand.until(2.4)
    assert hand.controller.stage == "assist"
    opened = hand.joints.copy()
    assert opened[THUMB_ACROSS] == pytest.approx(1.2, abs=1e-6)
    opened[THUMB_ACROSS] = 0.0
    assert np.abs(opened).max() < 1e-6
    hand.until(4.9)
    fist = closed_by_plan(HAND)(np.zeros(22), 1.0)
    assert hand.joints == pytest.approx(fist, abs=1e-6)
    assert HAND.couple(fist) == pytest.approx(fist)
    moved = np.abs(np.diff([command.finger_targets for _, _, command in hand.log], axis=0))
    assert moved.max() / PERIOD <= 2.5 + 1e-9  # the limit of joint speed is not leant upon


def test_what_stands_in_the_way_is_pressed_on_with_a_bounded_lead():
    hand = planned_hand()
    hand.stops = HAND.couple(np.full(22, 0.4))
    hand.until(4.9)
    lead = HAND.reduction @ (hand.log[-1][2].finger_targets - hand.joints)
    assert np.abs(lead).max() == pytest.approx(0.35)
    hand.finish()
    assert hand.controller.outcome.kind is OutcomeKind.SUCCEEDED


def test_a_wrist_that_never_rests_closes_nothing_until_the_button_is_pressed():
    def restless(time: float) -> np.ndarray:
        wrist = reach(min(time, 2.0))
        wrist[1, 3] += 0.02 * np.sin(6.0 * time)
        return wrist

    hand = planned_hand()
    hand.person = restless
    hand.until(4.0)
    assert hand.controller.stage == "assist"
    hand.close_wanted = True
    hand.tick()
    assert hand.controller.stage == "close"


def test_the_button_closes_nothing_far_from_the_object():
    hand = planned_hand()
    hand.person = lambda time: pose(reach(0.0)[:3, 3])
    hand.close_wanted = True
    hand.until(1.0)
    assert hand.controller.stage == "follow"


def test_an_empty_fist_is_no_grip():
    hand = planned_hand()
    hand.stops = None
    hand.finish()
    assert hand.controller.outcome.kind is OutcomeKind.SLIPPED
    assert hand.controller.outcome.reason == "the fingers closed on nothing"
