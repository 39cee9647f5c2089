"""Fuses the depth cameras on request into the clouds of the object and of the scene."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import DepthFrame, RigError, load_rig
from dexgrasp_models.perception.fusion import (
    FusedCloud,
    FusionConfig,
    PerceptionError,
    RobotDistance,
    fuse,
)
from dexgrasp_perception.camera_input import CameraInput, camera_transforms
from dexgrasp_perception.robot_input import RobotInput
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node import ERROR, OK, WARN, ManagedNode, main, when_active
from dexgrasp_ros.parameters import declare_parameters, parameter

HEALTH_PERIOD = 1.0
"""Seconds of wall time between two looks at which cameras deliver."""


@dataclass(frozen=True)
class PerceptionParameters:
    """Parameters of the node beside those of the fusion (`FusionConfig`, prefix `fusion.`)."""

    rig: str = parameter("cameras/four_d415.yaml", "camera rig, a file in config/ or a path")
    frame_timeout: float = parameter(
        2.0,
        "how long a capture waits for images that were taken after its request",
        unit="s of wall time",
        low=0.0,
        high=60.0,
    )
    max_frame_age: float = parameter(
        0.5,
        "where no newer image comes, how much before the request one may have been taken",
        unit="s",
        low=0.0,
        high=60.0,
    )
    camera_timeout: float = parameter(
        5.0,
        "a camera without images for this long is reported as silent",
        unit="s of wall time",
        low=0.1,
        high=600.0,
    )
    mask_robot: bool = parameter(True, "leave out the robot's own points")


class PerceptionNode(ManagedNode):
    """Serves ``perception/capture``; publishes the clouds and where the cameras stand.

    The clouds are stamped with the newest image in them: with images taken after the request, as
    is the rule, their stamp is not before the request.
    """

    parameters_type = PerceptionParameters
    threads = 2  # images must come in while a capture waits for them

    def __init__(self, **options: Any) -> None:
        super().__init__("perception", **options)
        self._fusion = declare_parameters(self, FusionConfig, prefix="fusion.")
        self._arrived = threading.Condition()
        self._cameras: list[CameraInput] = []
        self._robot: RobotInput | None = None
        self._last_capture = (OK, "none yet")

    def configure(self) -> None:
        """Reads the rig, subscribes to its cameras, and publishes their transforms."""
        path = Path(self.parameters.rig)
        rig = load_rig(path if path.is_absolute() else find_config(self.parameters.rig))
        self._object_cloud, self._scene_cloud = (
            self.create_lifecycle_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.OBJECT_CLOUD, contract.SCENE_CLOUD)
        )
        self._static_transforms = self.create_publisher(
            contract.TF_STATIC.type, contract.TF_STATIC.name, contract.TF_STATIC.qos
        )
        self._static_transforms.publish(TFMessage(transforms=camera_transforms(rig)))
        self._cameras = [CameraInput(self, camera, self._arrived) for camera in rig]
        self._robot = RobotInput(self) if self.parameters.mask_robot else None
        self._service = self.create_service(
            Trigger,
            contract.CAPTURE_SERVICE,
            self._capture,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self._health = self.create_timer(HEALTH_PERIOD, self._check_health, clock=self.steady_clock)

    def cleanup(self) -> None:
        """Forgets the rig."""
        for subscriber in (*self._cameras, *filter(None, [self._robot])):
            subscriber.destroy()
        self._cameras, self._robot = [], None
        for publisher in (self._object_cloud, self._scene_cloud, self._static_transforms):
            self.destroy_publisher(publisher)
        self.destroy_service(self._service)
        self.destroy_timer(self._health)

    # Capture

    @when_active
    def _capture(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        warnings: list[str] = []
        try:
            frames, missing, newest_ns = self._collect(warnings)
            started = time.perf_counter()
            cloud = fuse(
                frames,
                self._fusion,
                missing=missing,
                robot_distance=self._robot_distance(warnings),
            )
            milliseconds = 1e3 * (time.perf_counter() - started)
        except PerceptionError as error:
            response.success = False
            response.message = "; ".join([str(error), *warnings])
            self._last_capture = (ERROR, f"refused: {response.message}")
            self.get_logger().warning(f"capture {self._last_capture[1]}")
        else:
            self._publish(cloud, newest_ns)
            warnings = [*cloud.warnings, *warnings]
            response.success = True
            response.message = (
                f"{len(cloud.object_points)} points of the object and {len(cloud.scene_points)} "
                f"of the scene from {', '.join(cloud.cameras_used)} in {milliseconds:.0f} ms"
            )
            if warnings:
                response.message += f"; {'; '.join(warnings)}"
            self._last_capture = (WARN if warnings else OK, response.message)
            self.get_logger().info(response.message)
        self._check_health()
        return response

    def _collect(self, warnings: list[str]) -> tuple[list[DepthFrame], dict[str, str], int]:
        """The usable frame of each camera, why the others have none, and the newest stamp."""
        asked_ns = self.get_clock().now().nanoseconds

        def all_have_taken() -> bool:
            # Simulated time may go back to zero: the reset may even have come before the request,
            # and only its clock after it.
            nonlocal asked_ns
            asked_ns = min(asked_ns, self.get_clock().now().nanoseconds)
            return all(
                camera.has_taken(asked_ns, images)
                for camera, images in zip(self._cameras, before, strict=True)
            )

        with self._arrived:
            before = [camera.images for camera in self._cameras]
            self._arrived.wait_for(all_have_taken, timeout=self.parameters.frame_timeout)
            frames, missing, newest_ns = [], {}, 0
            for camera in self._cameras:
                name = camera.model.name
                try:
                    self._refuse_stale(camera, asked_ns)
                    frame, doubts = camera.frame()
                    if camera.stamp_ns < asked_ns:
                        doubts.append("no image since the request, an older one is used")
                except (conversions.MessageError, RigError) as error:
                    missing[name] = str(error)
                else:
                    frames.append(frame)
                    newest_ns = max(newest_ns, camera.stamp_ns)
                    warnings += [f"{name}: {doubt}" for doubt in doubts]
        return frames, missing, newest_ns

    def _refuse_stale(self, camera: CameraInput, asked_ns: int) -> None:
        if camera.stamp_ns is None:
            raise conversions.MessageError("no image")
        limit = conversions.seconds_to_ns(self.parameters.max_frame_age)
        age = asked_ns - camera.stamp_ns
        if age > limit:
            seconds = age / conversions.NANOSECONDS
            raise conversions.MessageError(f"its newest image was {seconds:.1f} s old")
        ahead = camera.stamp_ns - self.get_clock().now().nanoseconds
        if ahead > limit:
            seconds = ahead / conversions.NANOSECONDS
            raise conversions.MessageError(
                f"its newest image is stamped {seconds:.1f} s ahead of the clock"
            )

    def _robot_distance(self, warnings: list[str]) -> RobotDistance | None:
        if self._robot is None:
            return None
        try:
            return self._robot.distance()
        except conversions.MessageError as error:
            warnings.append(f"the robot's own points are not left out: {error}")
            return None

    def _publish(self, cloud: FusedCloud, ns: int) -> None:
        self._scene_cloud.publish(
            conversions.cloud_to_message(cloud.scene_points, ns, conversions.WORLD)
        )
        self._object_cloud.publish(
            conversions.cloud_to_message(
                cloud.object_points, ns, conversions.WORLD, cloud.object_normals
            )
        )

    # Health

    def _check_health(self) -> None:
        if not self.active:
            return
        silent, values = [], {}
        for camera in self._cameras:
            silence = camera.silent_for()
            values[camera.model.name] = (
                f"last image {silence:.1f} s ago" if camera.images else "no image yet"
            )
            if silence > self.parameters.camera_timeout:
                silent.append(camera.model.name)
        delivering = len(self._cameras) - len(silent)
        level, capture = self._last_capture
        message = f"{delivering} of {len(self._cameras)} cameras deliver images"
        if silent:
            message += f"; silent: {', '.join(silent)}"
            level = max(level, ERROR if delivering < self._fusion.min_cameras else WARN)
        elif level != OK:
            message += f"; last capture: {capture}"
        self.report(level, message, last_capture=capture, **values)


def run() -> int:
    """Entry point of the process."""
    return main(PerceptionNode)


if __name__ == "__main__":
    sys.exit(run())
