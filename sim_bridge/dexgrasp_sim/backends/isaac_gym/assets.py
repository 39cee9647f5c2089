"""What the worker builds its worlds of: URDFs of robot and objects, and `scenes.json`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from dexgrasp_models.arm.mounting import load_mounting
from dexgrasp_models.arm.spec import ArmJoint, load_arm
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.objects import ObjectModel
from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_models.robot.links import Inertial, Joint, Link
from dexgrasp_models.robot.urdf import (
    add_fixed_joint,
    add_inertial,
    add_link,
    add_revolute_joint,
    pose_from_matrix,
    robot_element,
    to_text,
)
from dexgrasp_sim.backends.isaac_gym.settings import IsaacGymSettings
from dexgrasp_sim.backends.mujoco.mujoco_model import TABLE, TABLE_ROLLING_FRICTION
from dexgrasp_sim.backends.mujoco.robot_model import (
    ARM_ARMATURE,
    ARM_LAG,
    ARM_STIFFNESS,
    ROLLING_FRICTION,
    TORSIONAL_FRICTION,
    PalmServo,
)
from dexgrasp_sim.box import box_walls
from dexgrasp_sim.scene import SceneConfig

_COLOUR = "0.7 0.7 0.75 1"
_TABLE_THICKNESS = 1.0  # m, below its top
_SPEED_LIMIT = 100.0  # rad/s: none, in effect, as with other simulators
_GAP = 0.2  # m between the tables of two worlds
_FILTER_BITS = 31
_OFF_CENTRE, _OFF_SQUARE = 0.01, 1e-4  # pixels, and of the ratio of focal lengths


def write_scenes(
    folder: Path,
    config: SceneConfig,
    settings: IsaacGymSettings,
    object_models: Sequence[ObjectModel],
    cameras: Iterable[CameraModel] = (),
) -> None:
    """Write `scenes.json`, and the URDFs and meshes that it names.

    Args:
        folder: an empty one.
        config: of all worlds.
        settings: how Isaac Gym is run.
        object_models: the N objects.
        cameras: those that draw.

    Raises:
        ValueError: Isaac Gym has no such cameras.
    """
    distinct = list({id(item): item for item in object_models}.values())
    number_of = {id(item): number for number, item in enumerate(distinct)}
    names = [_write_object(folder, n, item, config) for n, item in enumerate(distinct)]
    links, fixed = _robot_links(config)
    (folder / "robot.urdf").write_text(_robot_urdf(links), encoding="utf-8")
    filters = collision_filters(_never_touching(config, [link.name for link in links]))
    x, y = np.array(config.table_size) / 2 + _GAP / 2
    blocks = [((0.0, 0.0, -_TABLE_THICKNESS / 2), (*config.table_size, _TABLE_THICKNESS))]
    if config.box:
        blocks += [(tuple(middle), tuple(2 * half)) for middle, half in box_walls()]
    scenes = {
        "robot": {
            "urdf": "robot.urdf",
            "fixed": fixed,
            "pose": _pose7(load_mounting().world_T_base if fixed else config.home_pose),
            "palm": load_hand().root,
            "links": load_hand().link_names,
            "joints": config.joint_names,
            "filters": filters,
            "stop_stiffness": settings.stop_stiffness,
            **_drives(config),
        },
        "palm_servo": None
        if fixed
        else {**dataclasses.asdict(PalmServo()), "palm_centre": palm_centre().tolist()},
        "objects": names,
        "object_of_world": [number_of[id(item)] for item in object_models],
        "blocks": [
            {"position": position, "size": size, "filter": filters.get(TABLE, 0)}
            for position, size in blocks
        ],
        "friction": config.friction,
        "torsion_friction": TORSIONAL_FRICTION,
        "rolling_frictions": (
            *(ROLLING_FRICTION, ROLLING_FRICTION),  # robot and object
            TABLE_ROLLING_FRICTION,
            *[ROLLING_FRICTION] * (len(blocks) - 1),
        ),
        "half_spacing": (x, y, 1.0),
        "cameras": [_camera(model) for model in cameras],
        "physics": {
            "device": settings.device,
            "timestep": config.timestep,
            "substeps": settings.substeps,
            "physx": dataclasses.asdict(settings.physx),
        },
    }
    (folder / "scenes.json").write_text(json.dumps(scenes, indent=1), encoding="utf-8")


def palm_centre() -> np.ndarray:
    """(3,) centre of mass of `rh_palm` in its frame, m."""
    return load_hand().links[0].inertial().centre


def _camera(model: CameraModel) -> dict[str, Any]:
    middle = ((model.width - 1) / 2, (model.height - 1) / 2)
    off = np.abs(np.subtract((model.cx, model.cy), middle)).max()
    if off > _OFF_CENTRE or abs(model.fx / model.fy - 1.0) > _OFF_SQUARE:
        raise ValueError(
            f"{model.name} has its principal point {off:.1f} pixels off the middle, and focal"
            f" lengths of {model.fx:g} and {model.fy:g}: Isaac Gym's cameras have it in the middle,"
            " and one focal length. Set depth to false in config/isaac_gym.yaml, or take another"
            " rig"
        )
    return {
        "width": model.width,
        "height": model.height,
        "horizontal_fov": float(np.rad2deg(model.horizontal_fov)),
        "pose": _pose7(model.world_T_link),
    }


def _pose7(matrix: np.ndarray) -> list[float]:
    pose = pose_from_matrix(matrix)
    return [float(value) for value in (*pose.position, *pose.quaternion)]


# The robot


def _robot_links(config: SceneConfig) -> tuple[list[Link], bool]:
    """The links of the whole robot, whose wrist is stiff, and whether the first one is fixed."""
    hand = load_hand()
    if config.scene == "floating":
        return list(hand.links), False
    arm, mount, mounting = load_arm(), hand.mount, load_mounting()
    forearm = arm.tool_pose.matrix @ mounting.tool_T_forearm
    carriers = [
        dataclasses.replace(
            mount.links[0], parent=arm.links[-1].name, pose=pose_from_matrix(forearm)
        ),
        *(dataclasses.replace(link, joint=None) for link in mount.links[1:]),
    ]
    palm = dataclasses.replace(hand.links[0], parent=mount.links[-1].name, pose=mount.palm_pose)
    return [*arm.links, *carriers, palm, *hand.links[1:]], True


def _robot_urdf(links: Iterable[Link]) -> str:
    robot = robot_element("robot")
    for link in links:
        # The worker has Isaac Gym take cylinders for capsules.
        add_link(robot, link, _COLOUR, capsule_ends=False)
        if link.joint:
            assert link.parent is not None
            add_revolute_joint(
                robot, link.joint, link.parent, link.name, link.pose, _effort(link.joint),
                _SPEED_LIMIT,
            )  # fmt: skip
        elif link.parent:
            add_fixed_joint(robot, link.parent, link.name, link.pose)
    return to_text(robot)


def _effort(joint: Joint) -> float:
    """N m."""
    if isinstance(joint, ArmJoint):
        return joint.max_torque
    return max(map(abs, load_hand().actuator.force_range))


def _drives(config: SceneConfig) -> dict[str, Any]:
    """Stiffness and so on of the joints' position drives, by Isaac Gym's names, as MuJoCo's."""
    hand = load_hand()
    defaults, count = hand.joint_defaults, len(hand.joints)
    joints: list[Joint] = list(hand.joints)
    arm = np.zeros(0)
    if config.scene == "arm":
        joints += load_arm().joints
        arm = load_arm().max_torques
    columns = {
        "stiffness": (hand.actuator.kp, ARM_STIFFNESS * arm),
        "damping": (defaults.damping, ARM_LAG * ARM_STIFFNESS * arm),
        "armature": (defaults.armature, ARM_ARMATURE * arm),
        "friction": (defaults.frictionloss, 0.0 * arm),
    }
    coupled = hand.tendons if config.hand == "coupled" else ()
    return {
        **{name: [finger] * count + arms.tolist() for name, (finger, arms) in columns.items()},
        "effort": [_effort(joint) for joint in joints],
        "velocity": [_SPEED_LIMIT] * len(joints),
        "fingers": count,
        "couplings": [
            [hand.joint_index(tendon.distal), hand.joint_index(tendon.middle)] for tendon in coupled
        ],
    }


