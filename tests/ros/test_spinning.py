"""Threads that spin start and stop without exceptions, and processes end with their parents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from ros_graph import eventually, graph
from std_msgs.msg import String
from std_srvs.srv import Trigger

from dexgrasp_bringup.grasp_client import GraspClient
from dexgrasp_bringup.processes import free_domain_id
from dexgrasp_ros.process_end import GRACE, PARENT_VARIABLE
from dexgrasp_ros.spinning import SpinningThread

STARTS = 50
ENDS = GRACE + 15.0
"""Seconds: of the grace, and for a busy machine."""


@pytest.fixture
def thread_errors(monkeypatch):
    """What ended threads."""
    errors: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_value))
    return errors


@pytest.fixture
def node():
    context = rclpy.Context()
    context.init(domain_id=free_domain_id())
    node = rclpy.create_node("busy", context=context)
    publisher = node.create_publisher(String, "talk", 10)
    node.create_subscription(String, "talk", lambda _: publisher.publish(String()), 10)
    publisher.publish(String())  # a message is on its way at any time
    yield node
    node.destroy_node()
    context.try_shutdown()


def test_a_spinning_thread_stops_without_an_exception(node, thread_errors):
    for _ in range(STARTS):
        thread = SpinningThread(node, context=node.context)
        time.sleep(0.002)
        assert thread.stop(10.0)
    assert thread_errors == []


def test_rclpys_own_order_raises_in_the_thread(node, thread_errors):
    """The fault that `SpinningThread` is there for; without it, that class can go."""
    about_to_wait, shut_down = threading.Event(), threading.Event()

    class Unlucky(SingleThreadedExecutor):
        """Its thread loses the processor just before it waits."""

        def get_nodes(self):
            about_to_wait.set()
            shut_down.wait(10.0)
            return super().get_nodes()

    executor = Unlucky(context=node.context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin)
    thread.start()
    assert about_to_wait.wait(10.0)
    executor.shutdown()
    shut_down.set()
    thread.join(10.0)
    assert [type(error) for error in thread_errors] == [AttributeError]


def test_a_grasp_client_stops_without_an_exception(thread_errors):
    domain = free_domain_id()
    for _ in range(STARTS):
        with GraspClient(domain):
            pass
    assert thread_errors == []


def test_a_node_destroys_what_another_thread_waits_for(node, thread_errors):
    with SpinningThread(node, context=node.context) as thread:
        for _ in range(STARTS):
            service = node.create_service(Trigger, "trigger", lambda _, response: response)
            client = node.create_client(Trigger, "trigger")
            time.sleep(0.002)
            node.destroy_client(client)
            node.destroy_service(service)
        assert thread.alive
    assert thread_errors == []


NODE = """
import sys, time
from dataclasses import dataclass
from dexgrasp_ros.node import ManagedNode
from dexgrasp_ros.node_process import main

@dataclass(frozen=True)
class Parameters:
    pass

class Node(ManagedNode):
    parameters_type = Parameters

    def __init__(self):
        super().__init__("node")

    def {where}(self):
        print("there", flush=True)
        {what}

sys.exit(main(Node))
"""
BUSY = "while True: pass"
WAITING = "time.sleep(600)"


def started(code: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "ROS_DOMAIN_ID": str(free_domain_id()), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "there\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("configure", BUSY),  # as loading does
        ("configure", WAITING),
        ("activate", WAITING),
        ("activate", "pass"),
        ("deactivate", BUSY),  # while it ends
    ],
)
def test_a_node_ends_soon_in_every_state(where, what, number):
    where, what = (
        (where, what)
        if where != "deactivate"
        else ("activate", "self.deactivate = lambda: [None for _ in iter(int, 1)]")
    )
    process = started(NODE.format(where=where, what=what))
    process.send_signal(number)
    _, errors = process.communicate(timeout=ENDS)
    assert "Traceback" not in errors


PARENT = """
import os, signal, subprocess, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which `nohup make test` has everybody ignore
environment = {{**os.environ, {variable!r}: str(os.getpid())}}
subprocess.run([sys.executable, "-c", {node!r}], env=environment)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_node_ends_with_whoever_started_it(number):
    node = NODE.format(where="activate", what="print(__import__('os').getpid(), flush=True)")
    parent = started(PARENT.format(variable=PARENT_VARIABLE, node=node))
    child = int(parent.stdout.readline())
    os.kill(parent.pid, number)
    parent.wait(ENDS)
    assert eventually(lambda: not alive(child), ENDS)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_service_that_waits_leaves_its_node_free():
    """And two requests are answered one after the other."""
    from dataclasses import dataclass

    from dexgrasp_ros.node import ManagedNode

    @dataclass(frozen=True)
    class Parameters:
        pass

    class Node(ManagedNode):
        parameters_type = Parameters

        def __init__(self, **options):
            super().__init__("node", **options)
            self.go_on, self.inside, self.together = threading.Event(), 0, 0
            self.threads = set()

        def configure(self):
            self.create_waiting_service(Trigger, "wait", self.wait)
            self.create_service(Trigger, "quick", lambda _, response: response)

        def wait(self, _, response):
            self.inside += 1
            self.threads.add(threading.current_thread())
            self.together = max(self.together, self.inside)
            response.success = self.go_on.wait(60.0)
            self.inside -= 1
            return response

    with graph() as ros:
        node = ros.start(Node)
        client = ros.tester.create_client(Trigger, "wait")
        assert client.wait_for_service(60.0)
        waiting = [client.call_async(Trigger.Request()) for _ in range(2)]
        assert eventually(lambda: node.inside > 0)
        ros.call(Trigger, "quick", Trigger.Request())
        assert not any(future.done() for future in waiting)
        node.go_on.set()
        assert all(ros.wait(future).success for future in waiting)
        assert node.together == 1
        # Of a thread for each call the C library's allocator would keep an arena.
        (thread,) = node.threads
        node.trigger_deactivate()
        node.trigger_cleanup()
        assert eventually(lambda: not thread.is_alive())
