"""Where everything in the simulated cell truly is, from its topics."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from rclpy.node import Node

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.joined_messages import JoinedMessages
from dexgrasp_sim.interface import Snapshot


class Truth:
    """Hands on the messages of each moment, which `snapshot` reads.

    Args:
        node: subscribes.
        take: gets stamps, ns, and the messages of then.
    """

    def __init__(self, node: Node, take: Callable[[int, dict[str, Any]], None]) -> None:
        JoinedMessages(node, (contract.SIM_JOINT_STATES, contract.OBJECT_POSE), take)

    def snapshot(self, ns: int, messages: dict[str, Any], seed: int = 0) -> Snapshot:
        """What there is to see at that moment.

        Raises:
            ValueError: a message is broken.
        """
        joints = messages[contract.SIM_JOINT_STATES.name]
        arm, _ = conversions.joints_from_message(joints, self._kinematics.arm.joint_names)
        return Snapshot(
            time=ns / conversions.NANOSECONDS,
            joints=dict(zip(joints.name, joints.position, strict=True)),
            wrist_pose=self._kinematics.fk(arm),
            object_pose=conversions.pose_from_message(messages[contract.OBJECT_POSE.name].pose),
            seed=seed,
        )

    @cached_property
    def _kinematics(self) -> ArmKinematics:
        return ArmKinematics()
