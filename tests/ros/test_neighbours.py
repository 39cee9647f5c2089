"""Two graphs with the same names notice each other; a predecessor that left is no neighbour."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import rclpy
import toy_node
from rclpy.lifecycle import TransitionCallbackReturn
from ros_graph import Graph, eventually, graph
from toy_node import ToyNode

from dexgrasp_ros import contract, neighbours
from dexgrasp_ros.node import ConfigurationError
from dexgrasp_sim_bridge.bridge_node import BridgeNode


def sees(ros: Graph, name: str, namespace: str = "/") -> bool:
    return (name, namespace) in ros.tester.get_node_names_and_namespaces()


@pytest.fixture
def pair():
    """Two graphs in one domain, as different processes have them."""
    with graph() as first, graph(domain=first.domain) as second:
        yield first, second


def toy_process(ros: Graph) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, toy_node.__file__],
        env=ros.environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_node_of_the_same_name_is_refused(pair):
    first, second = pair
    first.start(ToyNode)
    node = second.create(ToyNode)
    assert eventually(lambda: node.get_node_names().count("toy") == 2)
    assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert node.failure.startswith("cannot configure: another node named /toy runs in this ROS")
    assert "namespace" in node.failure


def test_in_another_namespace_it_is_not(pair):
    first, _ = pair
    first.start(ToyNode)
    with graph("cell2", first.domain) as second:
        assert eventually(lambda: sees(second, "toy"))
        second.start(ToyNode)


def test_a_predecessor_that_is_about_to_leave_is_waited_for():
    with graph() as ros:
        process = toy_process(ros)
        try:
            assert eventually(lambda: sees(ros, "toy"))
            node = ros.create(ToyNode)
            assert eventually(lambda: node.get_node_names().count("toy") == 2)
            process.send_signal(signal.SIGINT)
            assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS, node.failure
            assert process.wait(10.0) == 0
        finally:
            process.kill()


def test_a_predecessor_that_was_killed_stands_in_nobodys_way():
    with graph() as ros:
        process = toy_process(ros)
        try:
            assert eventually(lambda: sees(ros, "toy"))
        finally:
            process.kill()
            process.wait()
        with graph(domain=ros.domain) as later:
            later.start(ToyNode)


def test_a_process_that_finds_its_name_taken_ends_and_says_why():
    with graph() as ros:
        ros.start(ToyNode)
        process = toy_process(ros)
        try:
            _, said = process.communicate(timeout=120.0)
        finally:
            process.kill()
    assert process.returncode == 1
    assert "another node named /toy runs in this ROS domain" in said
    assert "Traceback" not in said


def test_one_that_learns_late_of_an_elder_ends(pair, monkeypatch):
    """As on a busy machine: nothing was known of the other when this one started."""
    monkeypatch.setattr(neighbours, "LEAVING_TIME", 0.3)
    first, second = pair
    node = second.start(ToyNode)
    elder = rclpy.create_node("toy", context=first.context)
    assert eventually(lambda: node.fatal is not None)
    assert isinstance(node.fatal, ConfigurationError)
    assert "another node named /toy" in str(node.fatal)
    elder.destroy_node()


def test_one_that_has_been_there_for_long_stays(pair, monkeypatch):
    monkeypatch.setattr(neighbours, "LEAVING_TIME", 0.3)
    monkeypatch.setattr(neighbours, "DISCOVERY_TIME", 0.0)
    first, second = pair
    node = second.start(ToyNode)
    younger = rclpy.create_node("toy", context=first.context)
    diagnostics = first.collect(contract.DIAGNOSTICS)
    assert eventually(lambda: node.get_node_names().count("toy") == 2)
    # Looked for again with each of these.
    assert eventually(lambda: len(diagnostics) >= 3)
    assert node.fatal is None
    younger.destroy_node()


def test_a_simulator_is_refused_where_another_publishes_the_robots_state(pair):
    first, second = pair
    topic = contract.JOINT_STATES
    first.tester.create_publisher(topic.type, topic.name, topic.qos)
    bridge = second.create(BridgeNode, object="box")
    assert bridge.trigger_configure() == TransitionCallbackReturn.SUCCESS, bridge.failure
    assert eventually(lambda: bridge.count_publishers(topic.name) == 2)
    assert bridge.trigger_activate() == TransitionCallbackReturn.FAILURE
    assert "/joint_states is published by /tester already" in bridge.failure
