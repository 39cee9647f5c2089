"""What a CameraInfo says of the image that comes with it, by the conventions of ROS.

K and the distortion D describe the raw image, P the rectified one; all of them, with binning and
the region of interest, are of the full resolution and applied as image_geometry does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo

from dexgrasp_models.perception.distortion import Distortion
from dexgrasp_ros.conversions import MessageError

_SAME = 0.01  # px, by which P may differ from K and still be called the same


@dataclass(frozen=True)
class Intrinsics:
    """Of an image: its size and pinhole in pixels, and how it has to be rectified first, if so."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: Distortion | None = None

    @property
    def pinhole(self) -> dict[str, Any]:
        """All but the distortion."""
        return {name: value for name, value in vars(self).items() if name != "distortion"}


def intrinsics_from_message(info: CameraInfo, rectified: bool | None = None) -> Intrinsics | None:
    """Intrinsics of a depth image; None of a camera that isn't calibrated.

    Args:
        info: as it comes with the image.
        rectified: whether the images are, where it is known. Otherwise they are taken for it if P
            says how (it differs from K), or if there is no distortion.

    Raises:
        MessageError: it isn't finite, or what it says can't be applied.
    """
    raw, projection = np.reshape(info.k, (3, 3)), np.reshape(info.p, (3, 4))
    coefficients = np.array(info.d, dtype=np.float64)
    if not all(np.isfinite(values).all() for values in (raw, projection, coefficients)):
        raise MessageError("camera_info is not finite")
    if raw[0, 0] == 0.0 and projection[0, 0] == 0.0:
        return None
    # A fisheye bends rays without any coefficient.
    distorted = bool(coefficients.any()) or info.distortion_model == "equidistant"
    matrix = projection[:, :3] if projection[0, 0] else raw
    if distorted and rectified is None:
        if np.abs(matrix - raw).max() <= _SAME:
            raise MessageError(
                f"camera_info has {info.distortion_model or 'unnamed'} distortion, and doesn't say "
                "whether the images are rectified: say so in the rig, 'rectified: true' or "
                "'rectified: false' for this camera"
            )
        rectified = True
    distortion = None
    if rectified is False:
        matrix = raw
        if distorted:
            distortion = _distortion(info.distortion_model, coefficients)
    elif projection[:, 3].any():
        raise MessageError(
            "camera_info is of the second camera of a stereo pair (P has a baseline); depth images "
            "are the first one's"
        )
    if abs(matrix[0, 1]) > _SAME or abs(matrix[1, 0]) > _SAME or not _is_pinhole(matrix):
        raise MessageError("camera_info is of no pinhole with square axes")
    if distorted and rectified and info.roi.do_rectify and _has_region(info):
        raise MessageError("camera_info has a region of interest of the image before rectification")
    return _windowed(info, matrix, distortion)


def _distortion(model: str, coefficients: np.ndarray) -> Distortion:
    try:
        return Distortion(model, tuple(coefficients.tolist()))
    except ValueError as error:
        raise MessageError(f"camera_info has {error}") from error


def _is_pinhole(matrix: np.ndarray) -> bool:
    return bool(np.array_equal(matrix[2], (0.0, 0.0, 1.0)))


def _has_region(info: CameraInfo) -> bool:
    roi = info.roi
    return any((roi.x_offset, roi.y_offset, roi.width, roi.height))


def _windowed(info: CameraInfo, matrix: np.ndarray, distortion: Distortion | None) -> Intrinsics:
    """Of the image that is left of the full one by the region of interest and by binning."""
    roi, step_x, step_y = info.roi, max(info.binning_x, 1), max(info.binning_y, 1)
    width, height = roi.width or info.width, roi.height or info.height
    if roi.x_offset + width > info.width or roi.y_offset + height > info.height:
        raise MessageError(
            f"camera_info has a region of interest of {width} x {height} at ({roi.x_offset}, "
            f"{roi.y_offset}) in an image of {info.width} x {info.height}"
        )
    return Intrinsics(
        width=width // step_x,
        height=height // step_y,
        fx=matrix[0, 0] / step_x,
        fy=matrix[1, 1] / step_y,
        cx=(matrix[0, 2] - roi.x_offset) / step_x,
        cy=(matrix[1, 2] - roi.y_offset) / step_y,
        distortion=distortion,
    )
