"""The arm on its way to targets: arrives, stays in its limits, off the table, and never jumps."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from arm_ride import EVERY, HOME, KINEMATICS, LIMITS, PERIOD, SAFETY, Ride
from scipy.spatial.transform import Rotation

from dexgrasp_models.control.arm_following import ArmFollower, Held
from dexgrasp_models.control.limits import SafetyLimits
from dexgrasp_models.control.trajectory import interpolate_pose, pose_distance

PALM = KINEMATICS.fk(HOME)


def moved(x: float = 0.0, y: float = 0.0, z: float = 0.0, turn: float = 0.0) -> np.ndarray:
    pose = PALM.copy()
    pose[:3, 3] += (x, y, z)
    pose[:3, :3] = pose[:3, :3] @ Rotation.from_euler("z", turn).as_matrix()
    return pose


def test_a_far_target_is_reached_straight_and_no_faster_than_allowed():
    ride = Ride([moved(0.25, 0.25, -0.2, 0.4)])
    ride.assert_within_limits()
    assert max(KINEMATICS.error(ride.end.joints, moved(0.25, 0.25, -0.2, 0.4))) < 1e-5
    assert ride.end.standing
    assert Held.SPEED in ride.held
    places = ride.palms[:, :3, 3]
    speeds = np.linalg.norm(np.diff(places, axis=0), axis=1) / (5 * PERIOD)
    assert 0.5 < speeds.max() < 1.1 * SAFETY.wrist_speed
    way = np.array([0.25, 0.25, -0.2])
    off = np.linalg.norm(np.cross(places - places[0], way / np.linalg.norm(way)), axis=1)
    assert off.max() < 0.01


def test_a_stream_is_followed_with_the_lag_of_the_gain():
    speed = 0.2  # m/s
    targets = [moved(y=speed * EVERY * PERIOD * (k + 1)) for k in range(75)]
    ride = Ride(targets, rest=500)
    ride.assert_within_limits()
    # The reference ends a period behind the newest target; the joints 1 / gain behind that.
    now = 60 * EVERY
    reference = speed * now * PERIOD
    lag = reference - (KINEMATICS.fk(ride.joints[now])[1, 3] - PALM[1, 3])
    assert abs(lag - speed / LIMITS.gain) < 0.001
    # Once it goes it goes evenly, though targets come in steps.
    places = np.array([KINEMATICS.fk(q)[1, 3] for q in ride.joints[40 * EVERY : 60 * EVERY]])
    assert np.abs(np.diff(places) / PERIOD - speed).max() < 0.02
    assert KINEMATICS.error(ride.end.joints, targets[-1])[0] < 1e-6
    assert ride.held == {Held.NOTHING}


def test_a_target_under_the_table_ends_above_it():
    low = SafetyLimits(workspace_low=(-0.5, -0.5, -1.0))  # the links' clearance alone
    down = Rotation.from_euler("y", 90, degrees=True).as_matrix() @ PALM[:3, :3]
    target = PALM.copy()
    target[:3, :3], target[:3, 3] = down, (-0.2, 0.0, -0.4)
    for safety in (low, SAFETY):
        ride = Ride([target], rest=4000, safety=safety)
        ride.assert_within_limits()
        clearances = [KINEMATICS.clearance_to_table(joints) for joints in ride.joints[::5]]
        assert min(clearances) > 0.5 * LIMITS.table_clearance
        assert ride.end.standing
        assert ride.end.held in (Held.TABLE, Held.WORKSPACE)
    assert ride.palms[:, 2, 3].min() > -0.021


def test_from_where_it_stands_too_low_it_may_rise_and_not_sink():
    low = Ride([moved(z=-0.59)], rest=4000).end.joints
    strict = SafetyLimits(workspace_low=(-0.5, -0.5, 0.3))
    here = KINEMATICS.fk(low)
    for dz, moves in ((0.1, True), (-0.05, False)):
        target = here.copy()
        target[2, 3] += dz
        ride = Ride([target], start=low, safety=strict)
        assert (abs(ride.palms[-1, 2, 3] - here[2, 3] - dz) < 1e-4) == moves
        assert (np.ptp(ride.palms[:, 2, 3]) < 0.001) != moves


@pytest.mark.parametrize("x", [0.9, 2.0])
def test_a_target_out_of_reach_is_approached_and_told(x):
    far = SafetyLimits(workspace_low=(-1.0, -1.0, 0.0), workspace_high=(1.9, 1.0, 1.5))
    ride = Ride([moved(x=x, z=0.2)], rest=6000, safety=far)
    ride.assert_within_limits()
    assert Held.REACH in ride.held
    assert ride.end.standing
    home = Ride([PALM], start=ride.end.joints, rest=4000, safety=far)
    home.assert_within_limits()
    assert KINEMATICS.error(home.end.joints, PALM)[0] < 1e-4


def test_through_a_singularity_it_slows_down_and_does_not_jump():
    """The wrist's middle joint goes through zero, where the first and the last turn about one
    axis."""
    bent = HOME.copy()
    bent[4] = -0.5
    start, end = bent.copy(), bent.copy()
    end[4] = 0.5
    wide = SafetyLimits((-2.0, -2.0, 0.0), (2.0, 2.0, 2.0))
    path = [KINEMATICS.fk(start + share * (end - start)) for share in np.linspace(0.02, 1.0, 100)]
    least = min(
        np.linalg.svd(KINEMATICS.jacobian(start + share * (end - start)))[1][-1]
        for share in np.linspace(0.0, 1.0, 101)
    )
    assert least < 0.1 * LIMITS.singular_value
    # Beside the singular axis: a pose that only a turn of the first and last joints would reach.
    aside = [pose.copy() for pose in path]
    for pose in aside:
        pose[:3, 3] += pose[:3, 1] * 0.02
    for targets in (path, aside):
        ride = Ride(targets, start=start, rest=6000, safety=wide)
        ride.assert_within_limits()
        steps = np.linalg.norm(np.diff(ride.palms[:, :3, 3], axis=0), axis=1)
        assert steps.max() < 1.2 * SAFETY.wrist_speed * 5 * PERIOD
        if Held.SINGULARITY in ride.held:
            slow = [
                np.abs(after.goal - before.goal).max() / PERIOD
                for before, after in itertools.pairwise(ride.motions)
                if after.held == Held.SINGULARITY
            ]
            assert max(slow) < KINEMATICS.arm.max_speeds.max() * LIMITS.joint_speed_share
    assert KINEMATICS.error(Ride(path, start=start, safety=wide).end.joints, path[-1])[0] < 1e-3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_target_that_is_no_pose_leaves_the_motion_as_it_is(bad):
    follower = ArmFollower(KINEMATICS, SAFETY, LIMITS, PERIOD)
    motion = follower.aim(follower.at_rest(HOME), moved(y=0.1), 0.02)
    for row in range(3):
        target = moved(y=0.2)
        target[row, 3] = bad
        with pytest.raises(ValueError, match="no finite pose"):
            follower.aim(motion, target, 0.02)
    with pytest.raises(ValueError, match="no finite pose"):
        follower.aim(motion, 2.0 * np.eye(4), 0.02)
    with pytest.raises(ValueError, match="not finite"):
        follower.at_rest(HOME * bad)
    assert np.isfinite(follower.step(motion).joints).all()


def test_halting_stops_within_the_accelerations():
    follower = ArmFollower(KINEMATICS, SAFETY, LIMITS, PERIOD)
    motion = follower.aim(follower.at_rest(HOME), moved(y=0.4), 0.02)
    for _ in range(200):
        motion = follower.step(motion)
    fastest = np.abs(motion.speeds).max()
    motion = follower.halt(motion)
    periods = 0
    while not motion.standing:
        motion = follower.step(motion)
        periods += 1
    assert fastest > 0.2
    assert periods * PERIOD < fastest / LIMITS.joint_acceleration + 10.0 / LIMITS.gain


def test_the_reference_goes_straight_from_pose_to_pose():
    target = moved(0.02, -0.01, 0.005, 0.3)
    follower = ArmFollower(KINEMATICS, SAFETY, LIMITS, PERIOD)
    ramp = follower.aim(follower.at_rest(HOME), target, EVERY * PERIOD).ramp
    for share in np.linspace(0.0, 1.0, 7):
        pose = dataclasses.replace(ramp, elapsed=share * ramp.duration).pose
        assert max(pose_distance(pose, interpolate_pose(PALM, target, share))) < 1e-9


def test_an_arm_that_has_arrived_is_not_computed_anew():
    follower = ArmFollower(KINEMATICS, SAFETY, LIMITS, PERIOD)
    target = moved(0.03, turn=0.1)
    motion = follower.aim(follower.at_rest(HOME), target, EVERY * PERIOD)
    for _ in range(2000):
        motion = follower.step(motion)
    assert max(KINEMATICS.error(motion.joints, target)) < 1e-5
    assert follower.step(motion) is motion
    assert follower.aim(motion, target.copy(), EVERY * PERIOD) is motion
    other = follower.aim(motion, moved(0.03), EVERY * PERIOD)
    assert not np.array_equal(follower.step(other).joints, motion.joints)


def test_an_arm_that_can_t_arrive_says_so_as_long_as_it_stands():
    follower = ArmFollower(KINEMATICS, SafetyLimits(workspace_high=(2.0, 0.5, 0.9)), LIMITS, PERIOD)
    motion = follower.at_rest(HOME)
    for _ in range(300):
        motion = follower.aim(motion, moved(1.2), EVERY * PERIOD)
        for _ in range(EVERY):
            motion = follower.step(motion)
    assert motion.held in (Held.REACH, Held.SINGULARITY)
