"""MuJoCo models of the robot, built with MjSpec from the descriptions of hand and arm.

The hand is free in space, its palm pulled to a target pose by six servos of bounded force, or it is
mounted with forearm and wrist on the arm. Its joints are driven as the hardware drives them, 18
position servos with J1 and J2 of the four fingers on one tendon each, or by 22 independent servos.
MuJoCo's quaternions are (w, x, y, z); the descriptions' are (x, y, z, w).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Literal

import mujoco
import numpy as np

from dexgrasp_models.arm.mounting import Mounting
from dexgrasp_models.arm.spec import ArmJoint, ArmSpec
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.robot.links import Link, Pose
from dexgrasp_models.robot.urdf import pose_from_matrix

Drive = Literal["coupled", "independent"]

PALM_JOINT = "palm_free"
"""The free hand's joint to the world."""

PALM_TARGET = "palm_target"
"""Mocap body whose pose the free hand's palm is pulled to."""

CONTACT = {"condim": 4, "solref": [0.005, 1.0], "solimp": [0.5, 0.99, 0.0001, 0.5, 2.0]}
"""Stiff contacts, in which published grasps hold; friction is the scene's."""

TORSIONAL_FRICTION, ROLLING_FRICTION = 0.02, 0.0001
"""MuJoCo's second and third friction coefficients of all contacts, m."""

ARM_STIFFNESS = 60.0
"""Stiffness of an arm joint's servo by its greatest torque, 1/rad."""
ARM_LAG = 0.04
"""Damping of an arm joint's servo by its stiffness, s."""
ARM_ARMATURE = 1.0 / 330.0
"""Inertia of a joint's motor and gear by its greatest torque: 1 kg m^2 at the shoulder, s^2."""

_IDENTITY = Pose()


class Collides(IntFlag):
    """Collision classes: bits of MuJoCo's contype and conaffinity."""

    OBJECT = 1
    HAND = 2
    TABLE = 4
    ARM = 8


@dataclass(frozen=True)
class PalmServo:
    """Servo of the free hand's palm: a critically damped spring of bounded force."""

    stiffness: float = 2000.0
    """N/m."""
    damping: float = 80.0
    """N s/m."""
    force: float = 60.0
    """Greatest force along each axis, N."""
    angular_stiffness: float = 40.0
    """N m/rad."""
    angular_damping: float = 1.2
    """N m s/rad."""
    torque: float = 8.0
    """Greatest torque about each axis, N m."""


def palm_servo_names() -> tuple[str, ...]:
    """Names of the free hand's six palm actuators: force along, then torque about x, y and z."""
    return tuple(f"palm_{kind}_{axis}" for kind in ("force", "torque") for axis in "xyz")


def add_free_hand(
    spec: mujoco.MjSpec,
    hand: HandSpec,
    drive: Drive,
    friction: float,
    self_collision: bool = True,
    servo: PalmServo | None = None,
) -> None:
    """Add the palm-rooted hand with a free joint, and the servos that pull it to `PALM_TARGET`.

    The control of a palm actuator is a displacement from the target (m, rad), in the target's axes;
    damping x speed / stiffness makes the palm follow a moving target without lag.
    """
    palm = _add_fingers(spec, spec.worldbody, hand, friction, self_collision)
    palm.add_freejoint(name=PALM_JOINT)
    palm.add_site(name="palm_site")
    target = spec.worldbody.add_body(name=PALM_TARGET, mocap=True)
    target.add_site(name="palm_target_site")
    servo = servo or PalmServo()
    for index, name in enumerate(palm_servo_names()):
        gear = np.zeros(6)
        gear[index] = 1.0
        actuator = spec.add_actuator(
            name=name,
            trntype=mujoco.mjtTrn.mjTRN_SITE,
            target="palm_site",
            refsite="palm_target_site",
            gear=gear,
        )
        if index < 3:
            _as_servo(actuator, servo.stiffness, servo.damping, (-servo.force, servo.force))
        else:
            bounds = (-servo.torque, servo.torque)
            _as_servo(actuator, servo.angular_stiffness, servo.angular_damping, bounds)
    _add_finger_drives(spec, hand, drive)


def add_fixed_hand(
    spec: mujoco.MjSpec, hand: HandSpec, drive: Drive, friction: float, self_collision: bool = True
) -> None:
    """Add the hand with its palm fixed at the world's origin."""
    _add_fingers(spec, spec.worldbody, hand, friction, self_collision)
    _add_finger_drives(spec, hand, drive)


def add_arm_with_hand(
    spec: mujoco.MjSpec,
    arm: ArmSpec,
    hand: HandSpec,
    mounting: Mounting,
    drive: Drive,
    friction: float,
    self_collision: bool = True,
) -> None:
    """Add the arm on its base and, on its tool flange, forearm, wrist (held at zero) and hand."""
    base = replace(arm.links[0], pose=pose_from_matrix(mounting.world_T_base))
    bodies: dict[str | None, mujoco.MjsBody] = {None: spec.worldbody}
    for link in (base, *arm.links[1:]):
        # The shoulder turns on the table without ever lifting off it.
        near_table = link.parent in (None, base.name)
        touches = Collides.OBJECT if near_table else Collides.OBJECT | Collides.TABLE
        body = bodies[link.name] = add_link(
            bodies[link.parent], link, friction, Collides.ARM, touches
        )
        if link.joint:
            assert isinstance(link.joint, ArmJoint)
            torque = link.joint.max_torque
            body.add_joint(
                name=link.joint.name,
                axis=link.joint.axis,
                range=link.joint.range,
                limited=True,
                armature=ARM_ARMATURE * torque,
            )
            actuator = spec.add_actuator(
                name=link.joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT, target=link.joint.name
            )
            stiffness = ARM_STIFFNESS * torque
            _as_servo(actuator, stiffness, ARM_LAG * stiffness, (-torque, torque))
    tool = bodies[arm.links[-1].name].add_body(
        name=arm.tool, pos=arm.tool_pose.position, quat=wxyz(arm.tool_pose)
    )
    mount = hand.mount
    forearm = replace(mount.links[0], pose=pose_from_matrix(mounting.tool_T_forearm))
    carriers: dict[str | None, mujoco.MjsBody] = {None: tool}
    for link in (forearm, *mount.links[1:]):
        carriers[link.name] = add_link(
            carriers[link.parent], link, friction, Collides.ARM, Collides.OBJECT | Collides.TABLE
        )
    _add_fingers(
        spec, carriers[mount.links[-1].name], hand, friction, self_collision, mount.palm_pose
    )
    _add_finger_drives(spec, hand, drive)


