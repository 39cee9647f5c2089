"""Points on the hand's surface: evenly spread ones, and candidates for contacts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.robot.links import Primitive

_CANDIDATE_ANGLES = (-0.6, 0.0, 0.6)
"""About the capsule's segment, from the palmar direction, rad."""
_TIP_ROWS = ((0.35, 0.0), (0.75, 0.0), (1.0, 0.6))
"""Rows of candidates on a distal capsule: share of its segment, tilt toward the tip in rad."""
_INNER_ROWS = ((0.25, 0.0), (0.5, 0.0), (0.75, 0.0))
"""The same on other capsules."""
_BOX_GRID = (-0.6, 0.0, 0.6)
"""Rows and columns of candidates on a box's palmar face, in units of its half extents."""
_LIFT = 1e-6
"""How far above its surface a point must be outside all other primitives to count as visible, m."""


class SurfacePoints(NamedTuple):
    """Points fixed to links."""

    link_index: np.ndarray
    """(N,) index of each point's link in `HandSpec.links`."""
    points: np.ndarray
    """(N, 3) in the links' frames, m."""
    normals: np.ndarray
    """(N, 3) outward unit normals in the links' frames."""


class ContactCandidates(NamedTuple):
    """Places where a link may touch an object, nine on each primitive."""

    link_index: np.ndarray
    """(K,) index of each row's link in `HandSpec.links`."""
    points: np.ndarray
    """(K, 9, 3) in the links' frames, m."""
    normals: np.ndarray
    """(K, 9, 3) outward unit normals in the links' frames."""


class _Owner(NamedTuple):
    """A primitive, whose it is and where it is with the hand open."""

    link_index: int
    primitive: Primitive
    palm_T_primitive: np.ndarray


def sample_surface(spec: HandSpec, count: int, seed: int) -> SurfacePoints:
    """Points spread evenly by area over the hand's surface.

    What lies hidden inside another primitive with the hand open, all joints at zero, is left out.

    Args:
        spec: the hand.
        count: how many points.
        seed: of the random generator.

    Raises:
        ValueError: `count` is not positive.
    """
    if count <= 0:
        raise ValueError(f"count must be positive, got {count}")
    rng = np.random.default_rng(seed)
    owners = [
        _Owner(index, primitive, pose @ primitive.pose.matrix)
        for index, (link, pose) in enumerate(zip(spec.links, _open_link_poses(spec), strict=True))
        for primitive in link.primitives
    ]
    areas = np.array([_area(owner.primitive) for owner in owners])
    batches: list[SurfacePoints] = []
    found = 0
    while found < count:
        amounts = rng.multinomial(count, areas / areas.sum())
        parts = [
            _sample_owned(owner, owners, amount, rng)
            for owner, amount in zip(owners, amounts, strict=True)
        ]
        batch = SurfacePoints(*map(np.concatenate, zip(*parts, strict=True)))
        # Shuffled, so that cutting off the surplus keeps the spread even.
        order = rng.permutation(len(batch.link_index))
        batches.append(SurfacePoints(*(values[order] for values in batch)))
        found += len(order)
    return SurfacePoints(*(np.concatenate(values)[:count] for values in zip(*batches, strict=True)))


def contact_candidates(spec: HandSpec, links: Sequence[str] | None = None) -> ContactCandidates:
    """Nine palmar points on every primitive of some links.

    Args:
        spec: the hand.
        links: names of the links; the distal ones, in the digits' order, by default.

    Raises:
        KeyError: a name is not that of a link.
    """
    rows: list[tuple[int, np.ndarray, np.ndarray]] = []
    for name in spec.distal_links if links is None else links:
        index = spec.link_index(name)
        palmar = palmar_direction(spec, name)
        for primitive in spec.links[index].primitives:
            if primitive.kind == "box":
                points, normals = _box_candidates(primitive, palmar)
            else:
                tips = _TIP_ROWS if name in spec.distal_links else _INNER_ROWS
                points, normals = _capsule_candidates(primitive, palmar, tips)
            rows.append((index, points, normals))
    if not rows:
        raise ValueError(f"none of the links {list(links or ())} has a primitive to touch with")
    return ContactCandidates(*map(np.array, zip(*rows, strict=True)))


def palmar_direction(spec: HandSpec, link: str) -> np.ndarray:
    """(3,) unit direction, in the link's frame, that its pad faces.

    It is where the fingertip goes as its outermost joint flexes; the palm faces as the fingers do.

    Raises:
        KeyError: there is no such link.
    """
    index = spec.link_index(link)
    tip = next(
        spec.link_index(distal)
        for distal in spec.distal_links
        if index == 0 or spec.is_ancestor_joint[spec.link_index(distal), index - 1]
    )
    joint = spec.joints[tip - 1]
    flexion = math.copysign(1.0, sum(joint.range))
    direction = flexion * np.cross(joint.axis, spec.links[tip].primitives[0].pose.rotation[:, 2])
    while tip != index:
        direction = spec.links[tip].pose.rotation @ direction
        tip = spec.parents[tip]
    return direction / np.linalg.norm(direction)


