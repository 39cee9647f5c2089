"""What is read of URDF files: bodies, joints, shapes."""

import os
from collections import namedtuple
from xml.etree import ElementTree

import numpy as np

Shape = namedtuple("Shape", "kind size position quaternion vertices")
"""`size`: half extents, or radius and half length; the quaternion is MuJoCo's (w, x, y, z)."""
Joint = namedtuple("Joint", "name axis range effort velocity")


class Body:
    """A link; its place in the parent is set where it has one."""

    def __init__(self, name, parent, mass, centre, inertia, shapes):
        self.name, self.parent, self.joint = name, parent, None
        self.mass, self.centre, self.inertia, self.shapes = mass, centre, inertia, shapes
        self.position, self.quaternion = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])


class Asset:
    """Bodies, parents first; `dofs` are names of joints, the last of the alphabet first."""

    def __init__(self, bodies, options):
        self.bodies, self.options = bodies, options
        joints = {body.joint.name: body.joint for body in bodies if body.joint}
        self.dofs = sorted(joints, reverse=True)
        self._joints = joints

    def joint(self, name):
        return self._joints[name]


def read_urdf(folder, filename, options):
    robot = ElementTree.parse(os.path.join(folder, filename)).getroot()
    bodies = {link.get("name"): _body(link, folder, options) for link in robot.iter("link")}
    for joint in robot.iter("joint"):
        child = bodies[joint.find("child").get("link")]
        child.parent = joint.find("parent").get("link")
        child.position, child.quaternion = _origin(joint)
        if joint.get("type") == "revolute":
            limit = joint.find("limit")
            child.joint = Joint(
                joint.get("name"),
                _numbers(joint.find("axis").get("xyz")),
                (float(limit.get("lower")), float(limit.get("upper"))),
                float(limit.get("effort")),
                float(limit.get("velocity")),
            )
    assert not options.collapse_fixed_joints
    return Asset(_ordered(bodies), options)


def _ordered(bodies):
    """Parents first, of siblings the last of the alphabet first."""
    (root,) = [name for name, body in bodies.items() if body.parent is None]
    names, found = [root], []
    while names:
        name = names.pop()
        found.append(bodies[name])
        names += sorted(child for child, body in bodies.items() if body.parent == name)
    return found


def _body(link, folder, options):
    inertial = link.find("inertial")
    if inertial is None:
        raise NotImplementedError(f"the link {link.get('name')} has no mass")
    centre, attitude = _origin(inertial)
    assert np.allclose(attitude, (1, 0, 0, 0))
    entries = inertial.find("inertia")
    inertia = np.zeros((3, 3))
    for row, a in enumerate("xyz"):
        for column, b in enumerate("xyz"):
            inertia[row, column] = float(entries.get("i" + "".join(sorted(a + b))))
    mass = float(inertial.find("mass").get("value"))
    shapes = [_shape(shape, folder, options) for shape in link.findall("collision")]
    return Body(link.get("name"), None, mass, centre, inertia, shapes)


def _shape(element, folder, options):
    position, quaternion = _origin(element)
    (geometry,) = element.find("geometry")
    if geometry.tag == "box":
        return Shape("box", _numbers(geometry.get("size")) / 2, position, quaternion, None)
    if geometry.tag == "cylinder":
        kind = "capsule" if options.replace_cylinder_with_capsule else "cylinder"
        size = (float(geometry.get("radius")), float(geometry.get("length")) / 2)
        return Shape(kind, size, position, quaternion, None)
    assert geometry.tag == "mesh", geometry.tag
    assert not options.vhacd_enabled
    vertices = _vertices(os.path.join(folder, geometry.get("filename")))
    return Shape("mesh", None, position, quaternion, vertices)


def _vertices(path):
    with open(path, encoding="utf-8") as file:
        rows = [line.split()[1:4] for line in file if line.startswith("v ")]
    return np.array(rows, dtype=float)


def _origin(element):
    origin = element.find("origin")
    if origin is None:
        return np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
    roll, pitch, yaw = _numbers(origin.get("rpy", "0 0 0")) / 2
    quaternion = _product(_about(2, yaw), _product(_about(1, pitch), _about(0, roll)))
    return _numbers(origin.get("xyz", "0 0 0")), quaternion


def _about(axis, half):
    quaternion = np.zeros(4)
    quaternion[0], quaternion[1 + axis] = np.cos(half), np.sin(half)
    return quaternion


def _product(first, second):
    w, v = first[0], first[1:]
    scalar = w * second[0] - v @ second[1:]
    return np.array([scalar, *(w * second[1:] + second[0] * v + np.cross(v, second[1:]))])


def _numbers(text):
    return np.array(text.split(), dtype=float)
