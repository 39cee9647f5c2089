"""The measured arm on the topics of the contract."""

from __future__ import annotations

import numpy as np

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node import ManagedNode


class ArmStates:
    """Publishes joints, and the wrist by forward kinematics, while its node is active.

    Args:
        node: publishes.
        kinematics: of the arm.
        joints: whether the joints too; where a vendor's driver has the topic it has them already.
    """

    def __init__(
        self, node: ManagedNode, kinematics: ArmKinematics, *, joints: bool = True
    ) -> None:
        self._kinematics = kinematics
        topics = (contract.WRIST_POSE, contract.JOINT_STATES)
        self._wrist_pose, self._joint_states = (
            node.create_lifecycle_publisher(topic.type, topic.name, topic.qos)
            if joints or topic is contract.WRIST_POSE
            else None
            for topic in topics
        )

    def publish(self, joints: np.ndarray, speeds: np.ndarray, palm: np.ndarray, ns: int) -> None:
        """One measured state.

        Args:
            joints: (6,) rad.
            speeds: (6,) rad/s.
            palm: (4, 4) pose of the palm in `world` at these joints.
            ns: when they were measured.
        """
        if self._joint_states is not None:
            names = self._kinematics.arm.joint_names
            self._joint_states.publish(conversions.joint_state(names, joints, speeds, ns))
        assert self._wrist_pose is not None
        self._wrist_pose.publish(conversions.pose_stamped(palm, ns, conversions.WORLD))