def _capsule_candidates(
    capsule: Primitive, palmar: np.ndarray, rows: Sequence[tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray]:
    start, end = capsule.segment
    along = capsule.pose.rotation[:, 2]
    palmar = palmar - (palmar @ along) * along
    palmar /= np.linalg.norm(palmar)
    across = np.cross(along, palmar)
    points, normals = [], []
    for share, tilt in rows:
        for angle in _CANDIDATE_ANGLES:
            side = math.cos(angle) * palmar + math.sin(angle) * across
            normal = math.cos(tilt) * side + math.sin(tilt) * along
            points.append(start + share * (end - start) + capsule.size[0] * normal)
            normals.append(normal)
    return np.array(points), np.array(normals)


def _box_candidates(box: Primitive, palmar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rotation, half = box.pose.rotation, np.array(box.size)
    local = rotation.T @ palmar
    facing = int(np.abs(local).argmax())
    first, second = (axis for axis in range(3) if axis != facing)
    points = np.zeros((9, 3))
    points[:, facing] = math.copysign(half[facing], local[facing])
    grid = np.array([(a, b) for a in _BOX_GRID for b in _BOX_GRID])
    points[:, [first, second]] = grid * half[[first, second]]
    normal = math.copysign(1.0, local[facing]) * rotation[:, facing]
    return points @ rotation.T + box.pose.position, np.tile(normal, (9, 1))


def _open_link_poses(spec: HandSpec) -> list[np.ndarray]:
    """(4, 4) pose of each link in the palm, all joints at zero."""
    poses = [np.eye(4)]
    for link, parent in zip(spec.links[1:], spec.parents[1:], strict=True):
        poses.append(poses[parent] @ link.pose.matrix)
    return poses


def _area(primitive: Primitive) -> float:
    if primitive.kind == "box":
        x, y, z = primitive.size
        return 8 * (x * y + y * z + z * x)
    radius, half_length = primitive.size
    return 4 * math.pi * radius * (half_length + radius)


def _sample_owned(
    owner: _Owner, owners: Sequence[_Owner], count: int, rng: np.random.Generator
) -> SurfacePoints:
    """About `count` points of one primitive that no other hides with the hand open."""
    sample = _sample_box if owner.primitive.kind == "box" else _sample_capsule
    local, normals = sample(owner.primitive.size, count, rng)
    # A little outwards, so that a border that two primitives share inside the hand is hidden too.
    lifted = local + _LIFT * normals
    in_palm = lifted @ owner.palm_T_primitive[:3, :3].T + owner.palm_T_primitive[:3, 3]
    visible = np.ones(count, dtype=bool)
    for other in owners:
        if other is not owner:
            visible &= _depth(other, in_palm) < 0
    pose = owner.primitive.pose
    links = np.full(visible.sum(), owner.link_index)
    return SurfacePoints(
        links, local[visible] @ pose.rotation.T + pose.position, normals[visible] @ pose.rotation.T
    )


def _depth(owner: _Owner, in_palm: np.ndarray) -> np.ndarray:
    """(N,) depth in m of points inside a primitive; negative outside."""
    pose = owner.palm_T_primitive
    local = np.abs((in_palm - pose[:3, 3]) @ pose[:3, :3])
    if owner.primitive.kind == "box":
        return (owner.primitive.size - local).min(axis=1)
    radius, half_length = owner.primitive.size
    local[:, 2] = np.maximum(local[:, 2] - half_length, 0)
    return radius - np.linalg.norm(local, axis=1)


def _sample_box(
    half: Sequence[float], count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    extents = np.array(half)
    areas = np.prod(extents) / extents
    axis = rng.choice(3, size=count, p=areas / areas.sum())
    side = rng.choice([-1.0, 1.0], size=count)
    points = rng.uniform(-extents, extents, size=(count, 3))
    normals = side[:, None] * np.eye(3)[axis]
    return np.where(normals != 0, normals * extents, points), normals


def _sample_capsule(
    size: Sequence[float], count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    radius, half_length = size
    # By Archimedes, height on a sphere is uniform, as on its cylinder: so is that over the whole
    # capsule.
    height = rng.uniform(-half_length - radius, half_length + radius, count)
    on_cap = np.maximum(np.abs(height) - half_length, 0) * np.sign(height) / radius
    across = np.sqrt(1 - on_cap**2)
    angle = rng.uniform(0, 2 * math.pi, count)
    normals = np.stack([across * np.cos(angle), across * np.sin(angle), on_cap], axis=1)
    points = radius * normals
    points[:, 2] += np.clip(height, -half_length, half_length)
    return points, normals
