"""Measured states of a hand and an arm whose drivers stamp for themselves."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_control.control_parameters import ControlParameters
from dexgrasp_control.robot_state_input import RobotStateInput
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_ros import contract, conversions

JOINTS = load_hand().finger_joints
PERIOD_NS = round(1e9 / contract.CONTROL_RATE)
BEGIN_NS = 10 * PERIOD_NS


def joints_at(ns):
    return conversions.joint_state(JOINTS, np.zeros(22), np.zeros(22), ns)


def wrist_at(ns):
    return conversions.pose_stamped(np.eye(4), ns, conversions.WORLD)


def paired(apart_ns, periods=20, dies=10**9):
    """Stamps of the states of a hand and an arm, whose wrist comes later and may fall silent."""
    tolerance = conversions.seconds_to_ns(ControlParameters().stamp_tolerance)
    states = RobotStateInput(JOINTS, tolerance)
    found = []
    for period in range(periods):
        ns = BEGIN_NS + period * PERIOD_NS
        states.put_joints(joints_at(ns))
        found.append(states.newest())
        if period < dies:
            states.put_wrist(wrist_at(ns + apart_ns))
        found.append(states.newest())
    return [pair[0] for pair in found if pair is not None]


@pytest.mark.parametrize("apart_ms", [0, 1, 4, 9, 10, 11, 16, 19])
def test_drivers_in_any_phase_are_paired_once_a_period(apart_ms):
    stamps = paired(apart_ms * 1_000_000)
    assert len(stamps) == len(set(stamps)) >= 19
    assert np.all(np.diff(stamps)[1:] == PERIOD_NS)


@pytest.mark.parametrize("late_periods", [1, 3, 20])
def test_a_hand_that_is_told_later_than_the_arm_is_paired_with_what_the_arm_measured_then(
    late_periods,
):
    states = RobotStateInput(JOINTS, 15_000_000)
    found = []
    for period in range(40):
        states.put_wrist(wrist_at(BEGIN_NS + period * PERIOD_NS + 4_000_000))
        found.append(states.newest())
        if period >= late_periods:
            states.put_joints(joints_at(BEGIN_NS + (period - late_periods) * PERIOD_NS))
            found.append(states.newest())
    stamps = [pair[0] for pair in found if pair is not None]
    assert stamps == [BEGIN_NS + n * PERIOD_NS + 4_000_000 for n in range(40 - late_periods)]


def test_after_time_has_gone_back_states_are_paired_anew():
    states = RobotStateInput(JOINTS, 5_000_000)
    for ns in (BEGIN_NS, BEGIN_NS + PERIOD_NS, PERIOD_NS):
        states.put_joints(joints_at(ns))
        assert states.newest() is None
        states.put_wrist(wrist_at(ns))
        pair = states.newest()
        assert pair is not None
        assert pair[0] == ns


def test_a_wrist_that_falls_silent_makes_no_more_states():
    last = BEGIN_NS + 9 * PERIOD_NS
    assert max(paired(0, dies=10)) == last


def test_the_same_state_may_come_again():
    """As in lock-step, where time stands still."""
    states = RobotStateInput(JOINTS, 5_000_000)
    states.put_joints(joints_at(BEGIN_NS))
    states.put_wrist(wrist_at(BEGIN_NS))
    assert states.newest() is not None
    states.put_joints(joints_at(BEGIN_NS))
    assert states.newest() is not None
