"""Toys."""

from __future__ import annotations

import numpy as np
from manifold3d import Manifold
from numpy.random import Generator

from dexgrasp_models.objects.library.solids import (
    along_x,
    along_y,
    cylinder,
    ellipsoid,
    limb,
    mirrored,
    rounded_box,
    slab,
    smooth,
    torus,
    turned,
    union,
)


def ball(rng: Generator) -> dict[str, Manifold]:
    """Round or oval, with raised seams around it."""
    seams = []
    tube = rng.uniform(0.03, 0.11)
    for _ in range(rng.integers(1, 6)):
        tilt, turn = rng.uniform(0.0, 180.0, size=2)
        seams.append(torus(0.99, tube).rotate((tilt, 0.0, turn)))
    shape = (rng.choice([1.0, rng.uniform(1.15, 1.6)]), 1.0, rng.uniform(0.93, 1.0))
    return {"body": ellipsoid((1.0, 1.0, 1.0), 48).scale(shape), "seams": union(seams).scale(shape)}


def toy_car(rng: Generator) -> dict[str, Manifold]:
    """A saloon, an estate or a pick-up; it drives along x."""
    length, width = rng.uniform(8.5, 12.0), rng.uniform(3.8, 5.0)
    waist, roof = rng.uniform(1.5, 2.2), rng.uniform(1.3, 2.0)
    wheel = rng.uniform(0.85, 1.25)
    body = Manifold.batch_hull(
        [
            rounded_box((length, width, 0.6 * waist), 0.3),
            rounded_box((0.9 * length, 0.92 * width, waist), 0.4),
        ]
    ).translate((0.0, 0.0, 0.5 * wheel))
    front, back = {
        "saloon": (0.22, -0.3),
        "estate": (0.2, -0.46),
        "pick-up": (0.25, -0.05),
    }[rng.choice(["saloon", "estate", "pick-up"])]
    low, high = 0.5 * wheel + waist - 0.5, 0.5 * wheel + waist + roof
    slant = rng.uniform(0.05, 0.12)
    corners = [(front, low), (front - slant, high), (back + 0.5 * slant, high), (back, low)]
    outline = np.array(corners) * (length, 1.0)
    cabin = slab(outline, 0.82 * width, 0.25).rotate((90.0, 0.0, 0.0))
    disc = along_y(turned([(0.7, 0.0), (1.0, 0.15), (1.0, 0.85), (0.7, 1.0)]))
    disc = disc.scale((wheel, 1.1, wheel)).translate((0.0, width / 2 - 0.8, wheel))
    axle = length * rng.uniform(0.28, 0.34)
    wheels = union(mirrored(disc).translate((x, 0.0, -0.25 * wheel)) for x in (-axle, axle))
    return {
        "body": body,
        "cabin": cabin.translate((0.0, 0.41 * width, 0.0)),
        "wheels": wheels,
    }


def toy_airplane(rng: Generator) -> dict[str, Manifold]:
    """It flies along x."""
    length, radius = rng.uniform(12.0, 16.0), rng.uniform(1.0, 1.6)
    profile = [(0.25, 0.0), (0.55, 0.2), (1.0, 0.55), (1.0, 0.85), (0.6, 0.97), (0.15, 1.0)]
    fuselage = along_x(turned(smooth(profile, 30) * (radius, length)))
    span, chord = rng.uniform(5.5, 9.0), rng.uniform(2.2, 3.4)
    sweep = rng.uniform(0.0, 3.5)
    place = length * rng.uniform(0.5, 0.62)
    wing = _fin(span, chord, sweep, rng.uniform(0.5, 0.9)).translate((place, 0.0, 0.0))
    height = rng.uniform(-0.5, 0.6) * radius
    tail = _fin(0.4 * span, 0.6 * chord, 0.5 * sweep, 0.6).translate((0.14 * length, 0.0, 0.3))
    rudder = _fin(rng.uniform(2.5, 3.5), 0.7 * chord, 1.2, 0.6).rotate((90.0, 0.0, 0.0))
    parts = {
        "body": fuselage,
        "wings": mirrored(wing).translate((0.0, 0.0, height)),
        "tail": mirrored(tail) + rudder.translate((0.15 * length, 0.0, 0.2 * radius)),
    }
    if rng.random() < 0.5:
        blade = ellipsoid((0.25, 0.45, 2.6))
        hub = along_x(cylinder(0.5, 1.4, 0.25)).translate((-0.7, 0.0, 0.0))
        parts["propeller"] = (blade + hub).translate((length + 0.3, 0.0, 0.0))
    else:
        engine = along_x(turned([(0.5, -1.3), (0.65, 0.0), (0.6, 1.2)]))
        at = (place + 0.4 * chord - 0.4 * sweep, 0.42 * span, height - 0.55)
        parts["engines"] = mirrored(engine.translate(at))
    return parts


def _fin(span: float, chord: float, sweep: float, taper: float) -> Manifold:
    """A thin tapered wing from the origin along y; it points along +x, swept back."""
    root, tip = chord / 2, chord * taper / 2
    outline = [(-root, -0.3), (root, -0.3), (tip - sweep, span), (-tip - sweep, span)]
    return slab(outline, 0.5, 0.12).translate((0.0, 0.0, -0.25))


