"""Lens distortion of images that were not rectified, by the models of sensor_msgs/CameraInfo."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dexgrasp_models.perception.cameras import CameraModel

_COEFFICIENTS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,)}
"""Numbers of coefficients by the model's name in ROS."""


@dataclass(frozen=True)
class Distortion:
    """How a lens bends rays.

    Attributes:
        model: as in CameraInfo: plumb_bob, rational_polynomial or equidistant.
        coefficients: in OpenCV's order.

    Raises:
        ValueError: for another model, or another number of coefficients.
    """

    model: str
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.model not in _COEFFICIENTS:
            raise ValueError(
                f"distortion of the model {self.model!r}; known are {', '.join(_COEFFICIENTS)}"
            )
        if len(self.coefficients) not in _COEFFICIENTS[self.model]:
            raise ValueError(f"{len(self.coefficients)} coefficients of {self.model} distortion")

    def rectified(self, depth: np.ndarray, camera: CameraModel) -> np.ndarray:
        """The depth image that a pinhole camera without distortion takes.

        A reading is the distance along the optical axis and stays as it is; pixels take that of
        the nearest one, since a mean of foreground and background is a point on neither.

        Args:
            depth: (H, W) as the camera took it.
            camera: with the intrinsics of the lens, which the rectified image has, too.

        Returns:
            (H, W) of the same type; 0 where the lens doesn't look.
        """
        size, matrix = (camera.width, camera.height), camera.matrix
        coefficients = np.array(self.coefficients)
        maps = (
            cv2.fisheye.initUndistortRectifyMap(
                matrix, coefficients, np.eye(3), matrix, size, cv2.CV_32FC1
            )
            if self.model == "equidistant"
            else cv2.initUndistortRectifyMap(matrix, coefficients, None, matrix, size, cv2.CV_32FC1)
        )
        return cv2.remap(depth, *maps, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
