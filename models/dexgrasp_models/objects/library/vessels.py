"""Vessels: what holds food and drink."""

from __future__ import annotations

import numpy as np
from manifold3d import Manifold
from numpy.random import Generator

from dexgrasp_models.objects.library.solids import (
    bow,
    cylinder,
    ellipsoid,
    hollowed,
    limb,
    smooth,
    swept,
    torus,
    turned,
    union,
)


def bottle(rng: Generator) -> dict[str, Manifold]:
    radius, height = rng.uniform(2.8, 4.0), rng.uniform(14.0, 23.0)
    neck, shoulder = radius * rng.uniform(0.32, 0.5), height * rng.uniform(0.55, 0.72)
    waist = radius * rng.uniform(0.85, 1.0)
    squareness = rng.choice([2.0, 2.0, 5.0])
    outline = [(0.92, 0.0), (1.0, 0.03 * height), (waist / radius, shoulder / 2), (1.0, shoulder)]
    outline += [(0.75, shoulder + 0.1 * height), (neck / radius, shoulder + 0.18 * height)]
    body = turned(smooth(outline, 30) * (radius, 1.0), squareness)
    cap_height = rng.uniform(1.2, 2.2)
    return {
        "body": body,
        "neck": cylinder(neck, height - shoulder - 0.15 * height).translate(
            (0.0, 0.0, shoulder + 0.15 * height)
        ),
        "cap": turned([(1.0, 0.0), (1.0, 0.8 * cap_height), (0.9, cap_height)])
        .scale((1.15 * neck, 1.15 * neck, 1.0))
        .translate((0.0, 0.0, height - 0.3)),
    }


def jar(rng: Generator) -> dict[str, Manifold]:
    radius, height = rng.uniform(3.2, 4.6), rng.uniform(6.0, 12.0)
    lid_radius, lid_height = radius * rng.uniform(0.8, 1.05), rng.uniform(1.2, 2.0)
    squareness = rng.choice([2.0, 2.0, 5.0])
    profile = [(0.93, 0.0), (1.0, 0.06), (rng.uniform(1.0, 1.12), 0.5), (1.0, 0.9)]
    profile += [(0.95 * lid_radius / radius, 1.0)]
    rim = height + lid_height
    return {
        "body": turned(smooth(profile) * (radius, height), squareness),
        "neck": cylinder(0.92 * lid_radius, 1.0).translate((0.0, 0.0, height - 0.5)),
        "lid": turned(
            [(lid_radius, height + 0.2), (lid_radius, rim), (0.93 * lid_radius, rim + 0.25)]
        ),
    }


def can(rng: Generator) -> dict[str, Manifold]:
    radius = rng.uniform(2.5, 4.5)
    height = radius * rng.uniform(1.0, 3.8)
    inset, bevel = rng.uniform(0.82, 0.98), rng.uniform(0.3, 0.9)
    rings = rng.integers(0, 6)
    profile = [(inset * radius, 0.0), (radius, bevel)]
    for middle in np.linspace(0.25, 0.75, rings) * height:
        profile += [(radius, middle - 0.3), (0.96 * radius, middle), (radius, middle + 0.3)]
    profile += [(radius, height - bevel), (inset * radius, height)]
    lid = torus(0.95 * inset * radius, 0.14).translate((0.0, 0.0, height))
    tab = ellipsoid((0.32 * radius, 0.18 * radius, 0.2)).translate((0.2 * radius, 0.0, height))
    return {"body": turned(profile), "lid": lid + tab}


def mug(rng: Generator) -> dict[str, Manifold]:
    radius, height = rng.uniform(3.5, 4.8), rng.uniform(6.5, 12.0)
    wall = rng.uniform(0.35, 0.55)
    foot = rng.uniform(0.62, 1.05)
    outline = [(0.95 * foot, 0.0), (foot, 0.05), (rng.uniform(0.9, 1.12), 0.5), (1.0, 1.0)]
    profile = smooth(outline) * (radius, height)
    shell, cutter = hollowed(profile, wall, floor=0.7)
    low, high = height * rng.uniform(0.12, 0.3), height * rng.uniform(0.72, 0.9)
    at = np.interp([low, high], profile[:, 1], profile[:, 0]) - 0.6 * wall
    path = bow((at[0], 0.0, low), (at[1], 0.0, high), (rng.uniform(2.3, 4.0), 0.0, 0.0))
    handle = swept(path, np.tile([rng.uniform(0.35, 0.5), rng.uniform(0.45, 0.8)], (24, 1)))
    return {"body": shell, "handle": handle - cutter}


