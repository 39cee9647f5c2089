"""Rigid objects described by a URDF: meshes and primitives at their places, seen and touched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

URDF_SUFFIX = ".urdf"


@dataclass(frozen=True)
class UrdfShape:
    """A shape of an object.

    Attributes:
        seen: whether it is a visual; else it is for collisions.
        shape: a mesh file, or a primitive in its own frame.
        placed: (4, 4) to the object's frame, scale included.
    """

    seen: bool
    shape: Path | trimesh.Trimesh
    placed: np.ndarray


def read_urdf(path: Path) -> list[UrdfShape]:
    """The shapes of all links, in the frame of the root link.

    Raises:
        ValueError: it is no URDF of a rigid object.
        OSError: it can't be opened.
    """
    try:
        robot = ElementTree.fromstring(path.read_bytes())
        poses = _link_poses(robot)
        return [
            UrdfShape(kind == "visual", *_geometry(item, path.parent, poses[link.get("name")]))
            for link in robot.iter("link")
            for kind in ("visual", "collision")
            for item in link.iter(kind)
        ]
    except ElementTree.ParseError as error:
        raise ValueError(f"is no XML ({error})") from error


def urdf_meshes(path: Path) -> set[Path]:
    """The mesh files that a URDF names; none if it can't be read."""
    try:
        return {one.shape.resolve() for one in read_urdf(path) if isinstance(one.shape, Path)}
    except (ValueError, OSError):
        return set()


def _link_poses(robot: Element) -> dict[str | None, np.ndarray]:
    """(4, 4) of each link in the frame of the root."""
    names = [link.get("name") for link in robot.iter("link")]
    parents: dict[str | None, tuple[str | None, np.ndarray]] = {}
    for joint in robot.findall("joint"):
        if joint.get("type") != "fixed":
            raise ValueError(
                f"its joint {joint.get('name')} is {joint.get('type')}, not fixed; objects are "
                "rigid: fix it, or give one link's meshes"
            )
        parent, child = joint.find("parent"), joint.find("child")
        if parent is None or child is None or parent.get("link") not in names:
            raise ValueError(f"its joint {joint.get('name')} joins no two of its links")
        parents[child.get("link")] = parent.get("link"), _origin(joint)
    poses = {}
    for name in names:
        pose, link = np.eye(4), name
        for _ in names:
            if link not in parents:
                break
            link, step = parents[link]
            pose = step @ pose
        poses[name] = pose
    if len({*names} - {*parents}) != 1:
        raise ValueError(f"its {len(names)} links are not one tree")
    return poses


def _geometry(
    item: Element, folder: Path, pose: np.ndarray
) -> tuple[Path | trimesh.Trimesh, np.ndarray]:
    """A shape and its place."""
    geometry = item.find("geometry")
    shape = None if geometry is None else next(iter(geometry), None)
    if shape is None:
        raise ValueError(f"has a {item.tag} without a geometry")
    placed = pose @ _origin(item)
    match shape.tag:
        case "mesh":
            placed = placed @ np.diag([*_numbers(shape, "scale", (1.0, 1.0, 1.0)), 1.0])
            return _mesh_file(shape.get("filename", ""), folder), placed
        case "box":
            return trimesh.creation.box(_numbers(shape, "size", None)), placed
        case "sphere":
            (radius,) = _numbers(shape, "radius", None, 1)
            return trimesh.creation.icosphere(subdivisions=3, radius=radius), placed
        case "cylinder":
            (radius,), (length,) = (_numbers(shape, n, None, 1) for n in ("radius", "length"))
            return trimesh.creation.cylinder(radius=radius, height=length, sections=48), placed
    raise ValueError(f"has a geometry {shape.tag}, not mesh, box, sphere or cylinder")


def _mesh_file(name: str, folder: Path) -> Path:
    """Relative to the URDF, or below a folder of the package's name around it."""
    name = name.replace("\\", "/")
    if not name.startswith("package://"):
        return folder / name.removeprefix("file://")
    package, _, rest = name.removeprefix("package://").partition("/")
    around = [parent for parent in folder.resolve().parents if parent.name == package]
    candidates = [folder / rest, *(parent / rest for parent in around), folder.parent / rest]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _origin(item: Element) -> np.ndarray:
    """(4, 4) of an element's `<origin>`."""
    pose = np.eye(4)
    if (origin := item.find("origin")) is not None:
        pose[:3, 3] = _numbers(origin, "xyz", (0.0, 0.0, 0.0))
        turns = _numbers(origin, "rpy", (0.0, 0.0, 0.0))
        pose[:3, :3] = Rotation.from_euler("xyz", turns).as_matrix()
    return pose


def _numbers(
    item: Element, name: str, default: tuple[float, ...] | None, count: int = 3
) -> tuple[float, ...]:
    text = item.get(name)
    if text is None and default is not None:
        return default
    try:
        numbers = tuple(float(word) for word in (text or "").split())
    except ValueError:
        numbers = ()
    if name == "scale" and len(numbers) == 1:
        numbers *= 3
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"has a {item.tag} with {name} {text!r}, not {count} numbers")
    return numbers
