"""Tools and utensils: a handle and what works at its end, lying along x."""

from __future__ import annotations

import numpy as np
from manifold3d import CrossSection, Manifold
from numpy.random import Generator

from dexgrasp_models.objects.library.solids import (
    along_x,
    along_y,
    cylinder,
    ellipsoid,
    limb,
    lofted,
    rounded_box,
    slab,
    smooth,
    swept,
    turned,
    union,
)


def hammer(rng: Generator) -> dict[str, Manifold]:
    """With a claw, with a ball peen, or a mallet."""
    length, grip = rng.uniform(20.0, 30.0), rng.uniform(1.2, 1.6)
    neck = grip * rng.uniform(0.6, 0.85)
    profile = smooth([(0.8 * grip, 0.0), (grip, 1.0), (grip, 0.35 * length), (neck, length)])
    handle = along_x(turned(profile, depth=rng.uniform(0.75, 1.0)))
    style = rng.choice(["claw", "peen", "mallet"])
    if style == "mallet":
        radius, half = rng.uniform(2.6, 3.8), rng.uniform(4.0, 5.5)
        block = along_y(turned([(0.9, -1.0), (1.0, -0.9), (1.0, 0.9), (0.9, 1.0)]))
        head = block.scale((radius, half, radius))
    else:
        face = rng.uniform(1.4, 1.9)
        poll = [(0.75, 0.0), (0.75, 2.5), (1.0, 3.2), (1.0, 4.3), (0.9, 4.5)]
        head = along_y(turned(np.array(poll) * (face, 1.0)))
        head += rounded_box((2.8, 3.6, 2.8), 0.4).translate((0.0, 0.0, -1.4))
        if style == "peen":
            head += limb([(0.0, 0.0, 0.0), (0.0, -4.2, 0.0)], [0.9, 1.2])
        else:
            path = smooth([(0.0, -1.0, 0.0), (-0.4, -3.5, 0.0), (-1.8, -6.0, 0.0)], 12)
            sizes = np.linspace([0.9, 1.3], [0.25, 1.2], 12)
            claw = swept(path, sizes, up=(0.0, 0.0, 1.0))
            notch = slab([(-4.0, -7.0), (2.0, -7.0), (0.0, -3.2)], 0.7)
            head += claw - _centred(notch)
    return {"handle": handle, "head": head.translate((length - 0.4, 0.0, 0.0))}


def screwdriver(rng: Generator) -> dict[str, Manifold]:
    grip, length = rng.uniform(1.2, 1.8), rng.uniform(8.0, 11.0)
    profile = [(0.7, 0.0), (1.0, 0.1), (0.9, 0.5), (1.0, 0.7), (0.6, 0.9), (0.75, 1.0)]
    handle = turned(smooth(profile, 30) * (grip, length))
    flutes = rng.integers(4, 8)
    ring = rng.uniform(1.1, 1.2) * grip
    for angle in np.linspace(0.0, 2.0 * np.pi, flutes, endpoint=False):
        flute = Manifold.cylinder(0.8 * length, 0.25 * grip, circular_segments=12)
        handle -= flute.translate((ring * np.cos(angle), ring * np.sin(angle), 0.0))
    shaft, radius = rng.uniform(8.0, 14.0), rng.uniform(0.35, 0.5)
    end = length + shaft
    if rng.random() < 0.5:
        blade = Manifold.cube((1.7 * radius, 2.4 * radius, 1.0), True).translate((0, 0, end - 1.0))
        tip = Manifold.batch_hull(
            [blade, Manifold.cube((0.2, 2.4 * radius, 0.1), True).translate((0, 0, end + 0.8))]
        )
    else:
        tip = cylinder(1.2 * radius, 1.4, 0.15).translate((0.0, 0.0, end - 0.4))
    rod = cylinder(radius, shaft + 0.5).translate((0.0, 0.0, length - 0.5))
    return {"handle": along_x(handle), "shaft": along_x(rod), "tip": along_x(tip)}


def wrench(rng: Generator) -> dict[str, Manifold]:
    """Open at one end, a ring or open at the other."""
    length, width = rng.uniform(14.0, 22.0), rng.uniform(1.5, 2.2)
    thick = rng.uniform(0.8, 1.2)
    jaw = width * rng.uniform(1.0, 1.3)
    bar = _centred(rounded_box((length, width, 0.7 * thick), 0.2))
    heads = []
    for side, radius in ((1.0, jaw), (-1.0, jaw * rng.uniform(0.8, 1.0))):
        disc = CrossSection.circle(radius, 32)
        if side > 0.0 or rng.random() < 0.5:
            gap = CrossSection.square((2.0 * radius, 0.95 * radius), True)
            disc -= gap.translate((0.85 * radius, 0.0)).rotate(rng.uniform(-20.0, 20.0))
        else:
            disc -= CrossSection.circle(0.6 * radius, 6)
        head = _centred(disc.extrude(thick))
        head = head if side > 0.0 else head.rotate((0.0, 0.0, 180.0))
        heads.append(head.translate((side * (length / 2 + 0.7 * radius), 0.0, 0.0)))
    return {"handle": bar, "head": heads[0], "tail": heads[1]}


