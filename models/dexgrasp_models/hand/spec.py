"""The Shadow Hand's description, read from `shadow_hand.yaml` and checked."""

from __future__ import annotations

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
    Vector,
    check_tree,
    finite_vector,
    increasing_pair,
    load_description,
    parse_pose,
    parse_primitives,
    required,
)

HAND_DESCRIPTION = Path(__file__).with_name("shadow_hand.yaml")


@dataclass(frozen=True)
class FingerJoint(Joint):
    """A finger joint, with its name in the papers' data and its counterpart on the hardware."""

    paper_name: str
    """`robot0:...` name in the data sets of both papers; equal sign and zero."""
    hardware_sign: int
    """The E-series hand's angle is `hardware_sign` times ours."""
    hardware_range: Vector
    """E-series limits in rad, in the hardware's sign."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hardware_sign not in (-1, 1):
            raise DescriptionError(
                f"hardware sign of {self.name} must be 1 or -1, not {self.hardware_sign}"
            )
        hardware_range = increasing_pair(self.hardware_range, f"hardware range of {self.name}")
        object.__setattr__(self, "hardware_range", hardware_range)


@dataclass(frozen=True)
class JointDefaults:
    """Passive dynamics that all finger joints share."""

    damping: float
    """N m s/rad."""
    armature: float
    """kg m^2."""
    frictionloss: float
    """N m."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise DescriptionError(f"joint {name} must not be negative, got {value}")


@dataclass(frozen=True)
class ActuatorSpec:
    """Position servo of each actuator (a joint's, or a tendon's)."""

    kp: float
    """N m/rad."""
    force_range: Vector
    """N m."""

    def __post_init__(self) -> None:
        if not self.kp > 0:
            raise DescriptionError(f"actuator kp must be positive, got {self.kp}")
        object.__setattr__(
            self, "force_range", increasing_pair(self.force_range, "actuator force_range")
        )


@dataclass(frozen=True)
class Tendon:
    """Coupling of a finger's two outer joints: one actuator drives J0 = J1 + J2, with J1 <= J2."""

    name: str
    distal: str
    """J1, the outer joint."""
    middle: str
    """J2, the inner joint."""


@dataclass(frozen=True)
class HandMount:
    """Forearm and wrist that carry the palm on an arm."""

    links: tuple[Link, ...]
    """From the root (`rh_forearm`) outwards; the last one carries the palm."""
    palm_pose: Pose
    """Pose of the palm in the last link at wrist angle zero."""
    palm_joint: Joint
    """Joint between the last link and the palm (`rh_WRJ1`)."""

    def __post_init__(self) -> None:
        check_tree(self.links, self.root)

    @property
    def root(self) -> str:
        """Name of the link that is bolted to the arm."""
        return self.links[0].name

    @property
    def wrist_joints(self) -> tuple[str, ...]:
        """Names of the wrist joints, from the forearm outwards."""
        joints = [link.joint.name for link in self.links if link.joint]
        return (*joints, self.palm_joint.name)

    @cached_property
    def link_poses(self) -> dict[str, np.ndarray]:
        """(4, 4) pose of each link in the root, wrist at zero."""
        poses = {self.root: np.eye(4)}
        for link in self.links[1:]:
            assert link.parent is not None
            poses[link.name] = poses[link.parent] @ link.pose.matrix
        return poses

    @cached_property
    def root_T_palm(self) -> np.ndarray:
        """(4, 4) pose of the palm in the root link, wrist at zero."""
        return self.link_poses[self.links[-1].name] @ self.palm_pose.matrix


