"""Devices, and the lamp bulb."""

from __future__ import annotations

import numpy as np
from manifold3d import Manifold
from numpy.random import Generator

from dexgrasp_models.objects.library.solids import (
    along_y,
    bow,
    cylinder,
    ellipsoid,
    limb,
    mirrored,
    rounded_box,
    smooth,
    swept,
    torus,
    turned,
    union,
)


def camera(rng: Generator) -> dict[str, Manifold]:
    """A reflex or compact camera; the lens looks along -y."""
    width, depth, height = rng.uniform(10.0, 14.0), rng.uniform(3.2, 5.0), rng.uniform(6.5, 8.5)
    body = rounded_box((width, depth, height), 0.6)
    if rng.random() < 0.6:
        grip = rounded_box((2.4, 3.0, 0.95 * height), 1.0)
        body += grip.translate((-width / 2 + 1.4, -depth / 2, 0.0))
    if rng.random() < 0.7:
        prism = [
            rounded_box((4.5, 0.9 * depth, 1.0), 0.4),
            rounded_box((2.8, 0.7 * depth, 2.2), 0.4),
        ]
        body += Manifold.batch_hull(prism).translate((0.8, 0.0, height - 0.6))
    radius, length = rng.uniform(2.2, 3.3), rng.uniform(1.5, 7.0)
    barrel = [(1.0, 0.0), (1.0, 0.45), (0.9, 0.5), (0.9, 0.8), (1.05, 0.85), (1.05, 1.0)]
    lens = turned(np.array(barrel) * (radius, length + 0.5))
    lens -= cylinder(0.7 * radius, 0.5, 0.95 * radius).translate((0.0, 0.0, length + 0.01))
    lens = lens.rotate((90.0, 0.0, 0.0)).translate((0.8, -depth / 2 + 0.5, 0.47 * height))
    button = cylinder(0.75, 1.0).translate((-width / 2 + 1.7, 0.0, height - 0.4))
    dial = cylinder(1.1, 1.0).translate((width / 2 - 1.9, 0.0, height - 0.4))
    return {"body": body, "lens": lens, "button": button, "dial": dial}


def phone(rng: Generator) -> dict[str, Manifold]:
    """A flat one with a screen, or an older one with keys and an aerial."""
    if rng.random() < 0.7:
        width, length, thick = rng.uniform(6.2, 8.0), rng.uniform(13.0, 17.0), rng.uniform(0.8, 1.1)
        body = rounded_box((width, length, thick), 0.45 * thick)
        screen = rounded_box((0.9 * width, 0.93 * length, 0.4), 0.18)
        bump = rounded_box((rng.uniform(1.5, 3.5), rng.uniform(1.8, 4.0), 0.6), 0.25)
        corner = (-0.2 * width, 0.33 * length, -0.3)
        return {
            "body": body,
            "screen": screen.translate((0.0, 0.0, thick - 0.25)),
            "lens": bump.translate(corner),
        }
    width, length, thick = rng.uniform(4.5, 5.5), rng.uniform(10.0, 13.0), rng.uniform(1.6, 2.4)
    body = rounded_box((width, length, thick), 0.45 * thick)
    screen = rounded_box((0.75 * width, 0.28 * length, 0.5), 0.2).translate((0.0, 0.24 * length, 0))
    keys = _key_pad(0.7 * width, 0.42 * length, 3, 4).translate((0.0, -0.2 * length, 0.0))
    aerial = limb([(0.0, 0.0, 0.0), (0.0, rng.uniform(2.0, 4.5), 0.0)], [0.45, 0.4])
    return {
        "body": body,
        "screen": screen.translate((0.0, 0.0, thick - 0.25)),
        "buttons": keys.translate((0.0, 0.0, thick)),
        "aerial": aerial.translate((0.3 * width, 0.5 * length - 0.8, thick / 2)),
    }


def remote_control(rng: Generator) -> dict[str, Manifold]:
    width, length, thick = rng.uniform(3.8, 5.5), rng.uniform(13.0, 21.0), rng.uniform(1.6, 2.4)
    waist = rng.uniform(0.75, 1.0)
    sizes = smooth([(0.9, 0.0), (1.0, 0.05), (waist, 0.5), (1.0, 0.95), (0.9, 1.0)], 20)
    body = turned(sizes * (width / 2, length), squareness=5.0, depth=thick / width)
    rows = int(rng.integers(4, 8))
    keys = _key_pad(0.62 * waist * width, 0.5 * length, 3, rows)
    wheel = torus(0.26 * width, 0.28).translate((0.0, 0.28 * length, 0.0))
    top = thick / 2
    return {
        "body": body.rotate((-90.0, 0.0, 0.0)).translate((0.0, -length / 2, 0.0)),
        "buttons": keys.translate((0.0, -0.17 * length, top)),
        "ring": wheel.translate((0.0, 0.0, 0.97 * top)),
    }


def game_controller(rng: Generator) -> dict[str, Manifold]:
    width, depth, thick = rng.uniform(8.0, 10.0), rng.uniform(5.0, 6.5), rng.uniform(2.2, 3.0)
    body = rounded_box((width, depth, thick), 0.48 * thick)
    spread, reach = rng.uniform(0.5, 1.8), rng.uniform(4.0, 6.5)
    side = width / 2
    grip = limb(
        [
            (side - 0.6, 0.1 * depth, thick / 2),
            (side + 0.1, -0.3 * depth, thick / 2),
            (side + spread, -0.3 * depth - reach, 0.2 * thick),
        ],
        [0.58 * thick, 0.65 * thick, 0.5 * thick],
    )
    grips = grip + grip.mirror((1.0, 0.0, 0.0))
    stick = cylinder(0.45, 1.2) + cylinder(0.95, 0.5).translate((0.0, 0.0, 1.0))
    sticks = union(stick.translate((s * 0.22 * width, -0.28 * depth, thick - 0.2)) for s in (-1, 1))
    pad_x, pad_y = side - 1.5, 0.18 * depth
    dots = union(
        cylinder(0.42, 1.2).translate((pad_x + 0.85 * c, pad_y + 0.85 * s, thick - 0.7))
        for c, s in ((1, 0), (-1, 0), (0, 1), (0, -1))
    )
    cross = rounded_box((2.4, 0.8, 1.2), 0.2) + rounded_box((0.8, 2.4, 1.2), 0.2)
    pad = cross.translate((-pad_x, pad_y, thick - 0.7))
    return {"body": body, "grips": grips, "sticks": sticks, "buttons": dots + pad}


def computer_mouse(rng: Generator) -> dict[str, Manifold]:
    length, width, height = rng.uniform(5.0, 6.2), rng.uniform(2.8, 3.6), rng.uniform(3.0, 4.4)
    skew = rng.uniform(0.0, 0.35)
    shell = ellipsoid((length, width, height), 40).trim_by_plane((0.0, 0.0, 1.0), 0.0)
    shell = shell.warp_batch(lambda p: p - skew * p[:, 2:] * (1.0, 0.0, 0.0))
    groove = rounded_box((length, 0.3, height), 0.1)
    body = shell - groove.translate((0.6 * length, 0.0, 0.35 * height))
    slope = height * np.sqrt(1.0 - 0.6**2)
    wheel = along_y(cylinder(0.9, 0.7)).translate(
        (0.6 * length - skew * slope, -0.35, slope - 0.35)
    )
    return {"body": body, "wheel": wheel, "base": ellipsoid((1.02 * length, 1.02 * width, 0.45))}


def lamp_bulb(rng: Generator) -> dict[str, Manifold]:
    """A pear-shaped, round or candle-shaped bulb."""
    radius, base = rng.uniform(2.6, 3.6), rng.uniform(1.2, 1.5)
    style = rng.choice(["pear", "globe", "candle"])
    long = {"pear": 2.6, "globe": 2.05, "candle": 4.0}[style] * rng.uniform(0.9, 1.1)
    radius *= 0.62 if style == "candle" else 1.0
    widest = {"pear": 0.62, "globe": 0.55, "candle": 0.35}[style]
    t = np.sin(np.linspace(0.0, np.pi / 2 - 0.05, 14)[1:])
    dome = np.sqrt(1.0 - t**2) if style != "candle" else (1.0 - t) ** 0.75
    lower = smooth([(base / radius, 0.0), (1.15 * base / radius, 0.08), (1.0, widest)], 16)
    upper = np.stack([dome, widest + (1.0 - widest) * t], axis=1)
    glass = turned(np.vstack([lower, upper]) * (radius, long * radius))
    turns = rng.integers(3, 6)
    height = rng.uniform(2.0, 2.8)
    thread = [(base, 0.3)]
    for z in np.linspace(0.3, -height, 2 * turns + 1)[1:]:
        thread.append((base * (0.88 if len(thread) % 2 else 1.0), z))
    contact = cylinder(0.4 * base, 0.8, 0.85 * base).translate((0.0, 0.0, -height - 0.7))
    return {"bulb": glass, "base": turned(thread), "contact": contact}


def headphone(rng: Generator) -> dict[str, Manifold]:
    span, rise = rng.uniform(7.0, 8.5), rng.uniform(11.0, 15.0)
    flat = (rng.uniform(0.3, 0.45), rng.uniform(0.8, 1.4))
    path = bow((0.0, -span, 0.0), (0.0, span, 0.0), (0.0, 0.0, rise), 36)
    band = swept(path, np.tile(flat, (36, 1)), up=(1.0, 0.0, 0.0))
    pad = swept(path[11:25], np.tile([flat[0] + 0.35, flat[1] + 0.25], (14, 1)), up=(1.0, 0.0, 0.0))
    radius, thick = rng.uniform(2.8, 4.0), rng.uniform(1.2, 1.8)
    oval = rng.uniform(1.0, 1.3)
    cup = along_y(turned([(0.85, -0.6), (1.0, -0.3), (1.0, 0.3), (0.7, 0.6)]))
    cup = cup.scale((radius, thick, oval * radius)).translate((0.0, span, 0.0))
    cushion = along_y(torus(0.72 * radius, 0.28 * radius)).scale((1.0, 0.9, oval))
    return {
        "band": band + pad,
        "cups": mirrored(cup),
        "cushions": mirrored(cushion.translate((0.0, span - 0.6 * thick, 0.0))),
    }


def _key_pad(width: float, length: float, columns: int, rows: int) -> Manifold:
    """Rounded keys in a grid centred on the origin, half above z = 0."""
    pitch_x, pitch_y = width / columns, length / rows
    key = rounded_box((0.7 * pitch_x, 0.65 * pitch_y, 0.6), 0.15).translate((0.0, 0.0, -0.3))
    return union(
        key.translate((pitch_x * (i - (columns - 1) / 2), pitch_y * (j - (rows - 1) / 2), 0.0))
        for i in range(columns)
        for j in range(rows)
    )


CATEGORIES = {
    "camera": camera,
    "phone": phone,
    "remote_control": remote_control,
    "game_controller": game_controller,
    "computer_mouse": computer_mouse,
    "lamp_bulb": lamp_bulb,
    "headphone": headphone,
}
