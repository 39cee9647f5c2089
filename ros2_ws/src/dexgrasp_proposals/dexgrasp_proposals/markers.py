"""Ranked grasps as rviz markers: the hand's primitives, from green (best) to red."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import trimesh
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.robot.links import Primitive
from dexgrasp_models.synthesis.types import Grasp

OPACITY = 0.35
CAPSULE_FACETS = (8, 8)


class GraspMarkers:
    """Draws hands at grasps, one triangle list a grasp."""

    def __init__(self) -> None:
        self._kinematics = HandKinematics(load_hand(), dtype=torch.float64)
        self._triangles = {
            index: np.concatenate([_triangles(primitive) for primitive in link.primitives])
            for index, link in enumerate(self._kinematics.spec.links)
            if link.primitives
        }

    def draw(self, grasps: Sequence[Grasp], header: Header) -> MarkerArray:
        """Markers that replace all earlier ones; ``grasps`` best first."""
        markers = [Marker(header=header, action=Marker.DELETEALL)]
        markers += [
            self._hand(grasp, rank, len(grasps), header) for rank, grasp in enumerate(grasps)
        ]
        return MarkerArray(markers=markers)

    def _hand(self, grasp: Grasp, rank: int, count: int, header: Header) -> Marker:
        poses = self._kinematics.link_poses(
            torch.from_numpy(grasp.palm_pose)[None], torch.from_numpy(grasp.joints)[None]
        )[0].numpy()
        corners = np.concatenate(
            [
                triangles @ poses[index, :3, :3].T + poses[index, :3, 3]
                for index, triangles in self._triangles.items()
            ]
        )
        worse = rank / max(count - 1, 1)
        marker = Marker(
            header=header,
            ns="grasps",
            id=rank,
            type=Marker.TRIANGLE_LIST,
            action=Marker.ADD,
            color=ColorRGBA(r=worse, g=1.0 - worse, b=0.1, a=OPACITY),
            points=[Point(x=x, y=y, z=z) for x, y, z in corners.tolist()],
        )
        marker.scale.x = marker.scale.y = marker.scale.z = 1.0
        marker.pose.orientation.w = 1.0
        return marker


def _triangles(primitive: Primitive) -> np.ndarray:
    """(3 K, 3) corners of the primitive's surface in its link's frame."""
    if primitive.kind == "box":
        mesh = trimesh.creation.box(extents=2.0 * np.asarray(primitive.size))
    else:
        radius, half_length = primitive.size
        mesh = trimesh.creation.capsule(
            height=2.0 * half_length, radius=radius, count=CAPSULE_FACETS
        )
    mesh.apply_transform(primitive.pose.matrix)
    return mesh.triangles.reshape(-1, 3)
