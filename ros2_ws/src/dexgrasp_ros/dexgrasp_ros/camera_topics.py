"""The topics of one camera, for whoever offers its images."""

from __future__ import annotations

import numpy as np

from dexgrasp_models.perception.distortion import Distortion
from dexgrasp_ros import contract, image_messages, qos
from dexgrasp_ros.node import ManagedNode


class CameraTopics:
    """Publishes depth, colour and the intrinsics of both, as the contract has them.

    Args:
        node: publishes, while it is active.
        camera: name of the camera.
        reliable: whether the topics are offered so, as in the contract; else with best effort.
    """

    def __init__(self, node: ManagedNode, camera: str, reliable: bool = True) -> None:
        self.camera = camera
        self._frame = contract.optical_frame(camera)
        self._depth, self._info, self._color, self._color_info = (
            node.create_lifecycle_publisher(
                topic.type, topic.name, topic.qos if reliable else qos.IMAGE_BEST_EFFORT
            )
            for topic in (
                contract.depth_image(camera),
                contract.depth_info(camera),
                contract.color_image(camera),
                contract.color_info(camera),
            )
        )

    @property
    def audience(self) -> tuple[int, int]:
        """How many subscribe to the depth and to the color images."""
        return self._depth.get_subscription_count(), self._color.get_subscription_count()

    def publish_info(
        self,
        intrinsics: np.ndarray,
        width: int,
        height: int,
        ns: int,
        distortion: Distortion | None = None,
    ) -> None:
        """Intrinsics of depth and colour, which is aligned with it; as `camera_info` takes them."""
        message = image_messages.camera_info(intrinsics, width, height, ns, self._frame, distortion)
        self._info.publish(message)
        self._color_info.publish(message)

    def publish_depth(self, depth: np.ndarray, ns: int) -> None:
        """(H, W) uint16, mm, 0 where nothing was read."""
        self._depth.publish(image_messages.depth_to_message(depth, ns, self._frame))

    def publish_color(self, color: np.ndarray, ns: int) -> None:
        """(H, W, 3) uint8, red first, aligned with the depth image."""
        self._color.publish(image_messages.color_to_message(color, ns, self._frame))