# What touches what


def _never_touching(config: SceneConfig, names: Sequence[str]) -> set[frozenset[str]]:
    """Pairs of links, and of links and the table, that pass through each other."""
    hand = load_hand()
    pairs = {
        frozenset((link.name, ancestor))
        for link in hand.links[1:]
        for ancestor in (link.parent, hand.link(link.parent or "").parent)
        if ancestor
    }
    if not config.self_collision:
        pairs |= {frozenset(pair) for pair in combinations(hand.link_names, 2)}
    if config.scene == "arm":
        carriers = [name for name in names if name not in hand.link_names]
        pairs |= {frozenset(pair) for pair in combinations(carriers, 2)}
        pairs |= {frozenset((a, b)) for a in carriers for b in hand.link_names}
        # The shoulder turns on the table without ever lifting off it.
        base = load_arm().base
        near = [link.name for link in load_arm().links if base in (link.name, link.parent)]
        pairs |= {frozenset((TABLE, name)) for name in near}
    return pairs


def collision_filters(never: Iterable[frozenset[str]]) -> Mapping[str, int]:
    """Bit masks by name: two that have a bit in common never touch, any others may.

    Each bit is given to a group all of whose pairs are among those that never touch.

    Raises:
        ValueError: there are not enough bits.
    """
    pairs = set(never)
    names = sorted(set().union(*pairs)) if pairs else []
    filters, bit, open_pairs = dict.fromkeys(names, 0), 0, set(pairs)
    while open_pairs:
        group = sorted(min(open_pairs, key=sorted))
        for name in names:
            if name not in group and all(frozenset((name, one)) in pairs for one in group):
                group.append(name)
        open_pairs -= {frozenset(pair) for pair in combinations(group, 2)}
        if bit == _FILTER_BITS:
            raise ValueError(f"collision filters have {_FILTER_BITS} bits, and more are needed")
        for name in group:
            filters[name] |= 1 << bit
        bit += 1
    return filters


# Objects


def _write_object(folder: Path, number: int, item: ObjectModel, config: SceneConfig) -> str:
    """The object's URDF, its pieces in a folder beside it; the name of the file."""
    stem = f"object_{number}"
    (folder / stem).mkdir()
    robot = robot_element(stem)
    link = SubElement(robot, "link", name="object")
    mass = config.object_mass
    add_inertial(link, Inertial(mass, item.center_of_mass, mass * item.unit_inertia))
    for index, piece in enumerate(item.pieces):
        mesh = f"{stem}/piece_{index:03d}.obj"
        piece.export(folder / mesh)
        for kind in ("visual", "collision"):
            _add_mesh(SubElement(link, kind), mesh)
    (folder / f"{stem}.urdf").write_text(to_text(robot), encoding="utf-8")
    return f"{stem}.urdf"


def _add_mesh(shape: Element, mesh: str) -> None:
    SubElement(shape, "origin", xyz="0 0 0", rpy="0 0 0")
    SubElement(SubElement(shape, "geometry"), "mesh", filename=mesh)
