"""Depth images made smaller by whole blocks of pixels, as drivers' decimation filters do it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dexgrasp_models.perception.cameras import CameraModel, DepthFrame

_VALID_SHARE = 0.5
"""Of a block's pixels, that must have a reading for the block to have one."""


def blocks_for(width: int, columns: int) -> int:
    """Sides of the blocks in pixels, for an image of a width to have at most so many columns."""
    return -(-width // columns)


def thinned_camera(camera: CameraModel, side: int) -> CameraModel:
    """The camera of images of which each pixel is a block; what is left over at the right and at
    the bottom is cut off."""
    return replace(
        camera,
        width=camera.width // side,
        height=camera.height // side,
        fx=camera.fx / side,
        fy=camera.fy / side,
        # The middle of the first block is (side - 1) / 2.
        cx=(camera.cx - (side - 1) / 2) / side,
        cy=(camera.cy - (side - 1) / 2) / side,
    )


def thinned(frame: DepthFrame, side: int) -> DepthFrame:
    """Blocks of `side` x `side` pixels, each with the median of its readings.

    It is the lower one of the two in the middle: a reading that was made, never one in the air
    between an object and what is behind it. A block of which less than half has a reading has none.

    Raises:
        ValueError: the image isn't of its camera's size.
        RigError: it is smaller than a block, or its principal point isn't in what is left.
    """
    depth = np.asarray(frame.depth)
    if depth.shape != (frame.camera.height, frame.camera.width):
        shape = "x".join(str(length) for length in depth.shape[::-1])
        raise ValueError(f"image is {shape}, its camera {frame.camera.width}x{frame.camera.height}")
    if side == 1:
        return frame
    camera = thinned_camera(frame.camera, side)
    rows, columns = camera.height, camera.width
    whole_blocks = depth[: rows * side, : columns * side].reshape(rows, side, columns, side)
    blocks = whole_blocks.swapaxes(1, 2).reshape(rows, columns, side * side)
    counts = not np.issubdtype(blocks.dtype, np.floating)
    none = np.iinfo(blocks.dtype).max if counts else np.inf
    read = blocks > 0 if counts else np.isfinite(blocks) & (blocks > 0)
    ordered = np.sort(np.where(read, blocks, none).astype(blocks.dtype, copy=False), axis=-1)
    count = np.count_nonzero(read, axis=-1)
    middle = np.maximum(count - 1, 0)[..., None] // 2
    median = np.take_along_axis(ordered, middle, axis=-1)[..., 0]
    enough = count >= _VALID_SHARE * side * side
    return DepthFrame(camera, np.where(enough, median, 0).astype(depth.dtype), frame.stamp)
