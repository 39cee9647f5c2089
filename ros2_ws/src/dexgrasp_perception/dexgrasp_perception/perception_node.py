"""Fuses the depth cameras into the clouds of the object and of the scene, on request, and streams
what stands on the table, where it is asked to."""

from __future__ import annotations

import dataclasses
import math
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage

from dexgrasp_interfaces.srv import Capture
from dexgrasp_models.config import find_config
from dexgrasp_models.perception.cameras import CameraModel, DepthFrame, RigError, load_rig
from dexgrasp_models.perception.fusion import (
    FusedCloud,
    FusionConfig,
    PerceptionError,
    RobotDistance,
    fuse,
)
from dexgrasp_models.perception.streaming import StreamConfig
from dexgrasp_perception.camera_input import CameraInput, camera_transforms
from dexgrasp_perception.cloud_streaming import CloudStreaming
from dexgrasp_perception.perception_parameters import TF, PerceptionParameters
from dexgrasp_perception.robot_input import RobotInput
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.freed_memory import return_large_blocks
from dexgrasp_ros.node import ERROR, OK, WARN, ManagedNode, when_active
from dexgrasp_ros.node_process import main
from dexgrasp_ros.parameters import current_parameters, declare_parameters
from dexgrasp_ros.transforms import Transforms

TRANSFORM_TIMEOUT = 2.0
"""Seconds of wall time in which the transform of a camera's frame must have come."""
HEALTH_PERIOD = 1.0
"""Seconds of wall time between two looks at which cameras deliver."""
WAIT_PERIOD = 0.1
"""Seconds of wall time after which a capture that waits looks again, where nothing has come."""


class _Captured(NamedTuple):
    """A cloud, the stamp of the newest image in it, and how long the fusion took."""

    cloud: FusedCloud
    stamp_ns: int
    milliseconds: float


