"""Grasps without a meaning, for tests of how they are kept and exchanged."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from dexgrasp_models.data.grasps import PER_GRASP, Grasps
from dexgrasp_models.hand.spec import load_hand


def sample_grasps(count: int, seed: int = 0, name: str = "bottle", table: bool = True) -> Grasps:
    """Random grasps of one object, each on a table of its own, with two figures."""
    generator = np.random.default_rng(seed)
    planes = np.full((count, 4), np.nan)
    if table:
        planes[:, :3] = Rotation.random(count, rng=generator).as_matrix()[:, 2]
        planes[:, 3] = generator.uniform(0.01, 0.1, count)
    return Grasps(
        (name,),
        np.zeros(count),
        generator.permutation(10 * count)[:count],
        generator.choice([0.06, 0.08, 0.1, 0.12, 0.15], count),
        planes,
        generator.normal(scale=0.1, size=(count, 3)),
        generator.uniform(-np.pi, np.pi, (count, 3)),
        generator.uniform(*load_hand().limits.T, (count, 22)),
        {
            "lifted": generator.integers(0, 2, count).astype(float),
            "penetration": generator.uniform(0, 0.002, count),
        },
    )


def assert_same(found: Grasps, expected: Grasps) -> None:
    """Equal to the bit, the objects by their names."""
    for column in (*PER_GRASP, "figures"):
        if column == "objects":
            assert [found.names[i] for i in found.objects] == [
                expected.names[i] for i in expected.objects
            ]
        elif column == "figures":
            assert set(found.figures) == set(expected.figures)
            for name, values in expected.figures.items():
                assert np.array_equal(found.figures[name], values, equal_nan=True), name
        else:
            first, second = getattr(found, column), getattr(expected, column)
            assert first.dtype == second.dtype, column
            assert np.array_equal(first, second, equal_nan=first.dtype.kind == "f"), column