def knife(rng: Generator) -> dict[str, Manifold]:
    grip, height = rng.uniform(9.0, 12.0), rng.uniform(1.6, 2.2)
    thick = rng.uniform(1.3, 1.7)
    x = np.linspace(0.0, grip, 14)
    belly = smooth([(0.8, 0.0), (1.0, 0.15), (0.85, 0.5), (1.0, 0.85), (0.9, 1.0)], 14)[:, :1]
    path = np.stack([-x, 0.0 * x, 0.15 * np.sin(np.pi * x / grip)], axis=1)
    handle = swept(path, belly * (thick / 2, height / 2))
    length, spine = rng.uniform(10.0, 20.0), rng.uniform(0.35, 0.5)
    depth = height * rng.uniform(1.0, 2.2)
    tip = rng.uniform(0.3, 0.8)  # where the edge meets the spine; 0.5: a centred point
    t = np.linspace(0.0, 1.0, 16)
    taper = np.sqrt(1.0 - np.clip((t - 0.55) / 0.46, 0.0, 1.0) ** 2)
    top = 0.5 * height - tip * depth * (1.0 - taper)
    bottom = 0.5 * height - depth + (1.0 - tip) * depth * (1.0 - taper)
    rings = [
        [(s, -w, high), (s, w, high), (s, 0.12, low), (s, -0.12, low)]
        for s, high, low, w in zip(
            length * t - 0.5, top, bottom, spine / 2 * (0.4 + 0.6 * taper), strict=True
        )
    ]
    bolster = _centred(rounded_box((1.2, 1.1 * thick, 1.1 * height), 0.25))
    return {"handle": handle, "bolster": bolster, "blade": lofted(rings)}


def fork(rng: Generator) -> dict[str, Manifold]:
    handle, neck = _cutlery_handle(rng)
    width, reach = rng.uniform(1.0, 1.4), rng.uniform(3.0, 4.5)
    tines = rng.choice([3, 4])
    sag = rng.uniform(0.3, 0.8)
    path = smooth([(neck - 0.5, 0, 0), (neck + 1.0, 0, -0.5 * sag), (neck + 2.6, 0, -sag)], 8)
    base = swept(path, np.linspace([0.35, 0.5], [0.28, width], 8), up=(0.0, 1.0, 0.0))
    for y in np.linspace(-1.0, 1.0, tines) * (width - 0.22):
        x = neck + 2.3
        points = smooth(
            [(x, y, -sag), (x + 0.5 * reach, y, -0.9 * sag), (x + reach, y, 0.3 * sag)], 8
        )
        base += swept(points, np.linspace(0.26, 0.18, 8), facets=8)
    return {"handle": handle, "head": base}


def spoon(rng: Generator) -> dict[str, Manifold]:
    handle, neck = _cutlery_handle(rng)
    length, width, depth = rng.uniform(2.6, 3.8), rng.uniform(1.7, 2.4), rng.uniform(1.0, 1.8)
    outer = ellipsoid((length, width, depth)).trim_by_plane((0.0, 0.0, -1.0), 0.0)
    bowl = outer - ellipsoid((length - 0.32, width - 0.32, depth - 0.32))
    handle -= ellipsoid((length - 0.32, width - 0.32, depth)).translate((neck + length, 0.0, 0.0))
    return {"handle": handle, "bowl": bowl.translate((neck + length - 0.25, 0.0, 0.0))}


def spatula(rng: Generator) -> dict[str, Manifold]:
    grip, shaft = rng.uniform(10.0, 13.0), rng.uniform(8.0, 12.0)
    radius = rng.uniform(0.9, 1.3)
    profile = [(0.6, 0.0), (1.0, 0.15), (0.85, 0.6), (0.9, 0.9), (0.5, 1.0)]
    handle = along_x(turned(smooth(profile) * (radius, grip), depth=0.8))
    width, length = rng.uniform(3.2, 4.2), rng.uniform(7.0, 10.0)
    narrow = width * rng.uniform(0.55, 0.9)
    outline = CrossSection([[(0, -narrow), (length, -width), (length, width), (0, narrow)]])
    outline = outline.offset(-0.6).offset(0.6, circular_segments=16)
    slots = rng.integers(0, 4)
    for y in np.linspace(-0.5, 0.5, slots) * width if slots > 1 else []:
        outline -= CrossSection.square((0.6 * length, 0.18 * width), True).translate(
            (0.55 * length, y)
        )
    drop = rng.uniform(1.0, 2.5)
    start = grip + shaft
    path = smooth([(grip - 1.0, 0.0, 0.0), (start - 2.0, 0.0, 0.0), (start + 1.0, 0.0, -drop)], 14)
    blade = outline.extrude(0.5).rotate((0.0, rng.uniform(-10.0, 0.0), 0.0))
    return {
        "handle": handle,
        "shaft": swept(path, (0.45 * np.ones((14, 1))) * (0.8, 1.2)),
        "blade": blade.translate((start, 0.0, -drop - 0.25)),
    }


