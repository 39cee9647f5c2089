"""Resting poses against what geometry says."""

from __future__ import annotations

import numpy as np
import pytest

from dexgrasp_models.objects import load_object
from dexgrasp_sim.backends.mujoco.stable_pose import find_stable_poses


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEXGRASP_CACHE", str(tmp_path))
    return tmp_path


def test_box_rests_on_its_faces():
    sides = np.array([0.060, 0.090, 0.130])
    poses = find_stable_poses(load_object("box"))
    assert sum(pose.frequency for pose in poses) == pytest.approx(1.0)
    for pose in poses:
        up = pose.rotation[2]
        assert np.abs(up).max() == pytest.approx(1.0, abs=1e-3), "stands on an edge"
        assert pose.top == pytest.approx(sides[np.abs(up).argmax()], abs=1e-3)
    assert len(poses) <= 6
    # Most drops end on the largest faces.
    assert np.abs(poses[0].rotation[2]).argmax() == 0


def test_can_lies_on_its_side_or_stands():
    tops = [pose.top for pose in find_stable_poses(load_object("can"))]
    for top in tops:
        assert min(abs(top - 0.066), abs(top - 0.115)) < 1e-3
    assert min(tops) < 0.07


def test_a_jar_that_rolls_on_and_on_lies_on_its_side():
    """In none of the drops does it come to rest before the time is up."""
    poses = find_stable_poses(load_object("library:jar/15", 0.06))
    assert poses[0].top == pytest.approx(0.058, abs=1e-3)


def test_poses_are_distinct_and_sorted_by_frequency():
    poses = find_stable_poses(load_object("camera"))
    frequencies = [pose.frequency for pose in poses]
    assert frequencies == sorted(frequencies, reverse=True)
    ups = np.array([pose.rotation[2] for pose in poses])
    tilts = np.arccos(np.clip(ups @ ups.T, -1.0, 1.0)) + np.pi * np.eye(len(ups))
    assert tilts.min() > np.deg2rad(9.9)


def test_found_again_from_the_cache(cache):
    item = load_object("box")
    first = find_stable_poses(item)
    files = list((cache / "stable_poses").iterdir())
    assert len(files) == 1
    written = files[0].stat().st_mtime_ns
    second = find_stable_poses(item)
    assert files[0].stat().st_mtime_ns == written
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.rotation, b.rotation)


def test_a_larger_object_rests_as_a_smaller_one_does():
    small, large = (find_stable_poses(load_object("box", scale)) for scale in (0.8, 1.2))
    for pose in small:
        alike = [p for p in large if p.rotation[2] @ pose.rotation[2] > 0.999]
        assert alike, "this pose is not among the larger one's"
        scaled = pose.scaled(1.2 / 0.8)
        assert scaled.height == pytest.approx(alike[0].height, abs=1e-3)
        assert scaled.top == pytest.approx(alike[0].top, abs=1e-3)
