"""The newest depth image of a camera, and the transforms of where the cameras stand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from dexgrasp_models.perception.cameras import LINK_T_OPTICAL, CameraModel, DepthFrame, RigError
from dexgrasp_ros import contract, conversions, qos

_INTRINSICS_TOLERANCE = 0.5
"""Difference (px) above which a camera's own intrinsics are reported to differ from the rig's."""


class CameraInput:
    """Keeps a camera's newest depth image and intrinsics.

    The camera's own intrinsics win over the rig's; the rig gives its pose.

    Args:
        node: subscribes.
        model: the camera in the rig.
        arrived: notified at each message, and guards what they leave here.

    Attributes:
        images: how many images have arrived.
        stamp_ns: of the newest image, None before the first.
    """

    def __init__(self, node: Node, model: CameraModel, arrived: threading.Condition) -> None:
        self.model = model
        self.images = 0
        self.stamp_ns: int | None = None
        self._arrived = arrived
        self._image: Image | None = None
        self._info: CameraInfo | None = None
        self._received_at = time.monotonic()
        depth, info = contract.depth_image(model.name), contract.depth_info(model.name)
        self._node = node
        self._subscriptions = [
            node.create_subscription(Image, depth.name, self._put_image, qos.IMAGE_REQUEST),
            node.create_subscription(CameraInfo, info.name, self._put_info, qos.IMAGE_REQUEST),
        ]

    def has_taken(self, since_ns: int, images_before: int) -> bool:
        """Whether an image taken at ``since_ns`` or later has come after ``images_before`` others,
        and the intrinsics with it."""
        return (
            self._info is not None
            and self.images > images_before
            and self.stamp_ns is not None
            and self.stamp_ns >= since_ns
        )

    def silent_for(self) -> float:
        """Seconds of wall time since the newest image, or since the start before the first."""
        return time.monotonic() - self._received_at

    def frame(self) -> tuple[DepthFrame, list[str]]:
        """The newest frame, and what is doubtful about it.

        Raises:
            MessageError, RigError: the image or the intrinsics are not usable; says why.
        """
        image, info = self._image, self._info
        if image is None:
            raise conversions.MessageError("no image")
        camera, doubts = self._camera(info)
        if image.header.frame_id != camera.optical_frame:
            doubts.append(f"image in frame '{image.header.frame_id}', not '{camera.optical_frame}'")
        depth = conversions.depth_from_message(image)
        stamp = conversions.stamp_to_ns(image.header.stamp) / conversions.NANOSECONDS
        return DepthFrame(camera, depth, stamp), doubts

    def destroy(self) -> None:
        """Unsubscribes."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _camera(self, info: CameraInfo | None) -> tuple[CameraModel, list[str]]:
        """The rig's camera with the intrinsics that it says it has."""
        if info is None or info.k[0] == 0.0:
            what = "no camera_info" if info is None else "an uncalibrated camera_info"
            return self.model, [f"{what}: the rig's intrinsics are used"]
        try:
            camera = replace(
                self.model,
                width=info.width,
                height=info.height,
                fx=info.k[0],
                fy=info.k[4],
                cx=info.k[2],
                cy=info.k[5],
            )
        except RigError as error:
            raise RigError(f"unusable camera_info: {error}") from error
        same_size = (camera.width, camera.height) == (self.model.width, self.model.height)
        difference = np.abs(camera.matrix - self.model.matrix).max()
        if same_size and difference <= _INTRINSICS_TOLERANCE:
            return camera, []
        return camera, ["intrinsics differ from the rig's: the camera's own are used"]

    def _put_image(self, message: Image) -> None:
        with self._arrived:
            self._image = message
            self.stamp_ns = conversions.stamp_to_ns(message.header.stamp)
            self._received_at = time.monotonic()
            self.images += 1
            self._arrived.notify_all()

    def _put_info(self, message: CameraInfo) -> None:
        with self._arrived:
            self._info = message
            self._arrived.notify_all()


def camera_transforms(cameras: Iterable[CameraModel]) -> list[TransformStamped]:
    """Static transforms: each camera's body in the world, and its optical frame in the body."""
    transforms = []
    for camera in cameras:
        link, optical = camera.link_frame, camera.optical_frame
        transforms += [
            conversions.transform_stamped(camera.world_T_link, 0, conversions.WORLD, link),
            conversions.transform_stamped(LINK_T_OPTICAL, 0, link, optical),
        ]
    return transforms
