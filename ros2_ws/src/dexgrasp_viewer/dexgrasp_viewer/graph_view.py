"""What the graph says, from its topics into the scene and the panel."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image, JointState, PointCloud2

from dexgrasp_interfaces.msg import AssistState, GraspArray
from dexgrasp_interfaces.msg import Grasp as GraspMessage
from dexgrasp_models.synthesis.types import Grasp
from dexgrasp_ros import contract, conversions, image_messages, qos
from dexgrasp_ros.conversions import MessageError
from dexgrasp_ros.node import DIAGNOSTICS_PERIOD, STALE
from dexgrasp_viewer.assist_figure import action_text
from dexgrasp_viewer.images import colored_depth, thumbnail
from dexgrasp_viewer.panel import Panel
from dexgrasp_viewer.scene import GraspScene

STALE_AFTER = 5 * DIAGNOSTICS_PERIOD
"""Seconds without a status after which a node is taken to be gone, or to hang."""


class GraphView:
    """Keeps the newest message of each topic, and shows it when told to.

    A callback only stores; all work is in `update` and `update_images`, so its rate is theirs and
    not the topics'. Images stay serialised until they are shown.
    """

    def __init__(
        self,
        node: Node,
        scene: GraspScene,
        panel: Panel,
        finger_joints: Sequence[str],
        cameras: Sequence[str],
        image_width: int,
    ) -> None:
        """Shows the topics in `scene` and `panel` once `follow` is called.

        Args:
            node: subscribes.
            scene: what is drawn.
            panel: what is written.
            finger_joints: names of the hand's joints, in the order of its description.
            cameras: names of the cameras.
            image_width: pixels that images are reduced to.
        """
        self._node = node
        self._scene = scene
        self._panel = panel
        self._finger_joints = finger_joints
        self._cameras = cameras
        self._image_width = image_width
        self._subscriptions: list[Subscription] = []
        self._image_subscriptions: list[Subscription] = []
        self._image_kind = "none"
        self._waiting: dict[Callable[[Any], None], Any] = {}
        self._waiting_images: dict[str, bytes] = {}
        self._angles: dict[str, float] = {}
        self._palm_pose: np.ndarray | None = None
        self._robot_moved = False
        self._assist_stage = ""
        self._grasps: list[Grasp] = []
        self._grasp_messages: list[GraspMessage] = []
        self._statuses: dict[str, tuple[int, str]] = {}
        self._told_at: dict[str, float] = {}

    @property
    def following(self) -> bool:
        """Whether the topics are subscribed to."""
        return bool(self._subscriptions)

    @property
    def picked_grasp(self) -> GraspMessage | None:
        """The proposal picked in the panel; None while there are no proposals."""
        return self._grasp_messages[self._panel.picked] if self._grasp_messages else None

    def follow(self) -> None:
        """Subscribes to the topics."""
        for topic, show in (
            (contract.OBJECT_CLOUD, self._show_object_cloud),
            (contract.SCENE_CLOUD, self._show_scene_cloud),
            (contract.GRASPS, self._show_grasps),
            (contract.WRIST_TARGET, self._show_wrist_target),
            (contract.WRIST_POSE, self._take_wrist_pose),
            (contract.ASSIST_STATE, self._show_assist),
        ):
            self._subscribe(topic, functools.partial(self._waiting.__setitem__, show))
        self._subscribe(contract.JOINT_STATES, self._take_joint_states)
        self._subscribe(contract.DIAGNOSTICS, self._take_diagnostics)
        self._follow_images()

    def unfollow(self) -> None:
        """Unsubscribes; what is shown stays."""
        for subscription in self._subscriptions + self._image_subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions, self._image_subscriptions, self._image_kind = [], [], "none"

    def change_choice(self) -> None:
        """Shows what the panel's controls now ask for."""
        self._scene.pick_proposal(self._panel.picked, self._panel.shown)
        self._show_picked()
        if self.following:
            self._follow_images()

    # Shown at the page's rate

    def update(self) -> None:
        """Shows all that has come since the last call, but the images."""
        waiting = dict(self._waiting)
        self._waiting.clear()
        for show, message in waiting.items():
            self._refuse_broken(show, message)
        if self._robot_moved and self._palm_pose is not None:
            self._scene.show_hand(self._palm_pose, self._angles)
            self._scene.show_arm(self._palm_pose, self._angles)
            self._robot_moved = False
        self._panel.show_diagnostics({name: self._present_status(name) for name in self._statuses})

    def update_images(self) -> None:
        """Shows the images that have come since the last call."""
        waiting, self._waiting_images = self._waiting_images, {}
        for camera, data in waiting.items():
            self._refuse_broken(functools.partial(self._show_image, camera), data)

    def _refuse_broken(self, show: Callable[[Any], None], message: Any) -> None:
        try:
            show(message)
        except ValueError as error:
            self._node.get_logger().warning(f"not shown: {error}", throttle_duration_sec=5.0)

    def _show_object_cloud(self, message: PointCloud2) -> None:
        self._scene.show_object_cloud(conversions.cloud_from_message(message)[0])

    def _show_scene_cloud(self, message: PointCloud2) -> None:
        self._scene.show_scene_cloud(conversions.cloud_from_message(message)[0])

    def _show_wrist_target(self, message: PoseStamped) -> None:
        self._scene.show_wrist_target(conversions.world_pose_from_message(message))

    def _show_grasps(self, message: GraspArray) -> None:
        self._grasps = [
            conversions.grasp_from_message(grasp, self._finger_joints) for grasp in message.grasps
        ]
        self._grasp_messages = list(message.grasps)
        self._panel.show_proposal_count(len(self._grasps))
        self._scene.show_proposals(self._grasps, self._panel.picked, self._panel.shown)
        self._show_picked()

    def _show_assist(self, message: AssistState) -> None:
        """Where a person's wrist is followed: its way, and what the policy does."""
        figure = self._scene.assist
        if message.stage == "follow" and self._assist_stage != "follow":
            figure.begin()
        self._assist_stage = message.stage
        figure.show_wrist(conversions.pose_from_message(message.wrist))
        action, gradient = np.array(message.action), np.array(message.gradient)
        count = len(message.actuators)
        if len(action) != count or len(gradient) not in (0, count):
            raise MessageError(f"{count} actuators, {len(action)} actions")
        if self._palm_pose is not None and count == len(self._scene.actuators):
            largest = np.abs(gradient).max(initial=0.0)
            figure.show_policy(
                self._palm_pose, self._angles, action, gradient / largest if largest > 0.0 else None
            )
        self._panel.show_assist(
            action_text(message.stage, message.remark, message.actuators, action)
        )

    def _show_picked(self) -> None:
        self._panel.show_picked(self._grasps[self._panel.picked] if self._grasps else None)

    def _show_image(self, camera: str, data: bytes) -> None:
        message = deserialize_message(data, Image)
        if self._image_kind == "depth":
            depth = thumbnail(image_messages.depth_from_message(message), self._image_width)
            image = colored_depth(depth)
        else:
            image = thumbnail(image_messages.color_from_message(message), self._image_width)
        self._scene.show_camera_image(camera, image)

    # Taken as they come: several nodes publish these, so the newest alone is not enough

    def _take_joint_states(self, message: JointState) -> None:
        pairs = zip(message.name, message.position, strict=False)
        self._angles.update((name, angle) for name, angle in pairs if np.isfinite(angle))
        self._robot_moved = True

    def _take_wrist_pose(self, message: PoseStamped) -> None:
        self._palm_pose = conversions.world_pose_from_message(message)
        self._robot_moved = True

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self._statuses[status.name] = (status.level[0], status.message)
            self._told_at[status.name] = time.monotonic()

    def _present_status(self, name: str) -> tuple[int, str]:
        """Level and message; stale where the node has said nothing for some time."""
        level, message = self._statuses[name]
        silence = time.monotonic() - self._told_at[name]
        if silence < STALE_AFTER:
            return level, message
        return STALE[0], f"silent for {silence:.0f} s; its last word was: {message}"

    # Subscriptions

    def _subscribe(self, topic: contract.Topic, callback: Callable[[Any], None]) -> None:
        self._subscriptions.append(
            self._node.create_subscription(topic.type, topic.name, callback, topic.qos)
        )

    def _follow_images(self) -> None:
        """Subscribes to the images of the kind the panel asks for, and to no others."""
        kind = self._panel.image_kind
        if kind == self._image_kind:
            return
        for subscription in self._image_subscriptions:
            self._node.destroy_subscription(subscription)
        self._image_kind = kind
        self._waiting_images = {}
        for camera in self._cameras:
            self._scene.show_camera_image(camera, None)
        if kind == "none":
            self._image_subscriptions = []
            return
        topic = {"depth": contract.depth_image, "color": contract.color_image}[kind]
        self._image_subscriptions = [
            self._node.create_subscription(
                Image,
                topic(camera).name,
                functools.partial(self._keep_image, camera),
                qos.image_request(self._node, topic(camera).name),
                raw=True,
            )
            for camera in self._cameras
        ]

    def _keep_image(self, camera: str, data: bytes) -> None:
        self._waiting_images[camera] = data