class PerceptionNode(ManagedNode):
    """Serves ``perception/capture``; publishes the clouds and where the cameras stand.

    A capture asks the cameras for images and waits for one of each that was taken after its
    request. It waits as long as something comes from a camera, and says of the others whether they
    are silent or their images get lost. The clouds are stamped with the newest image in them: with
    images taken after the request, as is the rule, their stamp is not before the request.

    With ``stream_rate`` it also publishes ``perception/cloud_stream`` while somebody listens.
    """

    parameters_type = PerceptionParameters

    def __init__(self, **options: Any) -> None:
        super().__init__("perception", **options)
        self._fusion = declare_parameters(self, FusionConfig, prefix="fusion.")
        self._stream_config = declare_parameters(self, StreamConfig, prefix="stream.")
        self._stream: CloudStreaming | None = None
        self._arrived = threading.Condition()
        self._cameras: list[CameraInput] = []
        self._robot: RobotInput | None = None
        self._transforms: Transforms | None = None
        self._last_capture = (OK, "none yet")
        self._one_capture = threading.Lock()

    def configure(self) -> None:
        """Reads the rig, subscribes to its cameras, and publishes where they stand, or listens."""
        self.hardware_id = self.parameters.rig
        self._fusion = current_parameters(self, self._fusion, prefix="fusion.")
        path = Path(self.parameters.rig)
        rig = load_rig(path if path.is_absolute() else find_config(self.parameters.rig))
        self._object_cloud, self._scene_cloud = (
            self.create_lifecycle_publisher(topic.type, topic.name, topic.qos)
            for topic in (contract.OBJECT_CLOUD, contract.SCENE_CLOUD)
        )
        if self.parameters.extrinsics == TF:
            self._transforms = Transforms(self)
        else:
            self._static_transforms = self.create_publisher(
                contract.TF_STATIC.type, contract.TF_STATIC.name, contract.TF_STATIC.qos
            )
            self._static_transforms.publish(TFMessage(transforms=camera_transforms(rig)))
        by_tf = self._transforms is not None
        self._cameras = [CameraInput(self, camera, self._arrived, by_tf) for camera in rig]
        self._robot = RobotInput(self, self._arrived) if self.parameters.mask_robot else None
        self._stream = None
        if self.parameters.stream_rate > 0.0:
            self._begin_streaming(rig, by_tf)
        self.create_waiting_service(Trigger, contract.CAPTURE_SERVICE, self._on_capture)
        self.create_waiting_service(Capture, contract.CAPTURE_WITH_SERVICE, self._on_capture_with)
        self._health = self.create_timer(HEALTH_PERIOD, self._check_health, clock=self.steady_clock)

    def deactivate(self) -> None:
        """Has a capture that waits answer that the node was deactivated, and ends the stream."""
        if self._stream is not None:
            self._stream.stop()
        with self._arrived:
            self._arrived.notify_all()

    def cleanup(self) -> None:
        """Forgets the rig; a capture that is under way works on with what it has."""
        self._cameras, self._robot, self._transforms = [], None, None
        self._stream = None

    # Capture

    @when_active
    def _on_capture(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message, _ = self._captured(Capture.Request())
        return response

    @when_active
    def _on_capture_with(
        self, request: Capture.Request, response: Capture.Response
    ) -> Capture.Response:
        response.success, response.message, found = self._captured(request)
        if found is not None:
            response.stamp = conversions.ns_to_stamp(found.stamp_ns)
            response.cameras_used = list(found.cloud.cameras_used)
        return response

    def _captured(self, request: Capture.Request) -> tuple[bool, str, _Captured | None]:
        """Whether it succeeded, the same in words, and what was found."""
        warnings: list[str] = []
        try:
            with self._one_capture:
                found = self._capture(request, warnings)
        except (PerceptionError, ValueError) as error:
            message = "; ".join([str(error), *warnings])
            self._last_capture = (ERROR, f"refused: {message}")
            self.get_logger().warning(f"capture {self._last_capture[1]}")
            return False, message, None
        cloud = found.cloud
        self._publish(cloud, found.stamp_ns)
        warnings = [*cloud.warnings, *warnings]
        message = (
            f"{len(cloud.object_points)} points of the object and {len(cloud.scene_points)} "
            f"of the scene from {', '.join(cloud.cameras_used)} in {found.milliseconds:.0f} ms"
        )
        if warnings:
            message += f"; {'; '.join(warnings)}"
        self._last_capture = (WARN if warnings else OK, message)
        self.get_logger().info(message)
        return True, message, found

    def _capture(self, request: Capture.Request, warnings: list[str]) -> _Captured:
        """Waits for images and fuses them.

        Raises:
            PerceptionError: too little was seen, or the node is active no more.
            ValueError: the request makes no sense.
        """
        cameras, robot = self._chosen_cameras(request.cameras), self._robot
        config = _with_region(self._fusion, request)
        if not math.isfinite(request.timeout) or request.timeout < 0.0:
            raise ValueError(f"timeout {request.timeout} s: give a positive number, or 0")
        asked_ns = self.get_clock().now().nanoseconds
        try:
            for camera in cameras:
                camera.ask_for_images()
            if robot is not None:
                robot.ask_for_states()
            asked_ns = self._wait_for_images(cameras, robot, asked_ns, request.timeout)
        finally:
            for camera in cameras:
                camera.stop_images()
            if robot is not None:
                robot.stop_states()
        with self._arrived:
            frames, missing, newest_ns = self._collected(cameras, asked_ns, warnings)
        if self._transforms is not None:
            frames = self._placed(frames, cameras, self._transforms, missing)
        started = time.perf_counter()
        cloud = fuse(
            frames,
            config,
            missing=missing,
            robot_distance=self._robot_distance(robot, warnings),
        )
        return _Captured(cloud, newest_ns, 1e3 * (time.perf_counter() - started))

    def _chosen_cameras(self, names: Sequence[str]) -> list[CameraInput]:
        cameras = list(self._cameras)
        unknown = set(names) - {camera.model.name for camera in cameras}
        if unknown:
            known = ", ".join(camera.model.name for camera in cameras)
            raise ValueError(f"no camera {', '.join(sorted(unknown))} in the rig; it has {known}")
        return [camera for camera in cameras if not names or camera.model.name in names]

    def _wait_for_images(
        self, cameras: list[CameraInput], robot: RobotInput | None, asked_ns: int, limit: float
    ) -> int:
        """Returns when every camera has taken an image, or none of the rest is worth waiting for.

        Returns:
            When the images were asked for, on the present clock: simulated time may go back to
            zero. The reset may even have come before the request, and only its clock after it.

        Raises:
            PerceptionError: the node was deactivated meanwhile.
        """
        started = time.monotonic()
        with self._arrived:
            while True:
                now_ns = self.get_clock().now().nanoseconds
                asked_ns = min(asked_ns, now_ns)
                until_ns = now_ns + conversions.seconds_to_ns(self.parameters.max_frame_age)
                waited = time.monotonic() - started
                if not self.active:
                    raise PerceptionError("the perception node was deactivated")
                pending = any(
                    not camera.has_taken(asked_ns, until_ns)
                    and camera.silent_for() <= self.parameters.frame_timeout
                    and not camera.hopeless
                    for camera in cameras
                )
                states = robot is None or robot.complete or waited > self.parameters.frame_timeout
                if (not pending and states) or 0.0 < limit < waited:
                    return asked_ns
                self._arrived.wait(WAIT_PERIOD)

    def _collected(
        self, cameras: list[CameraInput], asked_ns: int, warnings: list[str]
    ) -> tuple[list[DepthFrame], dict[str, str], int]:
        """The usable frame of each camera, why the others have none, and the newest stamp."""
        frames, missing, newest_ns = [], {}, 0
        for camera in cameras:
            name = camera.model.name
            try:
                self._refuse_stale(camera, asked_ns)
                frame, doubts = camera.frame()
                if (camera.stamp_ns or 0) < asked_ns:
                    doubts.append("no image since the request, an older one is used")
            except (conversions.MessageError, RigError) as error:
                missing[name] = str(error)
            else:
                frames.append(frame)
                newest_ns = max(newest_ns, camera.stamp_ns or 0)
                warnings += [f"{name}: {doubt}" for doubt in doubts]
        return frames, missing, newest_ns

    @staticmethod
    def _placed(
        frames: Sequence[DepthFrame],
        cameras: Sequence[CameraInput],
        transforms: Transforms,
        missing: dict[str, str],
        timeout: float = TRANSFORM_TIMEOUT,
    ) -> list[DepthFrame]:
        """The frames with their cameras where tf has them; where it has none they are missing."""
        frame_ids = {camera.model.name: camera.image_frame for camera in cameras}
        placed = []
        for frame in frames:
            name = frame.camera.name
            try:
                pose = transforms.pose(frame_ids[name], timeout)
            except conversions.MessageError as error:
                missing[name] = str(error)
            else:
                camera = dataclasses.replace(frame.camera, world_T_optical=pose)
                placed.append(dataclasses.replace(frame, camera=camera))
        return placed

    def _refuse_stale(self, camera: CameraInput, asked_ns: int) -> None:
        if camera.stamp_ns is None:
            raise conversions.MessageError(
                "its images get lost on their way, camera_info comes: see docs/reliability.md"
                if camera.lost_images
                else f"no image, nothing came for {camera.silent_for():.1f} s"
            )
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

    def _robot_distance(
        self, robot: RobotInput | None, warnings: list[str]
    ) -> RobotDistance | None:
        if robot is None:
            return None
        try:
            return robot.distance()
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

    # Stream

    def _begin_streaming(self, rig: Sequence[CameraModel], by_tf: bool) -> None:
        p = self.parameters
        self._stream_config = current_parameters(self, self._stream_config, prefix="stream.")
        self._stream = CloudStreaming(
            self,
            p.stream_rate,
            rig,
            by_tf,
            self._placed_in_stream,
            self._stream_config,
            self._fusion,
            mask_robot=p.mask_robot,
            max_age=p.max_frame_age,
        )
        self.create_timer(1.0 / p.stream_rate, self._update_stream, clock=self.steady_clock)

    def _update_stream(self) -> None:
        if self.active and self._stream is not None:
            self._stream.update()

    def _placed_in_stream(
        self, frames: Sequence[DepthFrame], cameras: Sequence[CameraInput]
    ) -> list[DepthFrame]:
        if self._transforms is None:
            return list(frames)
        return self._placed(frames, cameras, self._transforms, {}, timeout=0.0)

    # Health

    def _check_health(self) -> None:
        if not self.active:
            return
        cameras, silent, values = list(self._cameras), [], {}
        for camera in cameras:
            silence = camera.silent_for()
            values[camera.model.name] = (
                f"heard {silence:.1f} s ago" if camera.heard else "not heard yet"
            )
            if silence > self.parameters.camera_timeout:
                silent.append(camera.model.name)
        delivering = sum(c.heard and c.model.name not in silent for c in cameras)
        level, capture = self._last_capture
        message = f"{delivering} of {len(cameras)} cameras deliver images"
        if silent:
            message += f"; silent: {', '.join(silent)}"
            too_few = len(cameras) - len(silent) < self._fusion.min_cameras
            level = max(level, ERROR if too_few else WARN)
        elif level != OK:
            message += f"; last capture: {capture}"
        if self._stream is not None:
            values["stream"] = self._stream.status
        self.report(level, message, last_capture=capture, **values)


def _with_region(config: FusionConfig, request: Capture.Request) -> FusionConfig:
    """The configuration with the request's region in the place of the workspace.

    Raises:
        ValueError: the region is no box, or out of range.
    """
    low, high = (
        (corner.x, corner.y, corner.z) for corner in (request.region_min, request.region_max)
    )
    if low == high == (0.0, 0.0, 0.0):
        return config
    return dataclasses.replace(config, workspace_min=low, workspace_max=high)


def run() -> int:
    """Entry point of the process."""
    return_large_blocks()  # images and clouds come and go in several threads
    return main(PerceptionNode)


if __name__ == "__main__":
    sys.exit(run())
