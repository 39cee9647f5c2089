"""What every provider of a topic is asked, by the contract."""

from __future__ import annotations

import numpy as np
from rclpy.qos import QoSProfile
from ros_graph import Graph

from dexgrasp_ros import contract, conversions

COMMANDS = (contract.HAND_COMMAND, contract.WRIST_TARGET)


def stamps(messages) -> np.ndarray:
    """Seconds; of a TFMessage, the stamp of its first transform."""

    def stamp(message):
        if hasattr(message, "clock"):
            return message.clock
        if hasattr(message, "transforms"):
            message = message.transforms[0]
        return message.header.stamp

    return np.array([conversions.stamp_to_ns(stamp(message)) * 1e-9 for message in messages])


def offered(ros, topic: contract.Topic) -> list[QoSProfile]:
    """QoS of everything that publishes a topic (of a command: subscribes to it), ours excepted."""
    if topic in COMMANDS:
        found = ros.tester.get_subscriptions_info_by_topic(topic.name)
    else:
        found = ros.tester.get_publishers_info_by_topic(topic.name)
    return [end.qos_profile for end in found if end.node_name != "tester"]


def assert_as_in_contract(ros: Graph, topic: contract.Topic) -> None:
    types = dict(ros.tester.get_topic_names_and_types())
    module, name = topic.type.__module__.split(".")[0], topic.type.__name__
    assert types[ros.tester.resolve_topic_name(topic.name)] == [f"{module}/msg/{name}"]
    ends = offered(ros, topic)
    assert ends, topic.name
    for end in ends:
        assert end.reliability == topic.qos.reliability, topic.name
        assert end.durability == topic.qos.durability, topic.name
