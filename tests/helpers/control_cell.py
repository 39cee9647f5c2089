"""Around a control node: a robot that follows at once, and services that wait when told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import trimesh
from model_robot import ModelRobot
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_graph import Graph, graph
from std_srvs.srv import Trigger

from dexgrasp_control.control_node import ControlNode
from dexgrasp_interfaces.action import Assist, ExecuteGrasp
from dexgrasp_interfaces.msg import ControlState, GraspArray
from dexgrasp_interfaces.srv import Capture, GenerateProposals
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.deferred_service import answer_later

HAND = load_hand()
LIFT = 0.2
CLOUD_NS = 5_000_000_000
PATIENT = {"use_sim_time": True, "state_timeout": 60.0, "sight_timeout": 60.0}
BRISK = {
    **{f"executor__{stage}_time": 0.2 for stage in ("close", "squeeze", "hold", "release")},
    "executor__transit_speed": 0.6,
    "executor__approach_speed": 0.5,
    "executor__lift_speed": 0.5,
    "executor__transit_acceleration": 4.0,
    "executor__approach_acceleration": 3.0,
    "executor__lift_acceleration": 3.0,
}
"""What takes few ticks: each of them passes through two nodes in one interpreter."""


def can_cloud(ns: int = CLOUD_NS, center: tuple[float, float, float] = (0.0, 0.0, 0.05)):
    """A can's surface, 66 mm across and 100 mm high."""
    can = trimesh.creation.cylinder(radius=0.033, height=0.1)
    points, faces = trimesh.sample.sample_surface(can, 1024, seed=0)
    return conversions.cloud_to_message(
        points + center, ns, conversions.WORLD, can.face_normals[faces]
    )


def grasp() -> Grasp:
    """The hand, fingers down, high above the can, closes half: there is nothing to collide with."""
    pose = np.eye(4)
    pose[:3, :3] = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
    pose[:3, 3] = [0.0, 0.0, 0.34]
    flexed = HAND.couple(np.clip(np.full(22, 0.5), *HAND.limits.T))
    return Grasp(pose, flexed, 0.5 * flexed, 1.4 * flexed, score=0.0, figures={}, proposer="test")


class Cell:
    """The robot, and the services of perception and proposals, which wait where they are told to.

    Attributes:
        held: stages whose service gives no answer.
        pause_at: the stage in which the robot stops to follow.
        moved: (2,) m along the table by which the object is moved after the capture.
        rise: how far the object is seen raised by a capture after the first, m; None: not at all.
    """

    def __init__(self, ros: Graph) -> None:
        self.ros = ros
        self.robot = ModelRobot(ros.tester)
        self.go_on = threading.Event()
        self.held: set[str] = set()
        self.rise: float | None = LIFT
        self.moved = np.zeros(2)
        self.looks = 0
        every_change = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.states: list[ControlState] = []
        self.pause_at = ""
        topic = contract.CONTROL_STATE
        ros.tester.create_subscription(topic.type, topic.name, self._note_state, every_change)
        self._clouds = [
            ros.tester.create_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.OBJECT_CLOUD, contract.SCENE_CLOUD)
        ]
        for kind, name, answer in (
            (Trigger, contract.CAPTURE_SERVICE, self._capture),
            (Capture, contract.CAPTURE_WITH_SERVICE, self._look),
            (GenerateProposals, contract.GENERATE_SERVICE, self._generate),
        ):
            # The tester's thread has to go on while an answer is held back.
            answer_later(ros.tester.create_service(kind, name, lambda *a, f=answer: partial(f, *a)))

    def _note_state(self, state: ControlState) -> None:
        self.states.append(state)
        if state.state == self.pause_at:
            self.robot.paused = True

    def reset(self) -> None:
        self.go_on.set()
        self.pause_at = ""
        self.robot.place()
        self.robot.stop_joints = grasp().joints
        self.go_on = threading.Event()
        self.held, self.rise, self.looks = set(), LIFT, 0
        self.moved = np.zeros(2)

    def start(self, **goal):
        """A goal's handle, the future of its result, and the feedback so far."""
        return self.send(ExecuteGrasp.Goal(**{"choose": True, **goal}))

    def send(self, goal: ExecuteGrasp.Goal | Assist.Goal):
        """The same of a goal of either action."""
        feedback: list[ExecuteGrasp.Feedback | Assist.Feedback] = []
        handle, result = self.ros.grasp(goal, lambda m: feedback.append(m.feedback))
        assert handle.accepted
        return handle, result, feedback

    def until(self, condition: Callable[[], bool]) -> bool:
        """Whether a condition comes true, as long as the robot goes on meanwhile."""
        commands, since = -1, time.monotonic()
        while not condition():
            if self.robot.commands != commands:
                commands, since = self.robot.commands, time.monotonic()
            if time.monotonic() - since > 60.0:
                return False
            time.sleep(0.02)
        return True

    def wait(self, future):
        """The result of a future."""
        assert self.until(future.done)
        return future.result()

    def result(self, **goal) -> ExecuteGrasp.Result:
        return self.wait(self.start(**goal)[1]).result

    def _hold_back(self, stage: str) -> None:
        if stage in self.held:
            self.go_on.wait(60.0)

    def _publish(self, shift: Sequence[float]) -> None:
        cloud = can_cloud()
        points, normals = conversions.cloud_from_message(cloud)
        stamp = self.ros.tester.get_clock().now().nanoseconds
        points = points + np.float32(shift)
        for publisher in self._clouds:
            publisher.publish(
                conversions.cloud_to_message(points, stamp, conversions.WORLD, normals)
            )

    def _capture(self, _, response):
        self._hold_back("capture")
        self._publish((0.0, 0.0, 0.0))
        response.success = True
        return response

    def _look(self, request, response):
        self.looks += 1
        self._hold_back("look")
        if self.rise is None:
            response.message = "no images"
            return response
        self._publish((*self.moved, self.rise))
        response.success = True
        return response

    def _generate(self, request, response):
        self._hold_back("propose")
        message = conversions.grasp_to_message(grasp(), HAND.finger_joints, 0)
        response.success, response.proposals = True, GraspArray(grasps=[message])
        return response


@contextmanager
def assisting_cell(**settings: Any) -> Iterator[Cell]:
    """Of a control node that follows a person in lock-step."""
    with graph() as ros:
        cell = Cell(ros)
        cell.control = ros.start(ControlNode, lock_step=True, **PATIENT, **settings)
        yield cell
        cell.go_on.set()


@contextmanager
def for_one_test(cell: Cell) -> Iterator[Cell]:
    """As it was at first, with an object that stops the fingers."""
    cell.reset()
    cell.robot.stop_joints = np.full(22, 0.4)
    cell.states.clear()
    yield cell
    cell.go_on.set()
    assert cell.until(lambda: not cell.control._busy)
