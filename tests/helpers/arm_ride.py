"""What becomes of a stream of targets in the hands of the arm's follower."""

from __future__ import annotations

import numpy as np

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.arm_following import ArmFollower, ArmMotion, FollowLimits
from dexgrasp_models.control.limits import SafetyLimits

PERIOD = 0.002
EVERY = 10
"""Periods from one target of a stream to the next: 50 Hz."""
KINEMATICS = ArmKinematics()
LIMITS, SAFETY = FollowLimits(), SafetyLimits()
HOME = KINEMATICS.home
ASTRAY = np.array([-1.035, -1.672, 2.531, -1.728, -0.166, 6.283])
"""Where an hour of assisted grasps had led the arm: its last joint is at its limit."""


class Ride:
    """What becomes of targets, one every so often, and of the last one after a while."""

    def __init__(self, targets, start=HOME, rest: int = 2000, safety: SafetyLimits = SAFETY):
        follower = ArmFollower(KINEMATICS, safety, LIMITS, PERIOD)
        motion = follower.at_rest(np.array(start))
        self.motions: list[ArmMotion] = [motion]
        for target, periods in [(each, EVERY) for each in targets] + [(None, rest)]:
            if target is not None:
                motion = follower.aim(motion, target, EVERY * PERIOD)
            for _ in range(periods):
                motion = follower.step(motion)
                self.motions.append(motion)
                if target is None and all(each.standing for each in self.motions[-50:]):
                    break
        self.joints = np.array([each.joints for each in self.motions])
        self.held = {each.held for each in self.motions}
        self.end = motion

    def assert_within_limits(self) -> None:
        speeds = np.diff(self.joints, axis=0) / PERIOD
        greatest = KINEMATICS.arm.max_speeds * LIMITS.joint_speed_share
        assert (np.abs(speeds).max(axis=0) <= greatest * (1 + 1e-9)).all()
        accelerations = np.diff(np.vstack([0.0 * speeds[:1], speeds]), axis=0) / PERIOD
        assert np.abs(accelerations).max() <= LIMITS.joint_acceleration * (1 + 1e-6)
        assert (self.joints >= KINEMATICS.lower).all()
        assert (self.joints <= KINEMATICS.upper).all()

    @property
    def palms(self) -> np.ndarray:
        return np.array([KINEMATICS.fk(joints) for joints in self.joints[::5]])