def brush(rng: Generator) -> dict[str, Manifold]:
    """A flat paint brush."""
    length, width = rng.uniform(9.0, 14.0), rng.uniform(2.5, 6.0)
    thick = rng.uniform(1.3, 1.9)
    waist = rng.uniform(0.9, 1.3)
    half = smooth([(1.0, 0.0), (1.2 * waist, 0.25), (0.8 * waist, 0.6), (0.5 * width, 1.0)], 16)
    x = length * half[:, 1]
    path = np.stack([x, 0.0 * x, 0.0 * x], axis=1)
    sizes = np.stack([np.full(16, thick / 2), half[:, 0]], axis=1)
    ferrule = _centred(rounded_box((3.0, width * 1.02, 1.1 * thick), 0.3))
    bristle = rng.uniform(3.0, 6.0)
    rings = [
        [(s, -w, -h), (s, w, -h), (s, w, h), (s, -w, h)]
        for s, w, h in ((0.0, 0.47, 0.45), (0.6, 0.5, 0.5), (1.0, 0.46, 0.15))
    ]
    hairs = lofted(np.array(rings) * (bristle + 1.0, width, thick))
    return {
        "handle": swept(path, sizes),
        "ferrule": ferrule.translate((length + 1.0, 0.0, 0.0)),
        "bristles": hairs.translate((length + 1.5, 0.0, 0.0)),
    }


def toothbrush(rng: Generator) -> dict[str, Manifold]:
    length, radius = rng.uniform(11.0, 14.0), rng.uniform(0.6, 0.9)
    bend = rng.uniform(-0.6, 0.8)
    points = [(0, 0, 0), (0.3 * length, 0, 0.5 * bend), (0.7 * length, 0, 0), (length, 0, 0)]
    widths = smooth([(0.8, 0.0), (1.0, 0.15), (1.1, 0.45), (0.55, 0.8), (0.5, 1.0)], 24)[:, :1]
    handle = swept(smooth(points, 24), radius * widths * (0.75, 1.0))
    head_length, width = rng.uniform(2.4, 3.4), rng.uniform(1.1, 1.5)
    middle = length + 0.4 * head_length
    head = _centred(rounded_box((head_length, width, 0.7), 0.3))
    tufts = []
    rows = rng.integers(3, 6)
    for x in np.linspace(-0.38, 0.38, rows) * head_length:
        height = rng.uniform(1.2, 1.5)
        tuft = rounded_box((0.6 * head_length / rows, 0.75 * width, height), 0.08)
        tufts.append(tuft.translate((middle + x, 0.0, 0.1)))
    return {"handle": handle, "head": head.translate((middle, 0, 0)), "bristles": union(tufts)}


def flashlight(rng: Generator) -> dict[str, Manifold]:
    radius, length = rng.uniform(1.4, 1.9), rng.uniform(9.0, 15.0)
    head, depth = radius * rng.uniform(1.3, 1.9), rng.uniform(3.0, 5.0)
    grooves = [(0.9 * radius, 0.0), (radius, 0.4)]
    for z in np.linspace(0.2, 0.8, rng.integers(3, 8)) * length:
        grooves += [(radius, z - 0.3), (0.9 * radius, z), (radius, z + 0.3)]
    body = turned([*grooves, (radius, length)])
    bell = [(1.05 * radius, 0.0), (1.05 * radius, 0.15 * depth), (head, 0.6 * depth), (head, depth)]
    lamp = turned(bell) - cylinder(0.5 * head, 1.0, 0.88 * head).translate((0, 0, depth - 0.99))
    button = along_x(ellipsoid((0.45, 0.5, 0.9))).translate((0.85 * length, 0.0, radius))
    return {
        "body": along_x(body),
        "head": along_x(lamp.translate((0.0, 0.0, length - 0.3))),
        "button": button,
    }


def _cutlery_handle(rng: Generator) -> tuple[Manifold, float]:
    """A flat, slightly bent handle from x = 0, and where it ends."""
    length, width = rng.uniform(11.0, 15.0), rng.uniform(0.8, 1.3)
    rise = rng.uniform(0.3, 1.2)
    points = [(0.0, 0.0, 0.0), (0.5 * length, 0.0, rise), (length, 0.0, 0.0)]
    sizes = smooth([(0.75, 0.0), (1.0, 0.1), (0.45, 0.7), (0.4, 1.0)], 20)[:, 0]
    flat = np.stack([np.full(20, 0.3), np.maximum(width * sizes, 0.35)], axis=1)
    return swept(smooth(points, 20), flat), length


def _centred(solid: Manifold) -> Manifold:
    """The solid moved along z until it is as high above z = 0 as below."""
    low, high = np.reshape(solid.bounding_box(), (2, 3))[:, 2]
    return solid.translate((0.0, 0.0, -(low + high) / 2))


CATEGORIES = {
    "hammer": hammer,
    "screwdriver": screwdriver,
    "wrench": wrench,
    "knife": knife,
    "fork": fork,
    "spoon": spoon,
    "spatula": spatula,
    "brush": brush,
    "toothbrush": toothbrush,
    "flashlight": flashlight,
}
