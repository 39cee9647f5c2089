"""A result reaches its client also where the server goes right after it."""

from __future__ import annotations

import threading
import time

import pytest
import rclpy
from action_msgs.msg import GoalStatus
from rclpy.action.server import GoalEvent, ServerGoalHandle
from rclpy.exceptions import InvalidHandle
from rclpy.executors import SingleThreadedExecutor
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


def test_an_executor_that_still_knows_a_destroyed_server_is_told_so():
    """The thread of a node lives on then (`SpinningThread`)."""
    with graph() as ros:
        node = rclpy.create_node("server", context=ros.context)
        server = ActionServer(node, ExecuteGrasp, contract.GRASP_ACTION, lambda goal: None)

        class Unlucky(SingleThreadedExecutor):
            """Another thread destroys the server just after this one has chosen it."""

            def can_execute(self, entity):
                chosen = super().can_execute(entity)
                if entity is server:
                    server.destroy()
                return chosen

        executor = Unlucky(context=ros.context)
        executor.add_node(node)
        with pytest.raises(InvalidHandle):
            executor.spin_once(timeout_sec=0.0)
        executor.shutdown()
        node.destroy_node()
