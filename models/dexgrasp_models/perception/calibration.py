"""Camera poses from what the cameras see: a ChArUco board, or points of known position.

Images must share the frame of the depth image: the left infrared image of a stereo camera, or the
colour image aligned to depth, both rectified.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from dexgrasp_models.perception.cameras import CameraModel, RigError, save_rig

MIN_CORNERS = 8
_MIN_SPREAD = 0.01
"""Least extent (m) of known points along their second principal axis."""
_PLANAR_RATIO = 1e-3
_AMBIGUITY_RATIO = 2.0
"""A planar target has two poses; the better one must fit better by this factor."""
_PIXEL_FLOOR = 0.1
"""Accuracy (px) below which a reprojection error tells nothing."""
_MAX_SCALE_ERROR = 0.05


class CalibrationError(RuntimeError):
    """The images or points do not determine a camera's pose; the message says why."""


@dataclass(frozen=True)
class CharucoBoard:
    """A printed ChArUco board. Its frame: origin in the centre, x right, y up, z off the print.

    Attributes:
        columns, rows: numbers of squares.
        square: side of a square, m.
        marker: side of a marker, m.
        dictionary: name of the marker dictionary in OpenCV.

    Raises:
        ValueError: for sizes no board can have, or an unknown dictionary.
    """

    columns: int = 7
    rows: int = 5
    square: float = 0.035
    marker: float = 0.026
    dictionary: str = "DICT_4X4_50"

    def __post_init__(self) -> None:
        if self.columns < 3 or self.rows < 3:
            raise ValueError("a board needs at least 3 columns and 3 rows of squares")
        if not 0.0 < self.marker < self.square:
            raise ValueError("a board's markers must be smaller than its squares")
        if not self.dictionary.startswith("DICT_") or not hasattr(cv2.aruco, self.dictionary):
            raise ValueError(f"OpenCV has no marker dictionary {self.dictionary!r}")

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in metres."""
        return self.columns * self.square, self.rows * self.square

    def draw(self, pixels_per_square: int = 100) -> np.ndarray:
        """The board as a grey image (uint8), to print at :attr:`size`."""
        shape = (self.columns * pixels_per_square, self.rows * pixels_per_square)
        return self._opencv().generateImage(shape)

    def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inner corners in an image: pixels (N, 2), and positions (N, 3) in the board's frame."""
        if image.ndim == 3:
            image = cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY)
        board = self._opencv()
        pixels, identities, _, _ = cv2.aruco.CharucoDetector(board).detectBoard(image)
        if identities is None or not len(identities):
            return np.empty((0, 2)), np.empty((0, 3))
        corners = np.asarray(board.getChessboardCorners())[np.ravel(identities)]
        width, height = self.size
        points = np.stack(
            [corners[:, 0] - width / 2, height / 2 - corners[:, 1], np.zeros(len(corners))], axis=1
        )
        return np.asarray(pixels, dtype=np.float64).reshape(-1, 2), points

    def _opencv(self) -> cv2.aruco.CharucoBoard:
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))
        return cv2.aruco.CharucoBoard(
            (self.columns, self.rows), self.square, self.marker, dictionary
        )


@dataclass(frozen=True)
class Calibration:
    """A camera with its estimated pose.

    Attributes:
        camera: the camera at its new pose.
        error: root mean square of the residuals, in :attr:`unit`.
        unit: ``px`` for reprojection errors, ``m`` for distances between points.
        n_points: how many points it rests on.
    """

    camera: CameraModel
    error: float
    unit: str
    n_points: int


