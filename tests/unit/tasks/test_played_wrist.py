"""A played wrist: continuous, on the reach, no faster than told, and clear of what stands there."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from assisted_hand import START, ball, pose

from dexgrasp_models.control.trajectory import interpolate_pose, pose_distance
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_models.tasks.assist_config import AssistConfig
from dexgrasp_models.tasks.pattern_files import save_recording
from dexgrasp_models.tasks.pattern_generator import generate
from dexgrasp_models.tasks.played_wrist import PlayConfig, PlayedWrist, reach_to, recorded_reach
from dexgrasp_models.tasks.wrist_patterns import PatternError

TASK = AssistConfig()
HAND = load_hand()


def grasp() -> Grasp:
    down = pose(np.array([0.0, 0.02, 0.2]))
    down[:3, :3] = np.diag([1.0, -1.0, -1.0])
    joints = HAND.couple(np.full(22, 0.4))
    return Grasp(down, joints, joints, joints, score=0.0, figures={}, proposer="test")


def played(seed: int = 0, **config: float) -> tuple[PlayedWrist, np.ndarray]:
    rng = np.random.default_rng(seed)
    reach = reach_to(grasp(), generate(rng).held_out, HAND, TASK, rng)
    return PlayedWrist(pose(START), reach, ball(), PlayConfig(**config), TASK, 0.9), reach


@pytest.mark.parametrize("seed", range(4))
def test_it_goes_from_the_robots_wrist_to_the_grasp_rests_and_rises(seed):
    wrist, reach = played(seed)
    assert np.array_equal(wrist.pose(0.0), pose(START))
    assert pose_distance(wrist.pose(wrist.arrives), grasp().palm_pose) < (1e-9, 1e-7)
    assert np.array_equal(wrist.pose(wrist.arrives + 5.9), wrist.pose(wrist.arrives))
    up = grasp().palm_pose
    up[2, 3] += 0.25
    assert pose_distance(wrist.pose(wrist.duration), up) < (1e-9, 1e-7)
    assert np.array_equal(wrist.pose(100.0), wrist.pose(wrist.duration))
    begins = wrist.arrives - (len(reach) - 1) / TASK.rate
    for step in (0, 7, 30):
        found = wrist.pose(begins + step / TASK.rate)
        assert pose_distance(found, reach[step]) < (1e-6, 1e-6)


def test_it_never_jumps_nor_hurries():
    wrist, _ = played()
    times = np.arange(0.0, wrist.duration, 0.02)
    poses = [wrist.pose(time) for time in times]
    moves = np.array([pose_distance(*pair) for pair in itertools.pairwise(poses)])
    assert moves[:, 0].max() < 0.02 * 0.35
    assert moves[:, 1].max() < 0.02 * 2.5
    assert moves.max(axis=0).min() > 1e-3


def test_half_the_speed_takes_twice_the_reach():
    fast, slow = played()[0], played(speed=0.5)[0]
    assert slow.arrives - fast.arrives == pytest.approx((TASK.horizon - 1) / TASK.rate)


def test_the_hand_stays_clear_of_the_object_until_the_reach():
    wrist, reach = played()
    begins = wrist.arrives - (len(reach) - 1) / TASK.rate
    top = ball()[:, 2].max()
    way = np.array([wrist.pose(time)[:3, 3] for time in np.arange(0.0, begins, 0.02)])
    across = np.linalg.norm(way[:, :2] - reach[0][:2, 3], axis=1) > 1e-6
    over = across & (np.linalg.norm(way[:, :2], axis=1) < 0.25)
    assert (way[over, 2] >= top + 0.25).all()
    assert len(wrist.waypoints) == 4 + len(reach) + 2


def test_a_recorded_reach_is_played_at_its_own_pace(tmp_path):
    end = pose(START + np.array([0.2, 0.1, -0.1]))
    end[:3, :3] = np.diag([1.0, -1.0, -1.0])
    times = np.linspace(7.0, 8.51, 40)  # no multiple of the task's steps
    shares = (times - 7.0) / 1.51
    save_recording(
        tmp_path / "a.csv", times, [interpolate_pose(pose(START), end, s) for s in shares]
    )
    reach = recorded_reach(tmp_path / "a.csv", TASK)
    assert len(reach) == 32
    wrist = PlayedWrist(pose(START), reach, np.zeros((0, 3)), PlayConfig(wait=0.0), TASK, 0.9)
    for share in (0.0, 0.3, 0.9):
        found = wrist.pose(wrist.arrives - 1.55 + 1.51 * share)
        assert pose_distance(found, interpolate_pose(pose(START), end, share)) < (1e-5, 1e-5)
    assert pose_distance(wrist.pose(wrist.arrives), end) < (1e-6, 1e-6)


def test_a_recording_of_one_pose_is_no_reach(tmp_path):
    save_recording(tmp_path / "a.csv", [0.0], [np.eye(4)])
    with pytest.raises(PatternError, match="holds a single pose"):
        recorded_reach(tmp_path / "a.csv", TASK)
