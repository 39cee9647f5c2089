"""Rigid links with joints and simple shapes, of which hand and arm are described.

The classes check themselves when they are made, so a description that loads is consistent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

Vector = tuple[float, ...]
Kind = Literal["box", "capsule"]

_IDENTITY_QUATERNION = (0.0, 0.0, 0.0, 1.0)
_POINT_LINK_RADIUS = 0.01
"""Radius (m) of the solid ball that stands for a link without shapes when inertia is asked for."""


class DescriptionError(ValueError):
    """A robot description is incomplete or contradicts itself."""


def finite_vector(values: Any, length: int, what: str) -> Vector:
    """`values` as a tuple of `length` finite floats, or a DescriptionError that names `what`."""
    try:
        vector = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        vector = ()
    if len(vector) != length or not all(map(math.isfinite, vector)):
        raise DescriptionError(f"{what} must be {length} finite numbers, not {values!r}")
    return vector


def increasing_pair(values: Any, what: str) -> Vector:
    """`values` as (lower, upper) with lower < upper, or a DescriptionError that names `what`."""
    lower, upper = finite_vector(values, 2, what)
    if lower >= upper:
        raise DescriptionError(f"{what} must rise, not {values!r}")
    return lower, upper


def _unit(values: Any, length: int, what: str) -> Vector:
    vector = finite_vector(values, length, what)
    norm = math.sqrt(sum(value * value for value in vector))
    # Published tables round to three to five digits.
    if abs(norm - 1) > 1e-3:
        raise DescriptionError(f"{what} must have length 1, not {norm:.4g}")
    return tuple(value / norm for value in vector)


def _named(name: Any, what: str) -> None:
    if not isinstance(name, str) or not name:
        raise DescriptionError(f"a {what}'s name must be a non-empty string, not {name!r}")


@dataclass(frozen=True)
class Pose:
    """Pose of a frame in its parent: position (m) and unit quaternion (x, y, z, w)."""

    position: Vector = (0.0, 0.0, 0.0)
    quaternion: Vector = _IDENTITY_QUATERNION

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", finite_vector(self.position, 3, "position"))
        object.__setattr__(self, "quaternion", _unit(self.quaternion, 4, "quaternion (x, y, z, w)"))

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) rotation matrix."""
        x, y, z, w = self.quaternion
        return np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) homogeneous matrix."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.rotation
        matrix[:3, 3] = self.position
        return matrix


@dataclass(frozen=True)
class Primitive:
    """A solid box or capsule fixed to a link."""

    kind: Kind
    size: Vector
    """Box: three half extents. Capsule: radius, half length of the segment along its z. Metres."""
    pose: Pose = Pose()
    """Pose of the shape's centre in the link."""

    def __post_init__(self) -> None:
        lengths = {"box": 3, "capsule": 2}
        if self.kind not in lengths:
            raise DescriptionError(
                f"primitive kind must be one of {sorted(lengths)}, not {self.kind!r}"
            )
        size = finite_vector(self.size, lengths[self.kind], f"{self.kind} size")
        if min(size) <= 0:
            raise DescriptionError(f"{self.kind} size must be positive, not {size}")
        object.__setattr__(self, "size", size)

    @property
    def volume(self) -> float:
        """Volume in m^3."""
        if self.kind == "box":
            return 8.0 * math.prod(self.size)
        radius, half_length = self.size
        return math.pi * radius**2 * (2 * half_length + 4 / 3 * radius)

    @property
    def segment(self) -> np.ndarray:
        """(2, 3) ends of a capsule's segment, in the link's frame (m)."""
        if self.kind != "capsule":
            raise DescriptionError("only a capsule has a segment")
        reach = self.size[1] * self.pose.rotation[:, 2]
        return np.asarray(self.pose.position) + np.stack([-reach, reach])

    def inertia_per_mass(self) -> np.ndarray:
        """(3, 3) inertia about the shape's centre, link axes, of 1 kg spread evenly (m^2)."""
        if self.kind == "box":
            x, y, z = np.square(self.size) / 3
            moments = np.array([y + z, x + z, x + y])
        else:
            radius, half = self.size
            cylinder = 2 * half * math.pi * radius**2 / self.volume
            caps = 1 - cylinder
            axial = radius**2 * (cylinder / 2 + caps * 2 / 5)
            across = cylinder * (radius**2 / 4 + half**2 / 3)
            across += caps * (2 / 5 * radius**2 + half**2 + 3 / 4 * half * radius)
            moments = np.array([across, across, axial])
        rotation = self.pose.rotation
        return rotation @ np.diag(moments) @ rotation.T


@dataclass(frozen=True)
class Joint:
    """A revolute joint that moves a link about an axis through the link's origin."""

    name: str
    axis: Vector
    """Unit axis, the same in the frames before and behind the joint."""
    range: Vector
    """Lower and upper limit in rad."""

    def __post_init__(self) -> None:
        _named(self.name, "joint")
        object.__setattr__(self, "axis", _unit(self.axis, 3, f"axis of joint {self.name}"))
        object.__setattr__(
            self, "range", increasing_pair(self.range, f"range of joint {self.name}")
        )


@dataclass(frozen=True)
class Inertial:
    """Mass properties of a link."""

    mass: float
    """kg."""
    centre: np.ndarray
    """(3,) centre of mass in the link's frame (m)."""
    inertia: np.ndarray
    """(3, 3) inertia about the centre of mass, link axes (kg m^2)."""


