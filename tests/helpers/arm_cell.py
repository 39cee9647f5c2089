"""A graph with a driver of the arm, seen and moved as any node does."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
from ros_graph import Graph, eventually
from std_srvs.srv import Trigger

from dexgrasp_models.arm.kinematics import ArmKinematics
from dexgrasp_ros import contract, conversions

STOPPED = b"\x02"
KINEMATICS = ArmKinematics()
HOME = KINEMATICS.fk(KINEMATICS.home)
"""Of the palm."""


def shifted(pose: np.ndarray, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    moved = pose.copy()
    moved[:3, 3] += (x, y, z)
    return moved


class ArmCell:
    """A driver, and a node that moves the wrist.

    Args:
        ros: the graph.
        node: type of the driver's node.
        parameters: of it.
    """

    def __init__(self, ros: Graph, node: type, **parameters: Any) -> None:
        self.ros = ros
        self.states = ros.collect(contract.ARM_STATE)
        self.joint_states = ros.collect(contract.JOINT_STATES)
        self.wrist_poses = ros.collect(contract.WRIST_POSE)
        self.diagnostics = ros.collect(contract.DIAGNOSTICS)
        topic = contract.WRIST_TARGET
        self.wrist = ros.tester.create_publisher(topic.type, topic.name, topic.qos)
        # The graph's threads share one core, which what serves the arm is not to have to.
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        self.node = ros.start(node, **parameters)
        assert eventually(lambda: self.wrist.get_subscription_count() > 0)

    def record(self, clear: bool = False) -> Any:
        """Of the counterpart: the set-points that have come."""
        raise NotImplementedError

    @property
    def follows(self) -> bool:
        return bool(self.states) and self.states[-1].level != STOPPED

    @property
    def state(self) -> str:
        return self.states[-1].message

    @property
    def palm(self) -> np.ndarray:
        return conversions.world_pose_from_message(self.wrist_poses[-1])

    @property
    def now_ns(self) -> int:
        return conversions.stamp_to_ns(self.wrist_poses[-1].header.stamp)

    def send(self, pose: np.ndarray, ns: int = 0, frame: str = conversions.WORLD) -> None:
        self.wrist.publish(conversions.pose_stamped(pose, ns, frame))

    def said(self, text: str, since: int = 0) -> bool:
        messages = list(self.diagnostics)[since:]
        return any(text in status.message for each in messages for status in each.status)

    def resume(self) -> Trigger.Response:
        return self.ros.call(Trigger, contract.ARM_RESUME_SERVICE, Trigger.Request())

    def go_on(self) -> None:
        """As a person does: until it is ready, and then by the service."""
        assert eventually(lambda: bool(self.wrist_poses))
        assert eventually(lambda: self.follows or self.resume().success), self.state
        assert eventually(lambda: self.follows)

    def stands(self) -> None:
        """Waits until the set-points no longer change, and forgets those before."""

        def the_same() -> bool:
            self.record(clear=True)
            time.sleep(0.2)
            return self.record().changes == []

        assert eventually(the_same)
