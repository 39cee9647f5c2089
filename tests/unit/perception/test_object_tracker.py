"""Motions of objects on the table, found again; and what must not be believed."""

from __future__ import annotations

import re

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from dexgrasp_models.objects.shapes import make_shape
from dexgrasp_models.perception.object_tracker import ObjectTracker, TrackerConfig

NOISE = 0.002


def surface(name, count, seed):
    """(N, 3) points of a generated object that stands on the table, beside its middle."""
    mesh = make_shape(name).copy()
    mesh.apply_translation([0.03, -0.02, -mesh.bounds[0, 2]])
    return np.asarray(trimesh.sample.sample_surface(mesh, count, seed=seed)[0])


def motion(points, shift, turn):
    """(4, 4) that turns about the vertical through the points' middle, and shifts."""
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("z", turn).as_matrix()
    pose[:3, 3] = middle - pose[:3, :3] @ middle + [*shift, 0.0]
    return pose


def applied(pose, points):
    return points @ pose[:3, :3].T + pose[:3, 3]


def half_of(points, rng):
    """What is seen of it from one side, with noise."""
    side = (points - points.mean(axis=0)) @ [*rng.normal(size=2), 0.3]
    seen = points[side > np.median(side)]
    return seen + rng.normal(0.0, NOISE, seen.shape)


@pytest.mark.parametrize("name", ["box", "camera"])
@pytest.mark.parametrize("seed", range(4))
def test_a_motion_is_found_though_half_of_the_object_is_hidden(name, seed):
    rng = np.random.default_rng(seed)
    first = surface(name, 512, seed)
    pose = motion(first, rng.uniform(-0.02, 0.02, 2), rng.uniform(-0.25, 0.25))
    tracker = ObjectTracker(first)
    track = tracker.update(half_of(applied(pose, surface(name, 3000, seed + 100)), rng))
    assert not track.reason
    found = tracker.motion(track.moved)
    middle = first.mean(axis=0)
    # The surfaces are known to a few points, so that the last tenths of a millimetre are left.
    assert np.linalg.norm(applied(found, middle) - applied(pose, middle)) < 0.001
    turned = Rotation.from_matrix(found[:3, :3].T @ pose[:3, :3]).magnitude()
    assert np.degrees(turned) < 1.0
    assert found[2, 3] == 0.0


@pytest.mark.parametrize("name", ["can", "ball", "bowl"])
def test_a_round_object_is_not_said_to_turn(name):
    first, rng = surface(name, 512, 0), np.random.default_rng(0)
    tracker = ObjectTracker(first)
    for step in range(1, 6):
        pose = motion(first, (0.004 * step, -0.002 * step), 0.1 * step)
        track = tracker.update(
            applied(pose, surface(name, 1000, step)) + rng.normal(0.0, NOISE, (1000, 3))
        )
        assert not track.reason
        assert track.moved[2] == 0.0
        assert np.hypot(*(track.moved[:2] - pose_shift(first, pose))) < 0.0015


def pose_shift(first, pose):
    middle = 0.5 * (first.min(axis=0) + first.max(axis=0))
    return (applied(pose, middle) - middle)[:2]


def test_an_object_that_stays_is_not_said_to_move():
    tracker = ObjectTracker(surface("mug", 256, 0))
    for seed in range(5):
        moved = tracker.update(surface("mug", 1200, seed + 1)).moved
        assert np.hypot(*moved[:2]) < 0.0015
        assert abs(moved[2]) < 0.03


def test_what_lies_beside_does_not_matter():
    first = surface("box", 512, 0)
    other = surface("ball", 500, 1) + np.array([0.2, 0.0, 0.0])
    pose = motion(first, (0.015, 0.01), 0.1)
    track = ObjectTracker(first).update(
        np.concatenate([applied(pose, surface("box", 1500, 2)), other])
    )
    assert not track.reason
    assert track.moved == pytest.approx([0.015, 0.01, 0.1], abs=0.003)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (np.zeros((0, 3)), "0 points are where the object may be"),
        (np.full((500, 3), np.nan), "0 points are where the object may be"),
        (surface("box", 1000, 1) + np.array([1.0, 0.0, 0.0]), "0 points are where"),
        (surface("ball", 1000, 1), "% of the"),
        (surface("box", 1000, 1) + np.array([0.0, 0.0, 0.06]), "% of the"),
        (surface("box", 3000, 1) * [0.6, 0.6, 1.0], "% of the|off its surface"),
    ],
    ids=["empty", "nan", "far", "ball", "raised", "narrower"],
)
def test_what_is_not_the_object_is_not_believed(points, reason):
    first = surface("box", 512, 0)
    tracker = ObjectTracker(first)
    before = tracker.update(applied(motion(first, (0.01, 0.0), 0.0), surface("box", 1000, 5)))
    assert not before.reason
    track = tracker.update(points)
    assert re.search(reason, track.reason)
    assert not track.too_far
    assert np.array_equal(track.moved, before.moved), "the last that was believed"


def test_a_rod_of_which_no_end_is_seen_tells_nothing_along_itself():
    rng = np.random.default_rng(0)
    angles, along = rng.uniform(0.0, np.pi, 3000), rng.uniform(-0.1, 0.1, 3000)
    rod = np.column_stack([along, 0.015 * np.cos(angles), 0.015 * (1 + np.sin(angles))])
    tracker = ObjectTracker(rod[:500], TrackerConfig(coverage=0.2))
    seen = rod[500:][np.abs(rod[500:, 0]) < 0.04] + [0.02, 0.0, 0.0]
    assert "along one direction" in tracker.update(seen).reason


@pytest.mark.parametrize(
    ("shift", "turn", "words"),
    [((0.05, 0.0), 0.0, "moved by 0.050 m and 0.00 rad"), ((0.0, 0.0), 0.4, "0.40 rad")],
)
def test_who_moves_too_far_is_told(shift, turn, words):
    first = surface("box", 512, 0)
    tracker = ObjectTracker(first, TrackerConfig(max_shift=0.04, max_turn=0.3))
    pose = motion(first, shift, turn)
    track = tracker.update(applied(pose, surface("box", 1500, 1)))
    assert track.too_far
    assert words in track.reason
    assert np.array_equal(track.moved, np.zeros(3))


def test_equal_clouds_give_equal_bits():
    points = surface("mug", 800, 3) + np.array([0.01, 0.0, 0.0])
    first, second = (ObjectTracker(surface("mug", 256, 0)).update(points).moved for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    "cloud", [np.zeros((5, 3)), np.zeros((100, 3)), np.full((100, 3), np.inf), np.zeros((100, 2))]
)
def test_a_first_cloud_that_can_not_be_followed_is_refused(cloud):
    with pytest.raises(ValueError, match=r"points are too few|finite"):
        ObjectTracker(cloud)
