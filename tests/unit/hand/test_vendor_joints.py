"""The vendor's joints: its table of names and limits, and there and back again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.hand.vendor_joints import VendorJoints, VendorStateError

HAND = load_hand()
VENDOR = VendorJoints(HAND)
NAMES = (
    *(f"rh_FFJ{i}" for i in (1, 2, 3, 4)),
    *(f"rh_LFJ{i}" for i in (1, 2, 3, 4, 5)),
    *(f"rh_MFJ{i}" for i in (1, 2, 3, 4)),
    *(f"rh_RFJ{i}" for i in (1, 2, 3, 4)),
    *(f"rh_THJ{i}" for i in (1, 2, 3, 4, 5)),
    "rh_WRJ1",
    "rh_WRJ2",
)
"""As the vendor's manual prints them."""
DEGREES = {
    **{f"{finger}J{i}": (0, 90) for finger in ("FF", "MF", "RF", "LF") for i in (1, 2)},
    **{f"{finger}J3": (-15, 90) for finger in ("FF", "MF", "RF", "LF")},
    **{f"{finger}J4": (-20, 20) for finger in ("FF", "MF", "RF", "LF")},
    "LFJ5": (0, 45),
    "THJ1": (-15, 90),
    "THJ2": (-40, 40),
    "THJ3": (-12, 12),
    "THJ4": (0, 70),
    "THJ5": (-60, 60),
}
"""Limits of the E-series hand, in its own signs."""

reachable = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).uniform(*VENDOR.limits.T)
)


def test_names_are_the_manuals():
    assert VENDOR.names == NAMES
    assert set(VENDOR.wrist) == {"rh_WRJ1", "rh_WRJ2"}


def test_the_descriptions_limits_are_the_vendors_table():
    for joint in HAND.joints:
        table = np.deg2rad(DEGREES[joint.name.removeprefix("rh_")])
        assert np.allclose(joint.hardware_range, table, atol=1e-4), joint.name


def test_no_target_leaves_the_vendors_table():
    """In the vendor's signs, whatever is asked for."""
    for extreme in (-9.0, 9.0):
        angles = VENDOR.commanded(VENDOR.driven(np.full(22, extreme)))
        for name, angle in angles.items():
            low, high = np.deg2rad(DEGREES[name.removeprefix("rh_")])
            assert low - 1e-4 <= angle <= high + 1e-4, name


def test_the_joints_that_turn_the_other_way_round():
    turned = [n for n, angle in VENDOR.commanded(np.ones(22)).items() if angle < 0]
    assert turned == ["rh_FFJ4", "rh_MFJ4", "rh_THJ2", "rh_THJ1"]


@given(reachable)
def test_what_is_commanded_is_what_is_measured(targets):
    angles = VENDOR.commanded(targets) | {"rh_WRJ1": 0.1, "rh_WRJ2": -0.2}
    values = [angles[name] for name in NAMES]
    assert np.array_equal(VENDOR.fingers(NAMES, values), targets)
    assert np.array_equal(VENDOR.wrist_angles(NAMES, values), [-0.2, 0.1])
    backwards = NAMES[::-1], values[::-1]
    assert np.array_equal(VENDOR.fingers(*backwards), targets)


@given(reachable)
def test_a_motor_turns_by_the_sum_of_its_joints(targets):
    driven = VENDOR.driven(targets)
    for tendon in HAND.tendons:
        distal, middle = HAND.joint_index(tendon.distal), HAND.joint_index(tendon.middle)
        assert driven[distal] == driven[middle]  # which keeps J1 <= J2
        assert np.isclose(driven[distal] + driven[middle], targets[distal] + targets[middle])
    motors = VENDOR.motors(VENDOR.commanded(driven))
    assert set(motors) == set(HAND.actuators)
    ours = dict(zip(HAND.actuators, HAND.reduction @ targets, strict=True))
    for name in ("rh_FFJ0", "rh_LFJ0", "rh_RFJ4"):
        assert np.isclose(motors[name], ours[name])
    assert np.isclose(motors["rh_THJ1"], -ours["rh_THJ1"])
    assert np.allclose(VENDOR.driven(driven), driven)


def test_the_wrist_passes_the_motors_unchanged():
    assert VENDOR.motors({"rh_WRJ1": 0.1}) == {"rh_WRJ1": 0.1}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda n, v: (n[1:], v[1:]), "missing joints: rh_FFJ1"),
        (lambda n, v: (n, v[:-1]), "24 joint names but 23 values"),
        (lambda n, v: ((*n, "rh_FFJ1"), [*v, 0.0]), "more than once: rh_FFJ1"),
        (lambda n, v: (n, [None, *v[1:]]), "not finite: rh_FFJ1"),
        (lambda n, v: (n, [float("nan"), *v[1:]]), "not finite: rh_FFJ1"),
    ],
)
def test_states_that_can_not_be_used_are_refused(change, complaint):
    with pytest.raises(VendorStateError, match=complaint):
        VENDOR.fingers(*change(NAMES, [0.0] * 24))


def test_joints_of_others_are_passed_over():
    names = ("ra_elbow_joint", *NAMES, "ra_elbow_joint")
    assert np.array_equal(VENDOR.fingers(names, [None, *[0.0] * 24, 1.0]), np.zeros(22))