def calibrate_from_board(
    images: Mapping[str, np.ndarray],
    cameras: Sequence[CameraModel],
    board: CharucoBoard,
    world_T_board: np.ndarray,
    *,
    depths: Mapping[str, np.ndarray] | None = None,
    max_error: float = 1.0,
) -> tuple[Calibration, ...]:
    """Poses of cameras that all see one board.

    Args:
        images: of each camera by name, (H, W) or (H, W, 3) uint8.
        cameras: their intrinsics; their poses are not used.
        board: the board.
        world_T_board: (4, 4) where it lies; the identity when it lies centred on the table with
            its x axis along the world's.
        depths: depth images (H, W) uint16 in the cameras' depth_unit by name; where given, the
            distance to the board is checked with them, which finds a board printed at another
            scale.
        max_error: greatest accepted reprojection error, px.

    Raises:
        CalibrationError: naming every camera whose pose is not determined, and why.
    """
    done, problems = [], []
    for camera in cameras:
        try:
            if camera.name not in images:
                raise CalibrationError("no image was given")
            image = np.asarray(images[camera.name])
            if image.dtype != np.uint8 or image.shape[:2] != (camera.height, camera.width):
                raise CalibrationError(
                    f"image is {image.dtype} {image.shape}, expected uint8 "
                    f"({camera.height}, {camera.width})"
                )
            pixels, corners = board.detect(image)
            if len(pixels) < MIN_CORNERS:
                raise CalibrationError(
                    f"{len(pixels)} corners of the board found, {MIN_CORNERS} needed; is it the "
                    "right board, flat, whole and well lit?"
                )
            points = corners @ world_T_board[:3, :3].T + world_T_board[:3, 3]
            calibration = calibrate_from_pixels(camera, pixels, points, max_error=max_error)
            if depths is not None and camera.name in depths:
                _check_scale(calibration.camera, pixels, points, np.asarray(depths[camera.name]))
            done.append(calibration)
        except CalibrationError as error:
            problems.append(f"{camera.name}: {error}")
    if problems:
        raise CalibrationError("; ".join(problems))
    return tuple(done)


def calibrate_from_pixels(
    camera: CameraModel,
    pixels: np.ndarray,
    world_points: np.ndarray,
    *,
    max_error: float = 1.0,
) -> Calibration:
    """Pose of a camera that sees known points (N, 3) of ``world`` at ``pixels`` (N, 2).

    Raises:
        CalibrationError: for fewer than 4 points coplanar or 6 in general position, points on a
            line, an ambiguous view, or a reprojection error over ``max_error`` px.
    """
    pixels, points = _checked(pixels, 2), _checked(world_points, 3)
    spread = _principal_extents(points)
    planar = spread[2] < _PLANAR_RATIO * spread[0]
    _refuse_degenerate(pixels, points, spread, least=4 if planar else 6)
    method = cv2.SOLVEPNP_IPPE if planar else cv2.SOLVEPNP_SQPNP
    _, rotations, translations, _ = cv2.solvePnPGeneric(
        points, pixels, camera.matrix, None, flags=method
    )
    solutions = []
    for rotation, translation in zip(rotations, translations, strict=True):
        rotation, translation = cv2.solvePnPRefineLM(
            points, pixels, camera.matrix, None, rotation, translation
        )
        pose = np.eye(4)
        pose[:3, :3] = cv2.Rodrigues(rotation)[0]
        pose[:3, 3] = translation.ravel()
        candidate = _placed(camera, np.linalg.inv(pose))
        residual = candidate.project(points) - pixels
        error = float(np.sqrt((residual**2).sum(axis=1).mean()))
        if np.isfinite(error):
            solutions.append((error, candidate))
    if not solutions:
        raise CalibrationError("no pose explains the points")
    solutions.sort(key=lambda solution: solution[0])
    error, best = solutions[0]
    if error > max_error:
        raise CalibrationError(
            f"reprojection error {error:.2f} px exceeds {max_error:g} px: wrong points, wrong "
            "intrinsics or a bent board"
        )
    for other_error, other in solutions[1:]:
        distinct = not np.allclose(other.world_T_optical, best.world_T_optical, atol=1e-3)
        if distinct and other_error < _AMBIGUITY_RATIO * max(error, _PIXEL_FLOOR):
            raise CalibrationError(
                "the view fits two poses alike; bring the board nearer, or tilt it to the camera"
            )
    return Calibration(best, error, "px", len(points))


