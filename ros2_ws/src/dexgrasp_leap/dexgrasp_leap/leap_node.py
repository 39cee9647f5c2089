"""The node of a person's wrist, as a Leap Motion sees it.

docs/leap.md says what it needs, in which frame the wrist is, and what happens in faults.
"""

from __future__ import annotations

import sys
from typing import Any

from dexgrasp_interfaces.msg import TrackedHand
from dexgrasp_leap.leap_parameters import LeapParameters
from dexgrasp_leap.transports import make_transport
from dexgrasp_leap.wrist_feed import WristFeed
from dexgrasp_leap.wrist_tracker import TrackedWrist, WristTracker
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.health import Health
from dexgrasp_ros.node import OK, WARN, ManagedNode
from dexgrasp_ros.node_process import main

WATCH_PERIOD = 0.05
"""Seconds of wall time between two looks whether frames still come."""
END_PATIENCE = 1.5
"""Seconds of wall time for the connection to end; a node ends within 2 s."""


class LeapNode(ManagedNode):
    """Publishes the wrist of one hand in each frame of the device, tracked or lost."""

    parameters_type = LeapParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("leap", **options)
        self._locks = 0

    # Lifecycle

    def configure(self) -> None:
        """Makes the publisher; nothing is connected yet.

        Raises:
            LeapCMissingError: the vendor's library is asked for and not installed.
        """
        p = self.parameters
        self._transport = make_transport(p.transport, p.host, p.port)
        self.hardware_id = f"Leap Motion at {self._transport.service}"
        self._health = Health(self)
        topic = contract.TRACKED_HAND
        self._publisher = self.create_lifecycle_publisher(topic.type, topic.name, topic.qos)

    def activate(self) -> None:
        """Connects; without a service it waits for one."""
        self.neighbours.refuse_publishers([contract.TRACKED_HAND])
        p = self.parameters
        self._health.mended()
        self._told_dropped: dict[str, int] = {}
        self._tracker = WristTracker(p, self._locks)
        self._feed = WristFeed(
            self._transport,
            self._tracker,
            lambda: self.get_clock().now().nanoseconds,
            p.stale_after,
            on_wrist=self._publish,
            on_fault=self.fail,
        )
        self._feed.start()
        self._timer = self.create_timer(WATCH_PERIOD, self._watch, clock=self.steady_clock)

    def deactivate(self) -> None:
        """Ends the connection."""
        self.destroy_timer(self._timer)
        if not self._feed.stop(END_PATIENCE):
            self.get_logger().warning("the connection is still busy: it ends when it answers")
        self._locks = self._tracker.lock.number

    def _publish(self, wrist: TrackedWrist) -> None:
        """In the feed's thread, or that of the watch."""
        self._publisher.publish(
            TrackedHand(
                header=conversions.header(wrist.ns, contract.LEAP),
                tracked=wrist.tracked,
                id=wrist.id,
                left=wrist.left,
                confidence=wrist.confidence,
                wrist=conversions.pose_to_message(wrist.pose),
            )
        )

    # Health

    def _watch(self) -> None:
        self._feed.watch()
        figures = self._figures()
        if problem := self._problem():
            self._health.fault(problem, **figures)
            return
        self._health.mended()
        self._warn_of_dropped(figures)
        held = self._tracker.lock.held
        if not self._feed.connections:
            self._health.well(f"connects to {self._transport.service}", WARN, **figures)
        elif held is not None:
            side = "left" if held.left else "right"
            self._health.well(f"a {side} hand is tracked", OK, **figures)
        else:
            wanted = "hand" if self.parameters.hand == "any" else f"{self.parameters.hand} hand"
            self._health.well(f"looks for a {wanted}", OK, **figures)

    def _figures(self) -> dict[str, Any]:
        feed, lock = self._feed, self._tracker.lock
        dropped = dict(feed.dropped)
        return {
            "connected": feed.is_connected,
            "connections": feed.connections,
            "frames_per_second": f"{feed.rate:.0f}",
            "tracked": lock.held is not None,
            "hands_so_far": lock.number,
            "lost_last": lock.lost or "never",
            "dropped": ", ".join(f"{n} of {what}" for what, n in dropped.items()) or "none",
        }

    def _problem(self) -> str:
        """Why no frames come, and what to do; empty where they do, or may still begin to."""
        feed = self._feed
        if not feed.is_connected:
            if not feed.problem:
                return ""
            return (
                f"no connection to {self._transport.service}: {feed.problem};"
                f" {self._transport.advice} It is tried again all the time"
            )
        if feed.has_no_device:
            return "the service has no Leap Motion any more: plug it in"
        if feed.is_stale:
            return (
                f"connected, but no good frame for {feed.silence:.1f} s: is the Leap Motion plugged"
                " in, its tracking not paused, and the service not busy or hanging? Restart it if"
                " this goes on"
            )
        return ""

    def _warn_of_dropped(self, figures: dict[str, Any]) -> None:
        dropped = dict(self._feed.dropped)
        for what, number in dropped.items():
            if number != self._told_dropped.get(what):
                self._health.warn(f"dropped: {what}", **figures)
        self._told_dropped = dropped


def run() -> None:
    """Entry point of the executable."""
    sys.exit(main(LeapNode))


if __name__ == "__main__":
    run()
