"""Nodes of the graph inside the test's process, each with its executor, over real DDS."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import rclpy
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.task import Future
from rclpy.time_source import CLOCK_TOPIC

from dexgrasp_bringup.graph import shared_environment
from dexgrasp_bringup.graph_node import GraphNode
from dexgrasp_bringup.processes import GraphProcesses, free_domain_id
from dexgrasp_interfaces.action import Assist, ExecuteGrasp
from dexgrasp_ros import contract
from dexgrasp_ros.action_client import ActionClient
from dexgrasp_ros.node import ManagedNode
from dexgrasp_ros.spinning import SpinningThread
from dexgrasp_ros.transport import use_transport_profile

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

PATIENCE = 120.0
"""Seconds after which what is waited for will not come any more: far more than it takes, also
beside other work. No test is about how long something takes."""


class Graph:
    """Nodes spun in threads, and a client node named ``tester``.

    Args:
        namespace: of all of them.
        domain: which they share with another graph; by default one of their own.
    """

    def __init__(self, namespace: str = "", domain: int | None = None) -> None:
        # One interpreter runs on one core at a time, and takes many times as long where its threads
        # hand its lock from core to core.
        self._cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(self._cores)})
        use_transport_profile()
        self.domain = domain or free_domain_id()
        self.context = rclpy.Context()
        self.context.init(domain_id=self.domain)
        self.closing = contextlib.ExitStack()
        """What else ends with the graph, and before its nodes."""
        self._nodes: list[Node] = []
        self._threads: list[SpinningThread] = []
        self._options: dict[str, Any] = {"context": self.context, "namespace": namespace}
        if namespace:  # as the launch files name it
            self._options["cli_args"] = [
                "--ros-args", "-r", f"{CLOCK_TOPIC}:=/{namespace}/{contract.CLOCK.name}",
            ]  # fmt: skip
        self.tester = rclpy.create_node("tester", **self._options)
        self._add(self.tester)

    def start(self, node_type: type[ManagedNode], **parameters: Any) -> ManagedNode:
        """Starts a node, configured and active."""
        node = self.create(node_type, **parameters)
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS, node.failure
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS, node.failure
        return node

    def create(self, node_type: type[ManagedNode], **parameters: Any) -> ManagedNode:
        """Starts a node, unconfigured."""
        overrides = [Parameter(name.replace("__", "."), value=v) for name, v in parameters.items()]
        node = node_type(parameter_overrides=overrides, **self._options)
        self._add(node)
        return node

    @property
    def environment(self) -> dict[str, str]:
        """Of processes that are to join."""
        return os.environ | {"ROS_DOMAIN_ID": str(self.domain)}

    def start_processes(self, nodes: Sequence[GraphNode], logs: Path) -> None:
        """Starts nodes as processes of their own, which run on all cores; returns once all are
        active."""
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self._cores)
        try:
            processes = GraphProcesses(nodes, self.environment | shared_environment(), logs)
            self.closing.enter_context(processes)
        finally:
            os.sched_setaffinity(0, cores)
        for node in nodes:
            service = f"{node.name}/get_state"
            assert eventually(
                lambda at=service: (
                    self.call(GetState, at, GetState.Request()).current_state.id
                    == State.PRIMARY_STATE_ACTIVE
                )
            ), processes.last_lines(node.name)

    def node(self, name: str) -> Node:
        """A plain node beside the tester."""
        node = rclpy.create_node(name, context=self.context)
        self._add(node)
        return node

    def call(self, service_type: Any, name: str, request: Any, timeout: float = PATIENCE) -> Any:
        """The response of a service."""
        client = self.tester.create_client(service_type, name)
        assert client.wait_for_service(timeout), f"no service {name}"
        return self.wait(client.call_async(request), timeout)

    def grasp(
        self,
        goal: ExecuteGrasp.Goal | Assist.Goal | None = None,
        on_feedback: Callable | None = None,
    ) -> tuple[Any, Future]:
        """Sends a goal to its action; gives its handle and the future of its result."""
        goal = goal or ExecuteGrasp.Goal(choose=True)
        kind, name = next(
            each for each in contract.ACTIONS.items() if isinstance(goal, each[0].Goal)
        )
        client = ActionClient(self.tester, kind, name)
        assert client.wait_for_server(60.0)
        handle = self.wait(client.send_goal_async(goal, feedback_callback=on_feedback), 20.0)
        return handle, handle.get_result_async() if handle.accepted else None

    def wait(self, future: Future, timeout: float = PATIENCE) -> Any:
        """The result of a future that the spinning thread completes."""
        deadline = time.monotonic() + timeout
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not done.wait(0.5):
            assert all(thread.alive for thread in self._threads), (
                "an exception ended one: see above"
            )
            assert time.monotonic() < deadline, f"nothing within {timeout} s"
        return future.result()

    def collect(self, topic: contract.Topic, qos: Any = None) -> list[Any]:
        """The list to which messages of a topic are appended from now on."""
        messages: list[Any] = []
        if qos is None:  # deep, as the tester's thread may be late
            qos = QoSProfile(
                depth=1000,
                reliability=topic.qos.reliability,
                durability=topic.qos.durability,
            )
        self.tester.create_subscription(topic.type, topic.name, messages.append, qos)
        return messages

    def close(self) -> None:
        """Ends all nodes."""
        self.closing.close()
        for node in reversed(self._nodes):
            if isinstance(node, ManagedNode):
                node.trigger_shutdown()
        for thread in self._threads:
            thread.stop()
        for node in self._nodes:
            node.destroy_node()
        self.context.try_shutdown()
        os.sched_setaffinity(0, self._cores)

    def _add(self, node: Node) -> None:
        self._nodes.append(node)
        self._threads.append(SpinningThread(node, context=self.context, name=node.get_name()))


@contextlib.contextmanager
def graph(namespace: str = "", domain: int | None = None) -> Iterator[Graph]:
    """A graph that is closed at the end."""
    opened = Graph(namespace, domain)
    try:
        yield opened
    finally:
        opened.close()


def eventually(condition: Callable[[], bool], timeout: float = PATIENCE) -> bool:
    """Whether a condition comes true within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False