@dataclass(frozen=True)
class Link:
    """A rigid body: its place in the tree, its joint, its mass and its shapes."""

    name: str
    mass: float
    parent: str | None = None
    pose: Pose = Pose()
    """Pose in the parent at joint angle zero."""
    joint: Joint | None = None
    """Joint to the parent; None: fixed to it, or the root."""
    primitives: tuple[Primitive, ...] = ()
    centre_of_mass: Vector | None = None
    """Centre of mass in the link's frame (m) where known; else that of the primitives."""

    def __post_init__(self) -> None:
        _named(self.name, "link")
        if not (math.isfinite(self.mass) and self.mass > 0):
            raise DescriptionError(f"mass of link {self.name} must be positive, not {self.mass}")
        if self.centre_of_mass is not None:
            centre = finite_vector(self.centre_of_mass, 3, f"centre_of_mass of link {self.name}")
            object.__setattr__(self, "centre_of_mass", centre)

    def inertial(self) -> Inertial:
        """Mass properties, the mass spread evenly over the primitives' volumes.

        A link without primitives counts as a small solid ball at its origin.
        """
        if not self.primitives:
            inertia = self.mass * 2 / 5 * _POINT_LINK_RADIUS**2 * np.eye(3)
            return Inertial(self.mass, np.asarray(self.centre_of_mass or np.zeros(3)), inertia)
        volumes = np.array([primitive.volume for primitive in self.primitives])
        masses = self.mass * volumes / volumes.sum()
        centres = np.array([primitive.pose.position for primitive in self.primitives])
        centre = masses @ centres / self.mass
        inertia = np.zeros((3, 3))
        for mass, offset, primitive in zip(masses, centres - centre, self.primitives, strict=True):
            steiner = offset @ offset * np.eye(3) - np.outer(offset, offset)
            inertia += mass * (primitive.inertia_per_mass() + steiner)
        if self.centre_of_mass is not None:
            centre = np.asarray(self.centre_of_mass)
        return Inertial(self.mass, centre, inertia)


def link_poses(links: Sequence[Link], angles: Mapping[str, float]) -> np.ndarray:
    """(L, 4, 4) poses of the links, parents before children, in the frame of the root (the first).

    Args:
        links: as a hand's or an arm's description lists them.
        angles: rad by joint name; a joint that is not named stands at zero.
    """
    poses = {links[0].name: np.eye(4)}
    for link in links[1:]:
        assert link.parent is not None
        poses[link.name] = poses[link.parent] @ link.pose.matrix
        if link.joint is not None:
            turn = np.asarray(link.joint.axis) * angles.get(link.joint.name, 0.0)
            poses[link.name][:3, :3] @= Rotation.from_rotvec(turn).as_matrix()
    return np.array([poses[link.name] for link in links])


def load_description(path: Path) -> Mapping[str, Any]:
    """The YAML mapping in `path`.

    Raises:
        DescriptionError: the file is missing or is not a YAML mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DescriptionError(f"cannot read the description {path}: {error}") from error
    if not isinstance(content, Mapping):
        raise DescriptionError(f"the description {path} must hold a mapping")
    return content


def parse_pose(entry: Mapping[str, Any]) -> Pose:
    """Pose from the optional keys `position` and `quaternion` of an entry."""
    return Pose(entry.get("position", (0, 0, 0)), entry.get("quaternion", _IDENTITY_QUATERNION))


def parse_primitive(entry: Mapping[str, Any]) -> Primitive:
    """Primitive from ``{box|capsule: size, position: .., quaternion: ..}``."""
    kinds: list[Kind] = [kind for kind in get_args(Kind) if kind in entry]
    if len(kinds) != 1:
        raise DescriptionError(f"a primitive has exactly one of box and capsule; got {dict(entry)}")
    return Primitive(kinds[0], entry[kinds[0]], parse_pose(entry))


def parse_primitives(entry: Mapping[str, Any]) -> tuple[Primitive, ...]:
    """The primitives listed in a link's entry."""
    return tuple(parse_primitive(item) for item in entry.get("primitives", ()))


def required(entry: Mapping[str, Any], key: str, what: str) -> Any:
    """``entry[key]``, or a DescriptionError that names what lacks it."""
    if key not in entry:
        raise DescriptionError(f"{what} lacks {key!r}")
    return entry[key]


def check_tree(links: Sequence[Link], root: str) -> None:
    """Check that `links` is one tree under `root`, parents listed before their children.

    Raises:
        DescriptionError: says which link breaks it.
    """
    known: set[str] = set()
    for link in links:
        if link.name in known:
            raise DescriptionError(f"link {link.name} is described twice")
        if link.parent is None and link.name != root:
            raise DescriptionError(f"link {link.name} has no parent, but the root is {root}")
        if link.parent is not None and link.parent not in known:
            raise DescriptionError(
                f"link {link.name} must be listed behind its parent {link.parent}"
            )
        known.add(link.name)
    if root not in known:
        raise DescriptionError(f"the root link {root} is not described")
    joints = [link.joint.name for link in links if link.joint]
    if twice := {name for name in joints if joints.count(name) > 1}:
        raise DescriptionError(f"joint names must be unique; described twice: {sorted(twice)}")
