"""Clouds of whole objects: on the surface, even, and the same whatever was drawn before."""

from __future__ import annotations

import numpy as np
import pytest
from assist_samples import poses

from dexgrasp_models.objects import load_surface
from dexgrasp_models.tasks.full_clouds import FullClouds

PLANE = np.array([0.0, 0.0, 1.0, 0.0])


def shape(name: str) -> str:
    return name


def test_points_lie_on_the_moved_and_scaled_surface():
    (pose,) = poses(1, np.random.default_rng(0))
    clouds = FullClouds(shape, kept=1)
    cloud = clouds("box", 0.5, PLANE, pose, 200, np.random.default_rng(0))
    assert cloud.shape == (200, 3)
    local = (cloud - pose[:3, 3]) @ pose[:3, :3] / 0.5
    box = load_surface("box")
    outside = np.abs(local - box.bounds.mean(axis=0)) - box.extents / 2
    assert np.abs(outside.max(axis=1)).max() < 1e-9
    # All six faces are seen, and no two points are close.
    assert {
        (axis, sign)
        for axis, sign in zip(
            outside.argmax(axis=1),
            np.sign(local - box.bounds.mean(axis=0))[np.arange(200), outside.argmax(axis=1)],
            strict=True,
        )
    } == {(axis, sign) for axis in range(3) for sign in (-1.0, 1.0)}
    apart = np.linalg.norm(local[:, None] - local[None], axis=2) + 9.0 * np.eye(200)
    assert apart.min() > 0.4 * np.sqrt(box.area / 200)


def test_clouds_depend_on_seed_and_name_only():
    def drawn(clouds, name="box", rng=1):
        return clouds(name, 1.0, PLANE, np.eye(4), 64, np.random.default_rng(rng))

    first, second = FullClouds(shape, kept=3), FullClouds(shape, kept=3)
    drawn(second, "ball")
    assert np.array_equal(drawn(first), drawn(second))
    assert not np.array_equal(drawn(first), drawn(FullClouds(shape, kept=3, seed=1)))
    assert len({drawn(first, rng=rng).tobytes() for rng in range(20)}) == 3
    with pytest.raises(ValueError, match="at least one cloud"):
        FullClouds(shape, kept=0)
