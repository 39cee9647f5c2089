"""A counterpart of Universal Robots' ROS 2 driver, as a process: its topics, and its faults.

Its arm goes to the set-points of `forward_position_controller`, or to the points of
`scaled_joint_trajectory_controller`, while its program runs, and it writes down each command with
the time at which it came. It knows nothing of our nodes.

It is told what to do over a connection (`UrRosDriver`); times are of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from counterpart_process import CounterpartProcess

HOME = (-0.419, -1.962, 1.574, -1.182, -1.571, -1.99)
"""Joints at the start, rad: the cell's home."""
NAMES = (
    "shoulder_pan_joint", "shoulder_lift_joint", "elbow_joint",
    "wrist_1_joint", "wrist_2_joint", "wrist_3_joint",
)  # fmt: skip
RATE = 100.0
"""Hz, of its states: a fifth of the real one's, as all share two cores."""
JOINT_SPEED = 3.2
"""rad/s, at which a joint goes to a set-point at most."""


@dataclass(frozen=True)
class Record:
    """What has come since it was last cleared.

    Attributes:
        arrivals: (s, joints) of every set-point.
        joints: where the arm is now, rad.
    """

    arrivals: list[tuple[float, tuple[float, ...]]]
    joints: tuple[float, ...]

    @property
    def changes(self) -> list[tuple[float, tuple[float, ...]]]:
        """The set-points that differ from the one before."""
        pairs = zip(self.arrivals, self.arrivals[1:], strict=False)
        return [after for before, after in pairs if before[1] != after[1]]


class UrRosDriver(CounterpartProcess):
    """Its orders are `record` (and clear), or set the attributes of `_Driver` that say how it is.

    Args:
        domain: of ROS.
        namespace: in which it runs.
        prefix: of its joints.
    """

    def __init__(self, domain: int, namespace: str = "/", prefix: str = "") -> None:
        super().__init__(__file__, namespace, prefix, domain=domain)

    def record(self, clear: bool = False) -> Record:
        """What has come; with `clear` only the last set-point counts from now on."""
        return self.tell("record", clear)


class _Driver:
    """The process."""

    def __init__(self, orders: Connection, namespace: str, prefix: str) -> None:
        import rclpy
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from sensor_msgs.msg import JointState
        from std_msgs.msg import Bool, Float64, Float64MultiArray
        from trajectory_msgs.msg import JointTrajectory
        from ur_dashboard_msgs.msg import RobotMode, SafetyMode

        self.orders = orders
        self.names = [prefix + name for name in NAMES]
        self.joints = list(HOME)
        self.target: list[float] | None = None
        self.arrivals: list[tuple[float, tuple[float, ...]]] = []
        # How it is.
        self.states = True  # whether they are published
        self.bent = 0.0  # a value in the place of the first joint's, NaN for instance
        self.delay_stamps = 0.0  # s
        self.active = True  # the controller
        self.robot_mode, self.safety_mode = 7, 1
        self.program_running, self.speed_scaling = True, 100.0

        rclpy.init()
        base = namespace.rstrip("/")
        self.node = node = rclpy.create_node("ur_robot_driver", namespace=base or None)
        default = QoSProfile(depth=10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        status, scaling = "io_and_status_controller", "speed_scaling_state_broadcaster"
        self.outputs = {
            name: (node.create_publisher(kind, topic, profile), field)
            for name, kind, topic, profile, field in (
                ("robot_mode", RobotMode, f"{status}/robot_mode", latched, "mode"),
                ("safety_mode", SafetyMode, f"{status}/safety_mode", latched, "mode"),
                ("program_running", Bool, f"{status}/robot_program_running", latched, "data"),
                ("speed_scaling", Float64, f"{scaling}/speed_scaling", default, "data"),
            )
        }
        self.joint_states = node.create_publisher(JointState, "joint_states", default)
        node.create_subscription(
            Float64MultiArray,
            "forward_position_controller/commands",
            lambda message: self.take(message.data),
            default,
        )
        node.create_subscription(
            JointTrajectory,
            "scaled_joint_trajectory_controller/joint_trajectory",
            self.take_trajectory,
            default,
        )
        for name in self.outputs:
            self.say(name)
        node.create_timer(1.0 / RATE, self.tick)

    def say(self, name: str) -> None:
        publisher, field = self.outputs[name]
        publisher.publish(publisher.msg_type(**{field: getattr(self, name)}))

    def take_trajectory(self, message: Any) -> None:
        """As the controller: the joints in any order, a point that is due."""
        point = message.points[-1]
        assert not message.header.stamp.sec
        assert not any(point.velocities)
        assert point.time_from_start.nanosec > 0
        at = dict(zip(message.joint_names, point.positions, strict=True))
        self.take([at[name] for name in self.names])

    def take(self, joints: Any) -> None:
        self.arrivals.append((time.monotonic(), tuple(joints)))
        if self.active and self.program_running:
            self.target = list(joints)

    def tick(self) -> None:
        self.obey()
        before = list(self.joints)
        if self.target is not None and self.program_running and self.speed_scaling > 0.0:
            most = JOINT_SPEED / RATE
            self.joints = [
                at + min(max(to - at, -most), most)
                for at, to in zip(self.joints, self.target, strict=True)
            ]
        self.say("speed_scaling")
        if not self.states:
            return
        from sensor_msgs.msg import JointState

        # In the alphabet's order, as some of its broadcasters have them.
        order = sorted(range(6), key=lambda index: self.names[index])
        message = JointState(name=[self.names[index] for index in order])
        message.position = [self.joints[index] for index in order]
        message.velocity = [(self.joints[i] - before[i]) * RATE for i in order]
        if self.bent:
            message.position[0] = self.bent
        now = self.node.get_clock().now().nanoseconds - round(self.delay_stamps * 1e9)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 1_000_000_000)
        self.joint_states.publish(message)

    def obey(self) -> None:
        while self.orders.poll():
            name, value = self.orders.recv()
            if name == "record":
                answer: Any = Record(list(self.arrivals), tuple(self.joints))
                if value:
                    del self.arrivals[:-1]
            else:
                assert hasattr(self, name), name
                setattr(self, name, value)
                if name == "program_running" and not value:
                    self.target = None
                if name in self.outputs:
                    self.say(name)
                answer = time.monotonic()
            self.orders.send(answer)


def main() -> None:
    """The process: descriptor of the orders, namespace and prefix are its arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the graph's has one core only
    with contextlib.suppress(PermissionError):  # a robot is never busy with something else
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    import rclpy

    # The record's class is to have the name that the tests know.
    sys.modules[Path(__file__).stem] = sys.modules["__main__"]
    Record.__module__ = Path(__file__).stem
    orders = Connection(int(sys.argv[1]))
    driver = _Driver(orders, sys.argv[2], sys.argv[3])
    orders.send("ready")
    try:
        rclpy.spin(driver.node)
    except (EOFError, OSError):
        os._exit(0)  # the test has ended


if __name__ == "__main__":
    main()