def cup(rng: Generator) -> dict[str, Manifold]:
    """A beaker for cold or take-away drinks, in half of the cases with a lid."""
    radius, height = rng.uniform(3.5, 4.5), rng.uniform(8.0, 14.0)
    foot, wall = radius * rng.uniform(0.6, 0.9), rng.uniform(0.3, 0.45)
    profile = np.array([(foot, 0.0), (radius, height)])
    if rng.random() < 0.5:
        lid = turned([(1.06, -0.5), (1.06, 0.3), (0.9, 0.4), (0.85, 1.2), (0.8, 1.3)])
        rim = lid.scale((radius, radius, 1.0)).translate((0.0, 0.0, height))
        return {"body": turned(profile), "lid": rim}
    shell, _ = hollowed(profile, wall, floor=0.6)
    rim = torus(radius - 0.3 * wall, rng.uniform(0.3, 0.45)).translate((0.0, 0.0, height))
    return {"body": shell, "rim": rim}


def bowl(rng: Generator) -> dict[str, Manifold]:
    radius, height = rng.uniform(6.0, 8.5), rng.uniform(3.5, 6.5)
    belly = rng.uniform(0.35, 0.65)
    angle = np.linspace(0.15, np.pi / 2, 14)
    profile = np.stack([np.sin(angle) ** (2 * belly), 1.0 - np.cos(angle)], axis=1)
    profile[:, 1] -= profile[0, 1]
    shell, cutter = hollowed(profile * (radius, height), rng.uniform(0.4, 0.6), floor=0.5)
    foot_radius = radius * rng.uniform(0.35, 0.5)
    foot = cylinder(foot_radius, 1.6, 0.9 * foot_radius).translate((0.0, 0.0, -0.8))
    return {"body": shell, "foot": foot - cutter}


def plate(rng: Generator) -> dict[str, Manifold]:
    radius, height = rng.uniform(8.0, 11.0), rng.uniform(1.6, 2.8)
    well, thickness = radius * rng.uniform(0.55, 0.72), rng.uniform(0.5, 0.7)
    squareness = rng.choice([2.0, 2.0, 4.0])
    steep = rng.uniform(0.3, 0.7)
    curve = smooth([(well, 0.0), (0.5 * (well + radius), steep * height), (radius, height)], 10)
    inside = np.add(curve[::-1], (0.0, thickness))
    base = turned([(0.95 * well, -0.4), (well, 0.1), (well, thickness + 0.1)], squareness)
    rim = turned(np.vstack([[(0.5, 0.0)], curve, inside, [(0.5, thickness)]]), squareness)
    return {"base": base, "rim": rim}


def vase(rng: Generator) -> dict[str, Manifold]:
    height, belly = rng.uniform(14.0, 22.0), rng.uniform(3.8, 5.5)
    neck, lip = belly * rng.uniform(0.35, 0.55), belly * rng.uniform(0.55, 0.9)
    middle, top = rng.uniform(0.3, 0.55), rng.uniform(0.75, 0.85)
    foot = belly * rng.uniform(0.5, 0.75)
    profile = [(foot, 0.0), (belly, middle * height), (neck, top * height), (lip, height)]
    shell, cutter = hollowed(smooth(profile, 36), rng.uniform(0.45, 0.6), floor=0.8)
    body, neck_part = shell.split_by_plane((0.0, 0.0, -1.0), -0.5 * (middle + top) * height)
    parts = {"body": body, "neck": neck_part}
    if rng.random() < 0.4:
        low, high = (0.8 * belly, 0.0, middle * height), (0.95 * neck, 0.0, top * height)
        ear = swept(bow(low, high, (0.5 * belly, 0.0, 1.0)), 0.45) - cutter
        parts["handles"] = ear + ear.mirror((1.0, 0.0, 0.0))
    return parts


def wine_glass(rng: Generator) -> dict[str, Manifold]:
    radius, height = rng.uniform(3.0, 4.5), rng.uniform(6.0, 11.0)
    stem_height, stem = rng.uniform(5.0, 9.0), rng.uniform(0.4, 0.6)
    opening = rng.uniform(0.65, 1.1)
    profile = [(0.2, 0.0), (0.75, 0.15), (1.0, 0.45), (opening, 1.0)]
    shell, cutter = hollowed(smooth(profile, 28) * (radius, height), 0.3, floor=0.5)
    foot_radius = radius * rng.uniform(0.8, 1.05)
    foot = smooth([(1.0, 0.0), (1.0, 0.25), (0.4, 0.5), (stem / foot_radius, 1.2)])
    return {
        "bowl": shell.translate((0.0, 0.0, stem_height)),
        "stem": cylinder(stem, stem_height) - cutter.translate((0.0, 0.0, stem_height)),
        "foot": turned(foot * (foot_radius, 1.0)),
    }


