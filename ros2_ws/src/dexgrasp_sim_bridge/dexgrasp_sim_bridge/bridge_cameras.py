"""The bridge's camera topics: images at a fixed rate, rendered beside the simulation or with it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from rclpy.publisher import Publisher

from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_ros import contract, image_messages, qos
from dexgrasp_ros.node import ERROR, ManagedNode
from dexgrasp_sim.cameras.camera_process import CameraProcess, Images, View, render
from dexgrasp_sim.simulator import Simulator

REPEAT_EVERY = 5
"""Calls of :meth:`BridgeCameras.repeat` for one repetition of the images."""
SIGN_OF_LIFE = 1.0
"""Seconds of wall time between two intrinsics of a camera whose images take longer."""
_RATE_WINDOW = 10
"""Images from which their rate is told."""


@dataclass(frozen=True)
class _CameraTopics:
    camera: CameraModel
    depth: Publisher
    info: Publisher
    color: Publisher
    color_info: Publisher

    @property
    def audience(self) -> tuple[int, int]:
        """How many subscribe to the depth and to the color images."""
        return self.depth.get_subscription_count(), self.color.get_subscription_count()

    @property
    def view(self) -> View:
        """What somebody subscribes to."""
        depth, color = self.audience
        return View(self.camera.name, depth=depth > 0, color=color > 0)

    def publish_info(self, ns: int) -> None:
        camera, frame = self.camera, self.camera.optical_frame
        message = image_messages.camera_info(camera.matrix, camera.width, camera.height, ns, frame)
        self.info.publish(message)
        self.color_info.publish(message)  # one sensor takes both images

    def publish(self, images: Images, ns: int) -> None:
        frame = self.camera.optical_frame
        if images.depth is not None:
            self.depth.publish(image_messages.depth_to_message(images.depth, ns, frame))
        if images.color is not None:
            self.color.publish(image_messages.color_to_message(images.color, ns, frame))


class BridgeCameras:
    """Publishes the images of all cameras; what nobody subscribes to is not rendered.

    Images come at a fixed rate while somebody subscribes, the first at once. Their intrinsics come
    at that rate all the time, and tell that the camera is there. In lock-step the images are
    rendered between two ticks. In real time another process renders them from a snapshot; images
    that are due while it is still at work are left out, and most of their intrinsics too: to who
    listens many of these without an image are images that got lost.

    Args:
        node: publishes.
        simulator: is looked at.
        process: renders in real time; None renders between two ticks.
        period_ticks: ticks from one image to the next.
        reliable: whether images and intrinsics are offered so; else with best effort.
    """

    def __init__(
        self,
        node: ManagedNode,
        simulator: Simulator,
        process: CameraProcess | None,
        period_ticks: int,
        reliable: bool = True,
    ) -> None:
        self._node = node
        self._simulator = simulator
        self._process = process
        self._period_ticks = period_ticks
        self._topics = [
            _camera_topics(node, camera, reliable) for camera in simulator.cameras.values()
        ]
        self._repeats = 0
        self._audience: list[int] = self._subscribers()
        self._epoch = 0
        self._infos_at = -float("inf")
        self._rendered_at: deque[float] = deque(maxlen=_RATE_WINDOW)

    def wait_until_idle(self) -> None:
        """Returns when the rendering process, where there is one, has nothing to do."""
        if self._process is not None:
            self._process.wait_until_idle()

    def start_anew(self) -> None:
        """After a reset: images that are still being rendered show what was before."""
        self._epoch += 1

    def publish_if_due(self, tick: int, ns: int, disabled: Collection[str]) -> None:
        """Publishes the images of this tick, now or when they are rendered, if some are due."""
        self._repeats = 0
        due = tick % self._period_ticks == 0
        if not due and not self._somebody_new():
            return
        if self._process is None:
            self._publish_now(ns, disabled)
            return
        wanted = self._wanted(disabled)
        if wanted and not self._process.busy:
            self._audience = self._subscribers()
            # When the images are taken: they come later, and intrinsics in the order of time.
            self._publish_infos(ns, disabled)
            job = self._process.submit(
                self._simulator.snapshot(), [topics.view for topics in wanted]
            )
            job.add_done_callback(partial(self._publish_rendered, wanted, ns, self._epoch))
        elif due and (not wanted or time.monotonic() - self._infos_at > SIGN_OF_LIFE):
            self._publish_infos(ns, disabled)

    def repeat(self, ns: int, disabled: Collection[str]) -> None:
        """Publishes the images of a tick at which time stands still.

        To somebody new at once, to others on every fifth call.
        """
        if self._repeats % REPEAT_EVERY == 0 or self._somebody_new():
            self._publish_now(ns, disabled)
        self._repeats += 1

    @property
    def rate(self) -> float | None:
        """Images a second (of wall time) that each camera gave lately; None where nobody looks."""
        if not any(self._audience) or len(self._rendered_at) < 2:
            return None
        seconds = self._rendered_at[-1] - self._rendered_at[0]
        return (len(self._rendered_at) - 1) / seconds if seconds > 0.0 else None

    def close(self) -> None:
        """Ends the rendering process, where there is one."""
        if self._process is not None:
            self._process.close()

    def _wanted(self, disabled: Collection[str]) -> list[_CameraTopics]:
        return [
            topics
            for topics in self._topics
            if topics.camera.name not in disabled and (topics.view.depth or topics.view.color)
        ]

    def _subscribers(self) -> list[int]:
        """How many subscribe to each image."""
        return [count for topics in self._topics for count in topics.audience]

    def _somebody_new(self) -> bool:
        """Whether an image has more subscribers than when images were made last."""
        now = self._subscribers()
        new = any(count > before for count, before in zip(now, self._audience, strict=True))
        self._audience = [min(pair) for pair in zip(now, self._audience, strict=True)]
        return new

    def _publish_infos(self, ns: int, disabled: Collection[str]) -> None:
        self._infos_at = time.monotonic()
        for topics in self._topics:
            if topics.camera.name not in disabled:
                topics.publish_info(ns)

    def _publish_now(self, ns: int, disabled: Collection[str]) -> None:
        self._audience = self._subscribers()
        self._publish_infos(ns, disabled)
        cameras, snapshot = self._simulator.depth_cameras, self._simulator.snapshot()
        for topics in self._wanted(disabled):
            (images,) = render(cameras, snapshot, [topics.view])
            topics.publish(images, ns)

    def _publish_rendered(
        self, wanted: Sequence[_CameraTopics], ns: int, epoch: int, job: Future[list[Images]]
    ) -> None:
        if job.cancelled() or not self._node.active or epoch != self._epoch:
            return
        if (error := job.exception()) is not None:
            self._node.report(ERROR, f"no camera images: {error!r}")
            return
        self._rendered_at.append(time.monotonic())
        for topics, images in zip(wanted, job.result(), strict=True):
            topics.publish(images, ns)


def _camera_topics(node: ManagedNode, camera: CameraModel, reliable: bool) -> _CameraTopics:
    topics = (
        contract.depth_image,
        contract.depth_info,
        contract.color_image,
        contract.color_info,
    )
    return _CameraTopics(
        camera,
        *(
            node.create_lifecycle_publisher(
                topic.type, topic.name, topic.qos if reliable else qos.IMAGE_BEST_EFFORT
            )
            for topic in (make(camera.name) for make in topics)
        ),
    )
