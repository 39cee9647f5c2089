"""How the fingers close from a grasp, worked out from the object's surface.

A set keeps the joints at the grasp only. To hold, they have to press: each link near the object is
pulled against the object's outward normal n by the transposed Jacobian, dq = -g sum of J^T n over
the links. With g = 1 rad/m and servos of 5 N m/rad published grasps hold; more moves the object.
"""

from __future__ import annotations

import numpy as np
import torch
import trimesh

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel

CONTACT_DISTANCE = 0.003
"""Links nearer than this (m) to the object press on it."""
GAIN = 1.0
"""rad/m."""

_POINTS = 4096
_BATCH = 32
_INSIDE = 1e-4  # m below another piece's surface, at which a point is not on the outside


def closing_joints(model: ObjectModel, palm_poses: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(N, 22) joint changes (rad) that press links near the object against it.

    Args:
        model: the object, in the frame of the poses.
        palm_poses: (N, 4, 4) of `rh_palm` in the object's frame, m.
        joints: (N, 22) of the grasps, rad.
    """
    kinematics = HandKinematics(load_hand())
    distance = HandDistance(kinematics)
    points, normals = (torch.as_tensor(a, dtype=torch.float32) for a in outer_surface(model))
    links = torch.arange(len(load_hand().links))
    changes = []
    for start in range(0, len(joints), _BATCH):
        rows = slice(start, start + _BATCH)
        link_poses = kinematics.link_poses(
            torch.as_tensor(palm_poses[rows], dtype=torch.float32),
            torch.as_tensor(joints[rows], dtype=torch.float32),
        )
        nearest, index = distance.by_link(points, link_poses).min(dim=1)  # (B, L)
        pressing = -normals[index] * (nearest <= CONTACT_DISTANCE)[..., None]
        changes.append(GAIN * kinematics.joint_torques(link_poses, links, points[index], pressing))
    return torch.cat(changes).numpy().astype(np.float64)


def outer_surface(model: ObjectModel, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (M, 3) spread over what can be touched of an object's pieces, and normals (M, 3)."""
    generator = np.random.default_rng(seed)
    areas = np.array([piece.area for piece in model.pieces])
    counts = np.ceil(_POINTS * areas / areas.sum()).astype(int)
    points, normals = [], []
    for piece, count in zip(model.pieces, counts, strict=True):
        sampled, faces = trimesh.sample.sample_surface(piece, count, seed=generator)
        outside = np.ones(len(sampled), dtype=bool)
        for other in model.pieces:
            if other is not piece:
                outside &= _height(other, sampled) > -_INSIDE
        points.append(sampled[outside])
        normals.append(piece.face_normals[faces[outside]])
    return np.concatenate(points), np.concatenate(normals)


def _height(piece: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    """(N,) height above the highest face's plane of a convex piece: negative inside."""
    offsets = np.einsum("ij,ij->i", piece.face_normals, piece.triangles[:, 0])
    return (points @ piece.face_normals.T - offsets).max(axis=1)
