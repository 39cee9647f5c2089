"""Camera poses from rendered boards and known points, against the poses they were made with."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from depth_scenes import Table, render
from scipy.spatial.transform import Rotation

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.calibration import (
    CalibrationError,
    CharucoBoard,
    calibrate_from_board,
    calibrate_from_pixels,
    calibrate_from_points,
    save_calibration,
)
from dexgrasp_models.perception.cameras import load_rig, look_at

BOARD = CharucoBoard()
PIXELS_PER_SQUARE = 100
SUPERSAMPLING = 4
ON_TABLE = np.eye(4)


@pytest.fixture(scope="module")
def rig():
    return load_rig(find_config("cameras/four_d415.yaml"))


def photograph(camera, board, world_T_board, mirrored=False):
    """Image of the board as the camera sees it: its print, warped by the plane's homography."""
    image = board.draw(PIXELS_PER_SQUARE)
    if mirrored:
        image = image[:, ::-1]
    per_pixel = board.square / PIXELS_PER_SQUARE
    width, height = board.size
    # centre of the print's pixel (u, v) in the board's frame, whose y points up
    board_T_print = np.array(
        [
            [per_pixel, 0.0, 0.5 * per_pixel - width / 2],
            [0.0, -per_pixel, height / 2 - 0.5 * per_pixel],
            [0.0, 0.0, 1.0],
        ]
    )
    # pixels of an image SUPERSAMPLING times as fine, averaged below as a sensor does
    fine = np.diag([SUPERSAMPLING, SUPERSAMPLING, 1.0])
    fine[:2, 2] = 0.5 * SUPERSAMPLING - 0.5
    optical_T_board = np.linalg.inv(camera.world_T_optical) @ world_T_board
    view = cv2.warpPerspective(
        np.ascontiguousarray(image),
        fine @ camera.matrix @ optical_T_board[:3, [0, 1, 3]] @ board_T_print,
        (camera.width * SUPERSAMPLING, camera.height * SUPERSAMPLING),
        borderValue=200,
    )
    view = cv2.resize(view, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(0).normal(0.0, 2.0, view.shape)
    return np.clip(view + noise, 0, 255).astype(np.uint8)


def pose_error(found, true):
    """Distance (m) and angle (deg) between two poses."""
    rotation = Rotation.from_matrix(found[:3, :3].T @ true[:3, :3])
    return np.linalg.norm(found[:3, 3] - true[:3, 3]), np.degrees(rotation.magnitude())


def forgotten(camera):
    """The camera with a pose that tells nothing."""
    return replace(camera, world_T_optical=look_at([1.0, 0.0, 1.0], [0.0, 0.0, 0.0]))


def test_a_board_on_the_table_gives_the_poses_of_all_cameras(rig):
    images = {camera.name: photograph(camera, BOARD, ON_TABLE) for camera in rig}
    depths = {camera.name: render(camera, [Table()]) for camera in rig}
    found = calibrate_from_board(
        images, [forgotten(camera) for camera in rig], BOARD, ON_TABLE, depths=depths
    )
    for calibration, camera in zip(found, rig, strict=True):
        distance, angle = pose_error(calibration.camera.world_T_optical, camera.world_T_optical)
        assert distance < 0.0015
        assert angle < 0.1
        assert calibration.error < 0.1
        assert calibration.unit == "px"


def test_a_board_may_lie_anywhere_and_images_may_be_coloured(rig):
    world_T_board = np.eye(4)
    world_T_board[:3, :3] = Rotation.from_euler("xyz", [10, -5, 70], degrees=True).as_matrix()
    world_T_board[:3, 3] = [0.03, -0.02, 0.05]
    camera = rig[1]
    image = np.repeat(photograph(camera, BOARD, world_T_board)[:, :, None], 3, axis=2)
    (found,) = calibrate_from_board({camera.name: image}, [camera], BOARD, world_T_board)
    distance, angle = pose_error(found.camera.world_T_optical, camera.world_T_optical)
    assert distance < 0.002
    assert angle < 0.2


def test_a_mirrored_board_is_refused(rig):
    image = photograph(rig[0], BOARD, ON_TABLE, mirrored=True)
    with pytest.raises(CalibrationError, match=r"camera_1: 0 corners"):
        calibrate_from_board({"camera_1": image}, rig[:1], BOARD, ON_TABLE)


def test_another_board_is_refused(rig):
    other = CharucoBoard(dictionary="DICT_6X6_50")
    image = photograph(rig[0], other, ON_TABLE)
    with pytest.raises(CalibrationError, match="corners of the board found"):
        calibrate_from_board({"camera_1": image}, rig[:1], BOARD, ON_TABLE)


def test_a_board_printed_at_another_scale_is_found_out_by_depth(rig):
    enlarged = CharucoBoard(square=0.042, marker=0.0312)
    image = photograph(rig[0], enlarged, ON_TABLE)
    depths = {"camera_1": render(rig[0], [Table()])}
    calibrate_from_board(
        {"camera_1": photograph(rig[0], BOARD, ON_TABLE)}, rig[:1], BOARD, ON_TABLE
    )
    with pytest.raises(CalibrationError, match="size of the squares"):
        calibrate_from_board({"camera_1": image}, rig[:1], BOARD, ON_TABLE, depths=depths)


def test_every_failing_camera_is_named(rig):
    blank = np.full((480, 640), 128, dtype=np.uint8)
    images = {
        "camera_1": photograph(rig[0], BOARD, ON_TABLE),
        "camera_2": blank,
        "camera_3": blank[:100],
    }
    with pytest.raises(CalibrationError) as raised:
        calibrate_from_board(images, rig, BOARD, ON_TABLE)
    message = str(raised.value)
    assert "camera_1" not in message
    assert "camera_2: 0 corners" in message
    assert "camera_3: image is uint8 (100, 640)" in message
    assert "camera_4: no image" in message


def test_pixels_of_points_in_space(rig):
    rng = np.random.default_rng(1)
    points = rng.uniform([-0.1, -0.1, 0.0], [0.1, 0.1, 0.2], (12, 3))
    pixels = rig[2].project(points) + rng.normal(0.0, 0.2, (12, 2))
    found = calibrate_from_pixels(forgotten(rig[2]), pixels, points)
    distance, angle = pose_error(found.camera.world_T_optical, rig[2].world_T_optical)
    assert distance < 0.005
    assert angle < 0.5


def test_pixels_of_a_mirrored_target_are_refused(rig):
    points = np.random.default_rng(2).uniform(-0.1, 0.1, (12, 3))
    pixels = rig[0].project(points * [1.0, -1.0, 1.0])
    with pytest.raises(CalibrationError, match=r"reprojection error|no pose"):
        calibrate_from_pixels(rig[0], pixels, points)


def test_a_small_distant_board_face_on_is_ambiguous(rig):
    camera = replace(rig[0], world_T_optical=look_at([0.4, 0.0, 3.0], [0.0, 0.0, 0.0]))
    grid = np.stack(np.meshgrid([-0.03, 0.0, 0.03], [-0.03, 0.0, 0.03]), axis=-1).reshape(-1, 2)
    points = np.column_stack([grid, np.zeros(9)])
    pixels = camera.project(points) + np.random.default_rng(3).normal(0.0, 0.3, (9, 2))
    with pytest.raises(CalibrationError, match="two poses"):
        calibrate_from_pixels(camera, pixels, points)


def test_measured_points_give_the_pose(rig):
    camera = rig[3]
    rng = np.random.default_rng(4)
    world = rng.uniform(-0.15, 0.15, (10, 3))
    rotation, position = camera.world_T_optical[:3, :3], camera.world_T_optical[:3, 3]
    optical = (world - position) @ rotation + rng.normal(0.0, 0.001, world.shape)
    found = calibrate_from_points(forgotten(camera), optical, world)
    distance, angle = pose_error(found.camera.world_T_optical, camera.world_T_optical)
    assert distance < 0.004
    assert angle < 0.6
    assert found.error == pytest.approx(0.0017, abs=0.0006)
    assert found.unit == "m"


def test_three_points_without_noise_are_exact(rig):
    camera = rig[0]
    world = np.array([[0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.1]])
    optical = (world - camera.world_T_optical[:3, 3]) @ camera.world_T_optical[:3, :3]
    found = calibrate_from_points(forgotten(camera), optical, world)
    np.testing.assert_allclose(found.camera.world_T_optical, camera.world_T_optical, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda points: points * [1.0, 1.0, -1.0], "mirrored"),
        (lambda points: points[::-1], "wrongly ordered"),
        (lambda points: points * 1.2, "residual"),
        (lambda points: points[:2], "2 points; at least 3"),
        (lambda points: points[:, :2], r"expected finite points \(N, 3\)"),
        (lambda points: np.full_like(points, np.nan), "finite"),
    ],
)
def test_bad_points_are_refused(rig, change, reason):
    points = np.random.default_rng(5).uniform(-0.15, 0.15, (10, 3))
    world = points[:2] if len(change(points)) == 2 else points
    with pytest.raises(CalibrationError, match=reason):
        calibrate_from_points(rig[0], change(points), world)