def teapot(rng: Generator) -> dict[str, Manifold]:
    radius, height = rng.uniform(5.0, 6.5), rng.uniform(7.0, 10.0)
    opening = radius * rng.uniform(0.4, 0.6)
    belly = rng.uniform(0.35, 0.6)
    body = smooth([(0.55, 0.0), (1.0, belly), (opening / radius, 1.0)], 28) * (radius, height)
    lid = [(1.1, -0.2), (1.1, 0.2), (0.8, 0.8), (0.3, 1.2)]
    knob = ellipsoid((0.9, 0.9, 0.8)).translate((0.0, 0.0, height + 1.6))
    reach = radius * rng.uniform(1.5, 1.9)
    spout = [(0.6 * radius, 0.35 * height), (1.25 * radius, 0.5 * height), (reach, 1.02 * height)]
    path = smooth([(x, 0.0, z) for x, z in spout], 16)
    back = 0.85 * radius
    handle = bow((-back, 0.0, 0.25 * height), (-0.8 * back, 0.0, 0.85 * height), (-3.6, 0.0, 0.0))
    return {
        "body": turned(body),
        "lid": turned(smooth(lid) * (opening, 1.0)).translate((0.0, 0.0, height)) + knob,
        "spout": swept(path, np.linspace(1.4, 0.65, 16)),
        "handle": swept(handle, rng.uniform(0.5, 0.7)),
    }


def kettle(rng: Generator) -> dict[str, Manifold]:
    radius, height = rng.uniform(6.0, 7.5), rng.uniform(8.0, 11.0)
    opening = radius * rng.uniform(0.45, 0.65)
    body = smooth([(0.95, 0.0), (1.0, 0.12), (0.92, 0.55), (opening / radius, 1.0)], 28)
    lid = turned(smooth([(1.05, -0.3), (1.05, 0.2), (0.3, 1.1)]) * (opening, 1.0))
    knob = limb([(0.0, 0.0, 0.8), (0.0, 0.0, 1.8)], [0.5, 0.8])
    spout = [(0.75 * radius, 0.0, 0.45 * height), (1.45 * radius, 0.0, height)]
    foot = 0.75 * radius
    path = bow(
        (-foot, 0.0, 0.75 * height),
        (foot, 0.0, 0.75 * height),
        (0.0, 0.0, height * rng.uniform(0.7, 0.95)),
    )
    return {
        "body": turned(body * (radius, height)),
        "lid": (lid + knob).translate((0.0, 0.0, height)),
        "spout": limb(spout, [2.0, 0.9]),
        "handle": swept(path, np.tile([rng.uniform(0.5, 0.7), rng.uniform(0.6, 1.0)], (24, 1))),
    }


def pan(rng: Generator) -> dict[str, Manifold]:
    """A frying pan or a saucepan."""
    radius = rng.uniform(7.0, 10.0)
    height = rng.choice([rng.uniform(2.5, 4.0), rng.uniform(6.0, 9.0)])
    profile = np.array([(rng.uniform(0.75, 0.97) * radius, 0.0), (radius, height)])
    shell, cutter = hollowed(profile, rng.uniform(0.5, 0.7), floor=0.7)
    length, rise = rng.uniform(10.0, 16.0), rng.uniform(0.0, 3.0)
    path = smooth(
        [(0.93 * radius, 0.0, 0.75 * height), (radius + length, 0.0, 0.75 * height + rise)], 12
    )
    widths = np.interp(np.linspace(0, 1, 12), [0.0, 0.3, 0.9, 1.0], [0.7, 1.0, 1.3, 0.8])
    handle = swept(path, np.stack([0.6 * widths, widths], axis=1)) - cutter
    return {"body": shell, "handle": handle}


def bucket(rng: Generator) -> dict[str, Manifold]:
    radius, height = rng.uniform(6.0, 8.0), rng.uniform(9.0, 13.0)
    profile = np.array([(rng.uniform(0.6, 0.85) * radius, 0.0), (radius, height)])
    shell, cutter = hollowed(profile, wall=0.5, floor=0.7)
    lip = rng.uniform(0.35, 0.5)
    rim = torus(radius - 0.1, lip).translate((0.0, 0.0, height))
    edge, pivot = radius + lip + 0.2, height - 1.2
    tilt = rng.uniform(-0.7, 0.7)
    reach = radius * rng.uniform(0.9, 1.2)
    t = np.linspace(0.0, np.pi, 30)
    swing = reach * np.sin(t)
    path = np.stack([-edge * np.cos(t), swing * np.sin(tilt), pivot + swing * np.cos(tilt)], axis=1)
    across = (0.0, np.cos(tilt), -np.sin(tilt))
    bail = swept(path, rng.uniform(0.4, 0.55), up=across)
    ears = union(ellipsoid((1.3, 1.0, 1.0)).translate((s * radius, 0.0, pivot)) for s in (-1, 1))
    return {"body": shell, "rim": rim, "handle": bail + (ears - cutter)}


CATEGORIES = {
    "bottle": bottle,
    "jar": jar,
    "can": can,
    "mug": mug,
    "cup": cup,
    "bowl": bowl,
    "plate": plate,
    "vase": vase,
    "wine_glass": wine_glass,
    "teapot": teapot,
    "kettle": kettle,
    "pan": pan,
    "bucket": bucket,
}
