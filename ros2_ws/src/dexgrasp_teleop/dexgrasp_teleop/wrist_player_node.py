"""The node that plays a person's wrist on /teleop/wrist, where no tracker and clutch are between.

It answers each measured wrist with where the person's is to be then.
"""

from __future__ import annotations

import sys
from typing import Any

from geometry_msgs.msg import PoseStamped

from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node_process import main
from dexgrasp_teleop.reach_player_node import ReachPlayerNode


class WristPlayerNode(ReachPlayerNode):
    """Publishes the wrist that is played, with the stamps of the measured one."""

    def __init__(self, **options: Any) -> None:
        super().__init__("wrist_player", **options)
        self._began_ns = 0

    def configure(self) -> None:
        self.neighbours.refuse_publishers((contract.TELEOP_WRIST,))
        wrist = contract.TELEOP_WRIST
        self._wrist = self.create_lifecycle_publisher(wrist.type, wrist.name, wrist.qos)
        super().configure()

    def begin(self, ns: int) -> None:
        self._began_ns = ns

    def play(self, message: PoseStamped, ns: int) -> None:
        assert self.played is not None
        pose = self.played.pose((ns - self._began_ns) / conversions.NANOSECONDS)
        self._wrist.publish(conversions.pose_stamped(pose, ns, conversions.WORLD))


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(WristPlayerNode))


if __name__ == "__main__":
    run()
