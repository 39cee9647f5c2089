"""All figures of grasps that need no simulation, for many grasps of one object at once."""

from __future__ import annotations

import numpy as np
import torch

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.metrics.contacts import (
    contact_consistency,
    contact_count,
    contact_distance,
    link_contacts,
)
from dexgrasp_models.metrics.load_balance import load_balance_error
from dexgrasp_models.metrics.penetration import (
    object_penetration,
    self_penetration,
    table_penetration,
)
from dexgrasp_models.metrics.q1 import Q1Config, relaxed_q1

_BATCH = 64
"""Grasps evaluated together, which bounds the memory."""


def evaluate_grasps(
    distance: HandDistance,
    palm_poses: np.ndarray,
    joints: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    planes: np.ndarray | None = None,
    config: Q1Config | None = None,
) -> dict[str, np.ndarray]:
    """The analytic figures of grasps of one object.

    Args:
        distance: to the hand; its precision and device are those of the computation.
        palm_poses: (B, 4, 4) in the object's frame.
        joints: (B, 22) rad.
        points: (N, 3) samples of the object's surface in its frame, m; UniDexGrasp takes 2,000.
        normals: (N, 3) outward unit normals.
        planes: (B, 4) table of each grasp in the object's frame, see
            :data:`~dexgrasp_models.metrics.penetration.TABLE_TOP`; NaN, or none at all, for no
            table.
        config: of Q1.

    Returns:
        (B,) of each name: q1, object_penetration, table_penetration and self_penetration (m),
        contact_count, contact_distance and contact_consistency (m), load_balance_error.

    Raises:
        ValueError: there are no grasps, shapes don't fit together, or a table's normal hasn't
            length one.
    """
    if not len(joints):
        raise ValueError("there are no grasps to evaluate")
    if planes is not None and np.shape(planes) != (len(joints), 4):
        raise ValueError(f"expected planes ({len(joints)}, 4), got {np.shape(planes)}")
    kinematics = distance.kinematics
    spec = kinematics.spec

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(values, dtype=kinematics.dtype, device=kinematics.device)

    surface, outward = tensor(points), tensor(normals)
    batches = []
    for start in range(0, len(joints), _BATCH):
        batch = slice(start, start + _BATCH)
        poses = kinematics.link_poses(tensor(palm_poses[batch]), tensor(joints[batch]))
        contacts = link_contacts(distance, poses, surface, outward)
        in_object = object_penetration(distance, poses, surface)
        in_table = torch.zeros_like(in_object)
        if planes is not None:
            present = tensor(np.isfinite(planes[batch]).all(axis=1)).bool()
            in_table[present] = table_penetration(
                spec, poses[present], tensor(planes[batch])[present]
            )
        batches.append(
            {
                "q1": relaxed_q1(contacts, in_object, in_table, config),
                "object_penetration": in_object,
                "table_penetration": in_table,
                "self_penetration": self_penetration(spec, poses),
                "contact_count": contact_count(contacts),
                "contact_distance": contact_distance(spec, contacts),
                "contact_consistency": contact_consistency(spec, contacts),
                "load_balance_error": load_balance_error(spec, contacts),
            }
        )
    return {
        name: np.concatenate([torch.as_tensor(batch[name]).cpu().numpy() for batch in batches])
        for name in batches[0]
    }
