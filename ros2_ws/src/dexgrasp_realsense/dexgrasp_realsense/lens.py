"""A camera's factory intrinsics as camera_info has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dexgrasp_models.perception.distortion import Distortion

_PLUMB_BOB = ("none", "brown_conrady")
"""librealsense's names of what ROS calls plumb_bob: k1, k2, p1, p2, k3."""
_VARIANTS = ("modified_brown_conrady", "inverse_brown_conrady")
"""The same where all coefficients are 0, as a RealSense's as a rule are."""
_FISHEYE = "kannala_brandt4"


class LensError(ValueError):
    """Intrinsics that camera_info can't say."""


@dataclass(frozen=True)
class Lens:
    """Of a depth image.

    Attributes:
        width, height: pixels.
        fx, fy, cx, cy: focal lengths and principal point, pixels; the centre of the top left pixel
            is (0, 0).
        distortion: by the models of ROS.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: Distortion

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) intrinsic matrix K, pixels."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


def ros_distortion(model: str, coefficients: Sequence[float]) -> Distortion:
    """The distortion that librealsense describes, as ROS names it.

    Args:
        model: librealsense's name.
        coefficients: its five numbers.

    Raises:
        LensError: ROS has no name for it, as for the inverse of Brown and Conrady's model.
    """
    values = tuple(float(value) for value in coefficients)
    if model == _FISHEYE:
        return Distortion("equidistant", values[:4])
    if model in _PLUMB_BOB or (model in _VARIANTS and not any(values)):
        return Distortion("plumb_bob", values)
    raise LensError(
        f"its depth images have {model} distortion, which camera_info can't say: use another"
        " resolution, or another camera"
    )
