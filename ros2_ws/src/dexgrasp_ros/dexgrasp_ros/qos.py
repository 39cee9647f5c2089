"""The quality of service of every kind of topic, in one place.

Images are offered reliably, and asked for as they are offered: drivers may offer them with best
effort only, which a reliable request would not match.
"""

from __future__ import annotations

from rclpy.node import Node
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

IMAGE_BEST_EFFORT = _profile(2, ReliabilityPolicy.BEST_EFFORT)
"""As some camera drivers offer them."""

SENSOR_REQUEST = _profile(5, ReliabilityPolicy.BEST_EFFORT)
"""Asked for of camera infos: matches whatever a driver offers."""

STATE = _profile(10)
"""Measured states, transforms and the clock: reliable, as lock-step loses nothing."""

COMMAND = _profile(10)
"""Commands to the hand and the arm."""

LATCHED = _profile(1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""The last one is kept for late subscribers: clouds, grasps, descriptions, static transforms."""

NEWEST_REQUEST = _profile(1, ReliabilityPolicy.BEST_EFFORT)
"""Asked for of another's states at a high rate, of which the newest alone counts."""

SET_POINT = _profile(1)
"""Offered to another's controller: one that was not sent yet gives way to the next."""

NEWEST = _profile(1)
"""Offered for what is many times a second, of which the newest alone counts."""

DIAGNOSTICS = _profile(10)


def image_request(node: Node, topic: str) -> QoSProfile:
    """What to ask for on a topic of images: reliable where every publisher there now offers that.

    An image lost in transport is sent again then. Without a publisher: best effort, which matches
    any that may come.
    """
    offered = [each.qos_profile for each in node.get_publishers_info_by_topic(topic)]
    reliable = offered and all(
        profile.reliability == ReliabilityPolicy.RELIABLE for profile in offered
    )
    return _profile(2, ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT)
