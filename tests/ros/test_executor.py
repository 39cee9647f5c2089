"""Nodes' executor: what it looks at rarely, it does look at."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.event_handler import EventHandler, SubscriptionEventCallbacks
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_graph import eventually
from std_msgs.msg import String

from dexgrasp_bringup.processes import free_domain_id
from dexgrasp_ros import executor as module
from dexgrasp_ros.executor import NodeExecutor
from dexgrasp_ros.spinning import SpinningThread

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.fixture
def node():
    context = rclpy.Context()
    context.init(domain_id=free_domain_id())
    node = rclpy.create_node("listener", context=context)
    yield node
    node.destroy_node()
    context.shutdown()


def test_another_quality_of_service_is_told_while_messages_come(node):
    told, heard = [], []
    callbacks = SubscriptionEventCallbacks(incompatible_qos=told.append)
    node.create_subscription(String, "wanted", lambda _: None, RELIABLE, event_callbacks=callbacks)
    node.create_subscription(String, "busy", heard.append, RELIABLE)
    busy = node.create_publisher(String, "busy", RELIABLE)
    node.create_publisher(String, "wanted", BEST_EFFORT)
    node.create_timer(0.01, lambda: busy.publish(String(data="so that it never rests")))
    with SpinningThread(node, context=node.context):
        assert eventually(lambda: bool(told and heard))


def test_events_are_waited_for_once_in_a_while_only(node, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    subscription = node.create_subscription(String, "topic", lambda _: None, RELIABLE)
    events = [each for each in node.waitables if isinstance(each, EventHandler)]
    assert events
    executor = NodeExecutor(context=node.context)
    looked = []
    for _ in range(300):
        now[0] += 0.01
        assert executor.can_execute(subscription)
        looked.append(all(map(executor.can_execute, events)))
    executor.shutdown()
    assert 3 <= sum(looked) <= 6
