"""The streaming mode: a cloud of what stands on the table, many times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from rclpy.lifecycle import LifecycleNode

from dexgrasp_models.perception.cameras import CameraModel, DepthFrame, RigError
from dexgrasp_models.perception.fusion import FusionConfig, PerceptionError
from dexgrasp_models.perception.robot_mask import either_distance
from dexgrasp_models.perception.streaming import StreamConfig, fuse_stream
from dexgrasp_perception.camera_input import CameraInput
from dexgrasp_perception.robot_input import RobotInput
from dexgrasp_ros import contract, conversions

Placed = Callable[[Sequence[DepthFrame], Sequence[CameraInput]], list[DepthFrame]]
"""Puts frames where their cameras stand; leaves out those of which that is not known."""

IDLE = "nobody listens"


class CloudStreaming:
    """Publishes on ``perception/cloud_stream`` while somebody listens there.

    A cloud is made of one image of each camera, all of them newer than any in the cloud before, as
    soon as the last of them has come. A camera is waited for as long as its last image is fresh.
    Without the robot's state at the time of the images there is no cloud, as its own points could
    be taken for the object's.

    Args:
        node: publishes, and listens; also asks, by its own timer, for `update`.
        rate: clouds a second at most, but for one that came late.
        rig: the cameras.
        any_frame: as of `CameraInput`.
        placed: where the cameras stand.
        config: of the stream.
        fusion: as of captures.
        mask_robot: whether the robot's own points are left out.
        max_age: s, up to which an image is fresh.
    """

    def __init__(
        self,
        node: LifecycleNode,
        rate: float,
        rig: Sequence[CameraModel],
        any_frame: bool,
        placed: Placed,
        config: StreamConfig,
        fusion: FusionConfig,
        *,
        mask_robot: bool,
        max_age: float,
    ) -> None:
        self._node, self._placed = node, placed
        self._config, self._fusion = config, fusion
        self._max_age = conversions.seconds_to_ns(max_age)
        arrived = threading.Condition()
        self._cameras = [
            CameraInput(node, camera, arrived, any_frame, self._look) for camera in rig
        ]
        self._period, self._due = 1.0 / rate, 0.0
        self._robot = RobotInput(node, arrived) if mask_robot else None
        topic = contract.CLOUD_STREAM
        self._publisher = node.create_lifecycle_publisher(topic.type, topic.name, topic.qos)
        self._listening = False
        self._newest_ns = 0
        self.status = IDLE
        """What was published last, or why nothing is."""

    def update(self) -> None:
        """Begins to listen to cameras and robot where somebody listens here, and ends it.

        To be called often: that a camera sends no more is noticed by this alone.
        """
        if not self._publisher.get_subscription_count():
            self.stop()
            return
        if not self._listening:
            self._listening, self._newest_ns = True, 0
            self.status = "waiting for images"
            for camera in self._cameras:
                camera.ask_for_images()
            if self._robot is not None:
                self._robot.ask_for_states()
            return
        self._look()

    def _look(self) -> None:
        """Publishes a cloud if one is due, and the images for it have come."""
        if not self._listening or time.monotonic() < self._due:
            return
        try:
            self._publish()
        except (PerceptionError, conversions.MessageError) as error:
            self.status = str(error)

    def stop(self) -> None:
        """Listens no more."""
        if not self._listening:
            return
        self._listening, self.status = False, IDLE
        for camera in self._cameras:
            camera.stop_images()
        if self._robot is not None:
            self._robot.stop_states()

    def _publish(self) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        if now_ns < self._newest_ns - self._max_age:
            self._newest_ns = 0  # simulated time has begun anew
        fresh = [
            (camera.stamp_ns, camera)
            for camera in self._cameras
            if camera.stamp_ns is not None and abs(now_ns - camera.stamp_ns) <= self._max_age
        ]
        stamps = [stamp for stamp, _ in fresh]
        if not fresh:
            self.status = f"no fresh image of {len(self._cameras)} cameras"
            return
        if min(stamps) <= self._newest_ns:
            return
        self._newest_ns = max(stamps)
        self._due = max(self._due + self._period, time.monotonic())
        frames, doubts = [], {}
        for _, camera in fresh:
            try:
                frames.append(camera.frame()[0])
            except (conversions.MessageError, RigError) as error:
                doubts[camera.model.name] = str(error)
        robot = None
        if self._robot is not None:
            robot = either_distance([self._robot.distance(ns) for ns in sorted(set(stamps))])
        cloud = fuse_stream(
            self._placed(frames, [camera for _, camera in fresh]),
            self._config,
            self._fusion,
            robot_distance=robot,
        )
        self._publisher.publish(
            conversions.cloud_to_message(cloud.points, self._newest_ns, conversions.WORLD)
        )
        left_out = "".join(f"; {name}: {why}" for name, why in (doubts | cloud.left_out).items())
        self.status = f"{len(cloud.points)} points of {len(cloud.cameras_used)} cameras{left_out}"
