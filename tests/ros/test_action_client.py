"""The action client of ordinary code, where responses are handled before their requests return."""

from __future__ import annotations

import time
from threading import Thread

import pytest
import rclpy.action.client
from action_msgs.msg import GoalStatus
from rclpy.action import ActionServer, CancelResponse
from rclpy.task import Future
from ros_graph import graph

from dexgrasp_interfaces.action import ExecuteGrasp
from dexgrasp_ros import contract

# Longer than any response takes.
GAP = 0.3


class LateFuture(Future):
    """Comes so late that its request has been sent and answered, but not noted."""

    def __init__(self) -> None:
        time.sleep(GAP)
        super().__init__()


class SlowFuture(Future):
    """Takes its first callback so slowly that its request has been noted and answered."""

    def add_done_callback(self, callback) -> None:
        time.sleep(GAP)
        super().add_done_callback(callback)


@pytest.mark.parametrize("future", [LateFuture, SlowFuture])
def test_responses_may_come_before_a_request_returns(future, monkeypatch):
    def carry_out(goal):
        while not goal.is_cancel_requested:
            time.sleep(0.02)
        goal.execute()

    def conclude(goal):
        goal.canceled()
        return ExecuteGrasp.Result(outcome="aborted")

    with graph() as ros:
        ActionServer(
            ros.tester, ExecuteGrasp, contract.GRASP_ACTION, conclude,
            handle_accepted_callback=lambda goal: Thread(target=carry_out, args=(goal,)).start(),
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )  # fmt: skip
        monkeypatch.setattr(rclpy.action.client, "Future", future)
        handle, result = ros.grasp()
        assert handle.accepted
        ros.wait(handle.cancel_goal_async())
        answer = ros.wait(result)
        assert answer.status == GoalStatus.STATUS_CANCELED
        assert answer.result.outcome == "aborted"