def toy_animal(rng: Generator) -> dict[str, Manifold]:
    """Four legs, a head looking along x: dogs, cows, giraffes and elephants by proportion."""
    length, girth = rng.uniform(4.0, 6.5), rng.uniform(1.5, 2.3)
    leg, paw = rng.uniform(2.5, 4.5), rng.uniform(0.55, 0.85)
    neck, lean = rng.uniform(1.0, 4.5), rng.uniform(0.5, 1.1)
    skull = girth * rng.uniform(0.65, 0.85)
    body = limb(
        [(-length / 2, 0.0, 0.0), (0.0, 0.0, -0.1), (length / 2, 0.0, 0.0)],
        [0.9 * girth, rng.uniform(0.85, 1.1) * girth, girth],
    )
    nape = np.array([length / 2 + 0.5 * girth, 0.0, 0.5 * girth])
    crown = nape + neck * np.array([np.cos(lean), 0.0, np.sin(lean)])
    snout = rng.uniform(1.0, 2.2)
    muzzle = np.add(crown, (skull + 0.4 * snout, 0.0, -0.3 * snout))
    head = limb([nape - (0.6, 0.0, 0.3), crown], [0.75 * girth, 0.75 * skull])
    head += ellipsoid(np.full(3, skull)).translate(tuple(crown))
    head += limb([crown, muzzle], [0.7 * skull, 0.45 * skull])
    if rng.random() < 0.25:  # a trunk
        points = np.add(muzzle, [(0.0, 0.0, 0.0), (0.9, 0.0, -1.4), (0.8, 0.0, -3.0)])
        head += limb(points, [0.45 * skull, 0.38 * skull, 0.3 * skull])
    ear = rng.uniform(0.5, 1.3)
    flap = ellipsoid((0.3 * ear + 0.15, 0.25 + 0.3 * ear, 0.5 + 0.6 * ear))
    flap = flap.rotate((rng.uniform(-40.0, 40.0), 0.0, 0.0))
    ears = mirrored(flap.translate(tuple(np.add(crown, (-0.2, 0.7 * skull, 0.85 * skull)))))
    stance = 0.55 * girth
    legs = union(
        mirrored(limb([(x, stance, -0.3), (x, stance, -girth - leg)], [1.25 * paw, paw]))
        for x in (-length / 2, length / 2)
    )
    back = np.array([-length / 2 - 0.7 * girth, 0.0, 0.4 * girth])
    swing = rng.uniform(-1.2, 1.2)
    tail_length = rng.uniform(1.2, 3.2)
    end = back + tail_length * np.array([-np.cos(swing), 0.0, np.sin(swing)])
    return {
        "body": body,
        "head": head,
        "ears": ears,
        "legs": legs.trim_by_plane((0.0, 0.0, 1.0), -girth - leg),
        "tail": limb([np.add(back, (0.4, 0.0, -0.2)), end], [0.45, 0.35]),
    }


def puzzle_block(rng: Generator) -> dict[str, Manifold]:
    """Four or five cubes grown side by side, with studs on top."""
    cells = [np.zeros(3, dtype=int)]
    steps = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1)])
    count = rng.integers(4, 6)
    while len(cells) < count:
        candidate = cells[rng.integers(len(cells))] + rng.choice(steps)
        if not any(np.array_equal(candidate, cell) for cell in cells):
            cells.append(candidate)
    taken = {tuple(cell) for cell in cells}
    rounding = rng.uniform(0.04, 0.12)
    cube = rounded_box((1.0, 1.0, 1.0), rounding)
    links = []
    for x, y, z in sorted(taken):
        for step in steps[[0, 2, 4]]:
            other = (x + step[0], y + step[1], z + step[2])
            if other in taken:
                pair = [cube.translate((x, y, z)), cube.translate(other)]
                links.append(Manifold.batch_hull(pair))
    stud = cylinder(rng.uniform(0.22, 0.34), 0.35)
    studs = [
        stud.translate((x, y, z + 0.9)) for x, y, z in sorted(taken) if (x, y, z + 1) not in taken
    ]
    return {"body": union(links), "studs": union(studs)}


def star(rng: Generator) -> dict[str, Manifold]:
    """A puffed star with five to seven points, standing on its edge."""
    points = rng.integers(5, 8)
    waist, thick = rng.uniform(0.4, 0.6), rng.uniform(0.22, 0.4)
    tip = rng.uniform(0.05, 0.1)
    step = np.pi / points
    arm = limb([(0.0, 0.0, 0.0), (0.0, 0.0, 1.0)], [0.7 * thick, tip])
    base = [
        Manifold.sphere(0.06, 12).translate((side * waist * np.sin(step), y, waist * np.cos(step)))
        for side in (-1, 1)
        for y in (-0.25 * thick, 0.25 * thick)
    ]
    arm = Manifold.batch_hull([arm, *base])
    arms = [arm.rotate((0.0, np.degrees(2.0 * step * i), 0.0)) for i in range(points)]
    core = ellipsoid((0.92 * waist, thick, 0.92 * waist))
    return {"core": core, "points": union(arms)}


CATEGORIES = {
    "ball": ball,
    "toy_car": toy_car,
    "toy_airplane": toy_airplane,
    "toy_animal": toy_animal,
    "puzzle_block": puzzle_block,
    "star": star,
}
