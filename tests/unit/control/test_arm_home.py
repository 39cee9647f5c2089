"""The arm's way home, from where its joints were led by a person."""

from __future__ import annotations

import numpy as np
import pytest
from arm_ride import ASTRAY, HOME, KINEMATICS, PERIOD, SAFETY, Ride

from dexgrasp_models.control.arm_home import WayHome, arm_way_home
from dexgrasp_models.control.config import load_control_config
from dexgrasp_models.control.moves import PlannedMove, clear_height, way_home
from dexgrasp_models.control.planner import GraspPlanner
from dexgrasp_models.control.trajectory import MotionBounds, PassingPath
from dexgrasp_models.control.types import Observation, RobotState
from dexgrasp_models.hand.spec import load_hand

WOUND = HOME + np.array([0.0, 0.0, 0.0, 0.0, 0.0, 2 * np.pi])
TILTED = np.array([0.03, -0.817, 0.854, -0.502, -1.117, -0.928])
NOTHING = np.zeros((0, 3))
CONFIG = load_control_config()
PLANNER = GraspPlanner(CONFIG, KINEMATICS, load_hand())


def straight_from(joints: np.ndarray) -> list[np.ndarray]:
    return way_home(KINEMATICS.fk(joints), KINEMATICS.fk(HOME), NOTHING, 0.03, 0.9)


def way_from(joints: np.ndarray, height: float = 0.28, fits=None) -> WayHome | None:
    fits = fits or (lambda path: PLANNER.is_reachable(joints, path))
    return arm_way_home(KINEMATICS, joints, straight_from(joints), height, fits)


def test_near_home_the_palm_goes_straight():
    near = HOME + np.array([0.2, -0.1, 0.2, -0.1, 0.1, 0.3])
    way = way_from(near)
    assert np.array_equal(way.stops, straight_from(near))
    assert not len(way.passed)


@pytest.mark.parametrize("joints", [ASTRAY, WOUND], ids=["astray", "wound"])
def test_the_joints_come_home_where_the_palms_straight_way_does_not_lead_there(joints):
    ended = KINEMATICS.track(straight_from(joints), joints)
    assert ended is None or np.abs(ended[-1] - HOME).max() > 6.0
    way = way_from(joints)
    assert PLANNER.is_reachable(joints, [*way.stops, *way.passed])
    assert np.abs(way.passed[-1] - KINEMATICS.fk(HOME)).max() < 1e-9
    heights = [pose[2, 3] for pose in way.passed]
    assert min(heights) >= 0.26
    ride = Ride(followed(way, joints), start=joints, rest=2000)
    ride.assert_within_limits()
    assert np.abs(ride.end.joints - HOME).max() < 0.01
    assert ride.palms[:, 2, 3].min() > min(0.26, KINEMATICS.fk(joints)[2, 3] - 0.02)


def followed(way: WayHome, joints: np.ndarray) -> list[np.ndarray]:
    """Wrist targets of the move, of a wrist that follows at once; they don't leave its limits."""
    fingers = np.zeros(22)
    move = PlannedMove("home", way.stops, None, CONFIG.executor, load_hand().limits, way.passed)
    wrist, time, targets = KINEMATICS.fk(joints), 0.0, []
    while move.outcome is None:
        targets.append(
            move.step(Observation(RobotState(time, wrist, fingers, fingers))).wrist_target
        )
        wrist, time = targets[-1], time + 10 * PERIOD
        assert time < 60.0
    steps = np.linalg.norm(np.diff([pose[:3, 3] for pose in targets], axis=0), axis=1)
    assert steps.max() <= SAFETY.wrist_speed * 10 * PERIOD
    return targets


def test_most_postures_come_home_that_the_straight_way_would_leave():
    rng, straight, any_way = np.random.default_rng(0), 0, 0
    for _ in range(60):
        joints = posture(rng)
        fits = PLANNER.is_reachable(joints, straight_from(joints))
        straight += fits and led_home(straight_from(joints), joints)
        way = way_from(joints)
        any_way += way is not None and led_home([*way.stops, *way.passed], joints)
    assert straight < 40
    assert any_way >= 56


def posture(rng: np.random.Generator) -> np.ndarray:
    """(6,) joints with the palm over the table, wound and folded at random."""
    low, high = [-0.45, -0.45, 0.1], [0.45, 0.45, 0.85]
    while True:
        spread = np.array([0.5, 0.5, 0.6, 1.0, 1.5, 3.0])
        joints = np.clip(HOME + spread * rng.normal(size=6), KINEMATICS.lower, KINEMATICS.upper)
        place = KINEMATICS.fk(joints)[:3, 3]
        inside = (place > low).all() and (place < high).all()
        if inside and KINEMATICS.clearance_to_table(joints) > 0.05:
            return joints


def led_home(way: list[np.ndarray], joints: np.ndarray) -> bool:
    ended = KINEMATICS.track(way, joints)
    return ended is not None and bool(np.abs(ended[-1] - HOME).max() < 0.2)


def test_it_rises_no_farther_than_it_has_to_where_the_arm_does_not_reach_higher():
    """With the palm tilted over the box, beside the table's middle."""
    joints, height = TILTED, 0.4
    assert KINEMATICS.fk(joints)[2, 3] < height
    assert KINEMATICS.track(straight_from(joints)[:2], joints) is None
    way = way_from(joints, height)
    assert way.stops[-1][2, 3] == pytest.approx(height)
    assert led_home([*way.stops, *way.passed], joints)


def test_a_way_that_sinks_or_does_not_fit_is_not_taken():
    assert way_from(ASTRAY, fits=lambda path: False) is None
    assert way_from(ASTRAY, height=2.0) is None, "it passes lower than that on its way"
    # Where only the straight way fits it is taken, though the joints stay wound.
    few = way_from(WOUND, fits=lambda path: len(path) == 4)
    assert few is not None
    assert not len(few.passed)


def test_without_obstacles_the_hand_clears_the_table():
    assert clear_height(NOTHING, 0.03, 0.9) == pytest.approx(0.28)
    assert clear_height(np.array([[0.0, 0.0, 0.2]]), 0.03, 0.9) == pytest.approx(0.48)
    assert clear_height(np.array([[0.0, 0.0, 0.9]]), 0.03, 0.9) == pytest.approx(0.9)


def test_poses_are_passed_within_the_bounds_and_without_a_stop():
    bounds = MotionBounds(0.4, 1.5, 2.0, 8.0)
    way = way_from(ASTRAY)
    path = PassingPath(way.passed, bounds)
    times = np.linspace(0.0, path.duration, 2001)
    poses = np.array([path.pose(time) for time in times])
    assert np.array_equal(poses[0], way.passed[0])
    assert np.array_equal(poses[-1], way.passed[-1])
    step = times[1]
    speeds = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) / step
    turns = np.einsum("kji,kjl->kil", poses[:-1, :3, :3], poses[1:, :3, :3])
    angles = np.arccos(np.clip((np.trace(turns, axis1=1, axis2=2) - 1) / 2, -1, 1)) / step
    assert speeds.max() <= 0.4 * 1.001
    assert angles.max() <= 2.0 * 1.01
    share = np.maximum(speeds / 0.4, angles / 2.0)
    assert share.max() == pytest.approx(1.0, abs=0.02), "as fast as allowed"
    assert share[200:-200].min() > 0.05, "no stop on the way"
    for waypoint in way.passed[1:-1]:
        assert np.linalg.norm(poses[:, :3, 3] - waypoint[:3, 3], axis=1).min() < 0.002
