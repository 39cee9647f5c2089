"""Q1: the smallest wrench that makes a grasp unstable (Ferrari and Canny, ICRA 1992).

The contacts press with a total normal force of one. The wrenches they can give are the convex hull
of their friction cones' edges; Q1 is the radius of the largest ball about the origin inside it, and
zero where the origin isn't inside.

UniDexGrasp, C.3.1, relaxes what counts as a contact and sets the Q1 of a grasp that penetrates too
much to zero. It doesn't give friction, edges, torque scale and torque centre. Those here are of the
configuration of its published code: friction 1, 8 edges of a normal part of one, torques times
10/m about the origin of the object's frame, one contact a link.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from dexgrasp_models.mechanics.force_closure import friction_cone, wrench_matrix
from dexgrasp_models.metrics.contacts import LinkContacts
from dexgrasp_models.parameters import Parameters, parameter


@dataclass(frozen=True)
class Q1Config(Parameters):
    """Settings of Q1; figures compare only at equal ones."""

    friction: float = parameter(1.0, 0, 5, "", "Coulomb coefficient of the contacts")
    edges: int = parameter(8, 3, 64, "", "edges of each linearised friction cone")
    torque_length: float = parameter(
        0.1, 1e-3, 10, "m", "length by which torques are divided to compare with forces"
    )
    contact_distance: float = parameter(
        0.01, 0, 0.1, "m", "a link nearer to the object than this is in contact"
    )
    max_object_penetration: float = parameter(0.005, 0, 0.1, "m", "deeper grasps have a Q1 of zero")
    max_table_penetration: float = parameter(0.01, 0, 0.1, "m", "deeper grasps have a Q1 of zero")


def q1(
    points: np.ndarray,
    normals: np.ndarray,
    config: Q1Config | None = None,
    center: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> float:
    """Q1 of given contacts.

    Args:
        points: (C, 3) contact points, m.
        normals: (C, 3) outward unit normals of the object.
        config: friction, cone and torque scale.
        center: about which torques are taken, in the points' frame, m.

    Returns:
        Wrench per total normal force; zero without force closure.

    Raises:
        ValueError: points and normals don't fit together or aren't finite, or a normal isn't unit.
    """
    config = config or Q1Config()
    points, normals = np.asarray(points, dtype=float), np.asarray(normals, dtype=float)
    if points.ndim != 2 or points.shape != normals.shape or points.shape[1] != 3:
        raise ValueError(
            f"expected points and normals (C, 3), got {points.shape} and {normals.shape}"
        )
    if not np.isfinite(points).all():
        raise ValueError("the contact points must be finite")
    if not np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3):
        raise ValueError("the contact normals must have length one")
    cone = friction_cone(torch.from_numpy(normals)[None], config.friction, config.edges)
    wrenches = wrench_matrix(
        torch.from_numpy(points)[None],
        cone,
        torch.tensor(center, dtype=torch.float64),
        config.torque_length,
    )
    return largest_ball(wrenches[0].T.numpy())


def largest_ball(points: np.ndarray) -> float:
    """Radius of the largest ball about the origin inside the convex hull of (K, D) points.

    Zero where the hull is flat or the origin isn't inside.
    """
    if len(points) <= points.shape[1]:  # too few for a hull with a volume
        return 0.0
    try:
        facets = ConvexHull(points).equations
    except QhullError:  # flat
        return 0.0
    return max(0.0, float(-facets[:, -1].max()))  # offsets of unit outward normals


def relaxed_q1(
    contacts: LinkContacts,
    object_penetration: Tensor,
    table_penetration: Tensor,
    config: Q1Config | None = None,
) -> np.ndarray:
    """Q1 as UniDexGrasp reports it (C.3.1, "Mean Q1" is its mean over grasps).

    Args:
        contacts: of B grasps with the object, in the object's frame.
        object_penetration: (B,) m, as from the function of that name.
        table_penetration: (B,) m, likewise; zeros without a table.
        config: settings.

    Returns:
        (B,), zero for grasps that penetrate the object or the table too much.
    """
    config = config or Q1Config()
    valid = (object_penetration <= config.max_object_penetration) & (
        table_penetration <= config.max_table_penetration
    )
    touching = (contacts.gaps < config.contact_distance).cpu().numpy()
    points = contacts.points.cpu().double().numpy()
    normals = contacts.normals.cpu().double().numpy()
    figures = np.zeros(len(touching))
    for grasp in valid.nonzero().flatten().tolist():
        links = touching[grasp]
        figures[grasp] = q1(points[grasp, links], normals[grasp, links], config)
    return figures
