"""A made-up grasping graph for the viewer's tests, run as a process of its own.

Publishes one constant scene, and offers the services and the action that the viewer's buttons ask
for.
"""

from __future__ import annotations

import contextlib
import time

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.action import ActionServer, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from std_srvs.srv import Trigger

from dexgrasp_interfaces.action import Assist, ExecuteGrasp
from dexgrasp_interfaces.msg import AssistState, GraspArray
from dexgrasp_interfaces.srv import GenerateProposals
from dexgrasp_models.arm.spec import load_arm
from dexgrasp_models.config import find_config
from dexgrasp_models.hand.spec import load_hand
from dexgrasp_models.perception.cameras import load_rig
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_ros import contract, conversions, image_messages

STATE_RATE = 50.0
IMAGE_RATE = 5.0
FINGER_ANGLE = 0.3
ARM_ANGLES = (0.0, -1.2, 1.9, -2.2, -1.57, 0.0)
PALM_POSE = np.eye(4)
PALM_POSE[:3, :3] = Rotation.from_euler("xyz", [2.6, 0.0, 0.0]).as_matrix()
PALM_POSE[:3, 3] = (0.0, -0.10, 0.25)
WRIST_TARGET = PALM_POSE.copy()
WRIST_TARGET[2, 3] = 0.20
GRASP_COUNT = 4
DEPTH = np.tile(np.linspace(400, 900, 640), (480, 1)).astype(np.uint16)


def object_points() -> np.ndarray:
    """(1024, 3) points of a ball on the table."""
    points = np.random.default_rng(0).normal(size=(1024, 3))
    points *= 0.04 / np.linalg.norm(points, axis=1, keepdims=True)
    return np.float32(points + np.array([0.0, 0.0, 0.04]))


def scene_points() -> np.ndarray:
    """(2000, 3) points of the table."""
    return (np.random.default_rng(1).uniform(-0.4, 0.4, (2000, 3)) * [1, 1, 0]).astype(np.float32)


def grasps() -> list[Grasp]:
    """Hands around the ball, best first."""
    proposals = []
    for rank in range(GRASP_COUNT):
        pose = np.eye(4)
        turn = Rotation.from_euler("zx", [rank * np.pi / 2, 2.6])
        pose[:3, :3] = turn.as_matrix()
        pose[:3, 3] = [0.0, 0.0, 0.05] - turn.apply([0.0, -0.05, 0.12])
        joints = np.full(22, 0.2 + 0.1 * rank)
        proposals.append(
            Grasp(pose, joints, joints, joints, 0.9 - 0.1 * rank, {"lift": 0.8}, "made_up")
        )
    return proposals


