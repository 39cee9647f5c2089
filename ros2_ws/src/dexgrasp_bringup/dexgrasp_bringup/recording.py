"""What happened in the simulator, taken from its topics."""

from __future__ import annotations

import contextlib
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from dexgrasp_counterparts.truth import Truth
from dexgrasp_interfaces.msg import GraspArray
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.joined_messages import JoinedMessages
from dexgrasp_sim.interface import Snapshot

_TOPICS = (contract.JOINT_STATES, contract.WRIST_POSE, contract.OBJECT_POSE)


@dataclass(frozen=True, eq=False)
class Moment:
    """The simulation at one tick, and when that was heard of."""

    snapshot: Snapshot
    wall_time: float
    """Seconds, of the monotonic clock."""

    @property
    def object_height(self) -> float:
        """Height (m) of the origin of the object's mesh frame."""
        return float(self.snapshot.object_pose[2, 3])


class Recording:
    """All ticks since the start, put together from states and true object poses by their stamps.

    Args:
        node: subscribes.
        drivers: whether drivers tell the states, which measure them each at its own time; the true
            ones are the simulator's then.
    """

    def __init__(self, node: Node, drivers: bool = False) -> None:
        self._lock = threading.Lock()
        self._moments: list[Moment] = []
        self._snapshot: Callable[[int, dict[str, Any]], Snapshot]
        if drivers:
            self._snapshot = Truth(node, self._put).snapshot
        else:
            self._snapshot = _snapshot
            JoinedMessages(node, _TOPICS, self._put)

    def moments(self) -> list[Moment]:
        """Those until now, in order."""
        with self._lock:
            return list(self._moments)

    def last(self) -> Moment | None:
        """The newest, or None before the first."""
        with self._lock:
            return self._moments[-1] if self._moments else None

    def _put(self, stamp: int, messages: dict[str, Any]) -> None:
        # A broken message is no moment; whoever publishes it is told by the nodes.
        with contextlib.suppress(ValueError):
            moment = Moment(self._snapshot(stamp, messages), time.monotonic())
            with self._lock:
                self._moments.append(moment)


@dataclass(frozen=True, eq=False)
class Proposed:
    """Grasps that were proposed, and what for; in `world`, m."""

    points: np.ndarray
    """(N, 3) of the object's cloud."""
    grasps: list[Grasp]
    """At least one, best first."""


class ProposalRecording:
    """The newest proposals, put together with their cloud by its stamp: the cameras look again."""

    def __init__(self, node: Node) -> None:
        self._lock = threading.Lock()
        self._clouds: dict[int, PointCloud2] = {}
        self._grasps: GraspArray | None = None
        for topic, put in (
            (contract.OBJECT_CLOUD, self._put_cloud),
            (contract.GRASPS, self._put_grasps),
        ):
            node.create_subscription(topic.type, topic.name, put, topic.qos)

    def last(self) -> Proposed | None:
        """None before the first, or where a message is broken."""
        with self._lock:
            found = self._grasps
            cloud = found and self._clouds.get(conversions.stamp_to_ns(found.header.stamp))
        if found is None or cloud is None or not found.grasps:
            return None
        names = load_hand().finger_joints
        with contextlib.suppress(conversions.MessageError):
            points, _ = conversions.cloud_from_message(cloud)
            grasps = [conversions.grasp_from_message(grasp, names) for grasp in found.grasps]
            return Proposed(points, grasps)
        return None

    def _put_cloud(self, message: PointCloud2) -> None:
        with self._lock:
            self._clouds[conversions.stamp_to_ns(message.header.stamp)] = message

    def _put_grasps(self, message: GraspArray) -> None:
        with self._lock:
            self._grasps = message


def at_wall_time(moments: Sequence[Moment], wall_time: float) -> int:
    """Index of the last moment heard of by then; 0 if none was."""
    return max(0, bisect_right(moments, wall_time, key=lambda moment: moment.wall_time) - 1)


def _snapshot(stamp: int, parts: dict[str, Any]) -> Snapshot:
    joints = parts[contract.JOINT_STATES.name]
    return Snapshot(
        time=stamp / conversions.NANOSECONDS,
        joints=dict(zip(joints.name, joints.position, strict=True)),
        wrist_pose=conversions.pose_from_message(parts[contract.WRIST_POSE.name].pose),
        object_pose=conversions.pose_from_message(parts[contract.OBJECT_POSE.name].pose),
    )
