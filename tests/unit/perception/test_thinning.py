"""Depth images of blocks, against a loop over them and against an image rendered so small."""

from __future__ import annotations

import numpy as np
import pytest
from depth_scenes import Box, frames_of

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import DepthFrame, RigError, load_rig
from dexgrasp_models.perception.thinning import blocks_for, thinned, thinned_camera

CARTON = Box((0.0, 0.0, 0.05), (0.07, 0.05, 0.10))


@pytest.fixture(scope="module")
def camera():
    return load_rig(find_config("cameras/four_d415.yaml"))[0]


def median_of(block):
    """The lower median of what was read; 0 where that is less than half of the block."""
    read = sorted(value for value in block.ravel().tolist() if np.isfinite(value) and value > 0)
    return read[(len(read) - 1) // 2] if len(read) >= block.size / 2 else 0


@pytest.mark.parametrize("side", [2, 3, 4, 7])
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_each_pixel_is_the_median_of_its_block(camera, side, kind):
    rng = np.random.default_rng(side)
    depth = rng.integers(300, 3000, (480, 640)).astype(kind)
    depth[rng.random(depth.shape) < 0.5] = 0
    if kind is np.float32:
        depth[rng.random(depth.shape) < 0.05] = np.nan
        depth[rng.random(depth.shape) < 0.05] = np.inf
    small = thinned(DepthFrame(camera, depth, 1.5), side)
    rows, columns = 480 // side, 640 // side
    expected = [
        [
            median_of(depth[r * side : (r + 1) * side, c * side : (c + 1) * side])
            for c in range(columns)
        ]
        for r in range(rows)
    ]
    np.testing.assert_array_equal(small.depth, np.array(expected, dtype=kind))
    assert small.depth.dtype == kind
    assert 0.2 < np.mean(small.depth == 0) < 0.8
    assert (small.camera.width, small.camera.height, small.stamp) == (columns, rows, 1.5)


@pytest.mark.parametrize("side", [2, 4, 5])
def test_a_block_looks_where_its_middle_looks(camera, side):
    rays, small = camera.optical_rays(), thinned_camera(camera, side).optical_rays()
    blocks = rays.reshape(480 // side, side, 640 // side, side, 3)
    np.testing.assert_allclose(small, blocks.mean(axis=(1, 3)), atol=1e-12)


def test_no_reading_is_made_up_at_edges(camera):
    (frame,) = frames_of([camera], [CARTON])
    small = thinned(frame, 4)
    assert set(np.unique(small.depth)) <= set(np.unique(frame.depth))
    (rendered,) = frames_of([thinned_camera(camera, 4)], [CARTON])
    # Most agree to the slope within a block; those on the outline may be of either side of it.
    differences = np.abs(small.depth.astype(int) - rendered.depth.astype(int))
    assert np.mean(differences <= 4) > 0.97


def test_blocks_of_one_pixel_change_nothing(camera):
    frame = DepthFrame(camera, np.zeros((480, 640), np.uint16), 0.0)
    assert thinned(frame, 1) is frame


@pytest.mark.parametrize(("width", "side"), [(160, 1), (640, 4), (641, 5), (100, 1), (1280, 8)])
def test_blocks_are_as_large_as_they_must_be(width, side):
    assert blocks_for(width, 160) == side


def test_what_does_not_fit_is_refused(camera):
    with pytest.raises(ValueError, match="image is 320x240, its camera 640x480"):
        thinned(DepthFrame(camera, np.zeros((240, 320), np.uint16), 0.0), 1)
    with pytest.raises(RigError, match="height is 0"):
        thinned(DepthFrame(camera, np.zeros((480, 640), np.uint16), 0.0), 500)
