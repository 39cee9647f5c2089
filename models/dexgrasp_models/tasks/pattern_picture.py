"""Pictures of wrist patterns: how they go over time, across the way, and as wrist paths."""

from __future__ import annotations

import cv2
import numpy as np

from dexgrasp_models.tasks.wrist_paths import wrist_paths
from dexgrasp_models.tasks.wrist_patterns import WristPatterns

_SIDE, _MARGIN = 360, 44  # px: of a panel, and around its curves
_FINER = 2  # drawn so many times as large
_INK, _GRID = (70, 70, 70), (225, 225, 225)
_SHIFT = 4  # binary digits of a pixel's fraction
_FINGERS = 0.1  # m in front of the wrist, for the paths


def draw_patterns(patterns: WristPatterns, rng: np.random.Generator) -> np.ndarray:
    """Six panels, a curve for each pattern, with the same colour in all of them.

    Args:
        patterns: at least one.
        rng: draws where the last panel's paths start.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: there are no patterns.
    """
    count, moments = patterns.along.shape
    if not count:
        raise ValueError("there are no patterns to show")
    time = np.tile(np.linspace(0.0, 1.0, moments), (count, 1))
    speed = np.gradient(patterns.along, time[0], axis=1)
    goals = np.tile(np.eye(4), (count, 1, 1))
    fingertips = np.tile((0.0, 0.0, _FINGERS), (count, 1))
    paths = wrist_paths(patterns, goals, fingertips, rng, moments)[..., :3, 3]
    panels = [
        _panel("time", "share of the way", time, patterns.along),
        _panel("time", "speed / mean speed", time, speed),
        _panel("time", "share of the turn", time, patterns.turning),
        _panel("share of the way", "sideways / way", patterns.along, patterns.lateral[..., 0]),
        _panel("share of the way", "upwards / way", patterns.along, patterns.lateral[..., 1]),
        _panel("x, m", "paths to a grasp: z, m", paths[..., 0], paths[..., 2], equal=True),
    ]
    return np.vstack([np.hstack(panels[:3]), np.hstack(panels[3:])])


def _panel(x_name: str, name: str, x: np.ndarray, y: np.ndarray, equal: bool = False) -> np.ndarray:
    """Curves (N, S) within axes that hold them all, of one scale where they are equal."""
    low = np.array([x.min(), y.min()])
    size = np.maximum([np.ptp(x), np.ptp(y)], 1e-6)
    if equal:
        low, size = low + (size - size.max()) / 2, np.full(2, size.max())
    plot = (_SIDE - 2 * _MARGIN) * _FINER

    def pixels(points: np.ndarray) -> np.ndarray:
        place = (points - low) / size * plot
        place[..., 1] = plot - place[..., 1]
        return np.round((place + _MARGIN * _FINER) * (1 << _SHIFT)).astype(np.int32)

    image = np.full((_SIDE * _FINER, _SIDE * _FINER, 3), 255, np.uint8)
    for axis in (0, 1):
        for tick in _ticks(low[axis], size[axis]):
            ends = np.stack([low, low + size])
            ends[:, axis] = tick
            line = pixels(ends)
            cv2.polylines(image, [line], False, _GRID, _FINER, cv2.LINE_AA, _SHIFT)
            column, row = line[0] >> _SHIFT
            place = (column, image.shape[0] - 26 * _FINER) if axis == 0 else (22 * _FINER, row)
            _text(image, f"{tick:.3g}", *place)
    for curve, colour in zip(pixels(np.stack((x, y), axis=2)), _colours(len(x)), strict=True):
        cv2.polylines(image, [curve], False, colour, _FINER, cv2.LINE_AA, _SHIFT)
    _text(image, name, image.shape[1] // 2, 20 * _FINER)
    _text(image, x_name, image.shape[1] // 2, image.shape[0] - 10 * _FINER)
    return cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)


def _ticks(low: float, size: float) -> np.ndarray:
    """Three to seven round numbers in a range."""
    step = 10.0 ** np.floor(np.log10(size / 3))
    step *= max(factor for factor in (1, 2, 5) if factor * step <= size / 3)
    first, last = np.ceil(low / step - 1e-6), np.floor((low + size) / step + 1e-6)
    return np.arange(first, last + 1) * step + 0.0  # and no -0


def _text(image: np.ndarray, text: str, x: int, y: int) -> None:
    """Centred at a pixel."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.38 * _FINER
    (width, height), _ = cv2.getTextSize(text, font, scale, _FINER)
    place = (int(x - width // 2), int(y + height // 2))
    cv2.putText(image, text, place, font, scale, _INK, _FINER // 2, cv2.LINE_AA)


def _colours(count: int) -> list[tuple[int, int, int]]:
    """RGB, around the circle of hues."""
    hues = np.full((1, count, 3), 190, np.uint8)
    hues[0, :, 0] = np.arange(count) * 180 // count
    colours = cv2.cvtColor(hues, cv2.COLOR_HSV2RGB)[0]
    return [(int(red), int(green), int(blue)) for red, green, blue in colours]
