"""Cameras found from a board that the arm carries, in drawn pictures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hand_eye_views import BOARD, CAMERAS, PALM_T_BOARD, pose, views, wrists
from scipy.spatial.transform import Rotation

from dexgrasp_models.perception.calibration import CalibrationError
from dexgrasp_models.perception.hand_eye import MIN_VIEWS, View, calibrate_by_arm

ELSEWHERE = np.array([0.3, -0.2, 0.1])


@pytest.fixture(scope="module")
def eight() -> list[View]:
    return views(wrists(8))


def away(camera):
    """A camera that is not where it was thought to be."""
    moved = camera.world_T_optical.copy()
    moved[:3, 3] += ELSEWHERE
    return dataclasses.replace(camera, world_T_optical=moved)


def test_cameras_and_the_board_in_the_hand_are_found(eight):
    found = calibrate_by_arm(eight, [away(camera) for camera in CAMERAS], BOARD)
    for camera, one in zip(CAMERAS, found.cameras, strict=True):
        offset = np.linalg.inv(camera.world_T_optical) @ one.camera.world_T_optical
        assert np.linalg.norm(offset[:3, 3]) < 0.001
        assert Rotation.from_matrix(offset[:3, :3]).magnitude() < 0.002
        assert one.error < 0.3
    assert np.allclose(found.palm_T_board, PALM_T_BOARD, atol=0.002)
    assert found.worst[1] < 0.5


def test_a_view_in_which_the_board_slipped_is_found_and_refused(eight):
    slipped = [*eight]
    turned = eight[3].world_T_palm @ pose(Rotation.identity(), [0.0, 0.02, 0.0])
    slipped[3] = dataclasses.replace(eight[3], world_T_palm=turned)
    with pytest.raises(CalibrationError, match="the board moved in the hand"):
        calibrate_by_arm(slipped, CAMERAS, BOARD)
    assert calibrate_by_arm(slipped, CAMERAS, BOARD, max_error=100.0).worst[0] == "view_3"


def test_too_few_views_are_refused(eight):
    with pytest.raises(CalibrationError, match=f"views, {MIN_VIEWS} are needed"):
        calibrate_by_arm(eight[:4], CAMERAS, BOARD)


def test_turns_about_one_axis_are_refused():
    one_axis = views(wrists(6, about=np.array([0.0, 0.0, 1.0])))
    with pytest.raises(CalibrationError, match=r"camera_1: .* about one axis only"):
        calibrate_by_arm(one_axis, CAMERAS, BOARD)


def test_pictures_of_another_size_are_refused(eight):
    small = {name: image[::2, ::2] for name, image in eight[0].images.items()}
    with pytest.raises(CalibrationError, match="camera_1 in view_0: image is uint8"):
        calibrate_by_arm([dataclasses.replace(eight[0], images=small), *eight[1:]], CAMERAS, BOARD)
