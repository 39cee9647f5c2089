"""The newest depth image of a camera, and the transforms of where the cameras stand."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image

from dexgrasp_models.perception.cameras import LINK_T_OPTICAL, CameraModel, DepthFrame, RigError
from dexgrasp_models.perception.distortion import Distortion
from dexgrasp_ros import contract, conversions, image_messages, qos
from dexgrasp_ros.camera_info import intrinsics_from_message

LOST_AFTER = 30
"""Intrinsics without an image after which images are taken to get lost on their way."""
OLD_AFTER = 10
"""Images after which newer ones are not waited for, where all were stamped before they were asked
for."""
UNPAIRED_AFTER = 3
"""Images without intrinsics of their own stamp after which the newest intrinsics are taken."""
_INFOS_KEPT = 16
"""Intrinsics that are kept: images are large, and may come later than the intrinsics of others."""
_INTRINSICS_TOLERANCE = 0.5
"""Difference (px) above which a camera's own intrinsics are reported to differ from the rig's."""


class CameraInput:
    """A camera's newest depth image and intrinsics.

    Intrinsics are listened to all the time: they are small, and tell that the camera works. Images
    are asked for while they are wanted only, as drivers send none that nobody asks for. The
    camera's own intrinsics win over the rig's; the rig gives its pose. An image is read by the
    intrinsics of its own stamp, whichever of the two comes first; those of a camera that stamps
    them otherwise are taken as they come.

    Args:
        node: subscribes.
        model: the camera in the rig.
        arrived: notified at each message, and guards what they leave here.
        any_frame: whether images may be in another frame than that of the rig's camera.
        on_image: called when an image has come, and its intrinsics.
    """

    def __init__(
        self,
        node: Node,
        model: CameraModel,
        arrived: threading.Condition,
        any_frame: bool = False,
        on_image: Callable[[], None] = lambda: None,
    ) -> None:
        self.model = model
        self._any_frame = any_frame
        self._on_image = on_image
        self._node = node
        self._arrived = arrived
        self._image: Image | None = None
        self._info: CameraInfo | None = None
        self._newest: Image | None = None
        self._recent: deque[CameraInfo] = deque(maxlen=_INFOS_KEPT)
        self._unpaired = 0
        self._heard_at = time.monotonic()
        self._heard = False
        self._images = self._infos = 0
        info = contract.depth_info(model.name)
        self._topic = contract.depth_image(model.name)
        self._info_subscription = node.create_subscription(
            info.type, info.name, self._put_info, qos.SENSOR_REQUEST
        )
        self._image_subscription: Subscription | None = None

    def ask_for_images(self) -> None:
        """Begins to listen to images, and forgets those of before."""
        with self._arrived:
            self._image = self._newest = None
            self._images = self._infos = 0
        self._image_subscription = self._node.create_subscription(
            self._topic.type,
            self._topic.name,
            self._put_image,
            qos.image_request(self._node, self._topic.name),
        )

    def stop_images(self) -> None:
        """Listens to images no more; the newest that has its intrinsics is kept."""
        if self._image_subscription is not None:
            self._node.destroy_subscription(self._image_subscription)
            self._image_subscription = None

    @property
    def stamp_ns(self) -> int | None:
        """Stamp of the newest image that has its intrinsics, None before the first."""
        if self._image is None:
            return None
        return conversions.stamp_to_ns(self._image.header.stamp)

    @property
    def image_frame(self) -> str:
        """Frame that the newest image says it is in."""
        return self._image.header.frame_id if self._image else self.model.optical_frame

    def has_taken(self, since_ns: int, until_ns: int) -> bool:
        """Whether the newest image was taken between two times, and the intrinsics are there."""
        stamp = self.stamp_ns
        return self._info is not None and stamp is not None and since_ns <= stamp <= until_ns

    @property
    def heard(self) -> bool:
        """Whether anything has ever come."""
        return self._heard

    def silent_for(self) -> float:
        """Seconds of wall time since anything came, or since the start before that."""
        return time.monotonic() - self._heard_at

    @property
    def lost_images(self) -> bool:
        """Whether the camera works, and yet none of its images comes through."""
        return self._newest is None and self._infos >= LOST_AFTER

    @property
    def hopeless(self) -> bool:
        """Whether images, or what comes in their place, have come often enough to judge by."""
        return self.lost_images or self._images >= OLD_AFTER

    def frame(self) -> tuple[DepthFrame, list[str]]:
        """The newest frame, and what is doubtful about it.

        Raises:
            MessageError, RigError: the image or the intrinsics are not usable; says why.
        """
        image, info = self._image, self._info
        if image is None:
            raise conversions.MessageError("no image")
        camera, distortion, doubts = self._camera(info)
        if self.image_frame != camera.optical_frame and not self._any_frame:
            doubts.append(f"image in frame '{self.image_frame}', not '{camera.optical_frame}'")
        depth = image_messages.depth_from_message(image)
        if distortion is not None and depth.shape == (camera.height, camera.width):
            depth = distortion.rectified(depth, camera)
        stamp = conversions.stamp_to_ns(image.header.stamp) / conversions.NANOSECONDS
        return DepthFrame(camera, depth, stamp), doubts

    def destroy(self) -> None:
        """Unsubscribes."""
        self.stop_images()
        self._node.destroy_subscription(self._info_subscription)

    def _camera(self, info: CameraInfo | None) -> tuple[CameraModel, Distortion | None, list[str]]:
        """The rig's camera with the intrinsics that it says it has, and its lens if it matters."""
        own = None if info is None else intrinsics_from_message(info, self.model.rectified)
        if own is None:
            what = "no camera_info" if info is None else "an uncalibrated camera_info"
            return self.model, None, [f"{what}: the rig's intrinsics are used"]
        try:
            camera = replace(self.model, **own.pinhole)
        except RigError as error:
            raise RigError(f"unusable camera_info: {error}") from error
        same_size = (camera.width, camera.height) == (self.model.width, self.model.height)
        difference = np.abs(camera.matrix - self.model.matrix).max()
        if same_size and difference <= _INTRINSICS_TOLERANCE:
            return camera, own.distortion, []
        doubt = "intrinsics differ from the rig's: the camera's own are used"
        return camera, own.distortion, [doubt]

    def _put_image(self, message: Image) -> None:
        with self._arrived:
            self._newest = message
            self._images += 1
            self._unpaired += 1
            complete = self._pair()
            self._note_heard()
        if complete:
            self._on_image()

    def _put_info(self, message: CameraInfo) -> None:
        with self._arrived:
            self._recent.append(message)
            self._infos += 1
            complete = self._pair()
            self._note_heard()
        if complete:
            self._on_image()

    def _pair(self) -> bool:
        """Whether the newest image is one to read now, by its own intrinsics if they have come."""
        image = self._newest
        if image is None or image is self._image:
            return False
        newest_first = reversed(self._recent)  # simulated time may have begun anew
        own = next((info for info in newest_first if info.header.stamp == image.header.stamp), None)
        if own is not None:
            self._unpaired = 0
        elif self._unpaired < UNPAIRED_AFTER:
            return False
        self._image = image
        self._info = own or (self._recent[-1] if self._recent else None)
        return True

    def _note_heard(self) -> None:
        self._heard, self._heard_at = True, time.monotonic()
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
