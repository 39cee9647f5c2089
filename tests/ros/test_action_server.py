"""A result reaches its client also where the server goes right after it."""

from __future__ import annotations

import threading
import time

from action_msgs.msg import GoalStatus
from rclpy.action.server import GoalEvent, ServerGoalHandle
from ros_graph import Graph, graph

from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_ros import action_server, contract
from dexgrasp_ros.action_server import LINGER, ActionServer


def accepting(ros: Graph) -> tuple[ActionServer, list[ServerGoalHandle]]:
    """A server, and the goals that it was given."""
    goals: list[ServerGoalHandle] = []
    server = ActionServer(
        ros.node("server"),
        ExecuteGrasp,
        contract.GRASP_ACTION,
        execute_callback=lambda goal: None,
        handle_accepted_callback=goals.append,
    )
    return server, goals


def test_a_server_stays_until_its_last_result_has_had_time_to_arrive():
    with graph() as ros:
        server, goals = accepting(ros)
        handle, answer = ros.grasp()
        assert handle.accepted
        time.sleep(0.5)  # the result is asked for by then
        server.conclude(goals[0], GoalEvent.ABORT, ExecuteGrasp.Result(outcome="aborted"))
        ending = threading.Thread(target=server.destroy)
        begun = time.monotonic()
        ending.start()
        result = ros.wait(answer)
        ending.join()
        assert time.monotonic() - begun > 0.8 * LINGER
        assert result.status == GoalStatus.STATUS_ABORTED
        assert result.result.outcome == "aborted"


def test_a_server_that_gave_no_result_goes_at_once(monkeypatch):
    monkeypatch.setattr(action_server, "LINGER", 3600.0)
    with graph() as ros:
        server, _ = accepting(ros)
        server.destroy()
