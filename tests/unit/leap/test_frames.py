"""From the Leap's axes and millimetres to the frame `leap`, and the frame of the wrist."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dexgrasp_leap.frames import (
    LEAST_SINE,
    TO_ROS,
    FrameError,
    position_in_ros,
    seen_hand,
    wrist_rotation,
)
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand

RIGHT, UP, BACK = np.eye(3)
"""The Leap's axes, for the person: x right, y up, z towards the person."""
AHEAD, DOWN, LEFT = -BACK, -UP, -RIGHT
X, Y, Z = np.eye(3)
"""Ours: ahead, left, up."""


def test_axes_are_turned_and_not_mirrored():
    assert np.linalg.det(TO_ROS) == 1.0
    for leap, ours in ((AHEAD, X), (LEFT, Y), (UP, Z)):
        np.testing.assert_array_equal(TO_ROS @ leap, ours)


def test_a_position_in_millimetres():
    # 100 mm right of the device, 200 above it, 50 ahead
    np.testing.assert_allclose(position_in_ros([100.0, 200.0, -50.0]), [0.05, -0.1, 0.2])


@pytest.mark.parametrize(
    ("normal", "direction", "thumb_of_a_right_hand"),
    [
        (DOWN, AHEAD, Y),  # flat over the device: the thumb points left
        (UP, AHEAD, -Y),  # palm up
        (LEFT, AHEAD, Z),  # as for a handshake: the thumb is above
        (AHEAD, UP, Y),  # as to say halt
    ],
)
def test_z_goes_to_the_fingers_y_out_of_the_back_and_x_to_the_thumb(
    normal, direction, thumb_of_a_right_hand
):
    """As `rh_palm` in the docs: +z to the fingers, +x to the thumb's side, -y out of the palm."""
    rotation = wrist_rotation(normal, direction)
    np.testing.assert_allclose(rotation[:, 2], TO_ROS @ direction, atol=1e-15)
    np.testing.assert_allclose(rotation[:, 1], -TO_ROS @ normal, atol=1e-15)
    np.testing.assert_allclose(rotation[:, 0], thumb_of_a_right_hand, atol=1e-15)


def test_both_hands_have_one_rotation_where_palm_and_fingers_point_alike():
    wrists = [seen_hand(1, left, 1.0, (0.0, 0.0, 0.0), DOWN, AHEAD).wrist for left in (True, False)]
    np.testing.assert_array_equal(*wrists)


def test_these_are_the_axes_of_rh_palm():
    """Of the robot's hand, as its own kinematics tell them."""
    spec = load_hand()
    bent = torch.zeros(1, len(spec.finger_joints), dtype=torch.float64)
    for index, joint in enumerate(spec.finger_joints):
        if joint.endswith(("FFJ3", "MFJ3", "RFJ3", "LFJ3")):
            bent[0, index] = 1.0
    kinematics = HandKinematics(spec, dtype=torch.float64)
    palm = torch.eye(4, dtype=torch.float64)[None]
    straight, curled = (
        dict(zip(spec.link_names, kinematics.link_poses(palm, joints)[0, :, :3, 3], strict=True))
        for joints in (torch.zeros_like(bent), bent)
    )
    finger = straight["rh_mfdistal"].numpy()
    assert finger @ Z > 0.9 * np.linalg.norm(finger)
    assert (straight["rh_thdistal"] - straight["rh_mfproximal"]).numpy() @ X > 0.02
    assert (curled["rh_mfdistal"] - straight["rh_mfdistal"]).numpy() @ Y < -0.02


unit_vectors = st.builds(
    lambda z, phi: np.array(
        [math.sqrt(1 - z * z) * math.cos(phi), math.sqrt(1 - z * z) * math.sin(phi), z]
    ),
    st.floats(-1, 1),
    st.floats(-math.pi, math.pi),
)


@given(normal=unit_vectors, direction=unit_vectors, lengths=st.tuples(*[st.floats(0.6, 1.6)] * 2))
def test_vectors_that_are_not_orthogonal_make_a_rotation_or_are_refused(normal, direction, lengths):
    sine = np.linalg.norm(np.cross(normal, direction))
    scaled = lengths[0] * normal, lengths[1] * direction
    if sine < LEAST_SINE * (1 - 1e-9):
        with pytest.raises(FrameError, match="nearly parallel"):
            wrist_rotation(*scaled)
    elif sine > LEAST_SINE * (1 + 1e-9):
        found = wrist_rotation(*scaled)
        np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-12)
        assert np.linalg.det(found) == pytest.approx(1.0)
        np.testing.assert_allclose(found[:, 2], TO_ROS @ direction, atol=1e-12)
        # in the plane of the two, on the side of the back of the hand
        assert found[:, 0] @ (TO_ROS @ normal) == pytest.approx(0.0, abs=1e-12)
        assert found[:, 1] @ (TO_ROS @ normal) == pytest.approx(-sine)


@pytest.mark.parametrize("odd", [(0.0, 0.0, 0.0), (0.0, -0.3, 0.0), (0.0, -30.0, 0.0)])
def test_what_is_no_direction_is_refused(odd):
    with pytest.raises(FrameError, match="no unit vector"):
        wrist_rotation(odd, AHEAD)
    with pytest.raises(FrameError, match="no unit vector"):
        wrist_rotation(AHEAD, odd)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", ["confidence", "wrist", "normal", "direction"])
def test_a_hand_that_is_not_finite_is_refused(place, bad):
    told = {"confidence": 1.0, "wrist": [0.0, 0.0, 0.0], "normal": DOWN, "direction": AHEAD}
    told[place] = bad if place == "confidence" else [0.0, 0.0, bad]
    with pytest.raises(FrameError, match="not finite"):
        seen_hand(1, False, **told)


def test_a_hand_as_it_is_told():
    found = seen_hand(7, True, 1.25, (0.0, 150.0, 0.0), DOWN, AHEAD)
    assert (found.id, found.left, found.confidence) == (7, True, 1.0)
    quaternion = Rotation.from_matrix(found.wrist[:3, :3]).as_quat()
    np.testing.assert_allclose(np.abs(quaternion), 0.5)
