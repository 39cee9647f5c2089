"""Wrist paths: from a start in the cone to the goal, exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from dexgrasp_models.hand.kinematics import HandKinematics
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.tasks.pattern_generator import PatternConfig, generate
from dexgrasp_models.tasks.wrist_paths import PathConfig, arrivals, fingertip_centers, wrist_paths
from dexgrasp_models.tasks.wrist_patterns import Reach, processed

N, T = 400, 50
ALL = generate(np.random.default_rng(0))
SPEC = load_hand()


def scenes(count: int = N, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Goals (N, 4, 4) and fingertips (N, 3) near them."""
    rng = np.random.default_rng(seed)
    goals = np.tile(np.eye(4), (count, 1, 1))
    goals[:, :3, :3] = Rotation.random(count, random_state=rng).as_matrix()
    goals[:, :3, 3] = rng.uniform(-0.3, 0.3, (count, 3))
    return goals, goals[:, :3, 3] + rng.uniform(0.03, 0.1, (count, 3))


GOALS, TIPS = scenes()


def paths(seed: int = 0, horizon: int = T, **settings) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return wrist_paths(ALL.drawn(N, rng), GOALS, TIPS, rng, horizon, PathConfig(**settings))


def angles(rotations: np.ndarray) -> np.ndarray:
    flat = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).magnitude()
    return flat.reshape(rotations.shape[:-2])


def test_they_are_poses_and_end_at_the_goal_to_the_bit():
    found = paths()
    assert found.shape == (N, T, 4, 4)
    assert np.array_equal(found[:, -1], GOALS)
    assert np.allclose(found[..., :3, :3] @ found[..., :3, :3].swapaxes(-1, -2), np.eye(3))
    assert (found[..., 3, :] == (0, 0, 0, 1)).all()


def test_they_start_15_to_20_cm_off_within_a_cone_of_20_degrees():
    offsets = paths()[:, 0, :3, 3] - GOALS[:, :3, 3]
    distance = np.linalg.norm(offsets, axis=1)
    assert 0.15 <= distance.min() < 0.152
    assert 0.198 < distance.max() <= 0.2
    outward = GOALS[:, :3, 3] - TIPS
    cosine = (offsets * outward).sum(1) / distance / np.linalg.norm(outward, axis=1)
    degrees = np.degrees(np.arccos(cosine.clip(-1.0, 1.0)))
    assert degrees.min() < 0.5
    assert 19.5 < degrees.max() <= 20.0 + 1e-6
    assert degrees.mean() == pytest.approx(10.0, abs=1.0)  # all angles alike


def test_starts_are_all_around_the_axis():
    goals = np.tile(np.eye(4), (N, 1, 1))
    tips = np.tile((0.0, 0.0, -0.1), (N, 1))
    rng = np.random.default_rng(0)
    starts = wrist_paths(ALL.drawn(N, rng), goals, tips, rng)[:, 0, :3, 3]
    quadrants = 2 * (starts[:, 0] > 0) + (starts[:, 1] > 0)
    assert np.bincount(quadrants) == pytest.approx(N / 4, abs=35)


def test_other_settings_are_kept():
    offsets = paths(distance=(0.3, 0.3), deviation=(0.5, 0.5))[:, 0, :3, 3] - GOALS[:, :3, 3]
    assert np.linalg.norm(offsets, axis=1) == pytest.approx(0.3)
    outward = GOALS[:, :3, 3] - TIPS
    cosine = (offsets * outward).sum(1) / 0.3 / np.linalg.norm(outward, axis=1)
    assert np.arccos(cosine) == pytest.approx(0.5)


def test_turns_are_those_of_the_patterns_and_cut_where_they_are_long():
    rng = np.random.default_rng(5)
    patterns = ALL.drawn(N, rng)
    found = wrist_paths(patterns, GOALS, TIPS, rng, T, PathConfig(most_turn=0.5))
    turned = angles(GOALS[:, None, :3, :3].swapaxes(-1, -2) @ found[..., :3, :3])
    size = np.linalg.norm(patterns.turns, axis=1)
    assert turned[:, 0] == pytest.approx(np.minimum(size, 0.5), abs=1e-6)
    assert (size > 0.5).any()
    assert (size < 0.5).any()
    assert (np.diff(turned, axis=1) < 1e-6).all()
    # The direction of the turn is kept.
    start = GOALS[:, :3, :3].swapaxes(1, 2) @ found[:, 0, :3, :3]
    vectors = Rotation.from_matrix(start).as_rotvec()
    assert np.allclose(np.cross(vectors, patterns.turns), 0.0, atol=1e-9)


