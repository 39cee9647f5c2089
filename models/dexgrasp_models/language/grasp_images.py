"""Images of grasps for CLIP: the object's cloud, the hand and the table, ray cast from some sides.

The object is drawn as it is known on the robot, by its points: each is a small disc along the
surface. The scene is turned so that the hand is always on the same side, so images don't depend on
how the object is turned about the vertical, and scaled to fill the image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import trimesh
from scipy.spatial import cKDTree

from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import HandSpec, load_hand
from dexgrasp_models.perception.cameras import CameraModel, look_at
from dexgrasp_models.perception.ray_casting import Body, RayCaster
from dexgrasp_models.robot.link_meshes import Mesh, link_mesh, posed

VIEWS = 2
"""Images of a grasp, by default."""

_OBJECT, _HAND, _TABLE = (0.94, 0.55, 0.20), (0.55, 0.60, 0.68), (0.86, 0.88, 0.90)
_ELEVATION = math.radians(30)  # of the cameras above the table
_DISTANCE = 4.0  # of the cameras, in radii of the scene
_FOCAL = 1.8  # in widths of the image: the scene just fits, and discs that stand out from it
_CORNERS = 6  # of a disc
_SPACING_NEIGHBOUR = 3  # discs reach as far as this many of the nearest points


class GraspRenderer:
    """Draws grasps of an object, each from several sides: the same bits for the same input.

    Args:
        views: images of a grasp, spread evenly over the half circle that the hand isn't in: from
            behind, it would hide the object.
        side: of the square images, px.
        hand: what grasps; by default the Shadow Hand.
    """

    def __init__(self, views: int = VIEWS, side: int = 224, hand: HandSpec | None = None) -> None:
        spec = hand or load_hand()
        self._kinematics = HandKinematics(spec)
        self._links = [link_mesh(link) for link in spec.links]
        azimuths = math.pi * (0.5 + (np.arange(views) + 0.5) / views)
        self._cameras = [_camera(azimuth, side) for azimuth in azimuths]

    def draw(
        self,
        points: np.ndarray,
        normals: np.ndarray,
        palm_poses: np.ndarray,
        joints: np.ndarray,
    ) -> Iterator[np.ndarray]:
        """Images of one grasp after the other.

        Args:
            points: (N, 3) on the object, evenly spread, the table at z = 0, m.
            normals: (N, 3) unit normals there.
            palm_poses: (B, 4, 4) of `rh_palm` in the points' frame.
            joints: (B, 22) finger joint angles, rad.

        Yields:
            (V, side, side, 3) uint8 RGB.

        Raises:
            ValueError: the shapes don't fit, or there are too few points to tell their spacing.
        """
        if points.ndim != 2 or points.shape != normals.shape or len(points) <= _SPACING_NEIGHBOUR:
            raise ValueError(
                f"an object is drawn from points (N, 3), more than {_SPACING_NEIGHBOUR}, and as "
                f"many normals, not {points.shape} and {normals.shape}"
            )
        table = trimesh.creation.cylinder(radius=1.0, height=0.01, sections=64)
        table.apply_translation((0.0, 0.0, -0.005))
        surface = _discs(points, normals)
        bodies = [Body(surface, _OBJECT), Body(table, _TABLE)]
        bodies += [Body(link, _HAND) for link in self._links if link is not None]
        caster = RayCaster(bodies)
        has_mesh = [link is not None for link in self._links]
        for links in self._link_poses(palm_poses, joints):
            hand = posed(self._links, links).vertices
            normalised = _normalised(points, links[0, :3, 3], hand)
            on_table = np.eye(4)
            on_table[2, 3] = normalised[2, 3]
            poses = [normalised, on_table, *(normalised @ links[has_mesh])]
            caster.place(np.array(poses))
            yield np.stack([caster.shade(caster.cast(camera)) for camera in self._cameras])

    @torch.no_grad()
    def _link_poses(self, palm_poses: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """(B, L, 4, 4)."""
        given = (torch.as_tensor(np.asarray(v), dtype=torch.float32) for v in (palm_poses, joints))
        return self._kinematics.link_poses(*given).double().numpy()


def _normalised(points: np.ndarray, palm: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """(4, 4) similarity that puts the scene into the unit sphere, the palm (3,) in the half x > 0.

    The hand's (V, 3) vertices and the object's (N, 3) points both count, so that neither is cut.
    """
    x, y = (palm - points.mean(axis=0))[:2]
    length = math.hypot(x, y)
    cosine, sine = (x / length, y / length) if length > 0 else (1.0, 0.0)
    turn = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    seen = np.vstack([points, hand]) @ turn.T
    centre = (seen.min(axis=0) + seen.max(axis=0)) / 2
    radius = np.linalg.norm(seen - centre, axis=1).max()
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn / radius, -centre / radius
    return pose


def _camera(azimuth: float, side: int) -> CameraModel:
    """A camera in a direction about the vertical that looks at the unit sphere."""
    level = _DISTANCE * math.cos(_ELEVATION)
    eye = (
        level * math.cos(azimuth),
        level * math.sin(azimuth),
        _DISTANCE * math.sin(_ELEVATION),
    )
    centre = (side - 1) / 2
    pose = look_at(eye, (0.0, 0.0, 0.0))
    return CameraModel("view", side, side, _FOCAL * side, _FOCAL * side, centre, centre, pose)


def _discs(points: np.ndarray, normals: np.ndarray) -> Mesh:
    """Discs along the surface, so large that neighbours overlap."""
    distances, _ = cKDTree(points).query(points, k=_SPACING_NEIGHBOUR + 1)
    radius = np.median(distances[:, -1])
    # Any two directions across the normal will do.
    helper = np.eye(3)[np.abs(normals).argmin(axis=1)]
    first = np.cross(normals, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(normals, first)
    angles = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    across = np.cos(angles)[:, None, None] * first + np.sin(angles)[:, None, None] * second
    vertices = (points + radius * across).transpose(1, 0, 2).reshape(-1, 3)
    fan = np.array([(0, i, i + 1) for i in range(1, _CORNERS - 1)])
    starts = _CORNERS * np.arange(len(points))[:, None, None]
    return Mesh(vertices, (starts + fan).reshape(-1, 3))
