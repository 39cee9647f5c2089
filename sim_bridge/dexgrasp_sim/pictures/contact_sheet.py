"""Many objects in one picture, each in a square of its own with its name."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from dexgrasp_models.perception.cameras import CameraModel, look_at
from dexgrasp_models.perception.ray_casting import Body, RayCaster

PALETTE = (
    (0.85, 0.47, 0.22),
    (0.25, 0.48, 0.72),
    (0.38, 0.65, 0.36),
    (0.62, 0.40, 0.66),
    (0.84, 0.72, 0.28),
)
"""Colours for the parts of an object, RGB in [0, 1]."""

_EYE = np.array([1.5, -2.2, 1.6]) * 2.0  # from a unit sphere's centre
_ZOOM = 2.75  # focal length in widths of a tile: the unit sphere just fits
_SUPERSAMPLING = 2
_CAPTION_HEIGHT = 18  # px


def contact_sheet(
    objects: Sequence[tuple[str, Sequence[Body]]], columns: int = 8, tile: int = 160
) -> np.ndarray:
    """A picture of objects in rows.

    Args:
        objects: caption and bodies, in the unit sphere, of each.
        columns: objects a row.
        tile: side of an object's square in pixels.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: no objects.
    """
    if not objects:
        raise ValueError("there are no objects to show")
    tiles = [captioned(_picture(bodies, tile), caption) for caption, bodies in objects]
    return in_rows(tiles, min(columns, len(tiles)))


def in_rows(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB: pictures of one size, so many in a row; the last one filled up."""
    blank = np.full_like(tiles[0], 255)
    filled = [*tiles, *[blank] * (-len(tiles) % columns)]
    rows = [np.hstack(filled[i : i + columns]) for i in range(0, len(filled), columns)]
    return np.vstack(rows)


def captioned(picture: np.ndarray, caption: str) -> np.ndarray:
    """(H + 18, W, 3) uint8 RGB: a picture (H, W, 3) with a line of text under it."""
    strip = np.full((_CAPTION_HEIGHT, picture.shape[1], 3), 255, dtype=np.uint8)
    at = (4, _CAPTION_HEIGHT - 5)
    cv2.putText(strip, caption, at, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (40, 40, 40), 1, cv2.LINE_AA)
    return np.vstack([picture, strip])


def _picture(bodies: Sequence[Body], side: int) -> np.ndarray:
    fine = side * _SUPERSAMPLING
    center = (fine - 1) / 2
    pose = look_at(_EYE, (0.0, 0.0, 0.0))
    camera = CameraModel("view", fine, fine, _ZOOM * fine, _ZOOM * fine, center, center, pose)
    caster = RayCaster(bodies)
    caster.place(np.tile(np.eye(4), (len(bodies), 1, 1)))
    return cv2.resize(caster.shade(caster.cast(camera)), (side, side), interpolation=cv2.INTER_AREA)
