"""How the fingers close from a grasp, worked out from the object's surface.

A set keeps the joints at the grasp only. To hold, they have to press: each link near the object is
pulled with a force f by the transposed Jacobian, dq = g sum of J^T f over the links. The forces are
equal and against the object's outward normals, f = -n, as published grasps were made for; or they
are balanced: those within the friction cones that leave the least net wrench on the object. With
g = 1 rad/m and servos of 5 N m/rad published grasps hold by the first; more moves the object.
"""

from __future__ import annotations

import numpy as np
import torch
import trimesh
from scipy.optimize import nnls

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.mechanics.force_closure import friction_cone, wrench_matrix
from dexgrasp_models.objects import ObjectModel

CONTACT_DISTANCE = 0.003
"""Links nearer than this (m) to the object press on it."""
GAIN = 1.0
"""rad/m."""

BALANCED_TOTAL = 5.0
"""Sum of the normal parts of balanced forces: as much as five digits with unit forces."""

_FRICTION = 0.5  # that balanced forces count on: half of what is there
_TORQUE_LENGTH = 0.05  # m, makes torques comparable with forces
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


def balanced_forces(points: np.ndarray, normals: np.ndarray, center: np.ndarray) -> np.ndarray:
    """(C, 3) forces on the object within the friction cones, with the least net wrench.

    Their normal parts add up to `BALANCED_TOTAL`. The programme is that of
    `mechanics.force_closure`.

    Args:
        points: (C, 3) contacts, m.
        normals: (C, 3) outward unit normals of the object there.
        center: (3,) of mass, m.
    """
    cone = friction_cone(torch.as_tensor(normals)[None], _FRICTION)
    wrenches = wrench_matrix(
        torch.as_tensor(points)[None], cone, torch.as_tensor(center), _TORQUE_LENGTH
    )[0]
    # A penalty on the sum of the weights scales the solution, which is scaled to that sum after.
    rows = np.vstack([wrenches, np.ones(wrenches.shape[1])])
    weights, _ = nnls(rows, np.eye(len(rows))[-1])
    weights *= BALANCED_TOTAL / weights.sum()
    return np.einsum("ce,cei->ci", weights.reshape(cone.shape[1:3]), cone[0].numpy())


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
