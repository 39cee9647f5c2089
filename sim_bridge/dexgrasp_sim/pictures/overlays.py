"""What was seen and planned, drawn over a picture of the scene from the same camera.

It is drawn in full, also where something stands in front of it: it is a remark on the picture. All
is in `world`, m; colours are RGB in [0, 255]; pictures are (H, W, 3) uint8 and are not changed.
"""

from __future__ import annotations

import cv2
import numpy as np

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_models.perception.ray_casting import Body, RayCaster
from dexgrasp_models.robot.link_meshes import link_mesh, posed
from dexgrasp_models.robot.links import link_poses
from dexgrasp_models.synthesis.types import Grasp

Color = tuple[int, int, int]

_SHIFT = 4  # binary digits of pixels' fractions that OpenCV takes


def with_points(
    picture: np.ndarray, camera: CameraModel, points: np.ndarray, color: Color, radius: float = 1.0
) -> np.ndarray:
    """The picture with a dot, of a radius in pixels, at each of (N, 3) points."""
    drawn = picture.copy()
    for centre in _pixels(camera, points):
        cv2.circle(drawn, centre, _fixed(radius), color, cv2.FILLED, cv2.LINE_AA, _SHIFT)
    return drawn


def with_path(
    picture: np.ndarray, camera: CameraModel, points: np.ndarray, color: Color, width: int = 3
) -> np.ndarray:
    """The picture with a line, of a width in pixels, through (N, 3) points."""
    drawn = picture.copy()
    line = np.array(_pixels(camera, points), dtype=np.int32).reshape(-1, 1, 2)
    cv2.polylines(drawn, [line], False, color, width, cv2.LINE_AA, _SHIFT)
    return drawn


def with_hand(
    picture: np.ndarray,
    camera: CameraModel,
    grasp: Grasp,
    hand: HandSpec,
    color: Color,
    opacity: float,
) -> np.ndarray:
    """The picture with the hand at a grasp, as if of glass."""
    angles = dict(zip(hand.finger_joints, grasp.joints, strict=True))
    poses = grasp.palm_pose @ link_poses(hand.links, angles)
    mesh = posed([link_mesh(link) for link in hand.links], poses)
    red, green, blue = (value / 255.0 for value in color)
    caster = RayCaster([Body(mesh, (red, green, blue))])
    caster.place(np.eye(4)[None])
    hits = caster.cast(camera)
    share = np.where(hits.bodies >= 0, opacity, 0.0)[..., None]
    return (share * caster.shade(hits) + (1.0 - share) * picture).astype(np.uint8)


def _pixels(camera: CameraModel, points: np.ndarray) -> list[tuple[int, int]]:
    """Of the points in front of the camera, in OpenCV's fixed-point numbers."""
    found = camera.project(np.asarray(points, dtype=float).reshape(-1, 3))
    return [(_fixed(u), _fixed(v)) for u, v in found[np.isfinite(found).all(axis=1)]]


def _fixed(value: float) -> int:
    return round(value * 2**_SHIFT)
