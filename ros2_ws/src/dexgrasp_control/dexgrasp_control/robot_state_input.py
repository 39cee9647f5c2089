"""The measured state, put together from /joint_states and /wrist_pose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import JointState

from dexgrasp_models.control.types import RobotState
from dexgrasp_ros import conversions


class RobotStateInput:
    """Pairs the newest joint state with the newest wrist pose.

    On hardware the hand and the arm stamp for themselves, so stamps may differ by a tolerance of
    less than a control period; the simulator's are equal.

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
        self._joints: tuple[int, np.ndarray, np.ndarray, np.ndarray | None] | None = None
        self._wrist: tuple[int, np.ndarray] | None = None
        self._paired = (-1, -1)

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
            self._joints = (conversions.stamp_to_ns(message.header.stamp), *hand, efforts)

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
        self._wrist = (
            conversions.stamp_to_ns(message.header.stamp),
            conversions.world_pose_from_message(message),
        )

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
        """The stamp and the state of the newest pair.

        None if the two don't belong together, only one of them is newer than the pair before (whose
        other half would count twice), or the arm has not been heard yet.
        """
        if self._joints is None or self._wrist is None:
            return None
        if not all(name in self._angles for name in self._arm_joints):
            return None
        joints_ns, positions, velocities, efforts = self._joints
        wrist_ns, wrist_pose = self._wrist
        if abs(joints_ns - wrist_ns) > self._tolerance_ns:
            return None
        if (joints_ns == self._paired[0]) != (wrist_ns == self._paired[1]):
            return None
        self._paired = joints_ns, wrist_ns
        ns = max(joints_ns, wrist_ns)
        time = ns / conversions.NANOSECONDS
        return ns, RobotState(time, wrist_pose, positions, velocities, efforts)
