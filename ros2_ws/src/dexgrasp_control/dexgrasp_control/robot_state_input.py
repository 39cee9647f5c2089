"""The measured state, put together from /joint_states and /wrist_pose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState

from dexgrasp_models.control.types import RobotState
from dexgrasp_ros import conversions

_KEPT = 50
"""States of hand and arm, of a second."""


class RobotStateInput:
    """Pairs joint states and wrist poses by their stamps.

    On hardware the hand and the arm measure each at its own time, and one may be told later than
    the other. So a pair's stamps may differ by a tolerance of less than a control period, and the
    last second of both is kept; the simulator's stamps are equal.

    Args:
        joint_names: (22) finger joints, in the order of the state.
        tolerance_ns: greatest difference of the two stamps.
        arm_joints: names of the arm's joints, where there is one; they are checked alike.
    """

    def __init__(
        self, joint_names: Sequence[str], tolerance_ns: int, arm_joints: Sequence[str] = ()
    ) -> None:
        self._joint_names = joint_names
        self._arm_joints = arm_joints
        self._tolerance_ns = tolerance_ns
        self._angles: dict[str, float] = {}
        self._joints: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray | None]] = {}
        self._wrists: dict[int, np.ndarray] = {}
        self._paired = (-1, -1)
        self._told_ns = -1

    @property
    def wrist_ns(self) -> int:
        """Stamp of the wrist in the newest pair, ns; -1 before the first."""
        return self._paired[1]

    def put_joints(self, message: JointState) -> None:
        """Takes a message of the hand, of the arm, or of both; of a bad one, nothing.

        Raises:
            MessageError: it has some joints only of the fingers or of the arm, not as many values
                as names, or values that are not finite.
        """
        hand = self._part(message, self._joint_names, "joint")
        self._part(message, self._arm_joints, "arm joint")
        self._angles.update(zip(message.name, message.position, strict=False))
        if hand is not None:
            efforts = conversions.efforts_from_message(message, self._joint_names)
            ns = conversions.stamp_to_ns(message.header.stamp)
            self._keep(self._joints, ns, (*hand, efforts))

    def _part(
        self, message: JointState, names: Sequence[str], what: str
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Angles and velocities of joints that belong together; None where it has none of them."""
        if set(names).isdisjoint(message.name):
            return None
        positions, velocities = conversions.joints_from_message(message, names)
        if not (np.isfinite(positions).all() and np.isfinite(velocities).all()):
            raise conversions.MessageError(f"{what} angles or velocities are not finite")
        return positions, velocities

    def put_wrist(self, message: PoseStamped) -> None:
        """Takes a wrist pose.

        Raises:
            MessageError: it is not finite, or not in the world's frame.
        """
        pose = conversions.world_pose_from_message(message)
        self._keep(self._wrists, conversions.stamp_to_ns(message.header.stamp), pose)

    def angles(self, names: Sequence[str]) -> np.ndarray:
        """The newest angles (rad) of any joints that were reported.

        Raises:
            MessageError: some were not.
        """
        missing = [name for name in names if name not in self._angles]
        if missing:
            raise conversions.MessageError(f"missing joints: {', '.join(missing)}")
        return np.array([self._angles[name] for name in names])

    def newest(self) -> tuple[int, RobotState] | None:
        """The stamp and the state of the newest pair, once for each time that it was told.

        None if nothing belongs together, or not both are newer than in the pair before (one of them
        would count twice), or the arm has not been heard yet.
        """
        if not (self._joints and self._wrists):
            return None
        if not all(name in self._angles for name in self._arm_joints):
            return None
        # Of the one that is told later the newest, and what the other measured at that time.
        latest = min(next(reversed(self._joints)), next(reversed(self._wrists)))
        joints_ns, wrist_ns = (
            min(told, key=lambda ns: abs(ns - latest)) for told in (self._joints, self._wrists)
        )
        if abs(joints_ns - wrist_ns) > self._tolerance_ns:
            return None
        if (joints_ns, wrist_ns) == self._paired:
            if self._told_ns not in self._paired:
                return None
        elif joints_ns <= self._paired[0] or wrist_ns <= self._paired[1]:
            return None
        self._paired = joints_ns, wrist_ns
        ns = max(joints_ns, wrist_ns)
        positions, velocities, efforts = self._joints[joints_ns]
        time = ns / conversions.NANOSECONDS
        return ns, RobotState(time, self._wrists[wrist_ns], positions, velocities, efforts)

    def _keep(self, told: dict[int, Any], ns: int, value: Any) -> None:
        if told and ns < next(reversed(told)):  # time goes back: a simulator was reset
            self._joints.clear()
            self._wrists.clear()
            self._paired = (-1, -1)
        told[ns] = value
        if len(told) > _KEPT:
            del told[next(iter(told))]
        self._told_ns = ns
