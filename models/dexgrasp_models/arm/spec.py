"""The UR10e's description, read from `ur10e.yaml` and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dexgrasp_models.robot.links import (
    DescriptionError,
    Joint,
    Link,
    Pose,
    check_tree,
    load_description,
    parse_primitives,
    required,
)

ARM_DESCRIPTION = Path(__file__).with_name("ur10e.yaml")


@dataclass(frozen=True)
class DenavitHartenberg:
    """Standard DH row: frame i in frame i-1 is Rz(q) Tz(d) Tx(a) Rx(alpha)."""

    a: float
    d: float
    alpha: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not math.isfinite(value):
                raise DescriptionError(f"DH parameter {name} must be finite, got {value}")

    @property
    def pose(self) -> Pose:
        """Pose of frame i in the turned frame of joint i: the row without its joint angle."""
        half = self.alpha / 2
        return Pose((self.a, 0.0, self.d), (math.sin(half), 0.0, 0.0, math.cos(half)))


@dataclass(frozen=True)
class ArmJoint(Joint):
    """An arm joint, with its rated speed and torque."""

    max_speed: float
    """rad/s."""
    max_torque: float
    """N m."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.max_speed > 0 and self.max_torque > 0):
            raise DescriptionError(f"speed and torque limits of {self.name} must be positive")


@dataclass(frozen=True)
class ArmSpec:
    """A serial arm: a base link, one link for each joint, and a tool frame.

    Each link's frame lies on its joint and turns with it about z; `dh` has the chain from one to
    the next.
    """

    name: str
    links: tuple[Link, ...]
    """The base first, then one for each joint."""
    dh: tuple[DenavitHartenberg, ...]
    tool: str
    """Name of the tool frame (`tool0`)."""

    def __post_init__(self) -> None:
        check_tree(self.links, self.base)
        for link in self.links[1:]:
            if not isinstance(link.joint, ArmJoint):
                raise DescriptionError(f"link {link.name} of the arm needs a joint")
        if len(self.dh) != len(self.joints):
            raise DescriptionError(
                f"{len(self.joints)} joints need as many DH rows, got {len(self.dh)}"
            )

    @property
    def base(self) -> str:
        """Name of the base link."""
        return self.links[0].name

    @property
    def tool_pose(self) -> Pose:
        """Pose of the tool frame in the last link."""
        return self.dh[-1].pose

    @cached_property
    def joints(self) -> tuple[ArmJoint, ...]:
        """The joints from the base outwards; joint i moves link i + 1."""
        joints = (link.joint for link in self.links[1:])
        return tuple(joint for joint in joints if isinstance(joint, ArmJoint))

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joints in order."""
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def limits(self) -> np.ndarray:
        """(6, 2) lower and upper joint limits in rad."""
        return np.array([joint.range for joint in self.joints])

    @cached_property
    def max_speeds(self) -> np.ndarray:
        """(6,) rad/s."""
        return np.array([joint.max_speed for joint in self.joints])

    @cached_property
    def max_torques(self) -> np.ndarray:
        """(6,) N m."""
        return np.array([joint.max_torque for joint in self.joints])


@cache
def load_arm(path: Path = ARM_DESCRIPTION) -> ArmSpec:
    """The arm described in `path` (default: the UR10e).

    Raises:
        DescriptionError: the file is missing, incomplete or contradicts itself.
    """
    return parse_arm(load_description(path))


def parse_arm(data: Mapping[str, Any]) -> ArmSpec:
    """The arm described by the mapping `data`, laid out as `ur10e.yaml`.

    Raises:
        DescriptionError: the description is incomplete or contradicts itself.
    """
    what = "the arm's description"
    base = required(data, "base", what)
    links = [Link(required(base, "name", "the base"), float(required(base, "mass", "the base")))]
    rows: list[DenavitHartenberg] = []
    pose = Pose(quaternion=required(base, "quaternion_to_dh", "the base"))
    for entry in required(data, "links", what):
        name = required(entry, "name", "a link")
        dh = required(entry, "dh", f"link {name}")
        rows.append(
            DenavitHartenberg(
                *(float(required(dh, key, f"dh of {name}")) for key in ("a", "d", "alpha"))
            )
        )
        link = Link(
            name=name,
            mass=float(required(entry, "mass", f"link {name}")),
            parent=links[-1].name,
            pose=pose,
            joint=_parse_joint(required(entry, "joint", f"link {name}")),
            primitives=parse_primitives(entry),
            centre_of_mass=_in_link(rows[-1], required(entry, "centre_of_mass", f"link {name}")),
        )
        links.append(link)
        pose = rows[-1].pose
    return ArmSpec(
        required(data, "name", what), tuple(links), tuple(rows), required(data, "tool", what)
    )


def _parse_joint(entry: Mapping[str, Any]) -> ArmJoint:
    name = required(entry, "name", "a joint")
    values = {
        key: required(entry, key, f"joint {name}") for key in ("range", "max_speed", "max_torque")
    }
    return ArmJoint(name=name, axis=(0.0, 0.0, 1.0), **values)


def _in_link(row: DenavitHartenberg, point: Any) -> tuple[float, ...]:
    """A point of DH frame i, in the frame of link i."""
    pose = row.pose
    return tuple(pose.rotation @ np.asarray(point, dtype=float) + np.asarray(pose.position))