@dataclass(frozen=True)
class HandSpec:
    """A hand: a tree of links under the palm, its joints, couplings, actuation and mounting.

    Link order is the file's, parents first, the palm at index 0. Joint order is that of the links:
    `rh_FFJ4, FFJ3, FFJ2, FFJ1`, likewise MF and RF, then `rh_LFJ5 .. 1` and `rh_THJ5 .. 1` (22).
    Actuator order is the same, with `rh_xxJ0` in place of the coupled pair J2, J1 (18).
    """

    name: str
    root: str
    links: tuple[Link, ...]
    tendons: tuple[Tendon, ...]
    joint_defaults: JointDefaults
    actuator: ActuatorSpec
    max_joint_speed: float
    """rad/s."""
    mount: HandMount

    def __post_init__(self) -> None:
        check_tree(self.links, self.root)
        for link in self.links[1:]:
            if not isinstance(link.joint, FingerJoint):
                raise DescriptionError(
                    f"link {link.name} needs a joint: the hand has no fixed links"
                )
        for tendon in self.tendons:
            for joint in (tendon.distal, tendon.middle):
                if joint not in self.finger_joints:
                    raise DescriptionError(
                        f"tendon {tendon.name} couples the unknown joint {joint}"
                    )
            if self.joint_index(tendon.distal) != self.joint_index(tendon.middle) + 1:
                raise DescriptionError(
                    f"tendon {tendon.name} must couple a joint with the next one outwards"
                )
        if not self.max_joint_speed > 0:
            raise DescriptionError(f"max_joint_speed must be positive, got {self.max_joint_speed}")

    # Names and indices

    @cached_property
    def link_names(self) -> tuple[str, ...]:
        """Link names in order."""
        return tuple(link.name for link in self.links)

    @cached_property
    def joints(self) -> tuple[FingerJoint, ...]:
        """The finger joints in order; joint i moves link i + 1."""
        joints = (link.joint for link in self.links[1:])
        return tuple(joint for joint in joints if isinstance(joint, FingerJoint))

    @cached_property
    def finger_joints(self) -> tuple[str, ...]:
        """Names of the 22 finger joints in order."""
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def paper_joints(self) -> tuple[str, ...]:
        """The same joints' names in the papers' data sets, in the same order."""
        return tuple(joint.paper_name for joint in self.joints)

    @cached_property
    def actuators(self) -> tuple[str, ...]:
        """Names of the 18 actuators of the coupled hand in order."""
        tendon_of = {tendon.middle: tendon.name for tendon in self.tendons}
        passive = {tendon.distal for tendon in self.tendons}
        return tuple(
            tendon_of.get(name, name) for name in self.finger_joints if name not in passive
        )

    @cached_property
    def distal_links(self) -> tuple[str, ...]:
        """The outermost link of each digit, in order."""
        parents = {link.parent for link in self.links}
        return tuple(link.name for link in self.links if link.name not in parents)

    def link(self, name: str) -> Link:
        """The link `name`; KeyError if there is none."""
        return self.links[self.link_index(name)]

    def link_index(self, name: str) -> int:
        """Index of the link `name` in `links`; KeyError if there is none."""
        return self._link_indices[name]

    def joint_index(self, name: str) -> int:
        """Index of the joint `name` in `finger_joints`; KeyError if there is none."""
        return self._joint_indices[name]

    # Arrays

    @cached_property
    def limits(self) -> np.ndarray:
        """(22, 2) lower and upper joint limits in rad, of the papers' model."""
        return np.array([joint.range for joint in self.joints])

    @cached_property
    def hardware_sign(self) -> np.ndarray:
        """(22,) +1 or -1: hardware angle = sign * ours."""
        return np.array([joint.hardware_sign for joint in self.joints])

    @cached_property
    def hardware_limits(self) -> np.ndarray:
        """(22, 2) lower and upper E-series limits in rad, in our sign."""
        limits = [
            np.sort(joint.hardware_sign * np.array(joint.hardware_range)) for joint in self.joints
        ]
        return np.array(limits)

    @cached_property
    def parents(self) -> np.ndarray:
        """(L,) index of each link's parent; -1 for the palm."""
        return np.array(
            [-1 if link.parent is None else self.link_index(link.parent) for link in self.links]
        )

    @cached_property
    def is_ancestor_joint(self) -> np.ndarray:
        """(L, 22) bool: whether joint j moves link l."""
        moves = np.zeros((len(self.links), len(self.joints)), dtype=bool)
        for index, parent in enumerate(self.parents[1:], start=1):
            moves[index] = moves[parent]
            moves[index, index - 1] = True
        return moves

    @cached_property
    def expansion(self) -> np.ndarray:
        """(22, 18) matrix from actuator to joint angles: J1 = J2 = J0/2."""
        matrix = (self.reduction > 0).T.astype(float)
        return matrix / matrix.sum(axis=0)

    @cached_property
    def reduction(self) -> np.ndarray:
        """(18, 22) matrix from joint to actuator angles: J0 = J1 + J2, the others unchanged."""
        tendon_of = {joint: t.name for t in self.tendons for joint in (t.distal, t.middle)}
        matrix = np.zeros((len(self.actuators), len(self.joints)))
        for column, name in enumerate(self.finger_joints):
            matrix[self.actuators.index(tendon_of.get(name, name)), column] = 1.0
        return matrix

    @cached_property
    def actuator_limits(self) -> np.ndarray:
        """(18, 2) lower and upper actuator limits in rad; a tendon's are its joints' sums."""
        return self.reduction @ self.limits

    def couple(self, joints: np.ndarray) -> np.ndarray:
        """(..., 22) joint angles with each coupled pair replaced by its mean (J1 = J2)."""
        return np.asarray(joints) @ (self.expansion @ self.reduction).T

    @cached_property
    def _link_indices(self) -> dict[str, int]:
        return {link.name: index for index, link in enumerate(self.links)}

    @cached_property
    def _joint_indices(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.finger_joints)}


