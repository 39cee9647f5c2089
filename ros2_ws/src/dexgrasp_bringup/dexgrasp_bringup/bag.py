"""What cameras and robot said, recorded to a bag of ROS and played back to the graph.

The messages are stored serialised, as they came. The files are rosbag2's, so `ros2 bag` reads them
and writes others that can be played here.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader, ReaderError, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from rosgraph_msgs.msg import Clock

from dexgrasp_ros import contract, conversions

_CLOCK_PERIOD_NS = round(conversions.NANOSECONDS / contract.CONTROL_RATE)
_QUEUED = 100
"""Messages of a topic that may wait to be written."""


class BagError(ValueError):
    """A bag can't be used; the message says why."""


def input_topics(cameras: Sequence[str], color: bool = False) -> list[contract.Topic]:
    """What drivers or simulator offer: all that perception hears.

    Args:
        cameras: their names.
        color: whether the color images are of interest too.
    """
    topics = [contract.CLOCK, contract.JOINT_STATES, contract.WRIST_POSE]
    topics += [contract.TF, contract.TF_STATIC]
    for camera in cameras:
        topics += [contract.depth_info(camera), contract.depth_image(camera)]
        if color:
            topics += [contract.color_info(camera), contract.color_image(camera)]
    return topics


class BagRecorder:
    """Writes topics to a bag as they come, from the moment on that somebody publishes them.

    All methods must be called in the node's executor's thread.

    Args:
        node: subscribes.
        writer: an open bag.
        topics: what to record; each with the quality of service that its publishers offer.
    """

    def __init__(self, node: Node, writer: Writer, topics: Sequence[contract.Topic]) -> None:
        self._node = node
        self._writer = writer
        self._awaited = list(topics)
        self._types = get_typestore(Stores.ROS2_JAZZY)
        self.counts: Counter[str] = Counter()
        """Messages by the topics' full names."""

    def follow(self) -> None:
        """Subscribes to what is published by now; to be called every now and then."""
        for topic in list(self._awaited):
            offered = self._node.get_publishers_info_by_topic(topic.name)
            if not offered:
                continue
            self._awaited.remove(topic)
            name = self._node.resolve_topic_name(topic.name)
            profile = _matching([each.qos_profile for each in offered])
            connection = self._writer.add_connection(
                name, _type_name(topic), typestore=self._types, offered_qos_profiles=[_qos(profile)]
            )
            self._node.create_subscription(
                topic.type, topic.name, partial(self._write, connection), profile, raw=True
            )

    def missing(self) -> list[str]:
        """Full names of the topics on which nothing has come."""
        names = [topic.name for topic in self._awaited]
        names += [c.topic for c in self._writer.connections if not self.counts[c.topic]]
        return [self._node.resolve_topic_name(name) for name in names]

    def _write(self, connection: Connection, message: bytes) -> None:
        self._writer.write(connection, time.time_ns(), message)
        self.counts[connection.topic] += 1


@contextlib.contextmanager
def new_bag(folder: Path) -> Iterator[Writer]:
    """A bag to write, closed at the end; where the block raises, nothing is left of it.

    Raises:
        BagError: something is there already.
    """
    if folder.exists():
        raise BagError(f"{folder} exists: name a folder that does not")
    try:
        with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            yield writer
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


class BagPlayer:
    """Publishes the messages of a bag as they came, with the pauses between them.

    Where the bag has no clock, as one of the robot, the times at which its messages came are
    published as one: to nodes with simulated time the recording is the present.

    Args:
        node: publishes.
        path: folder of the bag, or one of its files.
        topics: what to play; the rest of the bag is left out.

    Raises:
        BagError: it can't be read, or has none of the topics.
    """

    def __init__(self, node: Node, path: Path, topics: Sequence[contract.Topic]) -> None:
        wanted = {node.resolve_topic_name(topic.name): topic for topic in topics}
        try:
            self._reader = Reader(path)
            self._reader.open()
        except (OSError, ReaderError) as error:
            raise BagError(f"{path} is no bag that can be read: {error}") from None
        self._connections = [
            connection
            for connection in self._reader.connections
            if connection.topic in wanted
            and connection.msgtype == _type_name(wanted[connection.topic])
        ]
        if not self._connections:
            held = ", ".join(sorted(c.topic for c in self._reader.connections)) or "nothing"
            self._reader.close()
            raise BagError(
                f"{path} has none of {', '.join(sorted(wanted))}, but {held}: are camera rig and"
                " namespace those of the recording?"
            )
        self._publishers = {
            connection.topic: node.create_publisher(
                wanted[connection.topic].type, connection.topic, wanted[connection.topic].qos
            )
            for connection in self._connections
        }
        clock = contract.CLOCK
        self._clock = None
        if node.resolve_topic_name(clock.name) not in self._publishers:
            self._clock = node.create_publisher(clock.type, clock.name, clock.qos)

    @property
    def topics(self) -> list[str]:
        """Full names of what is played."""
        return sorted(self._publishers)

    def play(self, stop: threading.Event, rate: float = 1.0) -> int:
        """Publishes all messages once; returns how many.

        Args:
            stop: ends it early.
            rate: recorded seconds per second.

        Raises:
            BagError: the bag is damaged.
        """
        started, first, count, clock_ns = time.monotonic(), None, 0, 0
        try:
            for connection, timestamp, message in self._reader.messages(self._connections):
                first = timestamp if first is None else first
                due = started + 1e-9 * (timestamp - first) / rate
                if stop.wait(max(0.0, due - time.monotonic())):
                    break
                if self._clock is not None and timestamp - clock_ns >= _CLOCK_PERIOD_NS:
                    clock_ns = timestamp
                    self._clock.publish(Clock(clock=conversions.ns_to_stamp(timestamp)))
                self._publishers[connection.topic].publish(bytes(message))
                count += 1
        except (OSError, ReaderError) as error:
            raise BagError(f"{self._reader.path} is damaged: {error}") from None
        return count

    def close(self) -> None:
        """Closes the file."""
        self._reader.close()


def _type_name(topic: contract.Topic) -> str:
    return f"{topic.type.__module__.split('.')[0]}/msg/{topic.type.__name__}"


def _matching(offered: Sequence[QoSProfile]) -> QoSProfile:
    """The strictest request that every publisher satisfies."""
    reliable = all(each.reliability == ReliabilityPolicy.RELIABLE for each in offered)
    kept = all(each.durability == DurabilityPolicy.TRANSIENT_LOCAL for each in offered)
    return QoSProfile(
        depth=_QUEUED,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if kept else DurabilityPolicy.VOLATILE,
    )


def _qos(profile: QoSProfile) -> Qos:
    """As it stands in a bag."""
    forever = QosTime(0, 0)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=profile.depth,
        reliability=QosReliability[profile.reliability.name],
        durability=QosDurability[profile.durability.name],
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.SYSTEM_DEFAULT,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )
