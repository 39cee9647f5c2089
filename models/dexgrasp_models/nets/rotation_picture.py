"""Pictures of a density on SO(3), as Implicit-PDF shows them (Murphy et al., ICML 2021, sec. 4.2).

A rotation is where it takes the z axis, a place on a map of the sphere, and a turn about that, a
hue. Of `rh_palm` z is where the fingers point. The map is Mollweide's, which keeps areas: up is at
its top, down at its bottom, +x in the middle, +y halfway to the right.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

_LEAST_SHARE = 0.02  # of the largest dot's area: smaller ones aren't drawn
_DOT = 0.02  # radius of the densest rotation's dot, in the map's width
_MARGIN = 0.04  # around the map, in its width
_OVERSAMPLING = 2
_BACKGROUND, _SPHERE, _LINES, _TEXT = 255, 238, 205, 90  # grey
_NAMES = {"up": (0, 0, 1), "down": (0, 0, -1), "+x": (1, 0, 0), "+y": (0, 1, 0), "-y": (0, -1, 0)}
_MOLLWEIDE_STEPS = 30  # of Newton's method, which converges slowly at the poles
_SHIFT = 4  # binary digits of a pixel's fraction


def draw_rotation_density(
    rotations: np.ndarray,
    log_densities: np.ndarray,
    marked: np.ndarray | None = None,
    width: int = 800,
) -> np.ndarray:
    """Dots on a map of the sphere, their areas as the density of the rotations, the hue the turn.

    Args:
        rotations: (M, 3, 3), usually of a grid of equal volumes.
        log_densities: (M,) nats, also unnormalised.
        marked: (K, 3, 3) rotations to draw as open circles.
        width: of the picture, pixels.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: shapes don't fit together, or a density isn't finite.
    """
    rotations, log_densities = np.asarray(rotations), np.asarray(log_densities)
    if rotations.shape != (len(log_densities), 3, 3) or not len(rotations):
        raise ValueError(
            f"expected rotations (M, 3, 3) with densities (M,), got {rotations.shape} with "
            f"{log_densities.shape}"
        )
    if not np.isfinite(log_densities).all():
        raise ValueError("densities must be finite")
    canvas = _Canvas(width)
    shares = np.exp(log_densities - log_densities.max())
    # Small dots last, so that they are seen on large ones.
    order = np.argsort(-shares, kind="stable")
    order = order[shares[order] >= _LEAST_SHARE]
    for pixel, hue, share in zip(
        canvas.pixels(rotations[order, :, 2]), _hues(rotations[order]), shares[order], strict=True
    ):
        canvas.circle(pixel, _DOT * math.sqrt(share), hue, filled=True)
    if marked is not None and len(marked):
        for pixel in canvas.pixels(marked[:, :, 2]):
            canvas.circle(pixel, _DOT, 3 * (_TEXT,), filled=False)
    return canvas.picture()


class _Canvas:
    def __init__(self, width: int) -> None:
        self._width = _OVERSAMPLING * width
        self._map_width = self._width * (1 - 2 * _MARGIN)
        height = round(self._map_width / 2 + 2 * _MARGIN * self._width)
        self._image = np.full((height, self._width, 3), _BACKGROUND, np.uint8)
        self._center = np.array([self._width, height]) / 2
        axes = (round(self._map_width / 2), round(self._map_width / 4))
        center = tuple(int(value) for value in self._center)
        cv2.ellipse(self._image, center, axes, 0, 0, 360, 3 * (_SPHERE,), -1, cv2.LINE_AA)
        self._graticule()
        for name, direction in _NAMES.items():
            x, y = self.pixels(np.array([direction], float))[0].astype(int)
            self._text(name, x, y)

    def pixels(self, directions: np.ndarray) -> np.ndarray:
        """(M, 2) places of unit vectors (M, 3), from the left and from the top."""
        x, y = mollweide(directions).T
        return self._center + np.stack((x, -y), axis=1) * self._map_width / 4

    def circle(self, pixel: np.ndarray, radius: float, colour: tuple, filled: bool) -> None:
        """`radius` in the map's width."""
        scale = 1 << _SHIFT
        x, y = (round(float(value) * scale) for value in pixel)
        size = max(1, round(radius * self._map_width * scale))
        thickness = -1 if filled else max(1, self._width // 500)
        cv2.circle(self._image, (x, y), size, colour, thickness, cv2.LINE_AA, _SHIFT)

    def picture(self) -> np.ndarray:
        height, width = (size // _OVERSAMPLING for size in self._image.shape[:2])
        return cv2.resize(self._image, (width, height), interpolation=cv2.INTER_AREA)

    def _graticule(self) -> None:
        """Lines every 30 degrees of height and 45 of direction."""
        steps = np.linspace(-1, 1, 121)
        heights = [np.stack((math.pi * steps, np.full(121, h)), axis=1) for h in _degrees(-60, 30)]
        edges = [np.stack((np.full(121, a), math.pi / 2 * steps), 1) for a in _degrees(-135, 45)]
        for azimuth, height in (line.T for line in heights + edges):
            # Short of the map's edge, whose two sides are the same place.
            azimuth = azimuth.clip(-math.pi + 1e-6, math.pi - 1e-6)
            directions = np.stack(
                (
                    np.cos(height) * np.cos(azimuth),
                    np.cos(height) * np.sin(azimuth),
                    np.sin(height),
                ),
                axis=1,
            )
            line = np.round(self.pixels(directions) * (1 << _SHIFT)).astype(np.int32)
            cv2.polylines(self._image, [line], False, 3 * (_LINES,), 1, cv2.LINE_AA, _SHIFT)

    def _text(self, text: str, x: int, y: int) -> None:
        scale = self._width / 2200
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        y += -height // 2 if text == "up" else height + height // 2
        place = (x - width // 2, y)
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(self._image, text, place, font, scale, 3 * (_TEXT,), 1, cv2.LINE_AA)


def mollweide(directions: np.ndarray) -> np.ndarray:
    """(M, 2) places on Mollweide's map, 4 wide and 2 high, of unit vectors (M, 3).

    x grows with the azimuth, y upwards (Snyder, Map Projections, USGS 1987, Eq. 31-1 to 31-4).
    """
    directions = np.asarray(directions, float)
    height = directions[:, 2].clip(-1.0, 1.0)
    auxiliary = np.arcsin(height)  # solves 2 a + sin 2 a = pi sin(latitude)
    for _ in range(_MOLLWEIDE_STEPS):
        error = 2 * auxiliary + np.sin(2 * auxiliary) - np.pi * height
        slope = 2 + 2 * np.cos(2 * auxiliary)
        # At the poles, where the slope ends, the start is the solution.
        auxiliary -= np.divide(error, slope, out=np.zeros_like(error), where=slope > 1e-12)
        auxiliary = auxiliary.clip(-np.pi / 2, np.pi / 2)
    azimuth = np.arctan2(directions[:, 1], directions[:, 0])
    return np.stack((2 * azimuth / np.pi * np.cos(auxiliary), np.sin(auxiliary)), axis=1)


def _degrees(first: int, step: int) -> np.ndarray:
    """Angles in rad, every `step` degrees from the first to its opposite."""
    return np.radians(np.arange(first, -first + 1, step))


def _hues(rotations: np.ndarray) -> list[tuple[int, int, int]]:
    """RGB of the rotations' turns, the last of their ZYZ angles."""
    # At the poles the first angle turns about the same axis; it is counted with the last.
    turns = np.arctan2(rotations[:, 2, 1], -rotations[:, 2, 0])
    upright = np.hypot(rotations[:, 2, 0], rotations[:, 2, 1]) < 1e-6
    turns[upright] = np.arctan2(rotations[upright, 1, 0], rotations[upright, 0, 0])
    hues = np.full((1, len(rotations), 3), 230, np.uint8)
    hues[0, :, 0] = np.round(turns % (2 * np.pi) / (2 * np.pi) * 180) % 180
    colours = cv2.cvtColor(hues, cv2.COLOR_HSV2RGB)[0]
    return [(int(red), int(green), int(blue)) for red, green, blue in colours]