class MadeUpGraph(Node):
    def __init__(self) -> None:
        super().__init__("made_up_graph")
        self._hand, self._arm = load_hand(), load_arm()
        self._cameras = load_rig(find_config("cameras/four_d415.yaml"))
        topics = [
            contract.JOINT_STATES, contract.WRIST_POSE, contract.WRIST_TARGET,
            contract.OBJECT_CLOUD, contract.SCENE_CLOUD, contract.GRASPS, contract.DIAGNOSTICS,
            contract.ASSIST_STATE,
        ]  # fmt: skip
        topics += [contract.depth_image(camera.name) for camera in self._cameras]
        topics += [contract.color_image(camera.name) for camera in self._cameras]
        self._publishers_by_name = {
            topic.name: self.create_publisher(topic.type, topic.name, topic.qos) for topic in topics
        }
        self._publish_scene()
        self.create_timer(1.0 / STATE_RATE, self._publish_state)
        self.create_timer(1.0 / IMAGE_RATE, self._publish_images)
        self.create_timer(0.5, self._publish_diagnostics)
        group = ReentrantCallbackGroup()
        self.create_service(
            Trigger, contract.CAPTURE_SERVICE, self._on_capture, callback_group=group
        )
        self.create_service(Trigger, contract.STOP_SERVICE, self._on_stop, callback_group=group)
        self.create_service(
            GenerateProposals, contract.GENERATE_SERVICE, self._on_generate, callback_group=group
        )
        self.create_service(
            Trigger, contract.CLOSE_HAND_SERVICE, self._on_close, callback_group=group
        )
        self._assist = ActionServer(
            self,
            Assist,
            contract.ASSIST_ACTION,
            lambda handle: Assist.Result(),
            goal_callback=lambda goal: GoalResponse.REJECT,
            callback_group=group,
        )
        self._action = ActionServer(
            self, ExecuteGrasp, contract.GRASP_ACTION, self._on_grasp, callback_group=group
        )

    def _publish(self, topic: contract.Topic, message: object) -> None:
        self._publishers_by_name[topic.name].publish(message)

    @property
    def _now(self) -> int:
        return self.get_clock().now().nanoseconds

    def _publish_scene(self) -> None:
        for topic, points in (
            (contract.OBJECT_CLOUD, object_points()),
            (contract.SCENE_CLOUD, scene_points()),
        ):
            self._publish(topic, conversions.cloud_to_message(points, self._now, "world"))
        array = GraspArray(header=conversions.header(self._now, "world"))
        names = self._hand.finger_joints
        array.grasps = [conversions.grasp_to_message(grasp, names, self._now) for grasp in grasps()]
        self._publish(contract.GRASPS, array)

    def _publish_state(self) -> None:
        """Hand and arm in messages of their own, as two drivers publish them."""
        for names, angles in (
            (self._hand.finger_joints, np.full(22, FINGER_ANGLE)),
            (self._arm.joint_names, np.array(ARM_ANGLES)),
        ):
            self._publish(
                contract.JOINT_STATES,
                conversions.joint_state(names, angles, np.zeros_like(angles), self._now),
            )
        pose = conversions.pose_stamped(PALM_POSE, self._now, "world")
        self._publish(contract.WRIST_POSE, pose)
        target = conversions.pose_stamped(WRIST_TARGET, self._now, "world")
        self._publish(contract.WRIST_TARGET, target)

        self._publish(contract.ASSIST_STATE, self._assist_state())

    def _assist_state(self) -> AssistState:
        """The person's wrist goes to and fro; one finger closes, along the gradient."""
        wrist = WRIST_TARGET.copy()
        wrist[0, 3] += 0.05 * np.sin(4e-9 * self._now)
        actuators = list(self._hand.actuators)
        closing = [0.5 if name == "rh_FFJ3" else 0.0 for name in actuators]
        return AssistState(
            header=conversions.header(self._now, "world"),
            stage="assist",
            wrist=conversions.pose_to_message(wrist),
            actuators=actuators,
            action=closing,
            gradient=[40.0 * share for share in closing],
        )

    def _publish_images(self) -> None:
        color = np.zeros((480, 640, 3), np.uint8)
        color[..., 0] = 200
        for camera in self._cameras:
            topic = contract.depth_image(camera.name)
            depth = image_messages.depth_to_message(DEPTH, self._now, topic.frame_id)
            self._publish(topic, depth)
            topic = contract.color_image(camera.name)
            message = image_messages.color_to_message(color, self._now, topic.frame_id)
            self._publish(topic, message)

    def _publish_diagnostics(self) -> None:
        for name, level, text in (
            ("perception", DiagnosticStatus.OK, "four cameras"),
            ("control", DiagnosticStatus.WARN, "wrist target is limited"),
        ):
            status = DiagnosticStatus(name=name, level=level, message=text)
            self._publish(contract.DIAGNOSTICS, DiagnosticArray(status=[status]))

    def _on_capture(self, request, response):
        response.success, response.message = True, "1024 points from four cameras"
        return response

    def _on_stop(self, request, response):
        response.success, response.message = True, "nothing moved"
        return response

    def _on_close(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = False, "no person's wrist is followed"
        return response

    def _on_generate(self, request, response):
        response.success, response.message = False, "the cloud is empty"
        return response

    def _on_grasp(self, goal):
        feedback = ExecuteGrasp.Feedback(stage="approach", progress=0.5, message="toward the ball")
        for _ in range(10):
            goal.publish_feedback(feedback)
            time.sleep(0.2)
        goal.succeed()
        reason = "chosen" if goal.request.choose else f"picked {goal.request.grasp.score:.1f}"
        return ExecuteGrasp.Result(success=True, outcome="succeeded", reason=reason)


def main() -> None:
    rclpy.init()
    executor = MultiThreadedExecutor(2)
    executor.add_node(MadeUpGraph())
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        executor.spin()


if __name__ == "__main__":
    main()
