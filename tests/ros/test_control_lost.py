"""Clients of /grasp when the control node ends, and calls of services of slow or dead nodes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial

import pytest
from control_cell import Cell
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ros_graph import Graph, eventually, graph
from std_srvs.srv import Trigger

from dexgrasp_bringup.grasp_client import GraspClient, ServerLost
from dexgrasp_control.service_call import NoAnswer, Patience, ServiceCall, SignsOfLife
from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_ros import contract
from dexgrasp_ros.deferred_service import answer_later


def control_process(ros: Graph) -> subprocess.Popen:
    command = [sys.executable, "-m", "dexgrasp_control.control_node", "--ros-args"]
    for parameter in ("use_sim_time:=true", "state_timeout:=30.0"):
        command += ["-p", parameter]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(ros.domain)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def running():
    """A grasp in the middle of its approach, by a control node in a process of its own."""
    with graph() as ros, GraspClient(ros.domain) as client:
        cell = Cell(ros)
        cell.reset()
        process = control_process(ros)
        try:
            assert eventually(lambda: not client.inactive(["control"], 1.0))
            stages: list[str] = []
            run = client.grasp(
                ExecuteGrasp.Goal(choose=True), lambda feedback: stages.append(feedback.stage)
            )
            assert eventually(lambda: "pregrasp" in stages), stages
            yield process, run, ros
        finally:
            process.kill()
            process.communicate()
            cell.go_on.set()


def test_a_control_node_that_is_terminated_answers_its_client(running):
    process, run, _ = running
    process.terminate()
    assert run.wait(30.0)
    assert run.result.error_code == ExecuteGrasp.Result.ABORTED
    assert "deactivated" in run.result.reason
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in log


@pytest.fixture
def restarted(running):
    """A function that starts a control node in the place of the first."""
    started: list[subprocess.Popen] = []
    yield lambda ros: started.append(control_process(ros))
    for process in started:
        process.kill()
        process.communicate()


def test_a_client_is_told_that_the_control_node_was_killed(running):
    process, run, _ = running
    process.kill()
    with pytest.raises(ServerLost, match="has gone without an answer"):
        run.wait(120.0)


def test_a_client_is_told_that_another_control_node_came_in_the_place_of_its_own(
    running, restarted
):
    """Before anybody could see that the first is gone: the services were there all the time."""
    process, run, ros = running
    process.kill()
    restarted(ros)
    with pytest.raises(ServerLost, match="has gone without an answer"):
        run.wait(120.0)


class SlowServer:
    """A node's service whose answer takes several times the silence that is borne."""

    def __init__(self, ros: Graph, silence: float) -> None:
        self.talks = True
        self._silence = silence
        topic = contract.DIAGNOSTICS
        self._diagnostics = ros.tester.create_publisher(topic.type, topic.name, topic.qos)
        ros.tester.create_timer(0.2, self._talk)
        answer_later(
            ros.tester.create_service(Trigger, "slow", lambda *both: partial(self._work, *both))
        )

    def _talk(self) -> None:
        if self.talks:
            status = DiagnosticStatus(name="server", message="still at work")
            self._diagnostics.publish(DiagnosticArray(status=[status]))

    def _work(self, request, response):
        time.sleep(3.0 * self._silence)  # the work
        response.success = True
        return response


@pytest.mark.parametrize("talks", [True, False])
def test_an_answer_is_waited_for_while_its_node_gives_signs_of_life(talks):
    silence = 2.0
    with graph() as ros:
        server = SlowServer(ros, silence)
        server.talks = talks
        client = ros.tester.create_client(Trigger, "slow")
        call = ServiceCall(client, "/server", SignsOfLife(ros.tester), Patience(silence, 600.0))
        told: list[str] = []
        if talks:
            assert call(Trigger.Request(), told.append).success
            assert any("still at work" in message for message in told)
        else:
            with pytest.raises(NoAnswer, match="no sign of life"):
                call(Trigger.Request(), told.append)


class Server:
    """A node in a process of its own that takes a request and never answers."""

    def __init__(self, ros: Graph) -> None:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(ros.domain)}
        command = [sys.executable, "-c", SERVER]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "there\n"


SERVER = """
import sys, time
from dataclasses import dataclass
from std_srvs.srv import Trigger
from dexgrasp_ros.node import ManagedNode
from dexgrasp_ros.node_process import main

@dataclass(frozen=True)
class Parameters:
    pass

class Node(ManagedNode):
    parameters_type = Parameters

    def __init__(self):
        super().__init__("server")

    def activate(self):
        self.create_waiting_service(Trigger, "slow", lambda *_: time.sleep(600))
        print("there", flush=True)

sys.exit(main(Node))
"""


def test_an_answer_is_not_awaited_of_a_node_that_was_started_anew():
    """Whose signs of life are those of another."""
    with graph() as ros:
        servers = [Server(ros)]
        client = ros.tester.create_client(Trigger, "slow")
        patience = Patience(silence=300.0, total=600.0)
        call = ServiceCall(client, "/server", SignsOfLife(ros.tester), patience)

        def restart(message: str) -> None:
            if "for 1 s" in message and len(servers) == 1:
                servers[0].process.kill()
                servers.append(Server(ros))

        started = time.monotonic()
        try:
            with pytest.raises(NoAnswer, match="went away"):
                call(Trigger.Request(), restart)
        finally:
            for server in servers:
                server.process.kill()
                server.process.communicate()
        assert time.monotonic() - started < 200.0