def test_a_path_made_of_a_pattern_gives_the_pattern_back():
    rng = np.random.default_rng(0)
    patterns = ALL.drawn(30, rng)
    config = PathConfig(distance=(0.15, 0.17), most_turn=np.pi)
    found = wrist_paths(patterns, GOALS[:30], TIPS[:30], rng, 102, config)
    reaches = [
        Reach(np.arange(102.0), path[:, :3, 3], Rotation.from_matrix(path[:, :3, :3]))
        for path in found
    ]
    again = processed(reaches)
    # A reach that bows out beyond 0.175 m is cut there.
    whole = np.linalg.norm(found[..., :3, 3] - found[:, -1:, :3, 3], axis=2).max(axis=1) < 0.175
    assert whole.sum() > 20
    assert again.along[whole] == pytest.approx(patterns.along[whole], abs=1e-9)
    assert again.lateral[whole] == pytest.approx(patterns.lateral[whole], abs=1e-9)
    assert again.turns[whole] == pytest.approx(patterns.turns[whole], abs=1e-9)


def test_a_straight_reach_goes_straight_with_the_minimum_jerk():
    config = PatternConfig(paused=0.0, corrected=0.0, arrived=(1.0, 1.0), bow=(0.0, 0.0))
    patterns = generate(np.random.default_rng(0), N, config)
    found = wrist_paths(patterns, GOALS, TIPS, np.random.default_rng(1), 102)[..., :3, 3]
    way = found[:, -1] - found[:, 0]
    u = np.linspace(0.0, 1.0, 102)
    share = 10 * u**3 - 15 * u**4 + 6 * u**5
    assert found == pytest.approx(found[:, :1] + share[:, None] * way[:, None])


@pytest.mark.parametrize("horizon", [2, 7, 102, 500])
def test_any_horizon_has_the_same_ends(horizon):
    found = paths(horizon=horizon)
    assert found.shape[1] == horizon
    assert np.array_equal(found[:, [0, -1]], paths()[:, [0, -1]])


def test_seeds():
    assert np.array_equal(paths(1), paths(1))
    assert not np.array_equal(paths(1), paths(2))


def test_fingertips_are_those_of_the_kinematics():
    joints = np.random.default_rng(0).uniform(*SPEC.limits.T, (N, 22))
    found = fingertip_centers(SPEC, GOALS, joints)
    kinematics = HandKinematics(SPEC, dtype=torch.float64)
    poses = kinematics.link_poses(torch.tensor(GOALS), torch.tensor(joints)).numpy()
    tips = [
        # A capsule from the link's origin: its far end is twice as far as its centre.
        poses[:, SPEC.link_index(name)]
        @ np.append(2 * np.array(SPEC.links[SPEC.link_index(name)].primitives[0].pose.position), 1)
        for name in SPEC.distal_links
    ]
    assert found == pytest.approx(np.mean(tips, axis=0)[:, :3], abs=2e-3)
    opened = fingertip_centers(SPEC, np.eye(4)[None], np.zeros((1, 22)))[0]
    assert opened[2] > 0.1  # +z of the palm is towards the fingers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"goals": GOALS[:2]}, r"3 patterns need goals \(3, 4, 4\)"),
        ({"fingertips": TIPS[:2]}, r"3 patterns need .* fingertips \(3, 3\)"),
        ({"horizon": 1}, "horizon of 2 or more"),
        ({"fingertips": GOALS[:3, :3, 3]}, "apart from each other"),
        ({"goals": np.full((3, 4, 4), np.nan)}, "finite"),
        ({"fingertips": np.full((3, 3), np.nan)}, "finite"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"goals": GOALS[:3], "fingertips": TIPS[:3], "horizon": T} | change
    with pytest.raises(ValueError, match=message):
        wrist_paths(ALL[:3], rng=np.random.default_rng(0), **given)


def test_a_wrist_has_arrived_once_it_stays_near_its_last_pose():
    moved = np.tile(np.eye(4), (4, 6, 1, 1))
    moved[0, :4, 0, 3] = (0.1, 0.05, 0.01, 0.002)  # the last of them is near enough
    moved[1, :5, 0, 3] = (0.1, 0.0, 0.0, 0.0, 0.1)  # was there before, and left again
    moved[2, :3, :3, :3] = Rotation.from_rotvec(np.outer((0.5, 0.06, 0.04), (0, 0, 1))).as_matrix()
    assert arrivals(moved).tolist() == [3, 5, 2, 0]
    assert arrivals(moved, distance=0.02).tolist() == [2, 5, 2, 0]
    assert arrivals(moved, turn=0.1).tolist() == [3, 5, 1, 0]


def test_arrivals_are_those_of_distances_and_angles_to_the_end():
    found = paths()
    for row, arrival in enumerate(arrivals(found)[:40]):
        left = found[row, :, :3, :3].swapaxes(1, 2) @ found[row, -1, :3, :3]
        near = np.linalg.norm(found[row, :, :3, 3] - GOALS[row, :3, 3], axis=1) <= 0.003
        near &= angles(left) <= 0.05
        assert near[arrival:].all()
        assert not near[arrival - 1]