def test_points_on_a_line_are_refused(rig):
    line = np.linspace(0.0, 0.3, 8)[:, None] * [1.0, 0.5, 0.2]
    with pytest.raises(CalibrationError, match="on a line"):
        calibrate_from_points(rig[0], line, line)
    with pytest.raises(CalibrationError, match="on a line"):
        calibrate_from_pixels(rig[0], rig[0].project(line), line)


def test_a_calibrated_rig_is_written_and_read_back(rig, tmp_path):
    world = np.random.default_rng(6).uniform(-0.15, 0.15, (10, 3))
    moved = replace(rig[1], world_T_optical=look_at([-0.5, 0.3, 0.4], [0.0, 0.0, 0.05]))
    optical = (world - moved.world_T_optical[:3, 3]) @ moved.world_T_optical[:3, :3]
    path = tmp_path / "measured" / "rig.yaml"
    save_calibration([calibrate_from_points(rig[1], optical, world)], rig, path)
    read = load_rig(path)
    assert [camera.name for camera in read] == [camera.name for camera in rig]
    for camera, expected in zip(read, (rig[0], moved, rig[2], rig[3]), strict=True):
        np.testing.assert_allclose(camera.world_T_optical, expected.world_T_optical, atol=1e-9)
    assert "camera_2: error" in path.read_text()
    assert [entry.name for entry in path.parent.iterdir()] == ["rig.yaml"]


def test_a_stranger_to_the_rig_is_not_written(rig, tmp_path):
    world = np.random.default_rng(7).uniform(-0.15, 0.15, (10, 3))
    found = calibrate_from_points(replace(rig[0], name="camera_9"), world, world)
    with pytest.raises(CalibrationError, match="camera_9"):
        save_calibration([found], rig, tmp_path / "rig.yaml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"columns": 2}, "3 columns"),
        ({"marker": 0.05}, "smaller"),
        ({"dictionary": "DICT_9X9"}, "no marker dictionary"),
    ],
)
def test_impossible_boards_are_refused(values, reason):
    with pytest.raises(ValueError, match=reason):
        CharucoBoard(**values)
