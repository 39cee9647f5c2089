"""Farthest-point sampling of one cloud; of batches: test_pointnet.py."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.geometry.farthest_points import farthest_points, lowest, outermost
from dexgrasp_models.perception.surface import evenly_spread

RNG = np.random.default_rng(0)


def test_farthest_points_spread_and_are_distinct() -> None:
    points = RNG.random((500, 3))
    chosen = farthest_points(points, 50)
    assert len(set(chosen)) == 50
    gaps = np.linalg.norm(points[chosen][:, None] - points[chosen][None], axis=-1)
    assert (gaps + np.eye(50)).min() > 0.1


@pytest.mark.parametrize("first", [lowest, outermost])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_each_is_the_farthest_from_all_before(first, kind) -> None:
    points = RNG.normal(size=(200, 3)).astype(kind)
    chosen = farthest_points(points, 40, first)
    start = points[:, 2] if first is lowest else -np.linalg.norm(points, axis=1)
    assert chosen[0] == start.argmin()
    for index in range(1, 40):
        gaps = np.linalg.norm(points[:, None] - points[chosen[:index]], axis=-1).min(axis=1)
        assert gaps[chosen[index]] == pytest.approx(gaps.max(), rel=1e-5)


def test_where_there_are_too_few_all_are_taken_in_their_order() -> None:
    assert farthest_points(RNG.random((5, 3)), 5).tolist() == [0, 1, 2, 3, 4]
    assert farthest_points(np.zeros((0, 3)), 5).tolist() == []


def test_a_cloud_far_away_is_spread_as_one_nearby() -> None:
    points = RNG.random((3, 300))
    spread = evenly_spread(points + np.array([[1000.0], [0.0], [0.0]]), 30)
    assert spread[0] == np.linalg.norm(points.T - points.mean(axis=1), axis=1).argmax()
    assert np.array_equal(spread, evenly_spread(points, 30))
