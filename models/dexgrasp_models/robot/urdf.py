"""URDF elements from links: what the hand's and the arm's robot descriptions share."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.robot.links import Inertial, Joint, Link, Pose, Primitive


def robot_element(name: str) -> Element:
    """An empty `<robot>`."""
    return Element("robot", name=name)


def to_text(robot: Element) -> str:
    """The robot as an indented XML document."""
    ElementTree.indent(robot)
    return ElementTree.tostring(robot, encoding="unicode", xml_declaration=True) + "\n"


def add_link(robot: Element, link: Link, colour: str, capsule_ends: bool = True) -> None:
    """Add `<link>` with its mass and its shapes, as both visual and collision geometry.

    URDF has no capsule: it becomes a cylinder and two spheres.

    Args:
        robot: the `<robot>` to add to.
        link: the link.
        colour: "r g b a" of its visuals.
        capsule_ends: whether the spheres are there; not for who takes cylinders for capsules.
    """
    element = SubElement(robot, "link", name=link.name)
    add_inertial(element, link.inertial())
    for primitive in link.primitives:
        for kind in ("visual", "collision"):
            for pose, tag, attributes in _urdf_shapes(primitive, capsule_ends):
                shape = SubElement(element, kind)
                _add_origin(shape, pose)
                SubElement(SubElement(shape, "geometry"), tag, attributes)
                if kind == "visual":
                    material = SubElement(shape, "material", name=colour.replace(" ", "_"))
                    SubElement(material, "color", rgba=colour)


def add_inertial(element: Element, inertial: Inertial) -> None:
    """Add mass properties to a `<link>`."""
    inertia = inertial.inertia
    child = SubElement(element, "inertial")
    _add_origin(child, Pose(tuple(inertial.centre)))
    SubElement(child, "mass", value=f"{inertial.mass:.9g}")
    entries = {f"i{a}{b}": inertia["xyz".index(a), "xyz".index(b)] for a, b in _upper_triangle()}
    SubElement(child, "inertia", {name: f"{value:.9g}" for name, value in entries.items()})


def add_frame(robot: Element, name: str) -> None:
    """Add a `<link>` that is only a frame."""
    SubElement(robot, "link", name=name)


def add_fixed_joint(robot: Element, parent: str, child: str, pose: Pose) -> None:
    """Fix `child` to `parent` at `pose`."""
    _add_joint(robot, f"{parent}_to_{child}", "fixed", parent, child, pose)


def add_revolute_joint(
    robot: Element,
    joint: Joint,
    parent: str,
    child: str,
    pose: Pose,
    effort: float,
    velocity: float,
) -> None:
    """Add a `<joint>` with its limits.

    Args:
        robot: the `<robot>` to add to.
        joint: name, axis and range.
        parent, child: names of the links it joins.
        pose: of the child in the parent at angle zero.
        effort: greatest torque in N m.
        velocity: greatest speed in rad/s.
    """
    element = _add_joint(robot, joint.name, "revolute", parent, child, pose)
    SubElement(element, "axis", xyz=_numbers(joint.axis))
    lower, upper = joint.range
    limits = {"lower": lower, "upper": upper, "effort": effort, "velocity": velocity}
    SubElement(element, "limit", {key: f"{value:.9g}" for key, value in limits.items()})


def pose_from_matrix(matrix: np.ndarray) -> Pose:
    """The (4, 4) homogeneous `matrix` as a Pose."""
    quaternion = Rotation.from_matrix(matrix[:3, :3]).as_quat()
    return Pose(tuple(matrix[:3, 3]), tuple(quaternion))


def _add_joint(
    robot: Element, name: str, kind: str, parent: str, child: str, pose: Pose
) -> Element:
    element = SubElement(robot, "joint", name=name, type=kind)
    SubElement(element, "parent", link=parent)
    SubElement(element, "child", link=child)
    _add_origin(element, pose)
    return element


def _upper_triangle() -> list[tuple[str, str]]:
    return [(a, b) for a in "xyz" for b in "xyz" if a <= b]


def _urdf_shapes(
    primitive: Primitive, capsule_ends: bool
) -> Iterable[tuple[Pose, str, dict[str, str]]]:
    if primitive.kind == "box":
        yield primitive.pose, "box", {"size": _numbers(2 * np.array(primitive.size))}
        return
    radius, half_length = primitive.size
    size = {"radius": f"{radius:.9g}"}
    yield primitive.pose, "cylinder", {**size, "length": f"{2 * half_length:.9g}"}
    for end in primitive.segment if capsule_ends else ():
        yield Pose(tuple(end)), "sphere", size


def _add_origin(element: Element, pose: Pose) -> None:
    with warnings.catch_warnings():
        # At 90 degrees of pitch roll and yaw are not unique; any pair will do.
        warnings.filterwarnings("ignore", message="Gimbal lock")
        # "xyz" with lower case is about fixed axes: URDF's roll, pitch, yaw.
        rpy = Rotation.from_quat(pose.quaternion).as_euler("xyz")
    SubElement(element, "origin", xyz=_numbers(pose.position), rpy=_numbers(rpy))


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:.12g}" for value in values)
