"""Eight generated objects of graspable size, as closed triangle meshes.

All are in metres, z up, standing upright with the lowest point at z = 0 and the axis of the main
body on x = y = 0. Solids are combined with Manifold's booleans, which keep meshes closed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import trimesh
from trimesh.boolean import difference, union
from trimesh.creation import box, capsule, cylinder, icosphere, revolve, torus
from trimesh.transformations import rotation_matrix

_SECTIONS = 48  # facets of round bodies: 0.1 mm of sagitta at 4 cm radius


def make_shape(name: str) -> trimesh.Trimesh:
    """The closed mesh of a generated object.

    Raises:
        KeyError: no such shape; the message lists those there are.
    """
    try:
        build = SHAPES[name]
    except KeyError:
        raise KeyError(f"no shape {name!r}; the shapes are {', '.join(SHAPES)}") from None
    mesh = build()
    mesh.apply_translation((0.0, 0.0, -mesh.bounds[0, 2]))
    return mesh


def _can() -> trimesh.Trimesh:
    """A 330 ml drink can with bevelled rims."""
    return _turned([(0.0, 0.0), (0.027, 0.0), (0.033, 0.008), (0.033, 0.104), (0.027, 0.115)])


def _bottle() -> trimesh.Trimesh:
    """A half-litre bottle with a shoulder, a neck and a cap."""
    return _turned(
        [
            (0.0, 0.0),
            (0.029, 0.0),
            (0.032, 0.006),
            (0.032, 0.120),
            (0.028, 0.140),
            (0.015, 0.165),
            (0.013, 0.180),
            (0.015, 0.180),
            (0.015, 0.200),
        ]
    )


def _mug() -> trimesh.Trimesh:
    """A mug, 4 mm thick, with a ring handle on the side of +x."""
    radius, height, wall = 0.040, 0.095, 0.004
    body = _cylinder(radius, height)
    cavity = _cylinder(radius - wall, height, bottom=0.006)
    ring = torus(0.026, 0.0065, major_sections=32, minor_sections=16)
    ring.apply_transform(rotation_matrix(np.pi / 2, (1.0, 0.0, 0.0)))
    ring.apply_translation((radius + 0.006, 0.0, height / 2))
    return difference([union([body, ring]), cavity])


def _box() -> trimesh.Trimesh:
    """A carton of the size of a tea packet."""
    return box(extents=(0.060, 0.090, 0.130))


def _bowl() -> trimesh.Trimesh:
    """A bowl, 5 mm thick, on a foot; 13 cm across."""
    outer, wall, depth = 0.065, 0.005, 0.055
    angles = np.linspace(0.0, np.pi / 2, 13)
    outside = np.stack([outer * np.sin(angles), depth * (1.0 - np.cos(angles))], axis=1)
    inside = np.stack(
        [(outer - wall) * np.sin(angles), wall + (depth - wall) * (1.0 - np.cos(angles))], axis=1
    )
    shell, cavity = _turned(outside), _turned(inside)
    foot = _cylinder(0.028, 0.010, bottom=-0.004)
    return difference([union([shell, foot]), cavity])


def _ball() -> trimesh.Trimesh:
    """A ball of the size of a tennis ball."""
    return icosphere(subdivisions=3, radius=0.034)


def _hammer() -> trimesh.Trimesh:
    """A hammer lying on its side: round handle along x, head across its end."""
    handle = capsule(height=0.20, radius=0.013, count=(24, 12))  # centred, 0.226 m long
    handle.apply_transform(rotation_matrix(np.pi / 2, (0.0, 1.0, 0.0)))
    head = box(extents=(0.030, 0.060, 0.030))
    face = cylinder(radius=0.017, height=0.035, sections=32)
    face.apply_transform(rotation_matrix(np.pi / 2, (1.0, 0.0, 0.0)))
    face.apply_translation((0.0, 0.040, 0.0))
    for part in (head, face):
        part.apply_translation((0.105, 0.0, 0.0))
    return union([handle, head, face])


def _camera() -> trimesh.Trimesh:
    """A compact camera: body with a lens, a viewfinder hump and a shutter button."""
    body = box(extents=(0.110, 0.045, 0.070))
    lens = cylinder(radius=0.028, height=0.050, sections=_SECTIONS)
    lens.apply_transform(rotation_matrix(np.pi / 2, (1.0, 0.0, 0.0)))
    lens.apply_translation((0.008, -0.040, -0.002))
    hump = box(extents=(0.040, 0.035, 0.020))
    hump.apply_translation((0.008, 0.0, 0.040))
    button = cylinder(radius=0.007, height=0.012, sections=24)
    button.apply_translation((-0.038, 0.0, 0.037))
    return union([body, lens, hump, button])


def _cylinder(radius: float, height: float, bottom: float = 0.0) -> trimesh.Trimesh:
    solid = cylinder(radius=radius, height=height, sections=_SECTIONS)
    solid.apply_translation((0.0, 0.0, bottom + height / 2))
    return solid


def _turned(profile: list[tuple[float, float]] | np.ndarray) -> trimesh.Trimesh:
    """Solid of revolution about z of (radius, height) points from bottom to top, closed flat."""
    points = np.asarray(profile, dtype=np.float64)
    return revolve(np.concatenate([points, [(0.0, points[-1, 1])]]), sections=_SECTIONS)


SHAPES: dict[str, Callable[[], trimesh.Trimesh]] = {
    "can": _can,
    "bottle": _bottle,
    "mug": _mug,
    "box": _box,
    "bowl": _bowl,
    "ball": _ball,
    "hammer": _hammer,
    "camera": _camera,
}
