"""Where cameras stand, from views of a board that the arm carries (eye-to-hand calibration).

The board is fixed to the hand, nobody knows how; each view has the wrist's pose and the images that
were taken there. A first guess for each camera alone (Park and Martin, IEEE Transactions on
Robotics and Automation 10, 1994), then all cameras and the board's pose in the hand together, by
least squares of all corners' reprojection errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from dexgrasp_models.perception.calibration import (
    MIN_CORNERS,
    Calibration,
    CalibrationError,
    CharucoBoard,
)
from dexgrasp_models.perception.cameras import CameraModel

MIN_VIEWS = 5
_MIN_TURN = np.deg2rad(20.0)
"""Least angle between two wrists, about each of two axes."""
_BEHIND = 1e4
"""px, that a corner counts as wrong by where it would be behind a camera."""


@dataclass(frozen=True, eq=False)
class View:
    """What was seen while the arm stood still.

    Attributes:
        name: for messages.
        world_T_palm: (4, 4).
        images: of some cameras by name, (H, W) or (H, W, 3) uint8.
    """

    name: str
    world_T_palm: np.ndarray
    images: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class ArmCalibration:
    """Cameras at their new poses.

    Attributes:
        cameras: one of each.
        palm_T_board: (4, 4), found on the way.
        worst: the view with the largest error of its corners, and that error in px (RMS).
    """

    cameras: tuple[Calibration, ...]
    palm_T_board: np.ndarray
    worst: tuple[str, float]


@dataclass(frozen=True, eq=False)
class _Seen:
    view: int
    world_T_palm: np.ndarray
    pixels: np.ndarray
    corners: np.ndarray
    optical_T_board: np.ndarray


def calibrate_by_arm(
    views: Sequence[View],
    cameras: Sequence[CameraModel],
    board: CharucoBoard,
    *,
    max_error: float = 1.0,
) -> ArmCalibration:
    """Poses of cameras in `world`, in which the wrist's poses are given.

    Args:
        views: `MIN_VIEWS` or more of each camera, in which the wrist is turned about two axes.
        cameras: their intrinsics; their poses are not used.
        board: that the hand carries.
        max_error: greatest accepted reprojection error (RMS of a camera), px.

    Raises:
        CalibrationError: naming every camera whose pose is not determined, and why.
    """
    seen = [_seen(views, camera, board) for camera in cameras]
    problems = [
        f"{camera.name}: {problem}"
        for camera, found in zip(cameras, seen, strict=True)
        if (problem := _lacking(found))
    ]
    if problems:
        raise CalibrationError("; ".join(problems))
    guesses = [_guess(found) for found in seen]
    palm_T_board = _mean_pose(
        [
            np.linalg.inv(one.world_T_palm) @ world_T_optical @ one.optical_T_board
            for world_T_optical, found in zip(guesses, seen, strict=True)
            for one in found
        ]
    )
    poses = _together([*guesses, palm_T_board], cameras, seen)
    *world_T_opticals, palm_T_board = poses
    placed = [
        replace(camera, world_T_optical=pose)
        for camera, pose in zip(cameras, world_T_opticals, strict=True)
    ]
    done, errors = [], np.zeros((len(views), 2))
    for camera, found in zip(placed, seen, strict=True):
        squares = 0.0
        for one in found:
            square = float(np.square(_residual(camera, one, palm_T_board)).sum())
            squares += square
            errors[one.view] += square, len(one.pixels)
        count = sum(len(one.pixels) for one in found)
        error = float(np.sqrt(squares / count))
        if error > max_error:
            problems.append(
                f"{camera.name}: reprojection error {error:.2f} px exceeds {max_error:g} px: the"
                " board moved in the hand, the arm moved while a picture was taken, or the"
                " intrinsics or the board's sizes are wrong"
            )
        done.append(Calibration(camera, error, "px", count))
    if problems:
        raise CalibrationError("; ".join(problems))
    of_views = np.sqrt(errors[:, 0] / np.maximum(errors[:, 1], 1.0))
    worst = int(of_views.argmax())
    return ArmCalibration(tuple(done), palm_T_board, (views[worst].name, float(of_views[worst])))


def _seen(views: Sequence[View], camera: CameraModel, board: CharucoBoard) -> list[_Seen]:
    """The views in which a camera sees enough of the board."""
    found = []
    for index, view in enumerate(views):
        if camera.name not in view.images:
            continue
        image = np.asarray(view.images[camera.name])
        if image.dtype != np.uint8 or image.shape[:2] != (camera.height, camera.width):
            raise CalibrationError(
                f"{camera.name} in {view.name}: image is {image.dtype} {image.shape}, expected"
                f" uint8 ({camera.height}, {camera.width})"
            )
        pixels, corners = board.detect(image)
        if len(pixels) < MIN_CORNERS:
            continue
        solved, rotation, translation = cv2.solvePnP(corners, pixels, camera.matrix, None)
        if solved:
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(rotation)[0], translation.ravel()
            found.append(_Seen(index, view.world_T_palm, pixels, corners, pose))
    return found


def _lacking(found: Sequence[_Seen]) -> str:
    """Why the views don't determine a camera's pose; empty if they may."""
    if len(found) < MIN_VIEWS:
        return f"the board is seen in {len(found)} views, {MIN_VIEWS} are needed"
    turns = Rotation.from_matrix([one.world_T_palm[:3, :3] for one in found])
    # Turns from one wrist to another; those about one axis leave the place along it unknown.
    vectors = (turns[0].inv() * turns).as_rotvec()
    extents = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False)
    if extents[1] < _MIN_TURN:
        return (
            "the wrist is hardly turned, or about one axis only: turn it by"
            f" {np.rad2deg(_MIN_TURN):.0f} degrees and more, about two axes"
        )
    return ""


def _guess(found: Sequence[_Seen]) -> np.ndarray:
    """(4, 4) pose X of a camera in `world`.

    Since the first view the board has moved by A in `world` and by B before the camera: A X = X B.
    """
    first = found[0]
    in_world = [one.world_T_palm @ np.linalg.inv(first.world_T_palm) for one in found[1:]]
    in_camera = [one.optical_T_board @ np.linalg.inv(first.optical_T_board) for one in found[1:]]
    turned, _ = Rotation.align_vectors(
        Rotation.from_matrix([a[:3, :3] for a in in_world]).as_rotvec(),
        Rotation.from_matrix([b[:3, :3] for b in in_camera]).as_rotvec(),
    )
    pose = np.eye(4)
    pose[:3, :3] = turned.as_matrix()
    left = np.concatenate([a[:3, :3] - np.eye(3) for a in in_world])
    right = [pose[:3, :3] @ b[:3, 3] - a[:3, 3] for a, b in zip(in_world, in_camera, strict=True)]
    pose[:3, 3] = np.linalg.lstsq(left, np.concatenate(right), rcond=None)[0]
    return pose


def _together(
    poses: Sequence[np.ndarray], cameras: Sequence[CameraModel], seen: Sequence[Sequence[_Seen]]
) -> list[np.ndarray]:
    """Poses of all cameras and of the board in the hand, by least squares from a guess."""

    def poses_at(changes: np.ndarray) -> list[np.ndarray]:
        return [
            pose @ _pose(change) for pose, change in zip(poses, changes.reshape(-1, 6), strict=True)
        ]

    def residuals(changes: np.ndarray) -> np.ndarray:
        *world_T_opticals, palm_T_board = poses_at(changes)
        found = [
            _residual(replace(camera, world_T_optical=pose), one, palm_T_board).ravel()
            for camera, pose, found in zip(cameras, world_T_opticals, seen, strict=True)
            for one in found
        ]
        return np.nan_to_num(np.concatenate(found), nan=_BEHIND)

    # Outliers are corners that were detected wrongly.
    found = least_squares(residuals, np.zeros(6 * len(poses)), loss="soft_l1", x_scale="jac")
    return poses_at(found.x)


def _residual(camera: CameraModel, one: _Seen, palm_T_board: np.ndarray) -> np.ndarray:
    """(N, 2) px, from where corners are seen to where they are to be seen."""
    world_T_board = one.world_T_palm @ palm_T_board
    return camera.project(one.corners @ world_T_board[:3, :3].T + world_T_board[:3, 3]) - one.pixels


def _pose(change: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_rotvec(change[:3]).as_matrix(), change[3:]
    return pose


def _mean_pose(poses: Sequence[np.ndarray]) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_matrix([one[:3, :3] for one in poses]).mean().as_matrix()
    pose[:3, 3] = np.median([one[:3, 3] for one in poses], axis=0)
    return pose
