"""The simulated robot as the counterparts of its devices have it: motors in, joints out."""

from __future__ import annotations

import numpy as np

from dexgrasp_counterparts.joint_link import JointLink
from dexgrasp_counterparts.rosbridge_server import JOINTS, MOTORS
from dexgrasp_models.hand.spec import HandSpec
from dexgrasp_models.hand.vendor_joints import VendorJoints
from dexgrasp_sim.interface import Physics


class SimulatedRobot:
    """Moves arm and fingers as the counterparts say, and tells them what is measured.

    Until it has been told something a joint stays where it is. The hand's own wrist is rigid in the
    simulation, and measured at zero.

    Args:
        physics: of an arm with a hand, reset.
        hand: it.

    Attributes:
        arm: the counterpart's end of the arm's link.
        fingers: likewise of the hand's.
    """

    def __init__(self, physics: Physics, hand: HandSpec) -> None:
        self._physics = physics
        self._vendor = VendorJoints(hand)
        self._count = len(hand.finger_joints)
        self._arm, self.arm = JointLink.pair(sends=12, receives=6)
        self._fingers, self.fingers = JointLink.pair(sends=3 * len(JOINTS), receives=len(MOTORS))
        positions = self._joints(physics.joint_positions())
        self._targets = positions
        self.measure()

    def measure(self) -> None:
        """Tells the counterparts where the joints are, how fast, and what drives them."""
        physics = self._physics
        positions, velocities, efforts = (
            self._joints(values)
            for values in (
                physics.joint_positions(), physics.joint_velocities(), physics.efforts(),
            )
        )  # fmt: skip
        count = self._count
        self._arm.send([*positions[count:], *velocities[count:]])
        self._fingers.send(
            [
                value
                for ours in (positions, velocities, efforts)
                for value in self._vendors(ours[:count])
            ]
        )

    def obey(self) -> None:
        """Sets the targets that the counterparts have told last."""
        if (joints := self._arm.newest()) is not None:
            self.move_arm(np.array(joints))
        if (motors := self._fingers.newest()) is not None:
            self.move_fingers(self._ours(dict(zip(MOTORS, motors, strict=True))))
        self._physics.set_joint_targets(self._targets)

    def move_arm(self, joints: np.ndarray) -> None:
        """(6,) targets of the arm, rad, for `obey`."""
        self._targets[self._count :] = joints

    def move_fingers(self, joints: np.ndarray) -> None:
        """(22,) targets of the fingers, rad, for `obey`."""
        self._targets[: self._count] = joints

    def close(self) -> None:
        """Ends the links."""
        for link in (self._arm, self.arm, self._fingers, self.fingers):
            link.close()

    def _joints(self, values: dict[str, float]) -> np.ndarray:
        return np.array([values[name] for name in self._physics.config.joint_names])

    def _vendors(self, fingers: np.ndarray) -> list[float]:
        """In the vendor's order and signs."""
        named = self._vendor.commanded(fingers)
        return [named.get(joint, 0.0) for joint in JOINTS]

    def _ours(self, motors: dict[str, float]) -> np.ndarray:
        """(22,) finger joints for the vendor's motors: both of a coupled pair have half."""
        hand = self._vendor.hand
        angles = hand.expansion @ [motors[name] for name in hand.actuators]
        return hand.hardware_sign * angles
