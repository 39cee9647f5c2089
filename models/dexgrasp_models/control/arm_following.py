"""From a stream of palm poses to the arm's set-points at the rate of its controller.

A robot's controller takes set-points as they come: what they may ask for is decided here. The state
is a value (`ArmMotion`), which `ArmFollower` advances by one period.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pinocchio as pin

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_models.control.joint_following import JointFollower
from dexgrasp_models.control.limits import SafetyLimits, is_pose
from dexgrasp_models.control.trajectory import pose_distance
from dexgrasp_models.parameters import Parameters, parameter

_BOX_TOLERANCE = 0.02
"""m by which the palm may leave the workspace between poses that are inside."""
_LAG = (0.01, 0.05)
"""m and rad by which the joints may lag behind the path of the palm, before that waits for them."""
_BEHIND = 0.1
"""s that the palm needs for a target, beyond which it is told that its speed is limited."""
_SLOWEST = 0.1
"""Share of the joints' speed that is left at a singularity."""
_DAMPING = 0.05
"""Of the steps at a singularity (Nakamura and Hanafusa, 1986)."""
_LEAST_STEP = 1e-9
"""rad; the rounding of what stands still is no step."""
_STANDING = 0.01
"""rad/s, below which joints that do not come nearer to a pose are said to stand before it."""


class Held(StrEnum):
    """What keeps the arm from going to its target as asked."""

    NOTHING = ""
    SPEED = "the commands are faster than the limits allow: slowed down"
    SINGULARITY = "the arm is near a singularity: slowed down"
    REACH = "the arm can't reach the target: it stands as near to it as it comes"
    TABLE = "the arm would come too near to the table: it stands still"
    WORKSPACE = "the palm would leave the workspace: it stands still"


@dataclass(frozen=True)
class FollowLimits(Parameters):
    """How the arm may move on its way to a target."""

    joint_speed_share: float = parameter(
        0.6, 0.01, 1.0, "", "share of the rated joint speeds that is used"
    )
    joint_acceleration: float = parameter(
        8.0, 0.1, 40.0, "rad/s^2", "greatest acceleration of each joint"
    )
    gain: float = parameter(
        25.0, 1.0, 50.0, "1/s", "of the approach to a target; the arm lags by its inverse"
    )
    table_clearance: float = parameter(
        0.02,
        0.0,
        0.08,
        "m",
        "least height of the arm's links and the hand's forearm over the table",
    )
    singular_value: float = parameter(
        0.08, 0.01, 0.3, "", "least singular value of the Jacobian without slowing down"
    )


@dataclass(frozen=True, eq=False)
class _Ramp:
    """A straight way of the palm from one pose to another at constant speed.

    `turn` is the rotation vector from one to the other in the first one's frame, rad. `reached`
    says that the joints' goal is at the end, as near as it comes.
    """

    start: np.ndarray
    end: np.ndarray
    turn: np.ndarray
    duration: float
    elapsed: float = 0.0
    reached: bool = False

    @classmethod
    def between(cls, start: np.ndarray, end: np.ndarray, duration: float) -> _Ramp:
        return cls(start, end, pin.log3(start[:3, :3].T @ end[:3, :3]), duration)

    @property
    def over(self) -> bool:
        return self.elapsed >= self.duration

    @property
    def pose(self) -> np.ndarray:
        # As `interpolate_pose`, which takes ten times as long, at each set-point.
        if self.over:
            return self.end
        share = self.elapsed / self.duration
        pose = np.eye(4)
        pose[:3, :3] = self.start[:3, :3] @ pin.exp3(share * self.turn)
        pose[:3, 3] = self.start[:3, 3] + share * (self.end[:3, 3] - self.start[:3, 3])
        return pose


@dataclass(frozen=True, eq=False)
class ArmMotion:
    """Where the arm is on its way.

    Attributes:
        joints: (6,) set-point, rad.
        speeds: (6,) its rate of change, rad/s.
        goal: (6,) joints that the set-point follows, rad.
        held: what keeps it from going as asked.
    """

    joints: np.ndarray
    speeds: np.ndarray
    goal: np.ndarray
    held: Held = Held.NOTHING
    ramp: _Ramp | None = None

    @property
    def standing(self) -> bool:
        """Whether the set-point is at its goal."""
        return not self.speeds.any() and np.array_equal(self.joints, self.goal)


