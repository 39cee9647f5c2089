"""Fruit, vegetables and other food."""

from __future__ import annotations

import numpy as np
from manifold3d import Manifold
from numpy.random import Generator

from dexgrasp_models.objects.library.solids import (
    along_x,
    cylinder,
    ellipsoid,
    limb,
    smooth,
    swept,
    torus,
    turned,
    union,
)


def banana(rng: Generator) -> dict[str, Manifold]:
    radius, thick = rng.uniform(8.0, 13.0), rng.uniform(1.5, 2.0)
    sweep = rng.uniform(1.3, 2.0)
    t = np.linspace(-0.5, 0.5, 28)
    angle = sweep * t
    path = radius * np.stack([np.sin(angle), 0.0 * angle, 1.0 - np.cos(angle)], axis=1)
    widths = thick * smooth([(0.3, 0), (0.8, 0.15), (1.0, 0.5), (0.8, 0.85), (0.3, 1)], 28)[:, 0]
    tip, end = path[0], path[-1]
    out = np.array([np.cos(sweep / 2), 0.0, np.sin(sweep / 2)])
    stem = [end - 0.3 * out, end + rng.uniform(1.2, 2.5) * np.add(out, (0.0, 0.0, 0.2))]
    return {
        "body": swept(path, widths, facets=6 if rng.random() < 0.5 else 16),
        "stem": limb(stem, [0.3 * thick, 0.35 * thick]),
        "tip": ellipsoid(np.full(3, 0.34 * thick)).translate(tuple(tip)),
    }


def apple(rng: Generator) -> dict[str, Manifold]:
    radius, height = rng.uniform(3.3, 4.2), rng.uniform(3.0, 4.0)
    dimple, taper = rng.uniform(0.2, 0.35), rng.uniform(0.0, 0.25)
    angle = np.linspace(0.03, np.pi - 0.03, 30)
    reach = 1.0 - dimple * np.exp(-((angle / 0.45) ** 2))
    reach -= 0.6 * dimple * np.exp(-(((np.pi - angle) / 0.35) ** 2))
    across = np.sin(angle) * reach * (1.0 - taper * np.clip(angle / np.pi - 0.4, 0.0, 1.0))
    top = (1.0 - dimple) * height
    body = turned(np.stack([radius * across, height * np.cos(angle) * reach], axis=1))
    lean = rng.uniform(-0.5, 0.5)
    length = rng.uniform(1.0, 1.8)
    parts = {
        "body": body,
        "stem": limb([(0, 0, top - 0.3), (lean, 0, top + length)], [0.22, 0.28]),
    }
    if rng.random() < 0.4:
        leaf = ellipsoid((1.3, 0.6, 0.2)).rotate((0.0, -25.0, 0.0))
        parts["leaf"] = leaf.translate((lean + 1.1, 0.0, top + 0.8 * length))
    return parts


def pear(rng: Generator) -> dict[str, Manifold]:
    radius, height = rng.uniform(3.0, 3.9), rng.uniform(7.5, 10.5)
    neck, shoulder = rng.uniform(0.38, 0.55), rng.uniform(0.62, 0.75)
    profile = [(0.15, 0.0), (0.7, 0.06), (1.0, 0.3), (neck, shoulder), (0.85 * neck, 0.88)]
    profile += [(0.55 * neck, 0.97), (0.1, 1.0)]
    lean = rng.uniform(-0.8, 0.8)
    body = turned(smooth(profile, 34) * (radius, height))
    stem = smooth([(0, 0, height - 0.4), (0.3 * lean, 0, height + 0.8), (lean, 0, height + 1.8)], 8)
    return {"body": body, "stem": swept(stem, np.linspace(0.2, 0.28, 8), facets=10)}


def carrot(rng: Generator) -> dict[str, Manifold]:
    radius, length = rng.uniform(1.4, 2.3), rng.uniform(11.0, 18.0)
    t = np.linspace(0.0, 1.0, 30)
    taper = (1.0 - t) ** rng.uniform(0.45, 0.8) * 0.88 + 0.1
    wrinkles = 1.0 + 0.03 * np.sin(rng.uniform(30.0, 50.0) * t)
    profile = np.stack([radius * taper * wrinkles, -length * t], axis=1)
    profile = np.vstack([[(0.6 * radius, 0.25 * radius)], profile])
    leaves = []
    for angle in rng.uniform(0.0, 2.0 * np.pi) + np.linspace(0, 2 * np.pi, 5, endpoint=False):
        lean, reach = rng.uniform(0.15, 0.4), rng.uniform(3.0, 5.0)
        way = np.array([lean * np.cos(angle), lean * np.sin(angle), 1.0])
        leaves.append(limb([0.1 * way, 0.6 * reach * way, reach * way], [0.4, 0.35, 0.65]))
    return {"root": along_x(turned(profile)), "leaves": along_x(union(leaves))}


def mushroom(rng: Generator) -> dict[str, Manifold]:
    stem, height = rng.uniform(1.0, 1.6), rng.uniform(3.5, 6.0)
    radius, dome = stem * rng.uniform(2.0, 2.8), rng.uniform(1.8, 3.2)
    curl = rng.uniform(0.2, 0.6)
    angle = np.linspace(0.0, np.pi / 2 - 0.05, 14)
    cap = np.stack([radius * np.cos(angle), dome * np.sin(angle)], axis=1)
    under = [(0.5 * stem, 0.1), (0.85 * radius, -curl), (0.97 * radius, -curl)]
    profile = [(1.25, 0.0), (1.2, 0.1), (rng.uniform(0.85, 1.0), 0.6), (0.95, 1.0)]
    return {
        "stem": turned(smooth(profile) * (stem, height + 0.4)),
        "cap": turned(np.vstack([under, cap])).translate((0.0, 0.0, height)),
    }


def donut(rng: Generator) -> dict[str, Manifold]:
    """A ring with icing, in half of the cases sprinkled."""
    radius, tube = rng.uniform(2.8, 3.6), rng.uniform(1.3, 2.1)
    flat = rng.uniform(0.75, 1.0)
    dough = torus(radius, tube).scale((1.0, 1.0, flat))
    icing = torus(radius, 1.08 * tube).scale((1.0, 1.0, flat))
    icing = icing.trim_by_plane((0.0, 0.0, 1.0), rng.uniform(0.0, 0.35) * tube)
    parts = {"dough": dough, "icing": icing}
    if rng.random() < 0.5:
        sprinkles = []
        for angle in np.linspace(0.0, 2.0 * np.pi, 14, endpoint=False):
            place = radius + rng.uniform(-0.5, 0.5) * tube
            height = flat * np.sqrt((1.08 * tube) ** 2 - (place - radius) ** 2)
            grain = cylinder(0.18, 0.9).translate((0.0, 0.0, -0.45)).rotate((90.0, 0.0, 0.0))
            grain = grain.rotate((0.0, 0.0, rng.uniform(0.0, 180.0)))
            at = (place * np.cos(angle), place * np.sin(angle), height)
            sprinkles.append(grain.translate(at))
        parts["sprinkles"] = union(sprinkles)
    return parts


CATEGORIES = {
    "banana": banana,
    "apple": apple,
    "pear": pear,
    "carrot": carrot,
    "mushroom": mushroom,
    "donut": donut,
}
