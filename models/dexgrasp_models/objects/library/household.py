"""Boxes, and what lies on a desk."""

from __future__ import annotations

from manifold3d import Manifold
from numpy.random import Generator

from dexgrasp_models.objects.library.solids import (
    along_y,
    cylinder,
    rounded_box,
    slab,
    turned,
)


def box(rng: Generator) -> dict[str, Manifold]:
    """A box with a lid that overhangs it."""
    x, y, z = rng.uniform(6.0, 12.0), rng.uniform(5.0, 9.0), rng.uniform(3.0, 9.0)
    overhang, lid = rng.uniform(0.2, 0.5), z * rng.uniform(0.2, 0.4)
    body = rounded_box((x, y, z), 0.2)
    cover = rounded_box((x + overhang, y + overhang, lid), 0.2)
    parts = {"body": body, "lid": cover.translate((0.0, 0.0, z - 0.8 * lid))}
    if rng.random() < 0.4:
        bar = rounded_box((rng.uniform(1.5, 3.0), 0.8, 1.0), 0.3)
        parts["knob"] = bar.translate((0.0, 0.0, z + 0.2 * lid - 0.3))
    return parts


def cereal_box(rng: Generator) -> dict[str, Manifold]:
    """Tall and thin, with a tucked or a standing flap."""
    width, depth, height = rng.uniform(14.0, 20.0), rng.uniform(4.0, 7.5), rng.uniform(19.0, 30.0)
    body = rounded_box((width, depth, height), 0.15)
    if rng.random() < 0.5:
        flap = rounded_box((0.98 * width, rng.uniform(0.45, 0.7) * depth, 0.7), 0.12)
        return {"body": body, "flap": flap.translate((0.0, 0.22 * depth, height - 0.35))}
    tall = rng.uniform(1.5, 3.0)
    eaves = rounded_box((0.99 * width, 0.97 * depth, 0.3), 0.12)
    ridge = rounded_box((0.99 * width, 0.6, 0.4), 0.2).translate((0.0, 0.0, tall - 0.1))
    gable = Manifold.batch_hull([eaves, ridge]).translate((0.0, 0.0, height - 0.3))
    crest = rounded_box((0.97 * width, 0.7, 1.6), 0.2).translate((0.0, 0.0, height + tall - 0.5))
    return {"body": body, "flap": gable + crest}


def stapler(rng: Generator) -> dict[str, Manifold]:
    """Hinged at x = 0, opening along x."""
    length, width = rng.uniform(11.0, 16.0), rng.uniform(2.6, 3.6)
    base = rounded_box((length + 1.0, width, 1.0), 0.4).translate((length / 2, 0.0, 0.0))
    opening = rng.uniform(4.0, 14.0)
    height = rng.uniform(1.8, 2.6)
    front = height * rng.uniform(0.55, 0.9)
    outline = [(-0.6, 0.0), (length, 0.0), (length + 0.5, 0.6 * front), (0.92 * length, front)]
    outline += [(0.35 * length, height), (0.05 * length, 0.95 * height), (-0.6, 0.5 * height)]
    arm = slab(outline, 0.9 * width, 0.3).rotate((90.0, 0.0, 0.0))
    arm = arm.translate((0.0, 0.45 * width, 0.8))
    rail = rounded_box((0.93 * length, 0.55 * width, 0.9), 0.2).translate((0.5 * length, 0.0, 0.1))
    tilt = (0.0, -opening, 0.0)
    hinge = along_y(cylinder(1.0, 1.04 * width)).translate((0.0, -0.52 * width, 1.6))
    post = rounded_box((2.0, 0.8 * width, 2.2), 0.3)
    return {
        "base": base + post,
        "arm": arm.rotate(tilt).translate((0.0, 0.0, 1.2)),
        "magazine": rail.rotate(tilt).translate((0.0, 0.0, 1.2)),
        "hinge": hinge,
    }


def tape_roll(rng: Generator) -> dict[str, Manifold]:
    radius, width = rng.uniform(3.8, 6.0), rng.uniform(1.6, 5.0)
    hole = radius * rng.uniform(0.45, 0.78)
    core, bevel = rng.uniform(0.35, 0.6), 0.15
    edge = [
        (radius - bevel, 0.0),
        (radius, bevel),
        (radius, width - bevel),
        (radius - bevel, width),
    ]
    bore = cylinder(hole + 0.5 * core, width + 2.0).translate((0.0, 0.0, -1.0))
    tube = cylinder(hole + core, width + 0.4) - cylinder(hole, width + 2.0).translate((0, 0, -1.0))
    loose = rng.uniform(1.2, 2.5)
    tab = slab([(0.0, 0.0), (loose, 0.0), (loose, 0.35), (0.0, 0.35)], width - 0.2)
    return {
        "tape": turned(edge) - bore,
        "core": tube.translate((0.0, 0.0, -0.2)),
        "end": tab.translate((0.0, radius - 0.3, 0.1)),
    }


CATEGORIES = {"box": box, "cereal_box": cereal_box, "stapler": stapler, "tape_roll": tape_roll}