def _add_fingers(
    spec: mujoco.MjSpec,
    parent: mujoco.MjsBody,
    hand: HandSpec,
    friction: float,
    self_collision: bool,
    palm_pose: Pose = _IDENTITY,
) -> mujoco.MjsBody:
    """Add the palm and all that hangs on it under `parent`; returns the palm's body."""
    touches = Collides.TABLE | Collides.HAND if self_collision else Collides.TABLE
    bodies: dict[str | None, mujoco.MjsBody] = {None: parent}
    for link in (replace(hand.links[0], pose=palm_pose), *hand.links[1:]):
        body = bodies[link.name] = add_link(
            bodies[link.parent], link, friction, Collides.HAND, touches
        )
        if link.joint:
            defaults = hand.joint_defaults
            body.add_joint(
                name=link.joint.name,
                axis=link.joint.axis,
                range=link.joint.range,
                limited=True,
                damping=[defaults.damping, 0.0, 0.0],
                armature=defaults.armature,
                frictionloss=defaults.frictionloss,
            )
    if self_collision:
        # Links two joints apart meet at a knuckle, where their simple shapes overlap.
        for link in hand.links[1:]:
            assert link.parent is not None
            # MuJoCo leaves out parents itself, but not one that can't move, as a fixed palm.
            if link.parent == hand.root:
                spec.add_exclude(bodyname1=link.parent, bodyname2=link.name)
            grandparent = hand.link(link.parent).parent
            if grandparent:
                spec.add_exclude(bodyname1=grandparent, bodyname2=link.name)
    return bodies[hand.root]


def add_link(
    parent: mujoco.MjsBody,
    link: Link,
    friction: float,
    collides: Collides,
    touches: Collides,
) -> mujoco.MjsBody:
    """Add a gravity-compensated body for a link, with its mass and shapes but without its joint."""
    inertial = link.inertial()
    body = parent.add_body(
        name=link.name,
        pos=link.pose.position,
        quat=wxyz(link.pose),
        mass=inertial.mass,
        ipos=inertial.centre,
        fullinertia=full_inertia(inertial.inertia),
        explicitinertial=True,
        gravcomp=1.0,
    )
    for primitive in link.primitives:
        box = primitive.kind == "box"
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX if box else mujoco.mjtGeom.mjGEOM_CAPSULE,
            size=primitive.size if box else (*primitive.size, 0.0),
            pos=primitive.pose.position,
            quat=wxyz(primitive.pose),
            contype=collides,
            conaffinity=touches,
            friction=friction_coefficients(friction),
            **CONTACT,
        )
    return body


def _add_finger_drives(spec: mujoco.MjSpec, hand: HandSpec, drive: Drive) -> None:
    """Position servos in the order of `hand.actuators`, or of `hand.finger_joints`."""
    if drive == "independent":
        for joint in hand.joints:
            actuator = spec.add_actuator(
                name=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT, target=joint.name
            )
            _as_servo(actuator, hand.actuator.kp, 0.0, hand.actuator.force_range)
        return
    tendons = {tendon.name: tendon for tendon in hand.tendons}
    for name in hand.actuators:
        transmission = mujoco.mjtTrn.mjTRN_JOINT
        if name in tendons:
            transmission = mujoco.mjtTrn.mjTRN_TENDON
            _add_coupling(spec, name, tendons[name].distal, tendons[name].middle)
        actuator = spec.add_actuator(name=name, trntype=transmission, target=name)
        _as_servo(actuator, hand.actuator.kp, 0.0, hand.actuator.force_range)


def _add_coupling(spec: mujoco.MjSpec, name: str, distal: str, middle: str) -> None:
    """The driving tendon J0 = J1 + J2, and the stop that keeps J1 <= J2."""
    drive = spec.add_tendon(name=name)
    drive.wrap_joint(distal, 1.0)
    drive.wrap_joint(middle, 1.0)
    stop = spec.add_tendon(name=f"{name}_stop", limited=True, range=(-np.pi, 0.0))
    stop.wrap_joint(distal, 1.0)
    stop.wrap_joint(middle, -1.0)


def _as_servo(
    actuator: mujoco.MjsActuator, stiffness: float, damping: float, bounds: tuple[float, ...]
) -> None:
    actuator.set_to_position(kp=stiffness, kv=damping)
    actuator.forcelimited = True
    actuator.forcerange = bounds


def friction_coefficients(sliding: float) -> list[float]:
    """MuJoCo's three friction coefficients for a sliding one."""
    return [sliding, TORSIONAL_FRICTION, ROLLING_FRICTION]


def full_inertia(inertia: np.ndarray) -> list[float]:
    """A (3, 3) inertia in MuJoCo's order xx, yy, zz, xy, xz, yz."""
    return [inertia[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]


def wxyz(pose: Pose) -> list[float]:
    """A pose's quaternion in MuJoCo's order."""
    x, y, z, w = pose.quaternion
    return [w, x, y, z]
