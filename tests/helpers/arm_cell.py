"""A graph with a driver of the arm, seen and moved as any node does."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from ros_graph import Graph, eventually
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

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
        record: of the arm's counterpart: the set-points that have come; with `clear` only the last
            one counts from now on.
        node: type of the driver's node.
        parameters: of it.
    """

    def __init__(
        self, ros: Graph, record: Callable[..., Any], node: type, **parameters: Any
    ) -> None:
        self.ros, self.record = ros, record
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

    @contextlib.contextmanager
    def swaying(self) -> Iterator[None]:
        """The wrist's target goes to and fro, 50 times a second."""
        stop, begin, centre = threading.Event(), time.monotonic(), self.palm

        def move() -> None:
            while not stop.wait(0.02):
                phase = 2.0 * (time.monotonic() - begin)
                self.send(shifted(centre, y=0.08 * math.sin(phase), z=0.02 * math.sin(3 * phase)))

        thread = threading.Thread(target=move)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def refuses_a_second_commander(self) -> None:
        """Checks that it is refused and named, and followed once the first has let go."""
        node = self.ros.node("intruder")
        topic = contract.WRIST_TARGET
        intruder = node.create_publisher(topic.type, topic.name, topic.qos)
        assert eventually(lambda: intruder.get_subscription_count() > 0)
        self.send(HOME)
        elsewhere = conversions.pose_stamped(shifted(HOME, y=0.1), 0, conversions.WORLD)

        def refused() -> bool:
            intruder.publish(elsewhere)
            return self.said("of /intruder on /arm/wrist_target: /tester commands")

        assert eventually(refused)
        assert self.record().changes == []
        # Letting go, which the hand's topic says, makes room.
        hand = contract.HAND_COMMAND
        hands = self.ros.tester.create_publisher(hand.type, hand.name, hand.qos)
        assert eventually(lambda: hands.get_subscription_count() > 0)
        hands.publish(JointTrajectory())

        def followed() -> bool:
            intruder.publish(elsewhere)
            return bool(self.record().changes)

        assert eventually(followed)
        node.destroy_publisher(intruder)


def goes_on_for(record: Any, fault: float) -> float:
    """s from a fault to the last set-point that moves the arm."""
    return max((at for at, _ in record.changes), default=fault) - fault