class ArmFollower:
    """Leads the joints to palm poses that come one after the other.

    The palm's reference goes straight from where it is to the newest target, in the time in which
    targets come, or longer where its speed limits ask for that. A goal of the joints is kept on the
    reference by one damped least-squares step in each period: near the present joints, without
    changing branch. Where it can't keep up, because of the joints' speed, a singularity or the edge
    of the reach, the reference waits, so that the palm leaves its path by `_LAG` at most. The
    set-point follows that goal (`JointFollower`). A step is only made if the arm, braking after it,
    would still come to a standstill off the table and inside the workspace; else it brakes now, and
    stands until the next target. What is already too near may move away.

    Args:
        kinematics: of the arm.
        safety: of the palm.
        limits: of the joints.
        period: s from one set-point to the next.

    Raises:
        ValueError: the gain does not fit the period.
    """

    def __init__(
        self, kinematics: ArmKinematics, safety: SafetyLimits, limits: FollowLimits, period: float
    ) -> None:
        self._kinematics = kinematics
        self._safety = safety
        self._limits = limits
        self._period = period
        self._max_speeds = kinematics.arm.max_speeds * limits.joint_speed_share
        self._box = np.array([safety.workspace_low, safety.workspace_high])
        self._joints = JointFollower(
            kinematics.lower,
            kinematics.upper,
            self._max_speeds,
            np.full(len(kinematics.lower), limits.joint_acceleration),
            limits.gain,
            period,
        )

    @staticmethod
    def at_rest(joints: np.ndarray) -> ArmMotion:
        """Standing still at (6,) measured joints, rad.

        Raises:
            ValueError: they are not finite.
        """
        joints = np.array(joints, dtype=float)
        if not np.isfinite(joints).all():
            raise ValueError("the measured joints are not finite")
        return ArmMotion(joints, np.zeros_like(joints), joints)

    def aim(self, motion: ArmMotion, world_T_palm: np.ndarray, within: float) -> ArmMotion:
        """Begins to go to a (4, 4) pose of the palm in `world`.

        Args:
            motion: the present one.
            world_T_palm: the new target.
            within: s until the next target is expected.

        Raises:
            ValueError: the target is no finite pose; the motion before it is to go on.
        """
        if not is_pose(world_T_palm):
            raise ValueError("the target is no finite pose")
        before = motion.ramp
        if before is not None and before.reached and np.array_equal(world_T_palm, before.end):
            return motion
        start = self._kinematics.fk(motion.goal)
        move, turn = pose_distance(start, world_T_palm)
        least = max(move / self._safety.wrist_speed, turn / self._safety.wrist_angular_speed)
        held = Held.SPEED if least > max(within, _BEHIND) else Held.NOTHING
        end = np.array(world_T_palm, float)
        ramp = _Ramp.between(start, end, max(within, least, self._period))
        return dataclasses.replace(motion, ramp=ramp, held=held)

    def halt(self, motion: ArmMotion, held: Held = Held.NOTHING) -> ArmMotion:
        """Comes to a standstill as soon as the accelerations allow."""
        joints, speeds = self._joints.brake(motion.joints, motion.speeds)
        return ArmMotion(joints, speeds, self._joints.stop_point(joints, speeds), held)

    def step(self, motion: ArmMotion) -> ArmMotion:
        """The motion one period later."""
        if motion.standing and (motion.ramp is None or motion.ramp.reached):
            return motion
        led = self._lead(motion) if motion.ramp is not None else motion
        joints, speeds = self._joints.step(motion.joints, motion.speeds, led.goal)
        if speeds.any():
            held = self._hazard(motion.joints, self._joints.stop_point(joints, speeds))
            if held != Held.NOTHING:
                return self.halt(motion, held)
        return dataclasses.replace(led, joints=joints, speeds=speeds)

    def _lead(self, motion: ArmMotion) -> ArmMotion:
        """Moves the reference on, and the joints' goal to it."""
        ramp = motion.ramp
        assert ramp is not None
        moved = dataclasses.replace(ramp, elapsed=ramp.elapsed + self._period)
        twist, jacobian = self._kinematics.toward(motion.goal, moved.pose)
        least = float(np.linalg.svd(jacobian, compute_uv=False)[-1])
        nearness = max(0.0, 1.0 - least / self._limits.singular_value)
        damping = _DAMPING**2 * nearness**2 + 1e-10
        step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + damping * np.eye(6), twist)
        fastest = self._max_speeds * max(_SLOWEST, 1.0 - nearness) * self._period
        excess = max(1.0, float((np.abs(step) / fastest).max()))
        goal = motion.goal
        still = float(np.abs(step).max()) <= _LEAST_STEP
        if not still:
            goal = np.clip(goal + step / excess, self._kinematics.lower, self._kinematics.upper)
        lags = self._lags(twist)
        held = (
            Held.SPEED
            if motion.held == Held.SPEED and ramp.elapsed < ramp.duration
            else (Held.NOTHING)
        )
        if lags:
            standing = np.abs(goal - motion.goal).max() < _STANDING * self._period
            held = Held.REACH if standing else Held.SINGULARITY if nearness else Held.SPEED
        if still and moved.over and held == Held.NOTHING:
            moved = dataclasses.replace(moved, reached=True)
        return ArmMotion(motion.joints, motion.speeds, goal, held, ramp if lags else moved)

    @staticmethod
    def _lags(twist: np.ndarray) -> bool:
        return bool(np.linalg.norm(twist[:3]) > _LAG[0] or np.linalg.norm(twist[3:]) > _LAG[1])

    def _hazard(self, joints: np.ndarray, stop: np.ndarray) -> Held:
        """Why the arm must not come to stand at joints, as seen from where it is."""
        kinematics = self._kinematics
        clearance = kinematics.clearance_to_table(stop)
        if clearance < self._limits.table_clearance and (
            clearance < kinematics.clearance_to_table(joints)
        ):
            return Held.TABLE
        outside = self._outside(kinematics.fk(stop))
        if outside > _BOX_TOLERANCE and outside > self._outside(kinematics.fk(joints)):
            return Held.WORKSPACE
        return Held.NOTHING

    def _outside(self, pose: np.ndarray) -> float:
        """m by which the palm is outside the workspace."""
        low, high = self._box
        return float(np.maximum(low - pose[:3, 3], pose[:3, 3] - high).max(initial=0.0))
