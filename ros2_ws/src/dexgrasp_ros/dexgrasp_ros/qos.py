"""The quality of service of every kind of topic, in one place.

Images are offered reliably and asked for with best effort: a best-effort subscription receives
from a reliable publisher, as from realsense-ros, whose driver may offer either.
"""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(
    depth: int,
    reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE,
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=durability,
    )


IMAGE = _profile(2)
"""Offered for images and camera infos."""

IMAGE_REQUEST = _profile(2, ReliabilityPolicy.BEST_EFFORT)
"""Asked for by whoever subscribes to images."""

STATE = _profile(10)
"""Measured states, transforms and the clock: reliable, as lock-step loses nothing."""

COMMAND = _profile(10)
"""Commands to the hand and the arm."""

LATCHED = _profile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""The last one is kept for late subscribers: clouds, grasps, descriptions, static transforms."""

DIAGNOSTICS = _profile(10)
