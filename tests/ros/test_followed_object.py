"""`/grasp` of an object that is moved after the look: the goal goes along with streamed clouds."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import numpy as np
import pytest
from control_cell import BRISK, PATIENT, Cell, can_cloud, grasp
from plain_student import PlainStudent
from ros_graph import graph
from std_srvs.srv import Trigger

from dexgrasp_control.control_node import ControlNode
from dexgrasp_models.tasks import goal_controller
from dexgrasp_ros import contract, conversions

MOVED = np.array([0.03, -0.02])
FOLLOWED = {"follow__enabled": True, "proposals": 1}


class Stream:
    """Clouds of where the object of a cell is; on the topic from the start, or not at all."""

    def __init__(self, cell: Cell) -> None:
        self._cell, self._node = cell, cell.ros.tester
        topic = contract.CLOUD_STREAM
        self._publisher = self._node.create_publisher(topic.type, topic.name, topic.qos)
        self.listeners: list[int] = []
        self.hidden = threading.Event()
        self._points, _ = conversions.cloud_from_message(can_cloud())
        self._node.create_timer(0.1, self._publish)

    def _publish(self) -> None:
        self.listeners.append(self._publisher.get_subscription_count())
        ns = self._node.get_clock().now().nanoseconds
        points = self._points + np.float32([*self._cell.moved, 0.0])
        seen = points[:0] if self.hidden.is_set() else points
        self._publisher.publish(conversions.cloud_to_message(seen, ns, conversions.WORLD))


@contextmanager
def cell_with(**parameters):
    with graph() as ros:
        cell = Cell(ros)
        cell.reset()
        ros.start(ControlNode, **PATIENT, **BRISK, **parameters)
        yield cell
        cell.go_on.set()


def off(cell: Cell, moved: np.ndarray) -> float:
    """m along the table from where the hand is to where the grasp of the moved object would be."""
    return float(np.linalg.norm(cell.robot.wrist[:2, 3] - grasp().palm_pose[:2, 3] - moved))


@pytest.mark.parametrize("controller", ["planned", "policy"])
def test_the_hand_comes_to_where_the_object_is_now(controller, monkeypatch):
    monkeypatch.setattr(goal_controller, "make_student", PlainStudent)
    with cell_with(controller=controller, **FOLLOWED) as cell:
        stream = Stream(cell)
        cell.moved = MOVED
        outcome = cell.result(place=False)
        assert outcome.outcome == "succeeded", outcome.reason
        assert outcome.lifted_by == "cameras"
        assert off(cell, MOVED) < 0.003
        # Nobody listens before a grasp, nor after.
        assert stream.listeners[0] == 0
        assert max(stream.listeners) == 1
        assert cell.until(lambda: stream.listeners[-1] == 0)


def test_it_comes_to_where_the_object_was_if_goals_stay():
    with cell_with() as cell:
        stream = Stream(cell)
        cell.moved = MOVED
        cell.result(place=False)
        assert off(cell, np.zeros(2)) < 0.003
        assert max(stream.listeners) == 0


def test_an_object_that_was_moved_too_far_is_left_alone():
    with cell_with(**FOLLOWED, follow__max_shift=0.02) as cell:
        Stream(cell)
        cell.moved = MOVED
        outcome = cell.result(place=False)
        assert outcome.outcome == "aborted"
        assert "the object was moved by 0.036 m" in outcome.reason
        assert not cell.looks


def test_that_an_object_is_lost_is_told():
    with cell_with(**FOLLOWED) as cell:
        stream = Stream(cell)
        cell.moved = MOVED
        cell.pause_at = "approach"
        _, result, feedback = cell.start(place=False)
        assert cell.until(lambda: cell.robot.paused)
        stream.hidden.set()
        doubt = "the goal stays: 0 points are where the object may be"
        assert cell.until(lambda: any(doubt in each.message for each in feedback))
        cell.ros.call(Trigger, contract.STOP_SERVICE, Trigger.Request())
        assert "; the goal had stayed: 0 points" in cell.wait(result).result.reason


def test_without_a_stream_the_robot_does_not_move():
    with cell_with(**FOLLOWED, capture_timeout=0.5) as cell:
        before = cell.robot.wrist.copy()
        outcome = cell.result(place=False)
        assert outcome.outcome == "stale_input"
        assert "no cloud came on /perception/cloud_stream within 0.5 s" in outcome.reason
        assert "stream_rate" in outcome.reason
        assert np.array_equal(cell.robot.wrist, before)
