"""What people wear."""

from __future__ import annotations

import numpy as np
from manifold3d import Manifold
from numpy.random import Generator

from dexgrasp_models.objects.library.solids import (
    ellipsoid,
    lofted,
    slab,
    smooth,
    turned,
)


def shoe(rng: Generator) -> dict[str, Manifold]:
    """A shoe or a boot; the toe points along x."""
    length, width = rng.uniform(24.0, 29.0), rng.uniform(4.0, 5.2)
    sole, heel = rng.uniform(1.6, 2.6), rng.uniform(0.0, 2.0)
    ankle = rng.choice([rng.uniform(8.0, 11.0), rng.uniform(14.0, 18.0)])
    instep, toe = rng.uniform(6.5, 8.0), rng.uniform(3.5, 5.0)
    t = np.linspace(0.0, 1.0, 26)
    knots = [(0.55, 0.0), (0.8, 0.06), (0.85, 0.25), (0.72, 0.45), (1.0, 0.72), (0.75, 0.93)]
    half = np.interp(t, *smooth([*knots, (0.35, 1.0)], 60).T[::-1]) * width
    x = length * t
    outline = np.concatenate([np.stack([x, -half], axis=1), np.stack([x, half], axis=1)[::-1]])
    tread = slab(outline * (1.02, 1.03), sole, 0.3)
    block = slab(outline[np.abs(outline[:, 0]) < 0.3 * length], heel + 0.6)
    tread = tread.translate((-0.01 * length, 0.0, heel)) + block
    heights = np.interp(
        t, [0.0, 0.3, 0.36, 0.5, 0.75, 1.0], [ankle, ankle, ankle, instep, toe, 2.0]
    )
    floor = heel + 0.5 * sole
    angle = np.linspace(-0.15 * np.pi, 1.15 * np.pi, 22)
    section = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    section[:, 1] -= section[0, 1]
    section[:, 1] /= section[:, 1].max()
    rings = [
        np.stack([np.full(22, s), 0.97 * w * section[:, 0], floor + h * section[:, 1]], axis=1)
        for s, w, h in zip(x, half, heights, strict=True)
    ]
    upper = lofted(rings)
    mouth = ellipsoid((0.145 * length, 0.6 * width, 0.6 * ankle))
    upper -= mouth.translate((0.18 * length, 0.0, floor + ankle))
    tongue = ellipsoid((0.7, 0.35 * width, 2.2)).rotate((0.0, -30.0, 0.0))
    return {
        "sole": tread,
        "upper": upper,
        "tongue": tongue.translate((0.37 * length, 0.0, floor + 0.92 * ankle)),
    }


def hat(rng: Generator) -> dict[str, Manifold]:
    """A hat with a brim all around, or a cap with a peak along x; hollow."""
    radius, height = rng.uniform(7.5, 9.0), rng.uniform(8.0, 13.0)
    oval, wall = rng.uniform(0.82, 0.95), rng.uniform(0.6, 0.8)
    if rng.random() < 0.4:
        crown = [(1.0, 0.0), (1.0, 0.2), (0.85, 0.6), (0.5, 0.9), (0.05, 1.0)]
        outside = smooth(crown) * (radius, 0.85 * height)
        angle = np.linspace(-0.42 * np.pi, 0.42 * np.pi, 20)
        reach = rng.uniform(5.0, 7.5)
        arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        tip = arc * (0.9 * radius, radius) + reach * np.cos(angle / 0.84)[:, None] * (1.0, 0.0)
        peak = slab(np.concatenate([tip, 0.93 * arc[::-1] * radius]), 0.7, 0.15)
        brim = peak.scale((1.0, oval, 1.0))
        top = ellipsoid((0.9, 0.9, 0.7)).translate((0.0, 0.0, 0.85 * height))
        extra = {"button": top}
    else:
        top = rng.uniform(0.6, 0.95)
        crown = [(1.0, 0.0), (0.98, 0.4), (top, 0.92), (0.8 * top, 1.0), (0.05, 1.0)]
        crown[-1] = (0.05, rng.uniform(0.93, 1.06))
        outside = smooth(crown, 30) * (radius, height)
        wide, curl = rng.uniform(4.0, 7.5), rng.uniform(0.0, 2.5)
        r = np.linspace(radius - wall, radius + wide, 10)
        rise = curl * ((r - radius) / wide).clip(0.0) ** 2
        loop = np.concatenate(
            [np.stack([r, rise], axis=1), np.stack([r, rise + 0.7], axis=1)[::-1]]
        )
        disc = turned(np.vstack([[(0.5, 0.0)], loop, [(0.5, 0.7)]]), depth=oval)
        band = turned([(1.03 * radius, 0.4), (1.02 * radius, rng.uniform(1.8, 3.0))], depth=oval)
        brim, extra = disc, {"band": band}
    inside = outside * (1.0 - wall / radius, 1.0 - wall / height) - (0.0, 0.01)
    head = turned(np.vstack([[(inside[0, 0], -1.0)], inside]), depth=oval)
    # Half of the crown's wall more, so that only the crown shows inside.
    cutter = head.scale((1.0 + wall / (2.0 * radius),) * 3)
    attached = {name: part - cutter for name, part in {"brim": brim, **extra}.items()}
    return {"crown": turned(outside, depth=oval) - head, **attached}


CATEGORIES = {"shoe": shoe, "hat": hat}
