"""Episodes are drawn whole: seeded, on the table, and each path ends at its goal."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from grasp_samples import sample_grasps

from dexgrasp_models.data.grasps import GraspDataError, concatenate, table_plane
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.assist_episodes import AssistEpisodes, draw_episodes
from dexgrasp_models.tasks.pattern_generator import generate

CONFIG = AssistConfig(points=32, horizon=12)
PATTERNS = generate(np.random.default_rng(0))
GOALS = concatenate([sample_grasps(3, name="can"), sample_grasps(4, seed=1, name="box")])


def in_a_box(name, scale, plane, object_pose, points, rng):
    """Points of a box of the object's size and name, in its frame, at its pose."""
    del plane
    local = scale * rng.uniform(0.0, len(name), (points, 3))
    return local @ object_pose[:3, :3].T + object_pose[:3, 3]


def drawn(seed=0, goals=GOALS, **options) -> AssistEpisodes:
    options = {"blended": True, **options}
    rng = np.random.default_rng(seed)
    return draw_episodes(goals, PATTERNS, in_a_box, rng, CONFIG, **options)


def test_each_path_leads_to_the_goal_on_the_table():
    episodes = drawn(placement_radius=0.03)
    assert len(episodes) == 7
    assert episodes.names == ["can"] * 3 + ["box"] * 4
    assert episodes.paths.shape == (7, 12, 4, 4)
    goals = episodes.object_poses @ GOALS.palm_poses
    assert np.array_equal(episodes.paths[:, -1], goals)
    away = np.linalg.norm(episodes.paths[:, 0, :3, 3] - goals[:, :3, 3], axis=1)
    assert away.min() > 0.149
    assert away.max() < 0.201
    assert table_plane(episodes.object_poses) == pytest.approx(GOALS.planes, abs=1e-9)
    off = np.linalg.norm(episodes.object_poses[:, :2, 3], axis=1)
    assert off.max() < 0.03
    assert len(np.unique(off)) == 7


def test_clouds_are_where_the_objects_are():
    episodes = drawn()
    back = np.einsum(
        "nji,npj->npi",
        episodes.object_poses[:, :3, :3],
        episodes.clouds - episodes.object_poses[:, None, :3, 3],
    )
    assert back.min() > -1e-9
    assert back.max(axis=(1, 2)) == pytest.approx(3.0 * GOALS.scales, rel=0.2)


def test_one_seed_draws_the_same_episodes_to_the_bit():
    first, again, other = drawn(3), drawn(3), drawn(4)
    for name in ("object_poses", "paths", "clouds"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))


def test_rows_are_episodes():
    episodes = drawn()
    some = episodes[np.array([5, 1])]
    assert some.names == ["box", "can"]
    for item in fields(AssistEpisodes)[1:4]:
        assert np.array_equal(getattr(some, item.name), getattr(episodes, item.name)[[5, 1]])


def test_evaluation_uses_patterns_as_they_are():
    """Of a single pattern without bows every path is straight; a blend of it with another isn't."""
    straight = replace(PATTERNS[:1], lateral=np.zeros_like(PATTERNS.lateral[:1]))
    rng = np.random.default_rng(0)
    paths = draw_episodes(GOALS, straight, in_a_box, rng, CONFIG, blended=False).paths
    ways = paths[:, :, :3, 3] - paths[:, :1, :3, 3]
    whole = ways[:, -1:] / np.linalg.norm(ways[:, -1:], axis=2, keepdims=True)
    assert np.linalg.norm(np.cross(ways, whole), axis=2).max() < 1e-9


def test_what_does_not_fit_is_refused():
    with pytest.raises(GraspDataError, match="goal 0 has no table"):
        drawn(goals=sample_grasps(2, table=False))
    episodes = drawn()
    with pytest.raises(ValueError, match=r"clouds has the shape \(6, 32, 3\)"):
        replace(episodes, clouds=episodes.clouds[:6])
    broken = episodes.paths.copy()
    broken[4, 2] = np.nan
    with pytest.raises(ValueError, match="paths of environment 4 is not finite"):
        replace(episodes, paths=broken)
