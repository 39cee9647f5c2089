"""A counterpart of a Shadow Hand's software for ROS 2, as a process: states out, trajectories in.

It stamps its states 125 times a second on a clock of its own, goes to the points of trajectories as
ros2_control's controller takes them, refuses one that ends in the past as that does, and writes
down all that came. It knows nothing of our nodes.

It is told what to do over a connection (`Ros2Hand`); times are of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from counterpart_process import CounterpartProcess

STATES, COMMAND = "/shadow/joint_states", "/shadow/rh_trajectory_controller/joint_trajectory"
RATE = 125.0
CLOCK = -1000.0
"""s, by which its clock is ahead of ROS's."""
START = 0.04
"""rad, of each joint."""


class Received(NamedTuple):
    """A trajectory as it came.

    Attributes:
        at: s, monotonic: when.
        taken: whether the controller follows it.
        angles: the vendor's, rad.
    """

    at: float
    taken: bool
    angles: dict[str, float]


class Ros2Hand(CounterpartProcess):
    """Its orders set the attributes of `_Hand`.

    Args:
        domain: of ROS.
        names: of its joints.
    """

    def __init__(self, domain: int, names: tuple[str, ...]) -> None:
        super().__init__(__file__, *names, domain=domain)

    @property
    def received(self) -> list[Received]:
        """All that has come."""
        return [Received(*each) for each in self.tell("received")]

    @property
    def taken(self) -> list[Received]:
        """What has come and was followed."""
        return [each for each in self.received if each.taken]


class _Hand:
    """The process."""

    def __init__(self, orders: Connection, names: list[str]) -> None:
        import rclpy
        from rclpy.qos import QoSProfile
        from sensor_msgs.msg import JointState
        from trajectory_msgs.msg import JointTrajectory

        self.orders = orders
        self.names = names
        self.angles = dict.fromkeys(names, START)
        self.came: list[tuple[float, bool, dict[str, float]]] = []
        self.states = True  # whether they are published
        self.bent = 0.0  # a value in the place of the first joint's, NaN for instance
        rclpy.init()
        self.node = rclpy.create_node("shadow_hand")
        self.output = self.node.create_publisher(JointState, STATES, QoSProfile(depth=10))
        self.node.create_subscription(JointTrajectory, COMMAND, self.take, QoSProfile(depth=10))
        self.node.create_timer(1.0 / RATE, self.tick)

    @property
    def now(self) -> int:
        return self.node.get_clock().now().nanoseconds + round(CLOCK * 1e9)

    def take(self, message: Any) -> None:
        stamp, due = message.header.stamp, message.points[-1].time_from_start
        end = (stamp.sec + due.sec) * 1_000_000_000 + stamp.nanosec + due.nanosec
        angles = dict(zip(message.joint_names, message.points[-1].positions, strict=True))
        taken = end >= self.now and set(angles) <= set(self.names)
        self.came.append((time.monotonic(), taken, angles))
        if taken:
            self.angles.update(angles)

    def tick(self) -> None:
        from sensor_msgs.msg import JointState

        self.obey()
        if not self.states:
            return
        message = JointState(name=self.names, position=list(self.angles.values()))
        message.velocity = [0.0] * len(self.names)
        if self.bent:
            message.position[0] = self.bent
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(self.now, 1_000_000_000)
        self.output.publish(message)

    def obey(self) -> None:
        while self.orders.poll():
            name, value = self.orders.recv()
            if name == "received":
                self.orders.send(self.came)
                continue
            assert hasattr(self, name), name
            setattr(self, name, value)
            self.orders.send(time.monotonic())


def main() -> None:
    """The process: descriptor of the orders and names of the joints are its arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the graph's has one core only
    with contextlib.suppress(PermissionError):  # a robot is never busy with something else
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    import rclpy

    sys.path.remove(str(Path(__file__).parent))  # modules there are not what libraries mean
    orders = Connection(int(sys.argv[1]))
    hand = _Hand(orders, sys.argv[2:])
    orders.send("ready")
    try:
        rclpy.spin(hand.node)
    except (EOFError, OSError):
        os._exit(0)  # the test has ended


if __name__ == "__main__":
    main()