@cache
def load_hand(path: Path = HAND_DESCRIPTION) -> HandSpec:
    """The hand described in `path` (default: the Shadow Hand).

    Raises:
        DescriptionError: the file is missing, incomplete or contradicts itself.
    """
    return parse_hand(load_description(path))


def parse_hand(data: Mapping[str, Any]) -> HandSpec:
    """The hand described by the mapping `data`, laid out as `shadow_hand.yaml`.

    Raises:
        DescriptionError: the description is incomplete or contradicts itself.
    """
    what = "the hand's description"
    defaults = required(data, "joint_defaults", what)
    actuator = required(data, "actuator", what)
    mount = required(data, "mount", what)
    palm = required(mount, "palm", "the mount")
    return HandSpec(
        name=required(data, "name", what),
        root=required(data, "root", what),
        links=tuple(
            _parse_link(entry, _parse_finger_joint) for entry in required(data, "links", what)
        ),
        tendons=tuple(
            Tendon(*(required(entry, key, "a tendon") for key in ("name", "distal", "middle")))
            for entry in required(data, "tendons", what)
        ),
        joint_defaults=JointDefaults(
            *(
                float(required(defaults, key, "joint_defaults"))
                for key in JointDefaults.__annotations__
            )
        ),
        actuator=ActuatorSpec(
            kp=float(required(actuator, "kp", "actuator")),
            force_range=finite_vector(
                required(actuator, "force_range", "actuator"), 2, "force_range"
            ),
        ),
        max_joint_speed=float(required(data, "max_joint_speed", what)),
        mount=HandMount(
            links=tuple(
                _parse_link(entry, _parse_joint) for entry in required(mount, "links", "the mount")
            ),
            palm_pose=parse_pose(palm),
            palm_joint=_parse_joint(required(palm, "joint", "the mount's palm")),
        ),
    )


def _parse_link(entry: Mapping[str, Any], parse_joint: Any) -> Link:
    name = required(entry, "name", "a link")
    joint = entry.get("joint")
    return Link(
        name=name,
        mass=float(required(entry, "mass", f"link {name}")),
        parent=entry.get("parent"),
        pose=parse_pose(entry),
        joint=None if joint is None else parse_joint(joint),
        primitives=parse_primitives(entry),
    )


def _parse_joint(entry: Mapping[str, Any]) -> Joint:
    name = required(entry, "name", "a joint")
    return Joint(name, *(required(entry, key, f"joint {name}") for key in ("axis", "range")))


def _parse_finger_joint(entry: Mapping[str, Any]) -> FingerJoint:
    joint = _parse_joint(entry)
    hardware = required(entry, "hardware", f"joint {joint.name}")
    return FingerJoint(
        name=joint.name,
        axis=joint.axis,
        range=joint.range,
        paper_name=required(entry, "paper", f"joint {joint.name}"),
        hardware_sign=required(hardware, "sign", f"hardware of joint {joint.name}"),
        hardware_range=required(hardware, "range", f"hardware of joint {joint.name}"),
    )
