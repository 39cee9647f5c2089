"""How evenly the arm's set-points come, and how soon after a target, over the loop-back.

    python bench/arm_servo.py [--seconds 20] [--targets 100]

The driver's node and its servo process run as on the robot, as processes of their own and with the
real client library. Streamed
targets at 50 Hz move the wrist; the counterpart notes when each set-point comes. Then single
targets, far enough apart that the arm stands: from before the publication to the first set-point
that differs, on the same clock.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parents[1] / "tests" / "helpers"))
from ros_graph import Graph, eventually, graph

from dexgrasp_bringup.driver_nodes import arm_driver
from dexgrasp_counterparts.ur_controller import PERIOD, UrController
from dexgrasp_ros import contract, conversions

TARGET_PERIOD = 0.02
"""s, the contract's."""
REST = 1.0
"""s after a target, in which the arm comes to stand."""


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of streamed targets")
    parser.add_argument("--targets", type=int, default=100, help="single ones")
    arguments = parser.parse_args()
    with UrController() as controller, graph() as ros:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the tests' graph takes one core
        bench = Bench(ros, controller)
        intervals = bench.stream(arguments.seconds)
        latencies = bench.single_targets(arguments.targets)
    table = Table("", "p50", "p99", "greatest", "n")
    for name, values in (
        ("set-point to set-point, ms", intervals),
        ("off the 2 ms, ms", np.abs(intervals - PERIOD)),
        ("target to set-point, ms", latencies),
    ):
        figures = [*np.percentile(values, [50, 99]), values.max()]
        table.add_row(name, *(f"{1e3 * figure:.2f}" for figure in figures), str(len(values)))
    Console().print(table)


class Bench:
    """A driver at a counterpart, and its commander."""

    def __init__(self, ros: Graph, controller: UrController) -> None:
        self.controller = controller
        topic = contract.WRIST_TARGET
        self.wrist = ros.tester.create_publisher(topic.type, topic.name, topic.qos)
        states, poses = ros.collect(contract.ARM_STATE), ros.collect(contract.WRIST_POSE)
        logs = ros.closing.enter_context(tempfile.TemporaryDirectory())
        address = {"controller.host": controller.host, "commander_timeout": 10.0}
        ros.start_processes([arm_driver(address)], Path(logs))
        assert eventually(lambda: self.wrist.get_subscription_count() > 0 and bool(poses))
        assert eventually(lambda: states[-1].level != b"\x02"), states[-1].message
        self.centre = conversions.world_pose_from_message(poses[-1])

    def stream(self, seconds: float) -> np.ndarray:
        """s from one set-point to the next, while targets go to and fro."""
        self.controller.record(clear=True)
        begin = due = time.monotonic()
        while due < begin + seconds:
            self.send(0.1 * math.sin(2.0 * (due - begin)))
            due += TARGET_PERIOD
            time.sleep(max(0.0, due - time.monotonic()))
        return np.diff([at for at, _ in self.controller.record().arrivals])

    def single_targets(self, count: int) -> np.ndarray:
        """s from a target, with the arm at rest, to the first set-point that moves it."""
        latencies = []
        for turn in range(count):
            time.sleep(REST)
            self.controller.record(clear=True)
            asked = time.monotonic()
            self.send(0.01 if turn % 2 else -0.01)
            assert eventually(lambda: bool(self.controller.record().changes))
            latencies.append(self.controller.record().changes[0][0] - asked)
        return np.array(latencies)

    def send(self, y: float) -> None:
        """A target aside of where the wrist was at the start, m."""
        pose = self.centre.copy()
        pose[1, 3] += y
        self.wrist.publish(conversions.pose_stamped(pose, 0, conversions.WORLD))


if __name__ == "__main__":
    main()
