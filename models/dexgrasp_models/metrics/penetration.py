"""How deep a hand reaches into an object, the table and itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations

import coal
import numpy as np
import torch
from torch import Tensor

from dexgrasp_models.hand.distance import HandDistance
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.robot.links import Primitive

TABLE_TOP = (0.0, 0.0, 1.0, 0.0)
"""The table in ``world``: a plane (a, b, c, d) with (a, b, c) its upward unit normal and
a x + b y + c z + d the height of a point, as `plane` in UniDexGrasp's data."""


@torch.no_grad()
def object_penetration(distance: HandDistance, link_poses: Tensor, points: Tensor) -> Tensor:
    """(B,) depth of the object's deepest point in the hand, zero where none is inside, m.

    UniDexGrasp, C.3.1, "Object Penetration Depth", by the distances of its appendix A.

    Args:
        distance: to the hand.
        link_poses: (B, L, 4, 4) in the object's frame.
        points: (N, 3) surface samples of the object, or (B, N, 3), m.
    """
    return (-distance.to_links(points, link_poses).amin(1)).clamp_min(0)


def table_penetration(
    spec: HandSpec, link_poses: Tensor, plane: Tensor | tuple[float, ...] = TABLE_TOP
) -> Tensor:
    """(B,) depth of the hand's lowest point below the table, zero where it is above, m.

    Exact for the hand's boxes and capsules. UniDexGrasp, C.3.1, "Mean Q1", uses it and doesn't say
    how several links under the table count; read as the deepest one's depth.

    Args:
        spec: the hand.
        link_poses: (B, L, 4, 4).
        plane: (4,) or (B, 4) in the frame of the link poses, see `TABLE_TOP`.

    Raises:
        ValueError: the plane's normal hasn't length one.
    """
    plane = torch.as_tensor(plane, dtype=link_poses.dtype, device=link_poses.device)
    plane = plane.expand(len(link_poses), 4)
    if ((plane[:, :3].norm(dim=1) - 1).abs() > 1e-4).any():
        raise ValueError("the table's normal (a, b, c) must have length one")
    lowest = []
    for link, primitive in _primitives(spec):
        pose = link_poses[:, link] @ link_poses.new_tensor(primitive.pose.matrix)
        upward = (pose[:, :3, :3].mT @ plane[:, :3, None])[..., 0]  # in the primitive's frame
        center = (plane[:, :3] * pose[:, :3, 3]).sum(1) + plane[:, 3]
        if primitive.kind == "box":
            reach = upward.abs() @ upward.new_tensor(primitive.size)
        else:
            radius, half_length = primitive.size
            reach = radius + half_length * upward[:, 2].abs()
        lowest.append(center - reach)
    return (-torch.stack(lowest).amin(0)).clamp_min(0)


def self_penetration(spec: HandSpec, link_poses: Tensor) -> Tensor:
    """(B,) deepest overlap of two links that should not touch, zero where there is none, m.

    The depth is the shortest way that would part the two shapes. Links up to two joints apart
    overlap at their knuckle by design and are left out, as in the simulator. DexGraspBench's
    self-penetration depth, on the hand's own boxes and capsules.
    """
    poses = link_poses.detach().cpu().double().numpy()
    links, primitives = zip(*_primitives(spec), strict=True)
    geometries = [_geometry(primitive) for primitive in primitives]
    offsets = np.array([primitive.pose.matrix for primitive in primitives])
    pairs = _colliding_pairs(spec)
    request = coal.DistanceRequest()
    depths = np.zeros(len(poses))
    for index, frames in enumerate(poses[:, list(links)] @ offsets):
        placed = [
            (geometry, coal.Transform3s(frame[:3, :3], frame[:3, 3]))
            for geometry, frame in zip(geometries, frames, strict=True)
        ]
        for one, other in pairs:
            signed = coal.distance(*placed[one], *placed[other], request, coal.DistanceResult())
            depths[index] = max(depths[index], -signed)
    return torch.as_tensor(depths, dtype=link_poses.dtype, device=link_poses.device)


def _primitives(spec: HandSpec) -> Iterator[tuple[int, Primitive]]:
    """All primitives with the index of their link."""
    for index, link in enumerate(spec.links):
        for primitive in link.primitives:
            yield index, primitive


@cache
def _colliding_pairs(spec: HandSpec) -> tuple[tuple[int, int], ...]:
    """Pairs of primitives, by their order in `_primitives`, of links over two joints apart."""
    parents = spec.parents

    def near(link: int, other: int) -> bool:
        parent = parents[link]
        return link == other or other in (parent, parents[parent] if parent >= 0 else -1)

    return tuple(
        (one, other)
        for (one, (a, _)), (other, (b, _)) in combinations(enumerate(_primitives(spec)), 2)
        if not near(a, b) and not near(b, a)
    )


def _geometry(primitive: Primitive) -> coal.CollisionGeometry:
    if primitive.kind == "box":
        return coal.Box(*(2 * np.array(primitive.size)))
    radius, half_length = primitive.size
    return coal.Capsule(radius, 2 * half_length)