def calibrate_from_points(
    camera: CameraModel,
    optical_points: np.ndarray,
    world_points: np.ndarray,
    *,
    max_error: float = 0.005,
) -> Calibration:
    """Pose of a camera that measures known points (N, 3) of ``world`` at ``optical_points`` (N, 3)
    in its optical frame, by least squares (Kabsch).

    Raises:
        CalibrationError: for fewer than 3 points, points on a line, or residuals over
            ``max_error`` m, as a mirrored or wrongly ordered set has.
    """
    optical, world = _checked(optical_points, 3), _checked(world_points, 3)
    _refuse_degenerate(optical, world, _principal_extents(world), least=3)
    optical_mean, world_mean = optical.mean(axis=0), world.mean(axis=0)
    left, _, right = np.linalg.svd((world - world_mean).T @ (optical - optical_mean))
    proper = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    pose = np.eye(4)
    pose[:3, :3] = left @ proper @ right
    pose[:3, 3] = world_mean - pose[:3, :3] @ optical_mean
    residual = optical @ pose[:3, :3].T + pose[:3, 3] - world
    error = float(np.sqrt((residual**2).sum(axis=1).mean()))
    if error > max_error:
        raise CalibrationError(
            f"residual of {1e3 * error:.1f} mm exceeds {1e3 * max_error:g} mm: wrong, mirrored or "
            "wrongly ordered points"
        )
    return Calibration(_placed(camera, pose), error, "m", len(world))


def save_calibration(
    calibrations: Sequence[Calibration],
    rig: Sequence[CameraModel],
    path: str | os.PathLike[str],
) -> None:
    """Write the rig with its calibrated cameras; cameras that were not calibrated stay.

    Raises:
        CalibrationError: for a calibrated camera that the rig does not have.
    """
    by_name = {calibration.camera.name: calibration for calibration in calibrations}
    strangers = sorted(set(by_name) - {camera.name for camera in rig})
    if strangers:
        raise CalibrationError(f"not cameras of the rig: {', '.join(strangers)}")
    comment = ["Measured camera poses, metres in world."]
    for name, calibration in by_name.items():
        comment.append(
            f"{name}: error {calibration.error:.3g} {calibration.unit} rms over "
            f"{calibration.n_points} points"
        )
    cameras = [by_name[camera.name].camera if camera.name in by_name else camera for camera in rig]
    save_rig(cameras, path, comment="\n".join(comment))


def _checked(points: np.ndarray, width: int) -> np.ndarray:
    points = np.ascontiguousarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != width or not np.isfinite(points).all():
        raise CalibrationError(f"expected finite points (N, {width}), got {points.shape}")
    return points


def _principal_extents(points: np.ndarray) -> np.ndarray:
    """Extents (3,) of points along their principal axes, largest first, m."""
    centred = points - points.mean(axis=0)
    return np.ptp(centred @ np.linalg.svd(centred, full_matrices=True)[2].T, axis=0)


def _refuse_degenerate(seen: np.ndarray, world: np.ndarray, spread: np.ndarray, least: int) -> None:
    if len(seen) != len(world):
        raise CalibrationError(f"{len(seen)} seen points for {len(world)} known ones")
    if len(world) < least:
        raise CalibrationError(f"{len(world)} points; at least {least} are needed")
    if spread[1] < _MIN_SPREAD:
        raise CalibrationError("the known points lie on a line or too close together")


def _check_scale(
    camera: CameraModel, pixels: np.ndarray, points: np.ndarray, depth: np.ndarray
) -> None:
    """Compare the measured depth at the corners with that of the estimated pose."""
    columns, rows = np.rint(pixels).astype(int).T
    columns, rows = columns.clip(0, camera.width - 1), rows.clip(0, camera.height - 1)
    measured = depth[rows, columns] * camera.depth_unit
    expected = (points - camera.world_T_optical[:3, 3]) @ camera.world_T_optical[:3, 2]
    seen = measured > 0.0
    if seen.sum() < MIN_CORNERS // 2:
        raise CalibrationError("the depth image has no readings on the board")
    scale = float(np.median(measured[seen] / expected[seen]))
    if abs(scale - 1.0) > _MAX_SCALE_ERROR:
        raise CalibrationError(
            f"the depth image has the board {scale:.2f} times as far as its corners tell: wrong "
            "size of the squares, or wrong intrinsics"
        )


def _placed(camera: CameraModel, world_T_optical: np.ndarray) -> CameraModel:
    try:
        return replace(camera, world_T_optical=world_T_optical)
    except RigError as error:
        raise CalibrationError(str(error)) from error
