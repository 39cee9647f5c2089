"""Depth noise of an active stereo camera such as Intel's RealSense D415.

Stereo measures disparity d = f B / z, so an error of s pixels in disparity is one of s z^2 / (f B)
in depth. Disparities come in fixed fractions of a pixel, neighbouring pixels share their matching
window, and pixels on depth edges or on surfaces seen at a grazing angle often find no match.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dexgrasp_models.parameters import Parameters, flag, parameter

NO_READING = 0
"""Value of a pixel without a measurement, as in 16UC1 depth images."""

_NEIGHBOURS = np.ones((3, 3), dtype=np.uint8)


@dataclass(frozen=True)
class NoiseConfig(Parameters):
    """Strength of each effect; `enabled=False` gives exact depth rounded to millimetres."""

    enabled: bool = flag(True, "whether depth is noisy")
    baseline: float = parameter(0.055, 0.001, 1.0, "m", "between the two infrared imagers")
    disparity_error: float = parameter(
        0.08, 0.0, 2.0, "px", "standard deviation of the matched disparity"
    )
    disparity_step: float = parameter(0.03125, 0.0, 1.0, "px", "resolution of the disparity")
    correlation: int = parameter(2, 1, 16, "px", "side of the blocks that share their error")
    edge_step: float = parameter(
        0.02, 0.001, 1.0, "m", "a jump in depth between neighbours that counts as an edge"
    )
    edge_dropout: float = parameter(0.5, 0.0, 1.0, "", "part of the pixels on edges that is lost")
    grazing_cosine: float = parameter(
        0.2, 0.0, 1.0, "", "surfaces seen at a smaller cosine to their normal lose pixels"
    )
    grazing_dropout: float = parameter(
        0.7, 0.0, 1.0, "", "part of the pixels that is lost at a right angle; less up to the cosine"
    )
    random_dropout: float = parameter(0.01, 0.0, 1.0, "", "part of all pixels that is lost")
    range_low: float = parameter(0.16, 0.0, 5.0, "m", "nearer surfaces give no reading")
    range_high: float = parameter(3.0, 0.1, 65.0, "m", "farther surfaces give no reading")


def measure_depth(
    depth: np.ndarray,
    cosine: np.ndarray,
    focal_length: float,
    config: NoiseConfig,
    generator: np.random.Generator,
    unit: float = 0.001,
) -> np.ndarray:
    """What the camera makes of a true depth image.

    Args:
        depth: (H, W) float32 true depth along the optical axis in m, inf where there is nothing.
        cosine: (H, W) float32 cosine between the line of sight and the surface's normal, in [0, 1].
        focal_length: px.
        generator: source of all randomness; consumed alike for every image of one size.
        unit: metres that one count of the image is.

    Returns:
        (H, W) uint16 counts, 0 for no reading.
    """
    seen = np.isfinite(depth)
    if not config.enabled:
        return to_counts(np.where(seen, depth, np.float32(NO_READING)), unit)
    height, width = depth.shape
    block = config.correlation
    coarse = generator.standard_normal((-(-height // block), -(-width // block)), dtype=np.float32)
    error = np.repeat(np.repeat(coarse, block, axis=0), block, axis=1)[:height, :width]
    chance = generator.random((height, width), dtype=np.float32)

    scale = np.float32(focal_length * config.baseline)  # disparity x depth, px m
    disparity = scale / depth + np.float32(config.disparity_error) * error
    if config.disparity_step > 0.0:
        step = np.float32(config.disparity_step)
        disparity = np.round(disparity / step) * step
    measured = scale / np.maximum(disparity, np.float32(1e-3))

    bounded = np.minimum(depth, np.float32(config.range_high))
    jump = cv2.dilate(bounded, _NEIGHBOURS) - cv2.erode(bounded, _NEIGHBOURS)
    lost = np.where(
        jump > config.edge_step,
        np.float32(config.random_dropout + config.edge_dropout),
        np.float32(config.random_dropout),
    )
    if config.grazing_cosine > 0.0:
        slant = np.clip(1.0 - cosine * np.float32(1.0 / config.grazing_cosine), 0.0, 1.0)
        lost += np.float32(config.grazing_dropout) * slant
    kept = seen & (chance >= lost) & (depth >= config.range_low) & (depth <= config.range_high)
    return to_counts(np.where(kept, measured, np.float32(NO_READING)), unit)


def to_counts(depth: np.ndarray, unit: float = 0.001) -> np.ndarray:
    """Metres to uint16 counts of a unit in metres, saturated."""
    return np.clip(np.round(depth * (1.0 / unit)), 0, np.iinfo(np.uint16).max).astype(np.uint16)
