"""The bridge's camera topics: images at a fixed rate, rendered beside the simulation or with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from rclpy.publisher import Publisher

from dexgrasp_models.perception.cameras import CameraModel
from dexgrasp_ros import contract, conversions
from dexgrasp_ros.node import ERROR, ManagedNode
from dexgrasp_sim.camera_process import CameraProcess, Images, View, render
from dexgrasp_sim.interface import Simulator

REPEAT_EVERY = 5
"""Calls of :meth:`BridgeCameras.repeat` for one repetition of the images."""


@dataclass(frozen=True)
class _CameraTopics:
    camera: CameraModel
    depth: Publisher
    info: Publisher
    color: Publisher

    @property
    def view(self) -> View:
        """What somebody subscribes to."""
        return View(
            self.camera.name,
            depth=self.depth.get_subscription_count() > 0,
            color=self.color.get_subscription_count() > 0,
        )

    def publish(self, images: Images, ns: int) -> None:
        camera, frame = self.camera, self.camera.optical_frame
        self.info.publish(
            conversions.camera_info(camera.matrix, camera.width, camera.height, ns, frame)
        )
        if images.depth is not None:
            self.depth.publish(conversions.depth_to_message(images.depth, ns, frame))
        if images.color is not None:
            self.color.publish(conversions.color_to_message(images.color, ns, frame))


class BridgeCameras:
    """Publishes the images of all cameras; what nobody subscribes to is not rendered.

    In lock-step the images are rendered between two ticks. In real time another process renders
    them from a saved state; images that are due while it is still at work are left out.

    Args:
        node: publishes.
        simulator: is looked at.
        process: renders in real time; None renders between two ticks.
        period_ticks: ticks from one image to the next.
    """

    def __init__(
        self,
        node: ManagedNode,
        simulator: Simulator,
        process: CameraProcess | None,
        period_ticks: int,
    ) -> None:
        self._node = node
        self._simulator = simulator
        self._process = process
        self._period_ticks = period_ticks
        self._topics = [_camera_topics(node, camera) for camera in simulator.cameras.values()]
        self._repeats = 0

    def wait_until_idle(self) -> None:
        """Returns when the rendering process, where there is one, has nothing to do."""
        if self._process is not None:
            self._process.wait_until_idle()

    def publish_if_due(self, tick: int, ns: int, disabled: Collection[str]) -> None:
        """Publishes the images of this tick, now or when they are rendered, if some are due."""
        self._repeats = 0
        if tick % self._period_ticks:
            return
        if self._process is None:
            self._publish_now(ns, disabled)
        elif not self._process.busy and (wanted := self._wanted(disabled)):
            job = self._process.submit(
                self._simulator.save_state(), [topics.view for topics in wanted]
            )
            job.add_done_callback(partial(self._publish_rendered, wanted, ns))

    def repeat(self, ns: int, disabled: Collection[str]) -> None:
        """Publishes the images of a tick at which time stands still, on every fifth call."""
        if self._repeats % REPEAT_EVERY == 0:
            self._publish_now(ns, disabled)
        self._repeats += 1

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

    def _publish_now(self, ns: int, disabled: Collection[str]) -> None:
        for topics in self._wanted(disabled):
            (images,) = render(self._simulator, [topics.view])
            topics.publish(images, ns)

    def _publish_rendered(
        self, wanted: Sequence[_CameraTopics], ns: int, job: Future[list[Images]]
    ) -> None:
        if job.cancelled() or not self._node.active:
            return
        if (error := job.exception()) is not None:
            self._node.report(ERROR, f"no camera images: {error!r}")
            return
        for topics, images in zip(wanted, job.result(), strict=True):
            topics.publish(images, ns)


def _camera_topics(node: ManagedNode, camera: CameraModel) -> _CameraTopics:
    topics = (contract.depth_image, contract.depth_info, contract.color_image)
    return _CameraTopics(
        camera,
        *(
            node.create_lifecycle_publisher(topic.type, topic.name, topic.qos)
            for topic in (make(camera.name) for make in topics)
        ),
    )
