"""Camera images made small and visible for a browser."""

from __future__ import annotations

import cv2
import numpy as np


def thumbnail(image: np.ndarray, width: int) -> np.ndarray:
    """Every k-th pixel of an (H, W, ...) image, about `width` wide; never enlarged."""
    stride = max(1, round(image.shape[1] / width))
    return image[::stride, ::stride]


def colored_depth(depth: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of a depth image (H, W): near is red, far is blue, no reading is black.

    The colours span what the image holds: from its 1st to its 99th percentile.

    Args:
        depth: any unit; zero, negative, NaN and infinity are no reading.
    """
    depth = np.asarray(depth, np.float32)
    readings = np.isfinite(depth) & (depth > 0)
    if not readings.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    near, far = np.percentile(depth[readings], [1, 99])
    nearness = (far - np.where(readings, depth, far)) / max(far - near, 1e-6)
    levels = (255 * np.clip(nearness, 0, 1)).astype(np.uint8)
    colors = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    colors[~readings] = 0
    return colors
